// The console's reading of blocks (docs/WIRE.md, section 8) against the bytes that the hub's code writes:
// `node --test crates/daemon/console/blocks.test.mjs`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { itemsOf } from "./block.js";
import { ofCompression } from "./compression.js";
import { Session } from "./session.js";
import { BLOCKS, UnknownReference, Unpacking } from "./unpacking.js";
import { controlMessage, decodeControl, Decoder, EVENT, FRAME, SNAPSHOT, STATE, WireError, Writer } from "./wire.js";

const LIMIT = 1 << 20;
const BLOCK = 8;
const CAPTURED_MS = 1_700_000_000_000;

const hex = (text) => Uint8Array.from(text.match(/[0-9a-f]{2}/g), (pair) => parseInt(pair, 16));
const textOf = (bytes) => new TextDecoder().decode(bytes);
const bytesOf = (text) => new TextEncoder().encode(text);

/** The messages of `blocks_golden.txt`, which the tests in Rust are held to as well, by name. */
const golden = (() => {
  const text = readFileSync(new URL("../../protocol/tests/blocks_golden.txt", import.meta.url), "utf8").replaceAll(/#.*/g, "");
  const parts = text.split(/^(\w+):$/m).slice(1);
  return new Map(Array.from({ length: parts.length / 2 }, (_, n) => [parts[2 * n], hex(parts[2 * n + 1])]));
})();

/** The generator of crates/protocol/tests/blocks_golden.rs: numbers below 256. */
function random(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  };
}

function words(seed, length) {
  const all = ["north", "gate", "walker", "idle", "running", "towards", "score", "player", "the", "of", "and", "opens"];
  const next = random(seed);
  let out = "";
  while (out.length < length) out += `${all[next() % all.length]} `;
  return out.slice(0, length);
}

function letters(seed, length) {
  const next = random(seed);
  const letter = () => "etaoinshrdlucmfw"[Math.floor(Math.min(next(), next()) / 16)];
  return Array.from({ length }, letter).join("");
}

function record(n) {
  return JSON.stringify({ entity: n, x: (n * 37) % 1000, y: (n * 91) % 1000, team: ["north", "south"][n % 2], state: "walking" });
}

function opaque(version) {
  const content = letters(9, 1200);
  return content.slice(0, version * 100) + letters(version, 40) + content.slice(version * 100 + 40);
}

/** The content of each message that has one, in an order in which each finds what it refers to. */
const CONTENTS = {
  stored: "hi",
  raw_block: "abc",
  repeated_byte: "zzzzzz",
  level_1: words(1, 3000),
  level_minus_5: words(1, 3000),
  level_9: words(1, 3000),
  one_stream: letters(2, 300),
  four_streams: letters(3, 2000),
  long_matches: letters(4, 600).repeat(400),
  record: record(77),
  records: Array.from({ length: 20 }, (_, n) => record(500 + n)).join(""),
  prefix_none: opaque(1),
  prefix_last: opaque(2),
  prefix_kept: opaque(3),
  prefix_last_but_one: opaque(4),
};

function messageOf(bytes) {
  const seen = [];
  new Decoder().push(bytes, (message) => seen.push(message));
  assert.equal(seen.length, 1);
  return seen[0];
}

/** A connection that has been sent the dictionary, and whichever of the messages. */
function connection(...names) {
  const unpacking = new Unpacking();
  unpacking.insert(decodeControl(messageOf(golden.get("dictionary")).payload).message);
  for (const name of names) unpacking.unpack(messageOf(golden.get(name)), LIMIT);
  return unpacking;
}

/** A message of kind event, or another, whose payload is this block. */
function packed(block, fields = {}) {
  return { type: EVENT, flags: BLOCK, codec: 1, topic: 7, sequence: 9, timestamp: null, payload: block, size: 16 + block.length, ...fields };
}

test("reads blocks of each encoding as the hub's code writes them", () => {
  const unpacking = connection();
  for (const [name, content] of Object.entries(CONTENTS)) {
    const message = messageOf(golden.get(name));
    const plain = unpacking.unpack(message, LIMIT);
    assert.equal(plain.length, 1, name);
    assert.ok(textOf(plain[0].payload) === content, name);
    assert.deepEqual({ ...plain[0], payload: null }, { ...message, flags: message.flags & ~BLOCK, payload: null }, name);
  }
  assert.equal(messageOf(golden.get("prefix_last")).timestamp, CAPTURED_MS);
});

test("reads the items of a batch with their sequences and capture times", () => {
  for (const name of ["batch", "batch_timed"]) {
    const message = messageOf(golden.get(name));
    const items = connection().unpack(message, LIMIT);
    assert.equal(items.length, 40, name);
    items.forEach((item, n) => {
      const stamped = name === "batch_timed" && n % 3 !== 0;
      assert.equal(textOf(item.payload), record(n));
      assert.equal(item.sequence, (0xffffffff - 5 + n) % 2 ** 32);
      assert.equal(item.timestamp, stamped ? CAPTURED_MS + ((n * 7) % 40) : null);
      assert.deepEqual([item.type, item.flags, item.codec, item.topic], [EVENT, 0, 2, 7]);
      assert.equal(item.size, n === 39 ? golden.get(name).length : 0);
    });
  }
});

test("reads the batch of the specification", () => {
  const page = readFileSync(new URL("../../../docs/WIRE.md", import.meta.url), "utf8");
  const example = page.slice(page.indexOf("## 8. Blocks")).match(/```hex\n([^`]*)```/)[1].replaceAll(/#.*/g, "");
  const items = new Unpacking().unpack(messageOf(hex(example)), LIMIT);
  assert.deepEqual(items.map(({ sequence, timestamp, payload }) => [sequence, timestamp, textOf(payload)]),
    [[9, null, "one"], [10, 1_700_000_000_000.001, "two"]]);
});

test("says in its hello what it holds, and knows every message of the file", () => {
  const hello = controlMessage("hello", { version: 1, name: "console", acknowledges: true, blocks: BLOCKS });
  assert.deepEqual(hello, golden.get("hello"));
  assert.deepEqual(decodeControl(messageOf(golden.get("hello")).payload).blocks, BLOCKS);
  assert.deepEqual(decodeControl(messageOf(golden.get("retire")).payload), { kind: "retire", id: 7, version: 3 });
  assert.deepEqual([...golden.keys()].sort(), ["dictionary", "hello", "retire", "batch", "batch_timed", ...Object.keys(CONTENTS)].sort());
});

test("says what a block refers to that is not here", () => {
  const refuses = (unpacking, name) => assert.throws(() => unpacking.unpack(messageOf(golden.get(name)), LIMIT), UnknownReference, name);
  refuses(new Unpacking(), "record");
  const retired = connection();
  retired.retire(7, 2);
  retired.unpack(messageOf(golden.get("record")), LIMIT);
  retired.retire(7, 3);
  refuses(retired, "record");
  // It was not kept, it was forgotten, or two others have been kept since.
  refuses(connection(), "prefix_last");
  const forgotten = connection("prefix_none");
  forgotten.forget(9);
  refuses(forgotten, "prefix_last");
  const overtaken = connection("prefix_none", "prefix_last", "prefix_kept");
  refuses(overtaken, "prefix_last");
  // Of the same version and topic, and another one.
  const other = connection();
  other.unpack(packed(bytesOf(`\x00${letters(5, 1200)}`).fill(0x80, 0, 1), { topic: 9, sequence: 1 }), LIMIT);
  refuses(other, "prefix_last");
});

test("keeps contents of as many topics, and dictionaries, as it said", () => {
  const unpacking = new Unpacking();
  const keep = (topic) => unpacking.unpack(packed(Uint8Array.of(0x80, ...bytesOf(opaque(1))), { topic, sequence: 1 }), LIMIT);
  const refer = (topic) => unpacking.unpack({ ...messageOf(golden.get("prefix_last")), topic }, LIMIT);
  for (let topic = 0; topic < BLOCKS.prefixes; topic++) keep(topic);
  for (let topic = 0; topic < BLOCKS.prefixes; topic++) refer(topic);
  // One more takes the place of the one that was kept longest ago.
  keep(BLOCKS.prefixes);
  for (let topic = 1; topic <= BLOCKS.prefixes; topic++) refer(topic);
  assert.throws(() => refer(0), UnknownReference);

  const { message } = decodeControl(messageOf(golden.get("dictionary")).payload);
  const version = (n) => Uint8Array.of(7, n, ...message.subarray(2));
  for (let n = 1; n <= BLOCKS.dictionaries; n++) unpacking.insert(version(n));
  unpacking.insert(version(1));
  assert.throws(() => unpacking.insert(version(100)), WireError);
  unpacking.retire(7, 1);
  unpacking.insert(version(100));
});

test("what is larger than the limit is refused before anything is allocated", () => {
  for (const [name, content] of Object.entries(CONTENTS)) {
    const message = messageOf(golden.get(name));
    const stamp = message.timestamp === null ? 0 : 8;
    assert.throws(() => connection().unpack(message, content.length + stamp - 1), /exceeds/, name);
  }
  // One raw block of a byte that says 1 MiB, and 4 GiB.
  const unpack = (block) => () => new Unpacking().unpack(packed(hex(block)), 2 ** 40);
  assert.throws(unpack("01 a0 00 00 10 00 09 00 00 78"), /can't hold/);
  assert.throws(unpack("01 e0 00 00 00 00 01 00 00 00 09 00 00 78"), /can't hold/);
});

test("refuses blocks that the specification calls malformed", () => {
  const refuses = (block, fields) => assert.throws(() => new Unpacking().unpack(packed(hex(block), fields), LIMIT), WireError, block);
  for (const block of ["04 68", "3f 68", "02 07", "02 ff ff ff ff 1f 01 20 00 01 00 00", "03 01 00 00", "01"]) refuses(block);
  // Batches of none, of too many, of more than there can be, with what is left over, cut off, kept, stamped, and of another kind.
  for (const block of ["40 00 68", "40 81 20 68", "40 03 02 68", "40 01 02 68 69", "40 01 06 68 69", "c0 01 02 68", "40"]) refuses(block);
  new Unpacking().unpack(packed(hex("40 01 02 68")), LIMIT);
  refuses("40 01 02 68", { timestamp: 5 });
  refuses("40 01 02 68", { type: FRAME });
  assert.deepEqual(["40 05 00", "00", "40 00", "40", "c0 ff ff 7f", ""].map((block) => itemsOf(block === "" ? new Uint8Array(0) : hex(block))),
    [5, 1, 1, 1, 1, 1]);
});

/** What is altered decodes to as many bytes as it says, or is refused; anything else would be an error of ours. */
function survives(unpacking, message) {
  try {
    for (const { payload } of unpacking.unpack(message, LIMIT)) assert.ok(payload.length <= LIMIT);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
}

test("damaged blocks throw nothing but WireError", () => {
  for (const name of [...Object.keys(CONTENTS), "batch", "batch_timed"]) {
    const message = messageOf(golden.get(name));
    const unpacking = connection("prefix_none", "prefix_last");
    const { payload } = message;
    for (let at = 0; at < payload.length; at++) {
      const cut = { ...message, payload: payload.subarray(0, at) };
      // What is stored may have any length.
      if (at > 0 && name === "stored") survives(unpacking, cut);
      else assert.throws(() => unpacking.unpack(cut, LIMIT), WireError);
      for (const flip of [0x01, 0xff]) {
        const altered = payload.slice();
        altered[at] ^= flip;
        survives(unpacking, { ...message, payload: altered });
      }
    }
  }
});

test("a damaged dictionary is refused, and one that is forged does no harm", () => {
  const { message } = decodeControl(messageOf(golden.get("dictionary")).payload);
  for (let at = 2; at < message.length; at++) {
    const altered = message.slice();
    altered[at] ^= 0xff;
    assert.throws(() => new Unpacking().insert(altered), WireError);
    assert.throws(() => new Unpacking().insert(message.subarray(0, at)), WireError);
    // With a checksum that fits.
    for (const content of [altered.slice(6), message.slice(6, at)]) {
      const unpacking = new Unpacking();
      try {
        unpacking.insert(new Writer().raw([7, 3]).u32(sumOf(content)).raw(content).bytes());
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
        continue;
      }
      survives(unpacking, messageOf(golden.get("record")));
      survives(unpacking, messageOf(golden.get("records")));
    }
  }
});

/** CRC-32, bit by bit. */
function sumOf(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return ~sum >>> 0;
}

/** A session whose socket is this test: `receive` is what the hub sends, `sent` what the page has. */
function session() {
  const sent = [];
  const seen = { messages: [], gaps: [], unreadable: [], link: "" };
  const saved = { WebSocket: globalThis.WebSocket, setInterval: globalThis.setInterval, document: globalThis.document };
  let socket;
  globalThis.WebSocket = class {
    static OPEN = 1;
    readyState = 1;
    constructor() { socket = this; }
    send(bytes) { sent.push(decodeControl(messageOf(bytes).payload)); }
    close() {}
  };
  globalThis.setInterval = () => 0;
  globalThis.document = { hidden: true };
  const page = new Session("ws://hub", {
    onLink: ({ state }) => { seen.link = state; },
    onMessage: (message) => { seen.messages.push(message); page.consumed(message); },
    onUnreadable: (message) => seen.unreadable.push(message),
    onGap: (gap) => seen.gaps.push(gap),
    onAnnounce() {},
  });
  page.connect();
  socket.onopen();
  const receive = (...messages) => messages.forEach((bytes) => socket.onmessage({ data: bytes.slice().buffer }));
  receive(controlMessage("welcome", { version: 1, maxMessageBytes: LIMIT }),
    ...[[7, 4], [9, 2], [5, 1]].map(([topicId, kindOfTopic]) => controlMessage("announce", { topicId, topic: `t/${topicId}`, kindOfTopic, prompt: true })));
  const end = () => {
    clearTimeout(page.retry);
    Object.assign(globalThis, saved);
  };
  return { page, sent, seen, receive, end };
}

/** The bytes of a message. */
function wire({ type, flags = 0, topic, sequence = 1 }, payload) {
  return new Writer().u8(type).u8(flags).u8(0).u8(0).u32(topic).u32(sequence).u32(payload.length).raw(payload).bytes();
}

test("a session takes blocks, and acknowledges what came on the wire", async () => {
  const { sent, seen, receive, end } = session();
  const names = ["dictionary", "record", "batch", "prefix_none", "prefix_last"];
  receive(...names.map((name) => golden.get(name)));
  await Promise.resolve();
  end();
  assert.deepEqual(sent[0].blocks, BLOCKS);
  assert.deepEqual(seen.messages.map(({ payload }) => textOf(payload)),
    [record(77), ...Array.from({ length: 40 }, (_, n) => record(n)), opaque(1), opaque(2)]);
  const wireBytes = names.slice(1).reduce((sum, name) => sum + golden.get(name).length, 0);
  assert.equal(sent.at(-1).kind, "ack");
  assert.equal(sent.at(-1).bytes, BigInt(wireBytes));
});

test("what can't be read is told as a gap, and what refers to something unknown is asked for plainly, once", async () => {
  const { sent, seen, receive, end } = session();
  const of = (kind) => sent.filter((message) => message.kind === kind);
  const spoilt = wire({ type: EVENT, flags: BLOCK, topic: 7, sequence: 4 }, hex("41 05 20 09"));
  receive(spoilt);
  assert.deepEqual(seen.gaps, [{ topicId: 7, firstSequence: 4, drops: [{ reason: 6, count: 5n }] }]);
  assert.equal(of("resync").length, 0);
  receive(golden.get("prefix_last"), golden.get("prefix_kept"));
  assert.deepEqual(of("resync"), [{ kind: "resync", topicId: 9 }]);
  assert.deepEqual(seen.gaps.slice(1).map(({ topicId, firstSequence }) => [topicId, firstSequence]), [[9, 2], [9, 3]]);
  receive(wire({ type: FRAME, topic: 9, sequence: 4 }, [1]), golden.get("prefix_last"));
  assert.equal(of("resync").length, 2);
  // A document knows itself what it lacks.
  const stale = wire({ type: STATE, flags: BLOCK | SNAPSHOT, topic: 5, sequence: 8 }, hex("02 05 01 20 00 01 00 00"));
  receive(stale);
  assert.deepEqual(seen.unreadable.map(({ topic, sequence }) => [topic, sequence]), [[5, 8]]);
  await Promise.resolve();
  end();
  const wireBytes = spoilt.length + 2 * golden.get("prefix_last").length + golden.get("prefix_kept").length + 17 + stale.length;
  assert.equal(of("ack").at(-1).bytes, BigInt(wireBytes));
  assert.equal(seen.link, "open");
});

test("a hub that sends what is no dictionary is not believed any more", () => {
  const { seen, receive, end } = session();
  receive(controlMessage("dictionary", { message: bytesOf("no dictionary") }));
  end();
  assert.equal(seen.link, "waiting");
});

test("the kill switch shows at once", () => {
  const { page, receive, end } = session();
  assert.equal(page.mayCompress, true);
  receive(controlMessage("compression", { allowed: false }));
  assert.equal(page.mayCompress, false);
  receive(controlMessage("compression", { allowed: true }));
  assert.equal(page.mayCompress, true);
  end();
  const compression = { allowed: "auto", chosen: "level-1", before_bytes: 10, after_bytes: 5, cpu_ms: 1, over_budget: 0, dictionary_bytes: null };
  assert.match(ofCompression(compression, false).chosen, /off/);
  assert.equal(ofCompression(compression, true).chosen, "level-1");
});
