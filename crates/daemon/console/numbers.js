// Leaves of state documents that change a little (docs/WIRE.md, section 6): steps of numbers, splices of text and bytes. What does
// not fit is refused with a WireError. Integers and floats are both numbers here; an integer that a double would not hold exactly is
// a bigint.

import { integer, WireError } from "./bytes.js";

export const SCALE_MAX = 7;
export const STEP_BITS = 8;
export const STEP_INTEGER = 9;
/** In a step's kind: many follow, packed. */
export const RUN = 0x10;

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

/** The float whose bits differ from those of `current` where the reader says. */
export function flipped(current, reader) {
  const shape = reader.u8();
  const [lead, length] = [shape >> 4, shape & 15];
  if (lead + length > 8) throw new WireError("a float has eight bytes");
  if (typeof current !== "number") throw new WireError("a step of what is no float");
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, current);
  const bytes = reader.slice(length);
  for (let i = 0; i < length; i++) view.setUint8(lead + i, view.getUint8(lead + i) ^ bytes[i]);
  return float(view.getFloat64(0));
}

/** At most 32 bits of `bytes` from bit `start` on, the lowest first. */
export function bitsAt(bytes, start, width) {
  let value = 0;
  for (let i = 0; i < width; i++) {
    const bit = start + i;
    if (bytes[bit >> 3] & (1 << (bit & 7))) value += 2 ** i;
  }
  return value;
}

export function unzigzag(number) {
  return number % 2 === 0 ? number / 2 : -(number + 1) / 2;
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
