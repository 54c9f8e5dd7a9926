// Leaves of state documents that change a little (docs/WIRE.md, section 6): steps of numbers, splices of text and bytes. What does
// not fit is refused with a WireError. Integers and floats are both numbers here; an integer that a double would not hold exactly is
// a bigint.

import { integer, WireError } from "./bytes.js";

export const SCALE_MAX = 7;
export const STEP_BITS = 8;
export const STEP_INTEGER = 9;

const MANTISSA_END = 2 ** 50;
const POWERS = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
const INTEGER_END = 2n ** 63n;

/** Checks a step's kind: a decimal scale, STEP_BITS or STEP_INTEGER. */
export function stepKind(code) {
  if (code > STEP_INTEGER) throw new WireError(`step 0x${code.toString(16)}`);
  return code;
}

export function float(number) {
  if (!Number.isFinite(number)) throw new WireError("a float is not finite");
  return number;
}

export function decimal(mantissa, scale) {
  if (!(Math.abs(mantissa) < MANTISSA_END)) throw new WireError("a decimal is out of range");
  return mantissa / POWERS[scale];
}

/** The number that is `by` further than `current`. */
export function stepped(current, kind, by) {
  if (kind === STEP_INTEGER) {
    if (typeof current !== "bigint" && !Number.isInteger(current)) throw new WireError("a step of what is no integer");
    const sum = BigInt(current) + BigInt(by);
    if (sum >= INTEGER_END || sum < -INTEGER_END) throw new WireError("an integer exceeds 64 bits");
    return integer(sum);
  }
  if (typeof current !== "number" || typeof by !== "number") throw new WireError("a decimal step of what is no float");
  // + 0, so that a negative zero becomes none and is seen to be another float.
  const mantissa = Math.trunc(current * POWERS[kind] + (current < 0 ? -0.5 : 0.5)) + 0;
  if (!(Math.abs(mantissa) < MANTISSA_END) || !Object.is(mantissa / POWERS[kind], current)) throw new WireError("not a decimal of that scale");
  return decimal(mantissa + by, kind);
}

/** The bits, as a bigint, in which a float differs from the next. */
export function difference(reader) {
  const shape = reader.u8();
  const [lead, length] = [shape >> 4, shape & 15];
  if (lead + length > 8) throw new WireError("a float has eight bytes");
  let bits = 0n;
  for (let left = length; left > 0; left--) bits = (bits << 8n) | BigInt(reader.u8());
  return bits << BigInt(8 * (8 - lead - length));
}

/** The float whose bits differ from those of `current` in these. */
export function flipped(current, bits) {
  if (typeof current !== "number") throw new WireError("a step of what is no float");
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, current);
  view.setBigUint64(0, view.getBigUint64(0) ^ bits);
  return float(view.getFloat64(0));
}

/** Takes bits from a reader, byte by byte as they are needed, the lowest first. */
export class BitReader {
  constructor(reader) {
    this.reader = reader;
    this.bits = 0;
    this.filled = 0;
  }

  /** The number in the next `width` bits, at most 64; a bigint where a double would not hold it exactly. */
  take(width) {
    if (width > 32) {
      const low = BigInt(this.take(32));
      return integer((BigInt(this.take(width - 32)) << 32n) | low);
    }
    let value = 0;
    for (let done = 0; done < width; ) {
      this.#fill();
      const some = Math.min(this.filled, width - done);
      value += (this.bits & ((1 << some) - 1)) * 2 ** done;
      this.#skip(some);
      done += some;
    }
    return value;
  }

  /** A number by Rice's code: so many ones and a zero, and then the `low` low bits. */
  rice(low) {
    let ones = 0;
    while (this.take(1) === 1) ones++;
    return ones * 2 ** low + this.take(low);
  }

  /** Says that the rest of the last byte is zeros. */
  finish() {
    if (this.bits !== 0) throw new WireError("bits are left over");
  }

  #fill() {
    if (this.filled === 0) [this.bits, this.filled] = [this.reader.u8(), 8];
  }

  #skip(width) {
    this.bits >>= width;
    this.filled -= width;
  }
}

const ENCODER = new TextEncoder();
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text or bytes of which `head` bytes at the beginning and `tail` at the end stay. */
export function splice(current, head, tail, inserted) {
  const isText = typeof current === "string";
  if (!isText && !(current instanceof Uint8Array)) throw new WireError("a splice of what is neither text nor bytes");
  const old = isText ? ENCODER.encode(current) : current;
  if (head + tail > old.length) throw new WireError("a splice is out of range");
  const end = old.length - tail;
  if (isText && (isInside(old, head) || isInside(old, end))) throw new WireError("a splice cuts a character");
  const bytes = new Uint8Array(head + inserted.length + tail);
  bytes.set(old.subarray(0, head));
  bytes.set(inserted, head);
  bytes.set(old.subarray(end), head + inserted.length);
  if (!isText) return bytes;
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new WireError("a string is not UTF-8");
  }
}

/** Whether a byte goes on with a character. */
function isInside(bytes, at) {
  return at < bytes.length && (bytes[at] & 0xc0) === 0x80;
}
