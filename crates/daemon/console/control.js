// Control messages (crates/protocol/proto/control.proto): the little of protobuf that they need, driven by a table.
// A decoded message is `{ kind: "welcome", version: 1, ... }`; 64-bit numbers are bigints.

import { Reader, WireError, Writer } from "./bytes.js";

// Per message: [number, name, type]. A type is a scalar, another message, or either with `[]` (repeated) or `?` (optional).
const MESSAGES = {
  hello: [[1, "version", "u32"], [2, "name", "string"], [3, "acknowledges", "bool"], [4, "token", "string"],
    [16, "blocks", "blocks?"]],
  blocks: [[1, "dictionaries", "u32"], [2, "dictionaryBytes", "u32"], [3, "prefixes", "u32"], [4, "prefixBytes", "u32"]],
  welcome: [[1, "version", "u32"], [2, "sessionId", "u64"], [3, "server", "string"], [4, "maxMessageBytes", "u32"],
    [5, "hub", "fixed64"]],
  error: [[1, "code", "u32"], [2, "message", "string"], [3, "fatal", "bool"], [4, "alias", "u32?"],
    [5, "subscription", "u32?"], [6, "topicId", "u32?"]],
  audioFormat: [[1, "sampleRate", "u32"], [2, "channels", "u32"]],
  advertise: [[1, "alias", "u32"], [2, "topic", "string"], [3, "kindOfTopic", "u32"], [4, "contentType", "string"],
    [5, "audio", "audioFormat?"], [6, "maxAgeMs", "u32"], [7, "lane", "u32"]],
  advertised: [[1, "alias", "u32"], [2, "topicId", "u32"], [3, "plain", "bool"]],
  resume: [[1, "topic", "string"], [2, "epoch", "fixed64"], [3, "position", "u64"]],
  subscribe: [[1, "id", "u32"], [2, "pattern", "string"], [3, "maxAgeMs", "u32"], [4, "resume", "resume[]"]],
  subscribed: [[1, "id", "u32"]],
  unsubscribe: [[1, "id", "u32"]],
  announce: [[1, "topicId", "u32"], [2, "topic", "string"], [3, "kindOfTopic", "u32"], [4, "contentType", "string"],
    [5, "audio", "audioFormat?"], [6, "maxAgeMs", "u32"], [7, "prompt", "bool"], [8, "epoch", "fixed64"], [9, "position", "u64"]],
  ack: [[1, "bytes", "u64"]],
  drop: [[1, "reason", "u32"], [2, "count", "u64"]],
  gap: [[1, "topicId", "u32"], [2, "firstSequence", "u32"], [3, "drops", "drop[]"]],
  ping: [[1, "nonce", "u64"]],
  pong: [[1, "nonce", "u64"]],
  resync: [[1, "topicId", "u32"]],
  goodbye: [[1, "reason", "string"]],
  dictionary: [[1, "message", "bytes"]],
  retire: [[1, "id", "u32"], [2, "version", "u32"]],
  compression: [[1, "allowed", "bool"]],
};

// The members of Control's oneof, from field number 1. What follows them comes only to who asks for results, serves requests or forwards.
const BODIES = ["hello", "welcome", "error", "advertise", "advertised", "subscribe", "subscribed", "unsubscribe", "announce",
  "ack", "gap", "ping", "pong", "resync", "goodbye", "dictionary", "retire", "compression"];

export const KINDS = ["", "state", "frame", "audio", "event"];
export const REASONS = ["unspecified", "expired", "conflated", "overrun", "predicted_late", "rate_limited", "unreadable"];
export const ERROR_CODES = ["unspecified", "malformed", "unsupported version", "too large", "bad topic", "kind mismatch",
  "unknown alias", "bad document", "limit", "timeout", "unexpected", "unauthorized", "forbidden", "loop"];

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

const NO_BYTES = new Uint8Array(0);

const SCALARS = {
  u32: { wire: VARINT, absent: 0, read: (r) => Number(BigInt.asUintN(32, BigInt(r.varint()))), write: (w, v) => w.varint(v) },
  u64: { wire: VARINT, absent: 0n, read: (r) => BigInt(r.varint()), write: (w, v) => w.varint(v) },
  bool: { wire: VARINT, absent: false, read: (r) => r.varint() !== 0, write: (w, v) => w.u8(v ? 1 : 0) },
  fixed64: { wire: FIXED64, absent: 0n, read: (r) => r.fixed64(), write: (w, v) => w.fixed64(v) },
  string: { wire: DELIMITED, absent: "", read: (r) => r.text(), write: (w, v) => w.text(v) },
  bytes: { wire: DELIMITED, absent: NO_BYTES, read: (r) => r.slice(r.uint()), write: (w, v) => w.varint(v.length).raw(v) },
};

/** The payload of a control message. `kind` names a member of the oneof. */
export function encodeControl(kind, fields = {}) {
  const body = encodeMessage(kind, fields);
  return new Writer().varint(((BODIES.indexOf(kind) + 1) << 3) | DELIMITED).varint(body.length).raw(body).bytes();
}

/** Reads a control message's payload; null when its oneof is empty or from a later version. */
export function decodeControl(bytes) {
  const reader = new Reader(bytes);
  let message = null;
  while (reader.remaining > 0) {
    const [number, wire] = readTag(reader);
    const kind = BODIES[number - 1];
    if (kind === undefined) {
      skip(reader, wire);
      continue;
    }
    if (wire !== DELIMITED) throw new WireError(`${kind} has wire type ${wire}`);
    message = { kind, ...decodeMessage(kind, reader.slice(reader.uint())) };
  }
  return message;
}

function encodeMessage(name, fields) {
  const writer = new Writer();
  for (const [number, field, declared] of MESSAGES[name]) {
    const value = fields[field];
    if (value === undefined || value === null) continue;
    const type = declared.replace(/\[\]|\?/, "");
    for (const item of declared.endsWith("[]") ? value : [value]) {
      const scalar = SCALARS[type];
      if (scalar) {
        if (!declared.endsWith("?") && item === scalar.absent) continue;
        writer.varint((number << 3) | scalar.wire);
        scalar.write(writer, item);
      } else {
        const inner = encodeMessage(type, item);
        writer.varint((number << 3) | DELIMITED).varint(inner.length).raw(inner);
      }
    }
  }
  return writer.bytes();
}

function decodeMessage(name, bytes) {
  const message = {};
  for (const [, field, declared] of MESSAGES[name]) {
    if (declared.endsWith("[]")) message[field] = [];
    else message[field] = declared.endsWith("?") ? null : SCALARS[declared].absent;
  }
  const reader = new Reader(bytes);
  while (reader.remaining > 0) {
    const [number, wire] = readTag(reader);
    const entry = MESSAGES[name].find((candidate) => candidate[0] === number);
    if (!entry) {
      skip(reader, wire);
      continue;
    }
    const [, field, declared] = entry;
    const type = declared.replace(/\[\]|\?/, "");
    const scalar = SCALARS[type];
    if (wire !== (scalar ? scalar.wire : DELIMITED)) throw new WireError(`${name}.${field} has wire type ${wire}`);
    const value = scalar ? scalar.read(reader) : decodeMessage(type, reader.slice(reader.uint()));
    if (declared.endsWith("[]")) message[field].push(value);
    else message[field] = value;
  }
  return message;
}

function readTag(reader) {
  const tag = reader.uint(0xffffffff);
  const number = Math.floor(tag / 8);
  if (number === 0) throw new WireError("field number 0");
  return [number, tag % 8];
}

function skip(reader, wire) {
  if (wire === VARINT) reader.varint();
  else if (wire === FIXED64) reader.take(8);
  else if (wire === DELIMITED) reader.take(reader.uint());
  else if (wire === FIXED32) reader.take(4);
  else throw new WireError(`wire type ${wire}`);
}
