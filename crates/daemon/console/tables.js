// The tables of topics and of subscribers: keyed rows whose cells change in place. Rows are sorted by name or session, never
// by a number, so that none moves under the pointer; the hub's own topics come last.

import { Sparkline } from "./charts.js";
import { byteRate, bytes, count, make, milliseconds, plain, quantity, rate, reasons, setText, total } from "./format.js";

// Drops are marked while the last of them is this recent.
const FRESH_MS = 5000;
const COLLATOR = new Intl.Collator("en", { numeric: true });

/** Rows by key, in the order of their keys. */
class Rows {
  constructor(body, create) {
    this.body = body;
    this.create = create;
    this.rows = new Map();
  }

  /** Makes the rows those of `entries`, an array of [key, value], and updates each. */
  update(entries, now) {
    entries.sort(([a], [b]) => a.startsWith("$") - b.startsWith("$") || COLLATOR.compare(a, b));
    const present = new Set(entries.map(([key]) => key));
    for (const [key, row] of this.rows) {
      if (present.has(key)) continue;
      row.element.remove();
      this.rows.delete(key);
    }
    let next = this.body.firstElementChild;
    for (const [key, value] of entries) {
      let row = this.rows.get(key);
      if (!row) {
        row = this.create(key);
        this.rows.set(key, row);
      }
      if (row.element === next) next = next.nextElementSibling;
      else this.body.insertBefore(row.element, next);
      row.update(value, now);
    }
  }
}

/** The topic list: a grid with one row in the tab order, walked with the arrow keys. */
export class TopicTable {
  constructor(body, open) {
    this.rows = new Rows(body, (name) => new TopicRow(name));
    this.body = body;
    this.open = open;
    this.filter = "";
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row) open(row.dataset.topic);
    });
    body.addEventListener("keydown", (event) => this.#key(event));
    body.addEventListener("focusin", (event) => this.#rove(event.target.closest("tr")));
  }

  update(topics, now) {
    const wanted = this.filter.toLowerCase();
    this.rows.update([...topics].filter(([name]) => name.toLowerCase().includes(wanted)), now);
    if (!this.body.querySelector('tr[tabindex="0"]')) this.#rove(this.body.firstElementChild);
  }

  select(name) {
    for (const [key, row] of this.rows.rows) row.element.setAttribute("aria-selected", String(key === name));
    const row = this.rows.rows.get(name);
    if (row) this.#rove(row.element);
  }

  focus(name) {
    const element = this.rows.rows.get(name)?.element ?? this.body.querySelector('tr[tabindex="0"]');
    element?.focus();
  }

  #rove(row) {
    if (!row) return;
    for (const other of this.body.querySelectorAll('tr[tabindex="0"]')) other.tabIndex = -1;
    row.tabIndex = 0;
  }

  #key(event) {
    const row = event.target.closest("tr");
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = {
      ArrowDown: row.nextElementSibling,
      ArrowUp: row.previousElementSibling,
      Home: this.body.firstElementChild,
      End: this.body.lastElementChild,
    }[event.key];
    if (to) to.focus();
    else if (event.key === "Enter" || event.key === " ") this.open(row.dataset.topic);
    else if (!["ArrowDown", "ArrowUp"].includes(event.key)) return;
    event.preventDefault();
  }
}

class TopicRow {
  constructor(name) {
    this.spark = new Sparkline();
    this.kind = make("span", { class: "kind" });
    this.cells = { rate: cell("rate", "rate"), bytes: cell("bytes", "bandwidth"), subscribers: cell("subscribers", "subscribers"),
      p50: cell("p50", "age p50"), p99: cell("p99", "age p99"), drops: new DropsCell() };
    const slash = name.lastIndexOf("/") + 1;
    this.element = make("tr", { "data-topic": name, tabindex: "-1", "aria-selected": "false" },
      make("th", { scope: "row", title: plain(name) },
        make("span", { class: "path" }, plain(name.slice(0, slash)), make("b", {}, plain(name.slice(slash)))), this.kind),
      make("td", { class: "sparkline" }, this.spark.element),
      ...Object.values(this.cells).map((each) => each.element));
  }

  update({ stats, ring }, now) {
    setText(this.kind, stats.kind ?? "");
    this.spark.draw(ring, "rate", now);
    this.cells.rate.set(rate(stats.rate));
    this.cells.bytes.set(byteRate(stats.byte_rate));
    this.cells.subscribers.set(count(stats.subscribers));
    this.cells.p50.set(milliseconds(stats.age_p50_ms));
    this.cells.p99.set(milliseconds(stats.age_p99_ms));
    this.cells.drops.set(stats.drops, now);
  }
}

/** The sessions that are subscribed to something. */
export class SubscriberTable {
  constructor(body) {
    this.rows = new Rows(body, (id) => new SubscriberRow(id));
  }

  update(subscribers, own, now) {
    this.rows.update([...subscribers].map(([id, stats]) => [id, { stats, own: id === own }]), now);
  }
}

class SubscriberRow {
  constructor(id) {
    this.name = make("b");
    this.own = make("span", { class: "own" });
    this.peer = make("span", { class: "peer" });
    this.cells = { topics: cell("topics", "topics"), rate: cell("rate", "bandwidth"), delivered: cell("delivered", "delivered"),
      flight: cell("in-flight", "in flight"), lag: cell("lag", "lag"), rtt: cell("rtt", "round trip"), drops: new DropsCell() };
    this.element = make("tr", { "data-session": id },
      make("th", { scope: "row" }, make("span", { class: "path" }, this.name, this.own), this.peer),
      ...Object.values(this.cells).map((each) => each.element));
    this.id = id;
  }

  update({ stats, own }, now) {
    setText(this.name, plain(stats.name || `session ${this.id}`));
    setText(this.own, own ? "this page" : "");
    setText(this.peer, [stats.transport, stats.peer].filter(Boolean).join(" "));
    this.cells.topics.set(count(Array.isArray(stats.topics) ? stats.topics.length : stats.topics));
    this.cells.delivered.set(count(stats.delivered));
    this.cells.rate.set(byteRate(stats.byte_rate));
    this.cells.flight.set(bytes(stats.in_flight_bytes));
    this.cells.flight.element.title = stats.unsent_target_bytes ? `the kernel may hold ${stats.unsent_target_bytes} bytes unsent` : "";
    this.cells.lag.set(milliseconds(stats.lag_ms));
    this.cells.rtt.set(milliseconds(stats.rtt_ms));
    this.cells.drops.set(stats.drops, now);
  }
}

function cell(name, label) {
  const value = quantity();
  const element = make("td", { "data-cell": name, "data-label": label }, value.element);
  return { element, set: value.set };
}

/** A sum of drops and, below it, their reasons. */
class DropsCell {
  constructor() {
    this.value = quantity();
    this.why = make("span", { class: "why" });
    this.element = make("td", { "data-cell": "drops", "data-label": "drops" }, this.value.element, this.why);
    this.last = null;
    this.changedAt = -Infinity;
  }

  set(drops, now) {
    const sum = total(drops);
    if (this.last !== null && sum > this.last) this.changedAt = now;
    this.last = sum;
    this.value.set(count(sum));
    const why = reasons(drops);
    setText(this.why, why);
    if (this.element.title !== why) this.element.title = why;
    this.element.classList.toggle("fresh", now - this.changedAt < FRESH_MS);
  }
}
