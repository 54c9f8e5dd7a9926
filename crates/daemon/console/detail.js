// The selected topic: its view by kind, its charts, its facts, and what was lost by whom and why.

import { AudioView } from "./audio.js";
import { Chart } from "./charts.js";
import { CompressionView } from "./compression.js";
import { EventView } from "./events.js";
import { byteRate, bytes, count, make, milliseconds, rate, setText } from "./format.js";
import { FrameView } from "./frame.js";
import { DocumentView } from "./states.js";
import { KINDS, REASONS } from "./wire.js";

// An event subscriber without a deadline slows the publisher when it lags. A page that looks on must not.
const EVENT_MAX_AGE_MS = 2000;

export class Detail {
  constructor(session, name, held) {
    this.session = session;
    this.name = name;
    this.held = held;
    this.view = null;
    this.kind = "";
    this.lost = new Map();
    this.facts = new Map();
    this.charts = [
      new Chart("Messages", [{ name: "rate", label: "" }], rate),
      new Chart("Bandwidth", [{ name: "byteRate", label: "" }], byteRate),
      new Chart("Age", [{ name: "p50", label: "p50" }, { name: "p99", label: "p99" }], milliseconds),
      new Chart("Drops", [{ name: "drops", label: "" }], rate),
    ];
    this.waiting = make("p", { class: "note waiting" }, "Nothing has been published to this topic yet. It appears here when it is.");
    this.viewBox = make("div", { class: "view-box" }, this.waiting);
    this.factList = make("dl", { class: "facts" });
    this.dropBody = make("tbody");
    this.dropTable = make("table", { class: "losses" },
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Reason"), make("th", { scope: "col" }, "All subscribers"),
        make("th", { scope: "col" }, "This page"))), this.dropBody);
    this.noDrops = make("p", { class: "note" }, "Nothing was dropped.");
    this.compression = new CompressionView();
    this.element = make("div", { class: "detail-body" }, this.viewBox,
      make("div", { class: "charts" }, ...this.charts.map((chart) => chart.element)),
      make("h3", {}, "Dropped"), this.noDrops, this.dropTable,
      this.compression.element,
      make("h3", {}, "Details"), this.factList);
  }

  /** The deadline to ask for. What is not known yet may be events; documents have no age; of frames and sound older ones are shown, too. */
  static maxAgeMs(kind) {
    return kind === "frame" || kind === "audio" ? 0 : EVENT_MAX_AGE_MS;
  }

  announce(announce) {
    const kind = KINDS[announce.kindOfTopic] ?? "";
    if (kind !== this.kind || !this.view) {
      this.kind = kind;
      this.view?.close();
      this.view = this.#makeView(kind);
      this.viewBox.replaceChildren(this.view?.element ?? this.waiting);
    }
    this.announced = announce;
    this.view?.announce(announce);
  }

  message(message, operations) {
    this.lastSequence = message.sequence;
    if (this.view) this.view.message(message, operations);
    else this.session.consumed(message);
  }

  gap(gap) {
    let sum = 0;
    for (const { reason, count: lost } of gap.drops) {
      const name = REASONS[reason] ?? "unspecified";
      this.lost.set(name, (this.lost.get(name) ?? 0) + Number(lost));
      sum += Number(lost);
    }
    this.view?.gap(sum, gap);
  }

  /** Twice a second, with the topic's entry of the statistics or undefined. */
  tick(topic, now) {
    this.view?.tick();
    if (topic) for (const chart of this.charts) chart.draw(topic.ring, now, topic.present);
    this.#drops(topic?.stats.drops ?? {});
    this.#facts(topic?.stats ?? {});
    this.compression.update(topic?.stats ?? {}, this.session.mayCompress);
  }

  close() {
    this.view?.close();
  }

  #makeView(kind) {
    switch (kind) {
      case "state": return new DocumentView(this.session, this.held);
      case "frame": return new FrameView(this.session);
      case "audio": return new AudioView(this.session);
      case "event": return new EventView(this.session);
      default: return null;
    }
  }

  #drops(all) {
    const names = [...new Set([...Object.keys(all), ...this.lost.keys()])].sort();
    const rows = names.map((name) => [name, all[name] ?? 0, this.lost.get(name) ?? 0]).filter(([, hub, page]) => hub > 0 || page > 0);
    this.noDrops.hidden = rows.length > 0;
    this.dropTable.hidden = rows.length === 0;
    while (this.dropBody.rows.length > rows.length) this.dropBody.lastElementChild.remove();
    rows.forEach(([name, hub, page], i) => {
      const row = this.dropBody.rows[i] ?? this.dropBody.appendChild(
        make("tr", {}, make("th", { scope: "row" }), make("td"), make("td")));
      setText(row.cells[0], name.replaceAll("_", " "));
      setText(row.cells[1], count(hub).join(""));
      setText(row.cells[2], count(page).join(""));
    });
  }

  #facts(stats) {
    const { announced } = this;
    const facts = {
      "content type": stats.content_type || announced?.contentType || "–",
      messages: count(stats.messages).join(""),
      bytes: bytes(stats.bytes).join("\u2009"),
      retained: bytes(stats.retained_bytes).join("\u2009"),
      subscribers: count(stats.subscribers).join(""),
      "max age": announced?.maxAgeMs ? milliseconds(announced.maxAgeMs).join("\u2009") : "none",
      "acknowledged": announced ? (announced.prompt ? "each message" : "every 64 kB") : "–",
      "topic id": announced ? String(announced.topicId) : "–",
      "last sequence": this.lastSequence === undefined ? "–" : count(this.lastSequence)[0],
      epoch: announced ? announced.epoch.toString(16).padStart(16, "0") : "–",
    };
    for (const [name, value] of Object.entries(facts)) {
      let element = this.facts.get(name);
      if (!element) {
        element = make("dd");
        this.facts.set(name, element);
        this.factList.append(make("div", {}, make("dt", {}, name), element));
      }
      setText(element, value);
    }
  }
}
