// The event view: the last lines of a topic as text, JSON or hex, and a line wherever some were missed. However many come,
// only what will be seen is decoded, once per animation frame.

import { clockTime, count, hex, make, setText, unixNow } from "./format.js";
import { REASONS } from "./wire.js";

const LINES_MAX = 500;
const TEXT_BYTES_MAX = 2000;
const HEX_BYTES_MAX = 64;
const CODECS = ["bytes", "text", "json"];
const TEXT = new TextDecoder();

export class EventView {
  constructor(session) {
    this.session = session;
    this.list = make("ol", { role: "log", "aria-live": "off", "aria-label": "Events", tabindex: "0", class: "events" });
    this.hold = make("button", { type: "button", "aria-pressed": "false" }, "Pause");
    this.hold.addEventListener("click", () => this.#pause(!this.paused));
    const clear = make("button", { type: "button" }, "Clear");
    clear.addEventListener("click", () => this.list.replaceChildren());
    this.note = make("span", { class: "note" });
    this.element = make("div", { id: "events", class: "view" },
      make("div", { class: "actions" }, this.hold, clear, this.note), this.list);
    this.paused = false;
    this.pending = [];
    this.unshown = 0;
    this.received = 0;
    this.missed = 0;
    this.scheduled = false;
  }

  announce() {}

  message(message) {
    this.received += 1;
    // Of what waits to be shown no more is kept than will be: a block of few bytes may hold long events.
    const head = message.payload.slice(0, TEXT_BYTES_MAX);
    const { codec, sequence, payload: { length } } = message;
    this.#add({ event: { codec, sequence, head, length }, at: message.timestamp ?? unixNow() });
    this.session.consumed(message);
  }

  gap(lost, { firstSequence, drops }) {
    this.missed += lost;
    const why = drops.map(({ reason, count: each }) => `${count(each).join("")} ${REASONS[reason] ?? "lost"}`.replaceAll("_", " "));
    this.#add({ gap: why.join(", "), sequence: firstSequence, at: unixNow() });
  }

  tick() {
    const missed = this.missed > 0 ? `, ${count(this.missed).join("")} missed` : "";
    const unshown = this.unshown > 0 ? `, ${count(this.unshown).join("")} not shown` : "";
    setText(this.note, `${count(this.received).join("")} received${missed}${unshown}`);
  }

  close() {}

  #add(entry) {
    this.pending.push(entry);
    if (this.pending.length >= 2 * LINES_MAX) {
      this.unshown += this.pending.length - LINES_MAX;
      this.pending = this.pending.slice(-LINES_MAX);
    }
    if (this.scheduled || this.paused) return;
    this.scheduled = true;
    requestAnimationFrame(() => this.#flush());
  }

  #pause(paused) {
    this.paused = paused;
    this.hold.setAttribute("aria-pressed", String(paused));
    setText(this.hold, paused ? "Resume" : "Pause");
    if (!paused) this.#flush();
  }

  #flush() {
    this.scheduled = false;
    if (this.paused) return;
    const { list } = this;
    const following = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const entries = this.pending.slice(-LINES_MAX);
    this.unshown += this.pending.length - entries.length;
    this.pending = [];
    list.append(...entries.map(line));
    while (list.childElementCount > LINES_MAX) list.firstElementChild.remove();
    if (following) list.scrollTop = list.scrollHeight;
  }
}

function line({ event, gap, at, sequence }) {
  const time = make("time", {}, clockTime(at));
  if (gap !== undefined) {
    return make("li", { class: "gap", "data-sequence": sequence }, time, make("span", { class: "what" }, "gap"), make("span", {}, gap));
  }
  const codec = CODECS[event.codec] ?? "bytes";
  return make("li", { class: codec, "data-sequence": event.sequence }, time,
    make("span", { class: "what" }, codec), make("code", {}, content(event, codec)));
}

function content({ head, length }, codec) {
  const limit = codec === "bytes" ? HEX_BYTES_MAX : TEXT_BYTES_MAX;
  const text = codec === "bytes" ? hex(head.subarray(0, limit)) : TEXT.decode(head);
  return length > limit ? `${text} … (${count(length)[0]} B)` : text;
}
