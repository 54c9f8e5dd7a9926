// The page's session with the hub: one WebSocket that comes back by itself, the subscriptions that outlive it, and the
// acknowledgement of what was consumed (docs/WIRE.md, section 3). It knows nothing of what is shown.

import { itemsOf } from "./block.js";
import { BLOCKS, UnknownReference, Unpacking } from "./unpacking.js";
import { BLOCK, CONTROL, controlMessage, decodeControl, Decoder, ERROR_CODES, REASONS, STATE, WireError } from "./wire.js";

const VERSION = 1;
// The specification asks for an acknowledgement at 128 KiB; half of it keeps the hub from ever waiting for ours.
const ACK_BYTES = 64 * 1024;
const BACKOFF_MS_MIN = 250;
const BACKOFF_MS_MAX = 2000;
const PING_EVERY_MS = 2000;
// Statistics come twice a second and pings are answered: a link silent for this long while the page is visible is dead.
const SILENCE_MS_MAX = 10000;

const UNREADABLE = REASONS.indexOf("unreadable");

/**
 * Calls back: `onLink({ state, retryAt, reason })` with state connecting, open or waiting; `onMessage(message, announce)` with a
 * data message, which must be given to `consumed` in the end; `onUnreadable(message, announce)` with a document's that could not be unpacked, and
 * is consumed; `onGap(gap, announce)`; `onAnnounce(announce)`; `onError(text, error)`;
 * `onUnauthorized(text)` when the hub wants a token, or another: then it waits until `connect` is called.
 */
export class Session {
  constructor(url, callbacks) {
    this.url = url;
    this.callbacks = callbacks;
    this.subscriptions = new Map();
    this.nextSubscription = 1;
    this.failures = 0;
    this.link = null;
    this.retry = 0;
    this.reason = "";
    setInterval(() => this.#tend(), PING_EVERY_MS);
  }

  /** Connects now, whatever the backoff says. */
  connect() {
    clearTimeout(this.retry);
    if (this.link) return;
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    const link = {
      socket,
      decoder: new Decoder(),
      topics: new Map(),
      unpacking: new Unpacking(),
      resynced: new Set(),
      mayCompress: true,
      welcome: null,
      consumed: 0,
      acknowledged: 0,
      flushing: false,
      heardAt: performance.now(),
      pings: new Map(),
      nonce: 0,
      rtt: null,
    };
    this.link = link;
    this.callbacks.onLink({ state: "connecting", reason: this.reason });
    socket.onopen = () => this.#opened(link);
    socket.onmessage = (event) => this.#received(link, event.data);
    socket.onclose = (event) => this.#lost(link, event.reason || "the hub is not reachable");
  }

  /** Subscribes to one topic, now and after every reconnect. `held()` says what to resume from: `{ epoch, position }` or null. */
  subscribe(topic, maxAgeMs = 0, held = () => null) {
    const subscription = { id: this.nextSubscription++, topic, maxAgeMs, held };
    this.subscriptions.set(subscription.id, subscription);
    if (this.link?.welcome) this.#sendSubscribe(subscription);
    return subscription.id;
  }

  unsubscribe(id) {
    const subscription = this.subscriptions.get(id);
    if (!subscription) return;
    this.subscriptions.delete(id);
    this.#send("unsubscribe", { id });
    for (const { topic, topicId } of this.link?.topics.values() ?? []) {
      if (topic === subscription.topic) this.link.unpacking.forget(topicId);
    }
  }

  /** Counts a data message as done with; acknowledges soon after, once for all that were consumed at the same time. */
  consumed(message) {
    const link = this.link;
    if (!link || message.link !== link) return;
    link.consumed += message.size;
    const prompt = link.topics.get(message.topic)?.prompt;
    if (link.flushing || (!prompt && link.consumed - link.acknowledged < ACK_BYTES)) return;
    link.flushing = true;
    queueMicrotask(() => {
      link.flushing = false;
      if (link !== this.link) return;
      link.acknowledged = link.consumed;
      this.#send("ack", { bytes: link.consumed });
    });
  }

  resync(topicId) {
    this.#send("resync", { topicId });
  }

  /** Whether the hub's kill switch leaves compression on. */
  get mayCompress() {
    return this.link?.mayCompress ?? true;
  }

  get sessionId() {
    return this.link?.welcome?.sessionId ?? null;
  }

  get rtt() {
    return this.link?.rtt ?? null;
  }

  #opened(link) {
    if (link !== this.link) return;
    this.#send("hello", { version: VERSION, name: "console", acknowledges: true, blocks: BLOCKS });
  }

  #received(link, data) {
    if (link !== this.link) return;
    link.heardAt = performance.now();
    try {
      if (typeof data === "string") throw new WireError("a text message");
      link.decoder.push(new Uint8Array(data), (message) => this.#deliver(link, message));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#lost(link, `the hub sent what is not the protocol: ${error.message}`);
    }
  }

  #deliver(link, message) {
    if (link !== this.link) return;
    if (message.type === CONTROL) {
      const control = decodeControl(message.payload);
      if (control) this.#control(link, control);
      return;
    }
    message.link = link;
    const announce = link.topics.get(message.topic);
    if (!announce) {
      this.consumed(message);
    } else if ((message.flags & BLOCK) !== 0) {
      this.#unpack(link, message, announce);
    } else {
      link.resynced.delete(message.topic);
      this.callbacks.onMessage(message, announce);
    }
  }

  /** What can't be read is not shown, but it is consumed, and its loss told. */
  #unpack(link, message, announce) {
    let plain;
    try {
      plain = link.unpacking.unpack(message, link.decoder.maxMessageBytes);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#unreadable(link, message, announce, error);
      return;
    }
    link.resynced.delete(message.topic);
    for (const each of plain) this.callbacks.onMessage(each, announce);
  }

  #unreadable(link, message, announce, error) {
    if (message.type === STATE) {
      this.callbacks.onUnreadable(message, announce);
    } else {
      const drops = [{ reason: UNREADABLE, count: BigInt(itemsOf(message.payload)) }];
      this.callbacks.onGap({ topicId: message.topic, firstSequence: message.sequence, drops }, announce);
      // What was on its way when the hub was asked refers to the same.
      if (error instanceof UnknownReference && !link.resynced.has(message.topic)) {
        link.resynced.add(message.topic);
        link.unpacking.forget(message.topic);
        this.resync(message.topic);
      }
    }
    this.consumed(message);
  }

  #control(link, control) {
    switch (control.kind) {
      case "welcome":
        link.welcome = control;
        if (control.maxMessageBytes > 0) link.decoder.maxMessageBytes = control.maxMessageBytes;
        this.failures = 0;
        this.reason = "";
        for (const subscription of this.subscriptions.values()) this.#sendSubscribe(subscription);
        this.callbacks.onLink({ state: "open" });
        this.#ping(link);
        break;
      case "announce":
        // Sound that goes on in another format does so under another id.
        if (control.audio) for (const [id, { topic }] of link.topics) if (topic === control.topic) link.topics.delete(id);
        link.topics.set(control.topicId, control);
        this.callbacks.onAnnounce(control);
        break;
      case "gap": {
        const announce = link.topics.get(control.topicId);
        if (announce) this.callbacks.onGap(control, announce);
        break;
      }
      case "error":
        if (control.fatal && ERROR_CODES[control.code] === "unauthorized") this.#unauthorized(link, control.message);
        else if (control.fatal) this.#lost(link, control.message || ERROR_CODES[control.code] || "refused");
        else this.callbacks.onError(`${ERROR_CODES[control.code] ?? "error"}: ${control.message}`, control);
        break;
      case "ping":
        this.#send("pong", { nonce: control.nonce });
        break;
      case "pong": {
        const sent = link.pings.get(control.nonce);
        if (sent !== undefined) link.rtt = performance.now() - sent;
        link.pings.delete(control.nonce);
        break;
      }
      case "dictionary":
        link.unpacking.insert(control.message);
        break;
      case "retire":
        link.unpacking.retire(control.id, control.version);
        break;
      case "compression":
        link.mayCompress = control.allowed;
        break;
      case "goodbye":
        this.reason = control.reason || "the hub is shutting down";
        break;
    }
  }

  #sendSubscribe({ id, topic, maxAgeMs, held }) {
    const holds = held();
    this.#send("subscribe", { id, pattern: topic, maxAgeMs, resume: holds ? [{ topic, ...holds }] : [] });
  }

  #send(kind, fields) {
    const socket = this.link?.socket;
    if (socket?.readyState === WebSocket.OPEN) socket.send(controlMessage(kind, fields));
  }

  #ping(link) {
    // A hidden page's timers are late by minutes: neither its pings nor its silence would mean anything.
    if (document.hidden || link.pings.size >= 8) return;
    const nonce = BigInt(++link.nonce);
    link.pings.set(nonce, performance.now());
    this.#send("ping", { nonce });
  }

  #tend() {
    const link = this.link;
    if (!link || document.hidden) return;
    if (performance.now() - link.heardAt > SILENCE_MS_MAX) this.#lost(link, "the hub has fallen silent");
    else if (link.welcome) this.#ping(link);
  }

  #unauthorized(link, reason) {
    this.#drop(link);
    this.reason = "";
    this.callbacks.onLink({ state: "shut", reason });
    this.callbacks.onUnauthorized(reason);
  }

  #drop(link) {
    this.link = null;
    link.socket.onopen = link.socket.onmessage = link.socket.onclose = null;
    link.socket.close();
  }

  #lost(link, reason) {
    if (link !== this.link) return;
    this.#drop(link);
    this.reason ||= reason;
    const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** this.failures);
    this.failures += 1;
    const delay = ceiling * (0.5 + Math.random() / 2);
    this.retry = setTimeout(() => this.connect(), delay);
    this.callbacks.onLink({ state: "waiting", reason: this.reason, retryAt: Date.now() + delay });
  }
}
