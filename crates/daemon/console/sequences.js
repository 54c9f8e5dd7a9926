// The sequences section of a zstd block (RFC 8878, section 3.1.1.3.2), read and carried out in one go: so many literals, then
// so many bytes that stood so far back.

import { BackwardBits } from "./bits.js";
import { WireError } from "./bytes.js";
import { FseTable, readFseTable } from "./fse.js";
import { BLOCK_BYTES_MAX } from "./literals.js";

/** The values of codes from the widths of the bits that are added to them. */
function codes(first, ...widths) {
  const values = [];
  let value = first;
  for (const width of widths) {
    values.push(value);
    value += 2 ** width;
  }
  return { values: Int32Array.from(values), widths: Uint8Array.from(widths) };
}

const zeros = (count) => Array(count).fill(0);
const LITERAL_LENGTHS = codes(0, ...zeros(16), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
const MATCH_LENGTHS = codes(3, ...zeros(32), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);

const ones = (count) => Array(count).fill(1);
const rare = (count) => Array(count).fill(-1);

/** What is told by tables, in the order in which a block has them: with the limits of each, and its table by default. */
export const LITERAL_LENGTH = {
  logMax: 9,
  symbolMax: 35,
  usual: FseTable.from(6, [4, 3, ...Array(11).fill(2), 1, 1, 1, ...Array(9).fill(2), 3, 2, ...ones(5), ...rare(4)]),
};
export const OFFSET = {
  logMax: 8,
  // A greater code would be an offset of 2 GiB.
  symbolMax: 30,
  usual: FseTable.from(5, [...ones(6), 2, 2, 2, ...ones(15), ...rare(5)]),
};
export const MATCH_LENGTH = {
  logMax: 9,
  symbolMax: 52,
  usual: FseTable.from(6, [1, 4, 3, ...Array(6).fill(2), ...ones(37), ...rare(7)]),
};

const USUAL = 0;
const ONE_SYMBOL = 1;
const TOLD = 2;

// What is shorter is copied byte by byte: calls cost more.
const CALL_BYTES_MIN = 40;

/**
 * Carries out the sequences that stand from `start` to `end`, with these literals. Writes to `out` from `at` on and returns where that
 * ends. `past` is what stands in front of `out`; `history` has tables and offsets of the blocks before, and is kept up to date.
 */
export function runSequences(input, start, end, literals, out, at, past, history) {
  const limit = Math.min(out.length, at + BLOCK_BYTES_MAX);
  const head = readHead(input, start, end, history);
  let literalsAt = literals.from;
  const literalsEnd = literals.from + literals.count;
  if (head.count > 0) {
    const bits = new BackwardBits(input, head.next, end);
    const [lengths, offsets, matches] = history.tables;
    let [recent, second, third] = history.offsets;
    let lengthState = bits.read(lengths.log);
    let offsetState = bits.read(offsets.log);
    let matchState = bits.read(matches.log);
    for (let left = head.count; ; ) {
      const offsetCode = offsets.symbols[offsetState];
      const matchCode = matches.symbols[matchState];
      const lengthCode = lengths.symbols[lengthState];
      const told = (1 << offsetCode) + bits.readWide(offsetCode);
      const matched = MATCH_LENGTHS.values[matchCode] + bits.read(MATCH_LENGTHS.widths[matchCode]);
      const length = LITERAL_LENGTHS.values[lengthCode] + bits.read(LITERAL_LENGTHS.widths[lengthCode]);

      // The least values stand for recent offsets; where there are no literals the most recent one would make no sense.
      const which = told > 3 ? 4 : told - (length > 0 ? 1 : 0);
      if (which > 0) {
        const offset = which === 4 ? told - 3 : which === 3 ? recent - 1 : which === 2 ? third : second;
        if (which > 1) third = second;
        second = recent;
        recent = offset;
      }
      if (length > literalsEnd - literalsAt || length + matched > limit - at) throw new WireError("a block yields too much");
      copy(literals.bytes, literalsAt, length, out, at);
      literalsAt += length;
      at += length;
      if (recent === 0 || recent > at + past.length) throw new WireError(`an offset of ${recent} after ${at} bytes`);
      repeat(out, at, recent, matched, past);
      at += matched;

      if (--left === 0) break;
      lengthState = lengths.bases[lengthState] + bits.read(lengths.widths[lengthState]);
      matchState = matches.bases[matchState] + bits.read(matches.widths[matchState]);
      offsetState = offsets.bases[offsetState] + bits.read(offsets.widths[offsetState]);
    }
    bits.finish();
    history.offsets = [recent, second, third];
  }
  const rest = literalsEnd - literalsAt;
  if (rest > limit - at) throw new WireError("a block yields too much");
  copy(literals.bytes, literalsAt, rest, out, at);
  return at + rest;
}

/** How many sequences there are, and where their bits begin. What tables stand there, `history` has afterwards. */
function readHead(input, start, end, history) {
  const { bytes } = input;
  const first = start < end ? bytes[start] : 0;
  let at = start + (first < 128 ? 1 : first < 255 ? 2 : 3);
  if (at > end) throw new WireError("sequences are cut off");
  let count = first;
  if (first === 255) count = bytes[start + 1] + (bytes[start + 2] << 8) + 0x7f00;
  else if (first >= 128) count = ((first - 128) << 8) + bytes[start + 1];
  if (count === 0) {
    if (at !== end) throw new WireError("bytes follow a block without sequences");
    return { count, next: at };
  }
  if (at >= end) throw new WireError("sequences are cut off");
  const modes = bytes[at++];
  if ((modes & 3) !== 0) throw new WireError("a reserved bit of a block is set");
  [LITERAL_LENGTH, OFFSET, MATCH_LENGTH].forEach((kind, n) => {
    const mode = (modes >>> (6 - 2 * n)) & 3;
    if (mode === USUAL) {
      history.tables[n] = kind.usual;
    } else if (mode === ONE_SYMBOL) {
      if (at >= end || bytes[at] > kind.symbolMax) throw new WireError("a table of one symbol has none");
      history.tables[n] = FseTable.of(bytes[at++]);
    } else if (mode === TOLD) {
      const read = readFseTable(input, at, end, kind.logMax, kind.symbolMax);
      history.tables[n] = read.table;
      at = read.next;
    } else if (history.tables[n] === null) {
      throw new WireError("there is no earlier table");
    }
  });
  return { count, next: at };
}

function copy(from, start, count, out, at) {
  if (count >= CALL_BYTES_MIN) out.set(from.subarray(start, start + count), at);
  else for (let i = 0; i < count; i++) out[at + i] = from[start + i];
}

/** Appends `count` bytes that stood `offset` bytes back, which may be those that are being written. */
function repeat(out, at, offset, count, past) {
  let from = at - offset;
  if (from < 0) {
    const begin = past.length + from;
    const inPast = Math.min(count, -from);
    copy(past, begin, inPast, out, at);
    at += inPast;
    count -= inPast;
    from = 0;
  }
  if (count >= CALL_BYTES_MIN && count <= offset) out.copyWithin(at, from, from + count);
  else for (let i = 0; i < count; i++) out[at + i] = out[from + i];
}
