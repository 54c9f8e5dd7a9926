// Sound in blocks against the specification's bytes: `node --test crates/daemon/console/linear.test.mjs`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseBlock } from "./block.js";
import { decodeSound } from "./linear.js";
import { Unpacking } from "./unpacking.js";
import { AUDIO, WireError } from "./wire.js";

const LIMIT = 1 << 20;

const read = (bytes, limit = LIMIT) => {
  const block = parseBlock(Uint8Array.from(bytes), limit);
  const content = decodeSound(block.body);
  assert.equal(content.length, block.size);
  return new DataView(content.buffer);
};

/** The example of docs/WIRE.md: both channels 100, 102, 104, 106, 108, 111. */
const EXAMPLE = [0x04, 0x02, 0x06, 0x00, 0x23, 0xe4, 0x02, 0x03, 0x98, 0xf8];

test("the example of the specification is read", () => {
  const view = read(EXAMPLE);
  const samples = Array.from({ length: 12 }, (_, at) => view.getInt16(2 * at, true));
  assert.deepEqual(samples, [100, 100, 102, 102, 104, 104, 106, 106, 108, 108, 111, 111]);
});

test("a message of sound becomes a plain one", () => {
  const message = { type: AUDIO, flags: 9, codec: 1, topic: 3, sequence: 7, timestamp: 5, size: 34, payload: Uint8Array.from(EXAMPLE) };
  const [plain] = new Unpacking().unpack(message, LIMIT);
  assert.deepEqual([plain.flags, plain.codec, plain.sequence, plain.size, plain.payload.length], [1, 1, 7, 34, 24]);
});

test("floats are integers over a power of two", () => {
  // One frame at scale 15: order 0, k = 15, and 16,384 as the number 32,768, which is a zero, a one and fifteen zeros.
  const view = read([0x04, 1, 1, 15, 0b00000111, 0b10100000, 0b00000000, 0b00000000]);
  assert.equal(view.getFloat32(0, true), 0.5);
});

test("numbers that are too large for their code are told in full", () => {
  // Order 0, k = 0, 32 zeros, and 200 in 32 bits.
  const view = read([0x04, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0b01100100, 0]);
  assert.equal(view.getInt16(0, true), 100);
});

test("what is made up is refused before it is decoded", () => {
  for (const bytes of [
    [4, 0, 1, 0, 0], [4, 33, 1, 0, 0], [4, 1, 0, 0, 0], [4, 1, 1, 25, 0], [4, 1, 0x80, 0x80, 4, 0, 0], [4, 1], [0x44, 1, 1, 1, 0, 0], [5, 0],
  ]) assert.throws(() => parseBlock(Uint8Array.from(bytes), LIMIT), WireError, String(bytes));
  assert.throws(() => parseBlock(Uint8Array.from(EXAMPLE), 23), WireError);
});

test("what is cut off, goes on or can't be is refused, and nothing else is thrown", () => {
  for (const bytes of [
    EXAMPLE.slice(0, -1), [...EXAMPLE, 0], [4, 1, 1, 0, 0b01110000, 0], [4, 1, 1, 0, 0b10001111, 0x80],
    [4, 1, 1, 0, 0b00000111, 0b10010011, 0b10001000, 0, 0],
  ]) assert.throws(() => read(bytes), WireError, String(bytes));
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  };
  for (let round = 0; round < 3000; round++) {
    const bytes = [4, 1 + (next() % 3), 1 + (next() % 100), next() % 25, ...Array.from({ length: next() % 60 }, next)];
    try {
      read(bytes);
    } catch (error) {
      assert.ok(error instanceof WireError, String(error.stack));
    }
  }
});
