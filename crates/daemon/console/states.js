// State topics: the documents this page holds, which survive a reconnect, and the view of one of them.

import { count, make, quantity } from "./format.js";
import { Tree } from "./tree.js";
import { SNAPSHOT, StateDocument, WireError } from "./wire.js";

// Where animation frames don't come (an occluded window), a change is shown, and acknowledged, after this long.
const FLUSH_MS_MAX = 250;

/** One topic's document as the hub's messages make it. */
export class HeldState {
  constructor(session) {
    this.session = session;
    this.document = new StateDocument();
    this.link = null;
    this.resyncing = false;
  }

  /** What a new subscription may go on from. */
  resume() {
    const { epoch, version } = this.document;
    return epoch === 0n || version === 0 ? null : { epoch, position: BigInt(version) };
  }

  /** Applies a message. Returns its operations, null for a new root, or undefined when nothing changed and a resync is under way. */
  apply(message) {
    const snapshot = (message.flags & SNAPSHOT) !== 0;
    if (this.link !== message.link) this.resyncing = false;
    this.link = message.link;
    // Deltas that were on their way when the resync was asked for.
    if (this.resyncing && !snapshot) return undefined;
    try {
      const operations = this.document.apply(message.payload, snapshot);
      this.resyncing = false;
      return operations;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#resync(message);
      return undefined;
    }
  }

  /** A message could not be read: what it changed can only be had from a snapshot. */
  miss(message) {
    if (this.link !== message.link) this.resyncing = false;
    this.link = message.link;
    if (!this.resyncing) this.#resync(message);
  }

  #resync(message) {
    this.resyncing = true;
    this.session.resync(message.topic);
  }
}

export class DocumentView {
  constructor(session, held) {
    this.session = session;
    this.held = held;
    this.tree = new Tree();
    this.readings = Object.fromEntries(["version", "changes", "conflated"].map((name) => [name, quantity()]));
    const reading = (label, element) => make("div", {}, make("dt", {}, label), make("dd", {}, element));
    const open = make("button", { type: "button" }, "Expand all");
    open.addEventListener("click", () => this.tree.setAll(true));
    const shut = make("button", { type: "button" }, "Collapse all");
    shut.addEventListener("click", () => this.tree.setAll(false));
    this.element = make("div", { id: "document", class: "view" },
      make("div", { class: "actions" }, open, shut), this.tree.element,
      make("dl", { class: "readings" }, reading("version", this.readings.version.element),
        reading("changes", this.readings.changes.element), reading("conflated", this.readings.conflated.element)));
    this.unshown = [];
    this.conflated = 0;
    this.changes = 0;
    this.countedAt = performance.now();
    this.frame = 0;
    this.late = 0;
    this.onHidden = () => { if (document.hidden) this.#flush(); };
    document.addEventListener("visibilitychange", this.onHidden);
    if (held.document.version > 0) this.tree.show(held.document);
  }

  announce() {}

  /** Shows what a message changed. The message is consumed once that is on the page. */
  message(message, operations) {
    if (operations === null) {
      this.tree.show(this.held.document);
    } else if (operations !== undefined) {
      this.changes += operations.length;
      this.tree.changed(operations);
    }
    // The content, which may be far larger than what came, need not wait.
    this.unshown.push({ ...message, payload: null });
    if (document.hidden) this.#flush();
    else this.#schedule();
  }

  gap(lost) {
    this.conflated += lost;
  }

  tick() {
    const now = performance.now();
    const elapsed = (now - this.countedAt) / 1000;
    this.readings.version.set(count(this.held.document.version));
    this.readings.changes.set([count(Math.round(this.changes / elapsed))[0], "/s"]);
    this.readings.conflated.set(count(this.conflated));
    this.changes = 0;
    this.countedAt = now;
  }

  close() {
    document.removeEventListener("visibilitychange", this.onHidden);
    this.#flush();
    this.tree.close();
  }

  #schedule() {
    this.frame ||= requestAnimationFrame(() => this.#flush());
    this.late ||= setTimeout(() => this.#flush(), FLUSH_MS_MAX);
  }

  #flush() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.late);
    this.frame = 0;
    this.late = 0;
    this.tree.flush();
    for (const message of this.unshown) this.session.consumed(message);
    this.unshown = [];
  }
}
