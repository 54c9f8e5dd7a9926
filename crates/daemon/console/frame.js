// The frame view: the newest image of a topic, decoded off the main thread and drawn at once. A frame is consumed when it has been
// drawn, so the hub sends the next one when this page can take it; of several that wait only the last is decoded.

import { bytes, count, make, milliseconds, quantity, setText, unixNow } from "./format.js";

const MEDIA = ["", "image/jpeg", "image/png", "image/webp"];
const FPS_WINDOW_MS = 2000;

export class FrameView {
  constructor(session) {
    this.session = session;
    this.canvas = make("canvas", { "data-frames": "0", role: "img", "aria-label": "Live frames" });
    this.context = this.canvas.getContext("2d");
    this.note = make("p", { class: "note" }, "Waiting for a frame.");
    this.readings = Object.fromEntries(["fps", "age", "dropped", "size"].map((name) => [name, quantity()]));
    this.format = make("span");
    const reading = (label, element) => make("div", {}, make("dt", {}, label), make("dd", {}, element));
    this.element = make("div", { id: "frame", class: "view" },
      make("div", { class: "stage" }, this.canvas, this.note),
      make("dl", { class: "readings" },
        reading("drawn", this.readings.fps.element), reading("age", this.readings.age.element),
        reading("not drawn", this.readings.dropped.element), reading("size", this.readings.size.element), reading("image", this.format)));
    this.frames = 0;
    this.lost = 0;
    this.skipped = 0;
    this.drawn = [];
    this.waiting = null;
    this.busy = false;
    this.open = true;
    this.age = null;
  }

  announce(announce) {
    this.contentType = announce.contentType;
  }

  message(message) {
    if (document.hidden || !this.open) {
      this.session.consumed(message);
    } else if (this.busy) {
      if (this.waiting) {
        this.skipped += 1;
        this.session.consumed(this.waiting);
      }
      this.waiting = message;
    } else {
      this.#show(message);
    }
  }

  gap(lost) {
    this.lost += lost;
  }

  async #show(first) {
    this.busy = true;
    for (let message = first; message; message = this.waiting) {
      this.waiting = null;
      await this.#draw(message);
      this.session.consumed(message);
    }
    this.busy = false;
  }

  async #draw(message) {
    const type = MEDIA[message.codec] || this.contentType || "";
    let image;
    try {
      image = await createImageBitmap(new Blob([message.payload], { type }));
    } catch {
      this.#say(`This browser can't draw these frames (${type || "no content type"}, ${bytes(message.payload.length).join(" ")}).`);
      return;
    }
    const { canvas } = this;
    if (canvas.width !== image.width || canvas.height !== image.height) {
      canvas.width = image.width;
      canvas.height = image.height;
    }
    this.context.drawImage(image, 0, 0);
    setText(this.format, `${image.width} × ${image.height} ${type.replace("image/", "").toUpperCase()}`);
    image.close();
    this.#say("");
    this.frames += 1;
    canvas.dataset.frames = this.frames;
    canvas.dataset.sequence = message.sequence;
    this.age = message.timestamp === null ? null : Math.max(0, unixNow() - message.timestamp);
    this.drawn.push(performance.now());
    this.readings.size.set(bytes(message.payload.length));
    this.readings.age.set(milliseconds(this.age));
  }

  tick() {
    const since = performance.now() - FPS_WINDOW_MS;
    this.drawn = this.drawn.filter((at) => at > since);
    this.readings.fps.set([((this.drawn.length * 1000) / FPS_WINDOW_MS).toFixed(1), "fps"]);
    this.readings.dropped.set(count(this.lost + this.skipped));
  }

  close() {
    this.open = false;
  }

  #say(text) {
    setText(this.note, text);
    this.note.hidden = text === "";
  }
}
