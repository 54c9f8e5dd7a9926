// The console's zstd decoder (RFC 8878) against frames by hand and hostile ones: `node --test crates/daemon/console/zstd.test.mjs`.
// What zstd itself writes is in blocks.test.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { WireError } from "./bytes.js";
import { crc32 } from "./crc32.js";
import { FseTable, readFseTable } from "./fse.js";
import { Padded } from "./bits.js";
import { contentSize, FrameDecoder, Past } from "./zstd.js";

const LIMIT = 1 << 20;

const hex = (text) => Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (pair) => parseInt(pair, 16));
const bytesOf = (text) => new TextEncoder().encode(text);

function decode(frame, past) {
  const bytes = typeof frame === "string" ? hex(frame) : frame;
  return new TextDecoder().decode(new FrameDecoder().decode(bytes, contentSize(bytes, LIMIT), past));
}

/** A frame of `size` bytes of content in one compressed block of these bytes. */
function frameOf(size, block) {
  const bits = (block.length << 3) | (2 << 1) | 1;
  return Uint8Array.of(0xa0, size & 255, (size >> 8) & 255, (size >> 16) & 255, 0, bits & 255, (bits >> 8) & 255, bits >> 16, ...block);
}

function refuses(frame, what) {
  assert.throws(() => decode(frame), (error) => error instanceof WireError && what.test(error.message), String(what));
}

test("sums as gzip does", () => {
  assert.equal(crc32(bytesOf("123456789")), 0xcbf43926);
  assert.equal(crc32(new Uint8Array(0)), 0);
});

test("reads raw and repeated blocks, and those without sequences", () => {
  assert.equal(decode("20 00 01 00 00"), "");
  assert.equal(decode("20 03 19 00 00 61 62 63"), "abc");
  assert.equal(decode("20 06 33 00 00 7a"), "zzzzzz");
  assert.equal(decode("20 05 10 00 00 61 62 1b 00 00 7a"), "abzzz");
  // Literals that are raw, and that are one byte repeated, in heads of each length; two ways to say that no sequence follows.
  assert.equal(decode(frameOf(3, hex("18 61 62 63 00"))), "abc");
  assert.equal(decode(frameOf(3, hex("34 00 61 62 63 80 00"))), "abc");
  assert.equal(decode(frameOf(3, hex("3c 00 00 61 62 63 00"))), "abc");
  assert.equal(decode(frameOf(3, hex("19 7a 00"))), "zzz");
});

test("repeats what stood before, also while it is being written, and before the frame", () => {
  // Three tables of one symbol each: no literals or one, an offset, a length of 3 and more; the bits are the offset's, behind a mark.
  const one = (literals, lengthCode, offsetCode, matchCode, bits) => [literals.length << 3, ...bytesOf(literals), 1, 0x54, lengthCode, offsetCode, matchCode, bits];
  // 'a', then 7 bytes from 1 back: an offset of 1 is told as 4, which is 2^2 + 0.
  assert.equal(decode(frameOf(8, one("a", 1, 2, 4, 0b100))), "aaaaaaaa");
  // 'ab', then 3 bytes from 2 back: told as 5.
  assert.equal(decode(frameOf(5, one("ab", 2, 2, 0, 0b101))), "ababa");
  // Recent offsets: the first is 1; without literals, the first told is the second, 4.
  assert.equal(decode(frameOf(4, one("a", 1, 0, 0, 0b1))), "aaaa");
  const past = new Past(bytesOf("wxyz"));
  assert.equal(decode(frameOf(6, one("", 0, 0, 3, 0b1)), past), "wxyzwx");
  assert.equal(decode(frameOf(6, one("a", 1, 2, 2, 0b110)), past), "ayzayz".slice(0, 6));
});

test("refuses frames that a block may not have", () => {
  refuses("24 00 01 00 00", /checksum/);
  refuses("21 00 00 01 00 00", /dictionary id/);
  refuses("28 00 01 00 00", /reserved/);
  refuses("30 00 01 00 00", /reserved/);
  refuses("00 00 01 00 00", /size/);
  refuses("80 70 00 00 00 00 01 00 00", /window/);
  refuses("20 00 01 00 00 07", /too many/);
  refuses("20 00 00 00 00", /needs/);
  refuses("20 03 1f 00 00 61 62 63", /reserved type/);
  refuses("20 ff 19 00 00 61 62 63", /can't hold/);
  refuses("20 02 19 00 00 61 62 63", /more than it says/);
  refuses("a0 ff ff 1f 00 05 00 10 00", /exceeds/);
  assert.throws(() => contentSize(hex("e0 00 00 00 00 00 00 00 80 01 00 00"), Number.MAX_SAFE_INTEGER), WireError);
});

test("refuses blocks that are corrupt, by what is wrong", () => {
  const corrupt = (size, block, what) => refuses(frameOf(size, hex(block)), what);
  corrupt(1, "", /empty/);
  corrupt(3, "20 61 62 63", /cut off/);
  corrupt(3, "18 61 62 63", /cut off/);
  corrupt(3, "18 61 62 63 00 00", /without sequences/);
  corrupt(3, "18 61 62 63 01", /cut off/);
  corrupt(3, "18 61 62 63 01 01 01", /reserved bit/);
  corrupt(3, "1b 00 01 00 00", /no earlier Huffman/);
  corrupt(3, "00 01 fc 01", /no earlier table/);
  corrupt(6, "08 61 01 54 24 02 04 04", /one symbol/);
  corrupt(6, "08 61 01 54 01 20 04 04", /one symbol/);
  corrupt(6, "08 61 01 54 01 02 35 04", /one symbol/);
  // Without a mark, with bits too few and too many, an offset beyond the beginning, an offset of 0, and more or less than was said.
  corrupt(8, "08 61 01 54 01 02 04 00", /mark/);
  corrupt(8, "08 61 01 54 01 02 04 01", /too early/);
  corrupt(8, "08 61 01 54 01 02 04 08", /bits too many/);
  corrupt(8, "08 61 01 54 01 02 04 06", /offset of 3/);
  corrupt(4, "08 61 01 54 00 01 00 03", /offset of 0/);
  corrupt(7, "08 61 01 54 01 02 04 04", /too much/);
  corrupt(9, "08 61 01 54 01 02 04 04", /yields 8/);
  // Literals beyond what a block may yield, and Huffman tables that are cut off, that have no last symbol, and a code of 12 bits.
  corrupt(3, "0d 00 80 61 00", /literals/);
  corrupt(3, "12 c0 00 ff 00 00", /cut off/);
  corrupt(3, "12 80 00 80 00 00", /last symbol/);
  corrupt(3, "12 80 00 80 c0 00", /weight 12/);
});

test("builds the table of the specification's example", () => {
  // A symbol with 5 of 128 states, the first of which is 1 because of the 39 that are before it.
  const table = FseTable.from(7, [5, 123]);
  const states = [...table.symbols].flatMap((symbol, state) => (symbol === 0 ? [state] : []));
  assert.deepEqual(states.map((state) => table.widths[state]), [5, 5, 5, 4, 4]);
  assert.deepEqual(states.map((state) => table.bases[state]), [32, 64, 96, 0, 16]);
});

test("tables that claim too much are refused", () => {
  const read = (text) => readFseTable(new Padded().fill(hex(text)), 0, hex(text).length, 6, 3);
  assert.throws(() => read(""), /cut off/);
  assert.throws(() => read("02"), /exceeds/);
  assert.throws(() => read("00"), /cut off/);
  // Zeros without end.
  assert.throws(() => read("10 fe ff ff ff ff"), /beyond 3/);
});

/** Numbers that look random and are the same in every run. */
function seeded(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test("garbage throws nothing but WireError, and yields what it says or nothing", () => {
  const random = seeded(7);
  const decoder = new FrameDecoder();
  const past = new Past(bytesOf("in front of it all"));
  let decoded = 0;
  for (let round = 0; round < 20_000; round++) {
    const block = Uint8Array.from({ length: 1 + random(60) }, () => random(round % 2 === 0 ? 256 : 8));
    // Heads that lead far into the decoder, and what was a good block before a byte was altered.
    if (round % 3 === 1) block[0] = 2 | (random(4) << 2) | (random(16) << 4);
    const good = hex("08 61 01 54 01 02 04 04");
    good[random(good.length)] = random(256);
    const frame = round % 3 === 2 ? frameOf(8, good) : frameOf(random(20), block);
    try {
      decoded += decoder.decode(frame, contentSize(frame, LIMIT), past).length >= 0 ? 1 : 0;
    } catch (error) {
      assert.ok(error instanceof WireError, error.stack);
    }
  }
  assert.ok(decoded > 30, `${decoded} of them were frames`);
});
