//! One item on its way to a sink.

use std::sync::Arc;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use nyx_protocol::control::AudioFormat;
use nyx_protocol::state::Value;
use nyx_protocol::topic::Name;
use nyx_protocol::trail::Trail;
use nyx_protocol::wire::{Kind, codec};
use serde_json::json;
use serde_json::value::RawValue;

/// An item, or the state of a document.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    pub(super) topic: Name,
    pub(super) kind: Kind,
    pub(super) codec: u8,
    pub(super) keyframe: bool,
    /// As the topic says.
    pub(super) content_type: Arc<str>,
    /// Of sound alone.
    pub(super) audio: Option<AudioFormat>,
    /// The item's number in its topic; of state, its version.
    pub(super) sequence: u64,
    pub(super) unix_micros: Option<u64>,
    /// As it was published; of state, the whole document as JSON.
    pub(super) payload: Bytes,
    /// Of state alone.
    pub(super) value: Option<Arc<Value>>,
    /// Which hubs it has passed, this one too.
    pub(super) passed: Trail,
}

impl Parcel {
    pub(super) fn is_state(&self) -> bool {
        self.kind == Kind::State
    }

    /// The memory that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        // A document takes some times what its text does.
        let value = if self.value.is_some() { 3 * self.payload.len() } else { 0 };
        size_of::<Self>() + self.payload.len() + value
    }

    /// What its bytes are.
    pub(super) fn media_type(&self) -> HeaderValue {
        match (self.kind, self.codec) {
            (Kind::State, _) | (Kind::Event, codec::EVENT_JSON) => {
                HeaderValue::from_static("application/json")
            }
            (Kind::Event, codec::EVENT_TEXT) => HeaderValue::from_static("text/plain; charset=utf-8"),
            (Kind::Frame, codec::FRAME_JPEG) => HeaderValue::from_static("image/jpeg"),
            (Kind::Frame, codec::FRAME_PNG) => HeaderValue::from_static("image/png"),
            (Kind::Frame, codec::FRAME_WEBP) => HeaderValue::from_static("image/webp"),
            _ => HeaderValue::from_str(&self.content_type)
                .ok()
                .filter(|content_type| !content_type.is_empty())
                .unwrap_or(HeaderValue::from_static("application/octet-stream")),
        }
    }

    /// It as one line of JSON, with its content as `value`, `text` or `base64`.
    pub(super) fn to_json(&self) -> String {
        let is_json = self.is_state() || (self.kind, self.codec) == (Kind::Event, codec::EVENT_JSON);
        let text = std::str::from_utf8(&self.payload).ok();
        let raw = text.filter(|_| is_json).and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
        let head = json!({
            "topic": self.topic.as_str(),
            "kind": self.kind.name(),
            "sequence": self.sequence,
            "unix_micros": self.unix_micros,
        });
        let content = match (raw, text) {
            // What a publisher sent as JSON may have several lines.
            (Some(raw), _) => format!("\"value\":{}", raw.get().replace(['\n', '\r'], " ")),
            (None, Some(text)) if self.codec == codec::EVENT_TEXT => format!("\"text\":{}", json!(text)),
            _ => format!("\"base64\":{}", json!(BASE64.encode(&self.payload))),
        };
        let head = head.to_string();
        format!("{},{content}}}", head.trim_end_matches('}'))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn event(topic: &str, sequence: u64, bytes: usize) -> Parcel {
        Parcel {
            topic: topic.parse().unwrap(),
            kind: Kind::Event,
            codec: codec::EVENT_TEXT,
            keyframe: false,
            content_type: "".into(),
            audio: None,
            sequence,
            unix_micros: None,
            payload: vec![b'x'; bytes].into(),
            value: None,
            passed: Trail::default(),
        }
    }

    pub(in super::super) fn state(topic: &str, version: u64) -> Parcel {
        let value = Some(Arc::new(Value::map([("version", version as i64)])));
        let payload = format!("{{\"version\":{version}}}").into();
        Parcel { kind: Kind::State, codec: codec::STATE_DELTA, payload, value, ..event(topic, version, 0) }
    }

    #[test]
    fn a_line_says_what_the_item_is() {
        let parse = |parcel: &Parcel| serde_json::from_str::<serde_json::Value>(&parcel.to_json()).unwrap();
        let text = parse(&Parcel { unix_micros: Some(7), ..event("a/b", 3, 2) });
        assert_eq!(
            text,
            json!({"topic": "a/b", "kind": "event", "sequence": 3, "unix_micros": 7, "text": "xx"})
        );
        assert_eq!(parse(&state("s", 2))["value"], json!({"version": 2}));
        let lines =
            Parcel { codec: codec::EVENT_JSON, payload: "{\n\"a\":\r\n1}".into(), ..event("a", 0, 0) };
        assert!(!lines.to_json().contains('\n'));
        assert_eq!(parse(&lines)["value"], json!({"a": 1}));
        let not_json = Parcel { codec: codec::EVENT_JSON, payload: "{".into(), ..event("a", 0, 0) };
        assert_eq!(parse(&not_json)["base64"], json!("ew=="));
    }
}
