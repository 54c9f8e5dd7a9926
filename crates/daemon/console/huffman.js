// The Huffman coding of zstd's literals (RFC 8878, section 4.2).

import { BackwardBits } from "./bits.js";
import { WireError } from "./bytes.js";
import { readFseTable } from "./fse.js";

const BITS_MAX = 11;
const WEIGHT_LOG_MAX = 6;
// The last symbol's weight is not told.
const WEIGHTS_MAX = 255;

/** By the next `bits` bits of a stream: 16 times the symbol, and how many of the bits it takes. */
class HuffmanTable {
  constructor(bits, weights) {
    this.bits = bits;
    this.entries = new Uint16Array(1 << bits);
    let at = 0;
    for (let weight = 1; weight <= bits; weight++) {
      weights.forEach((each, symbol) => {
        if (each !== weight) return;
        const next = at + (1 << (weight - 1));
        this.entries.fill((symbol << 4) | (bits + 1 - weight), at, next);
        at = next;
      });
    }
  }

  /** Decodes the stream from `start` to `end`, which has to fill `out` from `at` to `to` and no more. */
  decode(input, start, end, out, at, to) {
    const { bits, entries } = this;
    const stream = new BackwardBits(input, start, end);
    const { view } = input;
    const mask = (1 << bits) - 1;
    let { left } = stream;
    while (at < to && left >= bits) {
      const from = left - bits;
      const entry = entries[(view.getUint32(start + (from >>> 3), true) >>> (from & 7)) & mask];
      out[at++] = entry >>> 4;
      left -= entry & 15;
    }
    // The last symbols may take fewer bits than a look at the table: what is missing are zeros.
    while (at < to && left > 0) {
      const entry = entries[((view.getUint32(start, true) & ((1 << left) - 1)) << (bits - left)) & mask];
      out[at++] = entry >>> 4;
      left -= entry & 15;
    }
    if (at !== to || left !== 0) throw new WireError("a Huffman stream does not end with its last symbol");
  }
}

/** Reads the table that is told from `start` on, before `end`. Returns it and where it ends. */
export function readHuffmanTable(input, start, end) {
  if (start >= end) throw new WireError("a Huffman table is cut off");
  const head = input.bytes[start];
  const told = head - 127;
  const next = start + 1 + (head < 128 ? head : (told + 1) >>> 1);
  if (next > end) throw new WireError("a Huffman table is cut off");
  const weights = head < 128 ? compressedWeights(input, start + 1, next) : plainWeights(input.bytes, start + 1, told);
  return { table: new HuffmanTable(complete(weights), weights), next };
}

function plainWeights(bytes, start, count) {
  return Array.from({ length: count }, (_, n) => {
    const pair = bytes[start + (n >>> 1)];
    return n % 2 === 0 ? pair >>> 4 : pair & 15;
  });
}

/** Two states take turns, and when one can't go on the other has the last word. */
function compressedWeights(input, start, end) {
  const { table, next } = readFseTable(input, start, end, WEIGHT_LOG_MAX, BITS_MAX);
  const stream = new BackwardBits(input, next, end);
  const states = [stream.read(table.log), stream.read(table.log)];
  const weights = [];
  for (let turn = 0; ; turn ^= 1) {
    const state = states[turn];
    weights.push(table.symbols[state]);
    if (stream.left < table.widths[state]) {
      weights.push(table.symbols[states[turn ^ 1]]);
      break;
    }
    states[turn] = table.bases[state] + stream.read(table.widths[state]);
    if (weights.length === WEIGHTS_MAX) throw new WireError("a Huffman table has too many symbols");
  }
  if (weights.length > WEIGHTS_MAX) throw new WireError("a Huffman table has too many symbols");
  return weights;
}

/** Appends the last symbol's weight, with which the sum is a power of two. Returns of which, the most bits that a symbol takes. */
function complete(weights) {
  let sum = 0;
  for (const weight of weights) {
    if (weight > BITS_MAX) throw new WireError(`a Huffman code of weight ${weight}`);
    if (weight > 0) sum += 1 << (weight - 1);
  }
  const bits = 32 - Math.clz32(sum);
  const rest = (1 << bits) - sum;
  if (sum === 0 || bits > BITS_MAX || (rest & (rest - 1)) !== 0) throw new WireError("a Huffman table has no last symbol");
  weights.push(32 - Math.clz32(rest));
  if (!weights.includes(1)) throw new WireError("a Huffman table has no longest code");
  return bits;
}
