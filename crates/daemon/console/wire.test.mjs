// The console's protocol code against docs/WIRE.md: `node --test crates/daemon/console/wire.test.mjs`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ofBlocks, ofCompression } from "./compression.js";
import { BitReader } from "./numbers.js";
import {
  controlMessage, decodeControl, decodeHeader, Decoder, encodeControl, ListNode, Reader, SNAPSHOT, STATE, StateDocument, TIMESTAMP,
  toPlain, WireError, Writer,
} from "./wire.js";

const bytesOf = (...numbers) => Uint8Array.from(numbers);
const hex = (text) => bytesOf(...text.replaceAll(" ", "").match(/../g).map((pair) => parseInt(pair, 16)));

const EPOCH = 0x0102030405060708n;

/** A delta: `change` writes the change of the root. */
function delta({ epoch = EPOCH, base, version, firstKey = 3, keys = [] }, change) {
  const [root, ...rest] = change(new Writer()).bytes();
  const lead = 16 * (version - base - 1) + (keys.length > 0 ? 8 : 0) + root;
  const writer = new Writer().u32(Number(epoch & 0xffffffffn)).varint(base).varint(lead);
  if (keys.length > 0) writer.varint(firstKey).varint(keys.length);
  for (const key of keys) writer.text(key);
  return writer.raw(rest).bytes();
}

/** A snapshot: `node` writes the root. */
function whole({ epoch = EPOCH, version, keys = [] }, node) {
  const writer = new Writer().u64(epoch).varint(version).varint(keys.length);
  for (const key of keys) writer.text(key);
  node(writer);
  return writer.bytes();
}

/** A file of bytes that the tests in Rust are held to as well, by name. */
function goldenFile(file) {
  const text = readFileSync(new URL(`../../protocol/tests/${file}`, import.meta.url), "utf8").replaceAll(/#.*/g, "");
  const parts = text.split(/^(\w+):$/m).slice(1);
  return new Map(Array.from({ length: parts.length / 2 }, (_, n) => [parts[2 * n], hex(parts[2 * n + 1].replaceAll(/\s/g, ""))]));
}

/** What the document's own tests in Rust are held to. */
const golden = (name) => goldenFile("state_golden.txt").get(name);

/** The fields of each control message of `wire_golden.txt`. */
const GOLDEN_CONTROL = {
  hello: { version: 1, name: "ada 1", acknowledges: true, token: "key", blocks: null },
  welcome: { version: 1, sessionId: 2n ** 64n - 1n, server: "nyx", maxMessageBytes: 16 * 1024 * 1024, hub: EPOCH },
  error: { code: 7, message: "wrong", fatal: true, alias: 0, subscription: null, topicId: null },
  advertise: { alias: 3, topic: "radio", kindOfTopic: 3, contentType: "audio/pcm", audio: { sampleRate: 48_000, channels: 2 }, maxAgeMs: 200,
    lane: 1 },
  advertised: { alias: 3, topicId: 5, plain: true },
  subscribe: { id: 1, pattern: "a/**", maxAgeMs: 200, resume: [{ topic: "a/b", epoch: EPOCH, position: 300n }] },
  subscribed: { id: 1 },
  unsubscribe: { id: 1 },
  announce: { topicId: 5, topic: "a/b", kindOfTopic: 1, contentType: "", audio: null, maxAgeMs: 0, prompt: true, epoch: EPOCH, position: 2n },
  ack: { bytes: 300n },
  gap: { topicId: 5, firstSequence: 9, drops: [{ reason: 2, count: 6n }, { reason: 3, count: 1n }] },
  ping: { nonce: 1n },
  pong: { nonce: 2n ** 64n - 1n },
  resync: { topicId: 5 },
  goodbye: { reason: "restar" },
  dictionary: { message: hex("05 01 90 88 3a 25 6e 6f 72 74 68 65 72 6e") },
  retire: { id: 5, version: 1 },
  compression: { allowed: true },
};

/** What the decoder makes of each data message of `wire_golden.txt`. */
const GOLDEN_DATA = {
  event_text: { type: 4, flags: 0, codec: 1, topic: 7, sequence: 258, timestamp: null, payload: [0x68, 0x69] },
  frame_stamped: { type: 2, flags: 3, codec: 1, topic: 1, sequence: 0xffffffff, timestamp: 1_700_000_000_000.001, payload: [0xff, 0xd8] },
  state_snapshot: { type: 1, flags: 4, codec: 2, topic: 5, sequence: 2, timestamp: null, payload: [1, 2, 3, 4, 5, 6, 7, 8, 2, 0, 9, 0] },
  audio_float: { type: 3, flags: 1, codec: 2, topic: 5, sequence: 0, timestamp: 1_700_000_000_000, payload: [0, 0, 128, 63, 0, 0, 128, 191] },
};

/** The messages that these bytes are. */
function messagesOf(bytes) {
  const seen = [];
  new Decoder().push(bytes, (message) => seen.push(message));
  return seen;
}

/** `{ name: "ada", list: [10, 20, 30], hp: 7 }` at version 5; keys 0 name, 1 list, 2 hp; element ids 0, 1, 2. */
function snapshot() {
  return whole({ version: 5, keys: ["name", "list", "hp"] }, (w) =>
    w.u8(9).varint(3)
      .varint(0).u8(6).text("ada")
      .varint(0).u8(8).varint(3).u8(0xc0 + 10).u8(0xc0 + 20).u8(0xc0 + 30)
      .varint(0).u8(0xc0 + 7));
}

function held() {
  const document = new StateDocument();
  assert.equal(document.apply(snapshot(), true), null);
  return document;
}

const exact = (_, value) => (typeof value === "bigint" ? `${value}n` : value);
const plain = (document) => JSON.parse(JSON.stringify(toPlain(document.root, document.keys), exact));

/** Applies what must be refused and checks that nothing changed. */
function refuses(payload, asSnapshot = false) {
  const document = held();
  const before = plain(document);
  assert.throws(() => document.apply(payload, asSnapshot), WireError);
  assert.deepEqual(plain(document), before);
  assert.deepEqual([document.epoch, document.version, document.keys], [EPOCH, 5, ["name", "list", "hp"]]);
}

/** Numbers that look random and are the same in every run. */
function seeded(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test("reads every field of a header", () => {
  const header = decodeHeader(hex("02 03 01 00 00000007 fffffffe 00000010"));
  assert.deepEqual(header, { type: 2, flags: 3, codec: 1, topic: 7, sequence: 0xfffffffe, length: 16 });
});

test("reads and writes the messages that the hub's code is held to", () => {
  const file = goldenFile("wire_golden.txt");
  for (const [kind, fields] of Object.entries(GOLDEN_CONTROL)) {
    const [message, ...others] = messagesOf(file.get(kind));
    assert.equal(others.length, 0);
    assert.deepEqual(decodeControl(message.payload), { kind, ...fields });
    assert.deepEqual(controlMessage(kind, fields), file.get(kind), kind);
  }
  for (const [name, expected] of Object.entries(GOLDEN_DATA)) {
    const [{ type, flags, codec, topic, sequence, timestamp, payload, size }] = messagesOf(file.get(name));
    assert.deepEqual({ type, flags, codec, topic, sequence, timestamp, payload: [...payload] }, expected, name);
    assert.equal(size, file.get(name).length);
  }
});

test("knows every control message that it can get, and ignores those that it did not ask for", () => {
  const schema = readFileSync(new URL("../../protocol/proto/control.proto", import.meta.url), "utf8");
  const members = [...schema.match(/oneof body \{([^}]*)\}/)[1].matchAll(/\w+ (\w+) = (\d+);/g)];
  const numbered = members.map(([, name, number]) => [name, Number(number)]);
  const [own, others] = [numbered.filter(([, number]) => number <= 18), numbered.filter(([, number]) => number > 18)];
  assert.deepEqual(own.map(([name]) => name), Object.keys(GOLDEN_CONTROL));
  for (const [name, number] of own) assert.deepEqual([...encodeControl(name)], [...new Writer().varint(number * 8 + 2).u8(0).bytes()], name);
  const file = goldenFile("wire_golden.txt");
  for (const [name] of others) assert.equal(decodeControl(messagesOf(file.get(name))[0].payload), null, name);
  assert.deepEqual([...file.keys()].sort(), [...numbered.map(([name]) => name), ...Object.keys(GOLDEN_DATA)].sort());
});

test("refuses headers that the specification calls malformed", () => {
  assert.throws(() => decodeHeader(hex("05 00 00 00 00000000 00000000 00000000")), WireError);
  assert.throws(() => decodeHeader(hex("01 10 00 00 00000000 00000000 00000000")), WireError);
  assert.throws(() => decodeHeader(hex("01 00 00 01 00000000 00000000 00000000")), WireError);
  assert.throws(() => decodeHeader(hex("01 01 00 00 00000000 00000000 00000007")), WireError);
  assert.throws(() => decodeHeader(new Uint8Array(15)), WireError);
});

test("cuts a stream into the same messages wherever its pieces end", () => {
  const payload = new Writer().u64(1_700_000_000_123_456n).raw([1, 2, 3]).bytes();
  const data = new Writer().u8(STATE).u8(TIMESTAMP | SNAPSHOT).u8(2).u8(0).u32(9).u32(4).u32(payload.length).raw(payload).bytes();
  const stream = bytesOf(...data, ...controlMessage("ping", { nonce: 5n }), ...data);
  for (let piece = 1; piece <= stream.length; piece++) {
    const seen = [];
    const decoder = new Decoder();
    for (let at = 0; at < stream.length; at += piece) decoder.push(stream.slice(at, at + piece), (message) => seen.push(message));
    assert.deepEqual(seen.map(({ type, size }) => [type, size]), [[1, 27], [0, 20], [1, 27]]);
    assert.deepEqual([...seen[0].payload], [1, 2, 3]);
    assert.equal(seen[0].timestamp, 1_700_000_000_123.456);
    assert.deepEqual(decodeControl(seen[1].payload), { kind: "ping", nonce: 5n });
  }
});

test("refuses a message beyond the limit before its payload has come", () => {
  const decoder = new Decoder();
  decoder.maxMessageBytes = 1000;
  const header = (type, length) => new Writer().u8(type).u8(0).u8(0).u8(0).u32(0).u32(0).u32(length).bytes();
  assert.throws(() => decoder.push(header(1, 1001), () => {}), WireError);
  assert.throws(() => new Decoder().push(header(0, 65_537), () => {}), WireError);
});

test("encodes control messages as protobuf does", () => {
  assert.deepEqual([...encodeControl("hello", { version: 1, name: "console", acknowledges: true })],
    [...hex("0a 0d 08 01 12 07 63 6f 6e 73 6f 6c 65 18 01")]);
  assert.deepEqual([...encodeControl("ack", { bytes: 300 })], [...hex("52 03 08 ac 02")]);
  assert.deepEqual([...encodeControl("resync", { topicId: 0 })], [...hex("72 00")]);
});

test("control messages survive the way there and back", () => {
  const messages = [
    ["welcome", { version: 1, sessionId: 2n ** 64n - 1n, server: "nyx", maxMessageBytes: 16_777_216, hub: 7n }],
    ["error", { code: 7, message: "does not fit", fatal: false, alias: null, subscription: 0, topicId: 3 }],
    ["subscribe", { id: 4, pattern: "game/**", maxAgeMs: 500, resume: [{ topic: "game/world", epoch: EPOCH, position: 77n }] }],
    ["announce", { topicId: 3, topic: "a/b", kindOfTopic: 3, contentType: "audio/pcm", audio: { sampleRate: 48_000, channels: 2 },
      maxAgeMs: 200, prompt: true, epoch: 2n ** 63n, position: 9n }],
    ["gap", { topicId: 3, firstSequence: 8, drops: [{ reason: 1, count: 5n }, { reason: 3, count: 2n ** 40n }] }],
  ];
  for (const [kind, fields] of messages) assert.deepEqual(decodeControl(encodeControl(kind, fields)), { kind, ...fields });
});

test("skips control messages and fields of later versions", () => {
  assert.equal(decodeControl(bytesOf()), null);
  assert.equal(decodeControl(hex("fa 01 02 08 01")), null);
  assert.deepEqual(decodeControl(hex("6a 10 08 05 7a 02 01 02 81 01 00 00 00 00 00 00 00 00")), { kind: "pong", nonce: 5n });
});

test("refuses control messages that do not decode", () => {
  for (const broken of ["0a 05 08", "0a 02 0a 05", "08 01", "6a 02 0d 00", "6a 0b 08 ff ff ff ff ff ff ff ff ff 7f", "12 03 1a 01 ff", "00", "0b"]) {
    assert.throws(() => decodeControl(hex(broken)), WireError, broken);
  }
});

test("reads varints to the last bit of 64", () => {
  const read = (text) => new Reader(hex(text)).varint();
  assert.equal(read("00"), 0);
  assert.equal(read("ac 02"), 300);
  assert.equal(read("ff ff ff ff ff ff ff 0f"), Number.MAX_SAFE_INTEGER);
  assert.equal(read("80 80 80 80 80 80 80 10"), 2n ** 53n);
  assert.equal(read("ff ff ff ff ff ff ff ff ff 01"), 2n ** 64n - 1n);
  assert.throws(() => read("ff ff ff ff ff ff ff ff ff 02"), WireError);
  assert.throws(() => read("80 80 80 80 80 80 80 80 80 80 00"), WireError);
  const zigzag = (text) => new Reader(hex(text)).zigzag();
  assert.deepEqual(["00", "01", "02", "03"].map(zigzag), [0, -1, 1, -2]);
  assert.equal(zigzag("ff ff ff ff ff ff ff ff ff 01"), -(2n ** 63n));
  assert.equal(zigzag("fe ff ff ff ff ff ff ff ff 01"), 2n ** 63n - 1n);
});

test("reads every kind of value", () => {
  const document = new StateDocument();
  const keys = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
  document.apply(whole({ version: 1, keys }, (w) => w.u8(9).varint(11)
    .varint(0).u8(0)
    .varint(0).u8(1)
    .varint(0).u8(2)
    .varint(0).u8(3).varint(1999)
    .varint(0).u8(4).raw(hex("3ff8000000000000"))
    .varint(0).u8(5).raw(hex("3e800000"))
    .varint(0).u8(6).text("ü")
    .varint(0).u8(7).varint(2).raw([1, 255])
    .varint(0).u8(0x80)
    .varint(0).u8(8).varint(0)
    .varint(0).u8(0x12).varint(2467)), true);
  const value = toPlain(document.root, document.keys);
  const expected = { a: null, b: false, c: true, d: -1000, e: 1.5, f: 0.25, g: "ü", h: bytesOf(1, 255), i: -64, j: [], k: -12.34 };
  assert.deepEqual({ ...value }, expected);
});

test("reads the payloads that the hub's code is held to", () => {
  const document = new StateDocument();
  document.apply(golden("snapshot"), true);
  const thing = (n, x, y) => ({ n, x, y });
  const integers = (by) => Array.from({ length: 30 }, (_, n) => (n % 8) + by * (n % 3));
  assert.deepEqual(plain(document), { a: thing(5, 1.5, 2.25), b: thing(5, 7, 2.25), t: "a text to be changed", v: integers(0), w: 1 / 3 });
  document.apply(golden("delta"), false);
  const expected = { a: thing(305, 1.51, 2), b: thing(305, 7.01, 2), t: "a text that was changed", v: integers(1), w: 2 / 3 };
  assert.deepEqual(plain(document), expected);
});

test("reads tables as the hub's code writes them", () => {
  const document = new StateDocument();
  document.apply(golden("tables_snapshot"), true);
  const integers = (by) => Array.from({ length: 80 }, (_, n) => (n % 50) + by * (n % 2) * (n < 64 ? 1 : -3));
  const floats = (by) => [3, 7, 9].map((of, n) => [n, Math.fround(Math.fround(1 / of) + by / 64)]);
  assert.deepEqual(plain(document), { v: integers(0), w: floats(0) });
  const operations = document.apply(golden("tables_delta"), false);
  assert.deepEqual(plain(document), { v: integers(1), w: floats(1) });
  assert.equal(operations.length, 40 + 1 + 3 * 2 + 1);
});

test("numbers of 64 bits are read to the last, where doubles do not hold them either", () => {
  const bits = new BitReader(new Reader(bytesOf(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0b1011, 2)));
  assert.deepEqual([bits.take(64), bits.rice(1), bits.take(4), bits.take(8)], [2n ** 64n - 1n, 5, 0, 2]);
  bits.finish();
});

test("reads every value and every edit as the hub's code writes them", () => {
  const document = new StateDocument();
  document.apply(golden("values"), true);
  const expected = { a: [null, false, true], b: [-64, 0, 63, 64, -65], c: [0.1 + 0.2, Math.fround(0.3), 12.34, -0.5, 7], d: "é", e: bytesOf(255) };
  assert.deepEqual({ ...toPlain(document.root, document.keys) }, expected);
  const dashes = "-".repeat(100);
  document.apply(golden("edits_snapshot"), true);
  assert.deepEqual(plain(document), { at: [1, 2, 3], hp: dashes, ba: dashes });
  document.apply(golden("edits_delta"), false);
  assert.deepEqual(plain(document), { at: [2, true, null], ba: dashes, up: 0.1 });
  assert.equal(document.version, 4);
});

test("a snapshot replaces what was held, and its keys", () => {
  const document = held();
  assert.deepEqual(plain(document), { name: "ada", list: [10, 20, 30], hp: 7 });
  assert.equal(document.apply(whole({ epoch: 9n, version: 2, keys: ["x"] }, (w) => w.u8(9).varint(1).varint(0).u8(2)), true), null);
  assert.deepEqual(plain(document), { x: true });
  assert.deepEqual([document.epoch, document.version, document.keys], [9n, 2, ["x"]]);
});

test("a delta changes, adds and removes entries and says which", () => {
  const document = held();
  const operations = document.apply(delta({ base: 5, version: 9, keys: ["armour"] }, (w) =>
    w.u8(2).varint(3).u8(1).u8(8).u8(0xc0 + 6).u8(0).u8(1)), false);
  assert.deepEqual(plain(document), { list: [10, 20, 30], hp: 6, armour: false });
  assert.equal(document.version, 9);
  assert.deepEqual(operations.map(({ key }) => key), [0, 2, 3]);
});

test("removing an entry that is not there does nothing", () => {
  const document = held();
  document.apply(delta({ base: 5, version: 7, keys: ["brief"] }, (w) => w.u8(2).varint(1).u8(3 * 8 + 1)), false);
  assert.deepEqual(plain(document), { name: "ada", list: [10, 20, 30], hp: 7 });
});

test("a list is reordered, and its elements added, removed and changed", () => {
  const document = held();
  document.apply(delta({ base: 5, version: 6 }, (w) => w.u8(2).varint(1).u8(8 + 3)
    .varint(3 * 2 + 1).varint(2).varint(4).varint(3).varint(2).varint(5).u8(0xc0 + 40)
    .varint(1).u8(2 * 8).u8(0xc0 + 11)), false);
  assert.deepEqual(plain(document).list, [30, 40, 11]);
  const list = document.root.entries.get(1);
  assert.ok(list instanceof ListNode);
  assert.deepEqual(list.ids, [2, 3, 0]);
  document.apply(delta({ base: 6, version: 7 }, (w) => w.u8(2).varint(1).u8(8 + 3).varint(1 * 2).varint(1)), false);
  assert.deepEqual(plain(document).list, []);
});

test("integers step beyond what doubles hold", () => {
  const document = new StateDocument();
  document.apply(whole({ version: 1, keys: ["n"] }, (w) => w.u8(9).varint(1).varint(0).u8(3).varint(2n ** 54n - 2n)), true);
  assert.equal(document.root.entries.get(0), Number.MAX_SAFE_INTEGER);
  document.apply(delta({ base: 1, version: 2 }, (w) => w.u8(2).varint(1).u8(4).varint(4)), false);
  assert.equal(document.root.entries.get(0), 2n ** 53n + 1n);
  document.apply(delta({ base: 2, version: 3 }, (w) => w.u8(2).varint(1).u8(4).varint(3)), false);
  assert.equal(document.root.entries.get(0), Number.MAX_SAFE_INTEGER);
});

test("a delta that does not fit changes nothing", () => {
  const set = (w) => w.u8(2).varint(1).u8(2 * 8).u8(0xc0);
  refuses(delta({ epoch: 1n, base: 5, version: 6 }, set));
  refuses(delta({ base: 4, version: 6 }, set));
  refuses(delta({ base: 5, version: 2 ** 53 }, set));
  refuses(delta({ base: 5, version: 6, firstKey: 2, keys: ["k"] }, set));
  const wrong = (change) => refuses(delta({ base: 5, version: 6 }, change));
  const inList = (change) => wrong((w) => change(w.u8(2).varint(1).u8(8 + 3)));
  wrong((w) => w.u8(1));
  wrong((w) => w.u8(3).varint(0));
  wrong((w) => w.u8(7));
  wrong((w) => w.u8(2).varint(1).u8(2 * 8 + 5).u8(0x19).u8(1));
  wrong((w) => w.u8(2).varint(1).u8(3 * 8).u8(0xc0));
  wrong((w) => w.u8(2).varint(1).u8(2).varint(0));
  wrong((w) => w.u8(2).varint(1).u8(4).varint(2));
  wrong((w) => w.u8(2).varint(1).u8(6).varint(2).varint(2).varint(0));
  wrong((w) => w.u8(2).varint(1).u8(2 * 8 + 5).u8(8).u8(0x82).u8(0).u8(0));
  wrong((w) => w.u8(2).varint(1).u8(2 * 8).u8(4).raw(hex("7ff8000000000000")));
  wrong((w) => w.u8(2).varint(1).u8(2 * 8).u8(0x12).varint(2n ** 51n));
  wrong((w) => set(w).u8(0));
  inList((w) => w.varint(1).varint(1).u8(1));
  inList((w) => w.varint(1).varint(1).u8(3 * 8).u8(0xc0));
  inList((w) => w.varint(4 * 2).varint(0));
  inList((w) => w.varint(1 * 2).varint(8).varint(0));
  inList((w) => w.varint(1 * 2).varint(0).varint(0));
  inList((w) => w.varint(2 * 2).varint(2).varint(0).varint(2).varint(1));
  inList((w) => w.varint(1 * 2 + 1).varint(3).u8(0xc0).varint(1).u8(0).u8(0xc0));
  // Tables: what is no number, or not there; no row, no column, a key beyond the last, bits beyond the number and behind the last.
  const table = (head, ...bytes) => wrong((w) => w.u8(2).varint(1).u8(head).raw(bytes));
  table(8 + 7, 0, 9, 1, 0, 4);
  table(2 * 8 + 7, 2, 9, 1, 0, 4);
  table(2 * 8 + 7, 0, 9, 2, 0, 12);
  table(2 * 8 + 7, 1, 9, 1, 0, 4);
  table(2 * 8 + 7, 0, 0x19, 1, 0, 4);
  table(2 * 8 + 7, 0, 8, 1, 0xf0, 7);
  table(2 * 8 + 7, 0, 9, 1, 0, 0x84);
  table(8 + 7, 3, 0x39, 1, 0, 4);
  wrong((w) => w.u8(2).varint(2).u8(8 + 3).varint(1).varint(1).u8(4).varint(2).u8(7).raw([0, 9, 2, 0, 12]));
  inList((w) => w.varint(1).varint(2).u8(7).raw([0, 9, 2, 0, 12]).u8(4).varint(2));
  refuses(whole({ version: 2 }, (w) => w.u8(0x0a)), true);
});

test("a document nested too deep is refused, not a stack overflow", () => {
  refuses(whole({ version: 6, keys: ["k"] }, (w) => {
    for (let i = 0; i < 100_000; i++) w.u8(9).varint(1).varint(0);
    w.u8(0);
  }), true);
});

test("truncated and altered input throws nothing but WireError, and changes nothing", () => {
  const random = seeded(1);
  for (const [begin, payload, asSnapshot] of [[snapshot(), snapshot(), true], [golden("snapshot"), golden("delta"), false]]) {
    const fresh = () => {
      const document = new StateDocument();
      document.apply(begin, true);
      return document;
    };
    const attempt = (bytes, mayFit) => {
      const document = fresh();
      const before = JSON.stringify([plain(document), document.version]);
      try {
        document.apply(bytes, asSnapshot);
        assert.ok(mayFit);
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
        assert.equal(JSON.stringify([plain(document), document.version]), before);
      }
    };
    fresh().apply(payload, asSnapshot);
    for (let length = 0; length < payload.length; length++) attempt(payload.slice(0, length), false);
    for (let round = 0; round < 20_000; round++) {
      const altered = payload.slice();
      for (let i = random(3); i >= 0; i--) altered[random(altered.length)] = random(256);
      attempt(altered, true);
    }
  }
});

test("garbage in the stream or in a control message throws nothing but WireError", () => {
  const random = seeded(2);
  const announce = encodeControl("announce", { topicId: 3, topic: "a/b", kindOfTopic: 3, audio: { sampleRate: 1, channels: 2 }, epoch: 1n });
  for (let round = 0; round < 20_000; round++) {
    const altered = announce.slice(0, random(announce.length + 1));
    if (altered.length > 0) altered[random(altered.length)] = random(256);
    onlyWireErrors(() => decodeControl(altered));
    const noise = Uint8Array.from({ length: random(64) }, () => random(round % 2 ? 256 : 4));
    onlyWireErrors(() => decodeControl(noise));
    onlyWireErrors(() => new Decoder().push(noise, () => {}));
  }
});

function onlyWireErrors(action) {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof WireError, String(error));
  }
}

test("a topic's compression is told in words, and where there is none, not at all", () => {
  assert.deepEqual(ofCompression(null), {});
  assert.deepEqual(ofBlocks({ messages: 0, before_bytes: 0, after_bytes: 0 }), {});
  const compression = { allowed: "auto", chosen: "dictionary", before_bytes: 1000, after_bytes: 250, cpu_ms: 1.6,
    over_budget: 0, dictionary_bytes: 8192, decisions: [] };
  const facts = ofCompression(compression);
  assert.equal(facts.chosen, "dictionary");
  assert.match(facts.saved, /75\u2009%/);
  assert.equal(ofCompression({ ...compression, allowed: "off", chosen: "raw" }).chosen, "raw (off is set)");
  assert.match(ofBlocks({ messages: 2, before_bytes: 100, after_bytes: 110 })["saved by them"], /-10\u2009%/);
});
