//! The documents of the traces as protobuf messages, as one would declare them for prost.

use std::collections::BTreeMap;

use prost::Message;
use serde::Deserialize;

/// Which message a trace's documents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schema {
    World,
    Telemetry,
    Chat,
    Football,
}

/// A document as its message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Typed {
    World(World),
    Telemetry(Telemetry),
    Chat(Chat),
    Football(Football),
}

impl Typed {
    pub(super) fn of(schema: Schema, json: serde_json::Value) -> serde_json::Result<Self> {
        Ok(match schema {
            Schema::World => Self::World(serde_json::from_value(json)?),
            Schema::Telemetry => Self::Telemetry(serde_json::from_value(json)?),
            Schema::Chat => Self::Chat(serde_json::from_value(json)?),
            Schema::Football => Self::Football(serde_json::from_value(json)?),
        })
    }

    pub(super) const fn schema(&self) -> Schema {
        match self {
            Self::World(_) => Schema::World,
            Self::Telemetry(_) => Schema::Telemetry,
            Self::Chat(_) => Schema::Chat,
            Self::Football(_) => Schema::Football,
        }
    }

    /// Appends it as prost writes it.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), prost::EncodeError> {
        match self {
            Self::World(message) => message.encode(out),
            Self::Telemetry(message) => message.encode(out),
            Self::Chat(message) => message.encode(out),
            Self::Football(message) => message.encode(out),
        }
    }

    pub(super) fn decode(schema: Schema, bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        Ok(match schema {
            Schema::World => Self::World(World::decode(bytes)?),
            Schema::Telemetry => Self::Telemetry(Telemetry::decode(bytes)?),
            Schema::Chat => Self::Chat(Chat::decode(bytes)?),
            Schema::Football => Self::Football(Football::decode(bytes)?),
        })
    }
}

#[derive(Clone, PartialEq, Message, Deserialize)]
pub(super) struct World {
    #[prost(uint64, tag = "1")]
    tick: u64,
    #[prost(message, optional, tag = "2")]
    zone: Option<Zone>,
    #[prost(btree_map = "string, message", tag = "3")]
    entities: BTreeMap<String, Entity>,
    #[prost(message, repeated, tag = "4")]
    chat: Vec<Said>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
struct Zone {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(double, tag = "2")]
    side: f64,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
struct Entity {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    class: String,
    #[prost(double, tag = "3")]
    x: f64,
    #[prost(double, tag = "4")]
    y: f64,
    #[prost(int64, tag = "5")]
    hp: i64,
    #[prost(string, repeated, tag = "6")]
    items: Vec<String>,
    #[prost(string, tag = "7")]
    doing: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
struct Said {
    #[prost(string, tag = "1")]
    from: String,
    #[prost(string, tag = "2")]
    text: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
pub(super) struct Telemetry {
    #[prost(btree_map = "string, double", tag = "1")]
    gauges: BTreeMap<String, f64>,
    #[prost(uint64, tag = "2")]
    sequence: u64,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
pub(super) struct Chat {
    #[prost(message, repeated, tag = "1")]
    lines: Vec<Line>,
    #[prost(string, repeated, tag = "2")]
    present: Vec<String>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
struct Line {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    from: String,
    #[prost(string, tag = "3")]
    text: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
pub(super) struct Football {
    #[prost(string, tag = "1")]
    clock: String,
    #[prost(uint64, repeated, tag = "2")]
    score: Vec<u64>,
    #[prost(double, tag = "3")]
    possession: f64,
    #[prost(message, repeated, tag = "4")]
    players: Vec<Player>,
    #[prost(string, repeated, tag = "5")]
    ticker: Vec<String>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
struct Player {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    team: String,
    #[prost(double, tag = "4")]
    distance: f64,
    #[prost(uint64, tag = "5")]
    passes: u64,
    #[prost(int64, tag = "6")]
    pulse: i64,
}
