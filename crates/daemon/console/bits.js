// The bit streams of zstd (RFC 8878, section 4), which are read from their last bit to their first.

import { WireError } from "./bytes.js";

/** Bits are taken out of four bytes at once: so many bytes must follow whatever is read. */
export const PADDING = 4;

/** Bytes and a view of them that can be read beyond `length` by PADDING. They are a copy, whose memory is used again. */
export class Padded {
  constructor() {
    this.bytes = new Uint8Array(0);
    this.view = new DataView(this.bytes.buffer);
    this.length = 0;
  }

  fill(source) {
    const needed = source.length + PADDING;
    if (this.bytes.length < needed || this.bytes.length > KEPT_BYTES_MAX) {
      this.bytes = new Uint8Array(Math.max(needed, KEPT_BYTES_MIN));
      this.view = new DataView(this.bytes.buffer);
    }
    this.bytes.set(source);
    this.bytes.fill(0, source.length, needed);
    this.length = source.length;
    return this;
  }
}

const KEPT_BYTES_MIN = 4096;
// A small frame does not keep the memory of a large one for ever.
const KEPT_BYTES_MAX = 256 * 1024;

/** A stream that ends at `end` with a bit that is set and only marks the end. */
export class BackwardBits {
  constructor({ bytes, view }, start, end) {
    const last = end > start ? bytes[end - 1] : 0;
    if (last === 0) throw new WireError("a bit stream has no mark at its end");
    this.view = view;
    this.start = start;
    /** Bits that have not been read. */
    this.left = (end - start - 1) * 8 + 31 - Math.clz32(last);
  }

  /** The next `count` bits, at most 25, as a number. */
  read(count) {
    if (count > this.left) throw new WireError("a bit stream ends too early");
    this.left -= count;
    return (this.view.getUint32(this.start + (this.left >>> 3), true) >>> (this.left & 7)) & ((1 << count) - 1);
  }

  /** The same for up to 30 bits. */
  readWide(count) {
    return count <= 25 ? this.read(count) : (this.read(count - 16) << 16) | this.read(16);
  }

  /** Says that nothing may be left. */
  finish() {
    if (this.left !== 0) throw new WireError(`a bit stream has ${this.left} bits too many`);
  }
}
