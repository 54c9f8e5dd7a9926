// Bounds-checked reading and writing of bytes: the integers, varints and strings that docs/WIRE.md is made of.
// Whatever a peer sends, reading it throws nothing but a WireError.

export class WireError extends Error {
  constructor(message) {
    super(message);
    this.name = "WireError";
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ENCODER = new TextEncoder();
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** A cursor over bytes that were received. */
export class Reader {
  constructor(bytes, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = start;
    this.end = end;
  }

  get remaining() {
    return this.end - this.at;
  }

  /** Claims `count` bytes and returns where they begin. */
  take(count) {
    if (count > this.end - this.at) throw new WireError(`needs ${count} bytes, ${this.end - this.at} are left`);
    const start = this.at;
    this.at += count;
    return start;
  }

  u8() {
    return this.bytes[this.take(1)];
  }

  u32() {
    return this.view.getUint32(this.take(4));
  }

  u64() {
    return this.view.getBigUint64(this.take(8));
  }

  fixed64() {
    return this.view.getBigUint64(this.take(8), true);
  }

  /** An unsigned little-endian integer of `count` bytes, exact below 2^53. */
  little(count) {
    const start = this.take(count);
    let value = 0;
    for (let i = count - 1; i >= 0; i--) value = value * 256 + this.bytes[start + i];
    return value;
  }

  f32() {
    return this.view.getFloat32(this.take(4));
  }

  f64() {
    return this.view.getFloat64(this.take(8));
  }

  /** A view of the next `count` bytes, not a copy. */
  slice(count) {
    const start = this.take(count);
    return this.bytes.subarray(start, start + count);
  }

  /** An unsigned LEB128: a number where a double holds it exactly, otherwise a bigint. */
  varint() {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 7; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    let big = BigInt(value);
    for (let i = 7; i < 10; i++) {
      const byte = this.u8();
      if (i === 9 && byte > 1) break;
      big |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return integer(big);
    }
    throw new WireError("a varint exceeds 64 bits");
  }

  /** A varint that must be at most `max`, itself at most 2^53 - 1. */
  uint(max = Number.MAX_SAFE_INTEGER) {
    const value = this.varint();
    if (value > max) throw new WireError(`${value} exceeds ${max}`);
    return value;
  }

  /** A number of things of which each takes at least `each` of the bytes that are left. */
  count(each = 1) {
    return this.uint(Math.floor(this.remaining / each));
  }

  zigzag() {
    return unzigzag(this.varint());
  }

  /** A string with its length in front. */
  text(max = Number.MAX_SAFE_INTEGER) {
    const bytes = this.slice(this.uint(max));
    try {
      return UTF8.decode(bytes);
    } catch {
      throw new WireError("a string is not UTF-8");
    }
  }

  /** Says that nothing may follow. */
  finish() {
    if (this.remaining !== 0) throw new WireError(`${this.remaining} bytes too many`);
  }
}

/** Bytes to be sent; small ones, so an array is good enough. */
export class Writer {
  constructor() {
    this.out = [];
  }

  u8(value) {
    this.out.push(value & 0xff);
    return this;
  }

  u32(value) {
    return this.u8(value >>> 24).u8(value >>> 16).u8(value >>> 8).u8(value);
  }

  u64(value) {
    return this.u32(Number(BigInt(value) >> 32n)).u32(Number(BigInt(value) & 0xffffffffn));
  }

  fixed64(value) {
    for (let i = 0n; i < 64n; i += 8n) this.u8(Number((BigInt(value) >> i) & 0xffn));
    return this;
  }

  varint(value) {
    let rest = BigInt(value);
    while (rest > 0x7fn) {
      this.u8(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    return this.u8(Number(rest));
  }

  raw(bytes) {
    for (const byte of bytes) this.out.push(byte);
    return this;
  }

  /** A string with its length in front. */
  text(value) {
    const bytes = ENCODER.encode(value);
    return this.varint(bytes.length).raw(bytes);
  }

  bytes() {
    return Uint8Array.from(this.out);
  }
}

/** A number where a double holds it exactly, otherwise the bigint. */
export function integer(big) {
  return big <= MAX_SAFE && big >= -MAX_SAFE ? Number(big) : big;
}

/** The signed integer that a number or bigint stands for by the zigzag mapping. */
export function unzigzag(value) {
  if (typeof value === "bigint") return integer((value >> 1n) ^ -(value & 1n));
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
