// The message layer of docs/WIRE.md: the 16-byte header and an incremental decoder. Free of the DOM, so that Node tests it
// (`node --test`); the rest of the protocol is re-exported here.

import { WireError } from "./bytes.js";
import { encodeControl } from "./control.js";

export { Reader, WireError, Writer } from "./bytes.js";
export { decodeControl, encodeControl, ERROR_CODES, KINDS, REASONS } from "./control.js";
export { INNER, ListNode, MapNode, REMOVED, StateDocument, toPlain } from "./document.js";

export const HEADER_BYTES = 16;
export const CONTROL = 0;
export const STATE = 1;
export const FRAME = 2;
export const AUDIO = 3;
export const EVENT = 4;

export const TIMESTAMP = 1;
export const KEYFRAME = 2;
export const SNAPSHOT = 4;
export const BLOCK = 8;

const MAX_CONTROL_BYTES = 64 * 1024;
const DEFAULT_MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** Reads a header at `at`, where 16 bytes must be. */
export function decodeHeader(bytes, at = 0) {
  if (bytes.length - at < HEADER_BYTES) throw new WireError("a header is 16 bytes");
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, HEADER_BYTES);
  const header = {
    type: view.getUint8(0),
    flags: view.getUint8(1),
    codec: view.getUint8(2),
    topic: view.getUint32(4),
    sequence: view.getUint32(8),
    length: view.getUint32(12),
  };
  if (header.type > EVENT) throw new WireError(`message type ${header.type}`);
  if (header.flags & ~(TIMESTAMP | KEYFRAME | SNAPSHOT | BLOCK)) throw new WireError(`flags ${header.flags}`);
  if (view.getUint8(3) !== 0) throw new WireError("the reserved byte is not zero");
  if (header.flags & TIMESTAMP && header.length < 8) throw new WireError("no room for the timestamp");
  return header;
}

/** A whole control message, header included. */
export function controlMessage(kind, fields) {
  const payload = encodeControl(kind, fields);
  const message = new Uint8Array(HEADER_BYTES + payload.length);
  new DataView(message.buffer).setUint32(12, payload.length);
  message.set(payload, HEADER_BYTES);
  return message;
}

/**
 * Cuts a stream that arrives in pieces into messages. Each is its header's fields with `payload` (the timestamp taken off),
 * `timestamp` (milliseconds since the Unix epoch, or null) and `size` (bytes on the wire). With the flag BLOCK the payload is a block. After a WireError it is of no use.
 */
export class Decoder {
  constructor() {
    this.maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES;
    this.partial = null;
    this.filled = 0;
  }

  /** Takes the next piece (kept, not copied, where messages are whole) and calls `deliver` with every message it completes. */
  push(bytes, deliver) {
    let at = 0;
    while (at < bytes.length) {
      if (this.partial === null) {
        const left = bytes.length - at;
        const size = left < HEADER_BYTES ? HEADER_BYTES : this.#size(bytes, at);
        if (left >= size) {
          deliver(cut(bytes, at, size));
          at += size;
          continue;
        }
        this.partial = new Uint8Array(size);
        this.filled = 0;
      }
      const taken = Math.min(this.partial.length - this.filled, bytes.length - at);
      this.partial.set(bytes.subarray(at, at + taken), this.filled);
      this.filled += taken;
      at += taken;
      if (this.filled === this.partial.length) this.#complete(deliver);
    }
  }

  /** A partial message is full: it is either a header, whose payload is to follow, or whole. */
  #complete(deliver) {
    const size = this.#size(this.partial, 0);
    const whole = this.partial;
    if (whole.length < size) {
      this.partial = new Uint8Array(size);
      this.partial.set(whole);
      return;
    }
    this.partial = null;
    deliver(cut(whole, 0, size));
  }

  #size(bytes, at) {
    const header = decodeHeader(bytes, at);
    const limit = header.type === CONTROL ? MAX_CONTROL_BYTES : this.maxMessageBytes;
    if (header.length > limit) throw new WireError(`a message of ${header.length} bytes exceeds ${limit}`);
    return HEADER_BYTES + header.length;
  }
}

function cut(bytes, at, size) {
  const message = decodeHeader(bytes, at);
  let start = at + HEADER_BYTES;
  message.timestamp = null;
  if (message.flags & TIMESTAMP) {
    message.timestamp = Number(new DataView(bytes.buffer, bytes.byteOffset + start, 8).getBigUint64(0)) / 1000;
    start += 8;
  }
  message.payload = bytes.subarray(start, at + size);
  message.size = size;
  return message;
}
