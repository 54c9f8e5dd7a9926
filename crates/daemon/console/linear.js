// Sound without loss (docs/WIRE.md, section 8, encoding 4): linear prediction and Rice codes, into interleaved PCM.

import { Reader, WireError } from "./bytes.js";

const CHANNELS_MAX = 32;
const FRAMES_MAX = 1 << 16;
const SCALE_MAX = 24;
const ORDER_MAX = 4;
const PARTITION = 128;
const ALL_ZERO = 31;
const ESCAPE = 32;
const INTEGER_MAX = 1 << 24;
/** Bytes of content that a byte of a body stands for at most: five bits are a partition of silence. */
const YIELD_MAX = 820;

/** What a body says in front: nothing is decoded. */
function parse(body) {
  const reader = new Reader(body);
  const channels = reader.u8();
  if (channels === 0 || channels > CHANNELS_MAX) throw new WireError(`sound of ${channels} channels`);
  const frames = reader.uint(FRAMES_MAX);
  if (frames === 0) throw new WireError("sound without frames");
  const scale = reader.u8();
  if (scale > SCALE_MAX) throw new WireError(`sound of scale ${scale}`);
  const width = scale === 0 ? 2 : 4;
  return { channels, frames, scale, width, size: channels * frames * width, bits: reader.slice(reader.remaining) };
}

/** The size of a body's content, which is within `limit` and no more than the body can stand for. */
export function soundSize(body, limit) {
  const { size, bits } = parse(body);
  if (size > limit) throw new WireError(`sound of ${size} bytes exceeds ${limit}`);
  if (size > bits.length * YIELD_MAX) throw new WireError("sound is cut off");
  return size;
}

/** The content of a body of which `soundSize` was asked. */
export function decodeSound(body) {
  const { channels, frames, scale, width, size, bits } = parse(body);
  const content = new Uint8Array(size);
  const view = new DataView(content.buffer);
  const put = scale === 0 ? putShort : (at, integer) => putFloat(at, integer / 2 ** scale, integer);
  const stream = new ForwardBits(bits);
  let [channel, before] = [new Int32Array(frames), new Int32Array(frames)];
  for (let number = 0; number < channels; number++) {
    takeChannel(stream, number > 0 ? before : null, channel);
    for (let frame = 0; frame < frames; frame++) put((frame * channels + number) * width, channel[frame]);
    [channel, before] = [before, channel];
  }
  stream.finish();
  return content;

  function putShort(at, integer) {
    if (integer < -32768 || integer > 32767) throw new WireError(`${integer} is no sample of 16 bits`);
    view.setInt16(at, integer, true);
  }

  function putFloat(at, sample, integer) {
    if (Math.abs(integer) > INTEGER_MAX) throw new WireError(`${integer} is no sample of 25 bits`);
    view.setFloat32(at, sample, true);
  }
}

function takeChannel(stream, before, channel) {
  const differs = stream.take(1) === 1;
  const order = stream.take(3);
  if ((differs && !before) || order > ORDER_MAX || order > channel.length) throw new WireError("a channel of sound that can't be");
  takeResiduals(stream, order, channel);
  // The last samples, the nearest first. Arithmetic is that of 32 bits, as in the specification.
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let at = 0; at < channel.length; at++) {
    const sample = (channel[at] + predict(Math.min(order, at), a, b, c, d)) | 0;
    channel[at] = sample;
    [a, b, c, d] = [sample, a, b, c];
  }
  if (differs) for (let at = 0; at < channel.length; at++) channel[at] = (channel[at] + before[at]) | 0;
}

function predict(order, a, b, c, d) {
  switch (order) {
    case 0: return 0;
    case 1: return a;
    case 2: return 2 * a - b;
    case 3: return 3 * a - 3 * b + c;
    default: return 4 * a - 6 * b + 4 * c - d;
  }
}

function takeResiduals(stream, order, channel) {
  if (order > 0) {
    const width = stream.take(5) + 1;
    for (let at = 0; at < order; at++) channel[at] = unzigzag(stream.take(width));
  }
  for (let at = order; at < channel.length;) {
    const end = Math.min(at + PARTITION, channel.length);
    const k = stream.take(5);
    if (k === ALL_ZERO) channel.fill(0, at, end);
    else for (let n = at; n < end; n++) channel[n] = unzigzag(takeOne(stream, k));
    at = end;
  }
}

function takeOne(stream, k) {
  const quotient = stream.zeros(ESCAPE);
  return quotient === ESCAPE ? stream.take(32) : ((quotient << k) | stream.take(k)) >>> 0;
}

function unzigzag(number) {
  return (number >>> 1) ^ -(number & 1);
}

/** Bits from the highest of each byte on. */
class ForwardBits {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  /** The next `count` bits, at most 32. */
  take(count) {
    if (this.at + count > this.bytes.length * 8) throw new WireError("sound is cut off");
    let value = 0;
    for (let left = count; left > 0;) {
      const free = 8 - (this.at & 7);
      const now = Math.min(free, left);
      const bits = (this.bytes[this.at >>> 3] >>> (free - now)) & ((1 << now) - 1);
      value = ((value << now) | bits) >>> 0;
      this.at += now;
      left -= now;
    }
    return value;
  }

  /** The zeros in front of the next one, which is taken too; or `max` of them. */
  zeros(max) {
    for (let count = 0; ; count++) {
      if (count === max) return max;
      if (this.take(1) === 1) return count;
    }
  }

  /** Says that all was taken but what fills up the last byte. */
  finish() {
    const left = this.bytes.length * 8 - this.at;
    if (left >= 8 || this.take(left) !== 0) throw new WireError("sound has bits too many");
  }
}
