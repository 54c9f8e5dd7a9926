//! Items as lines of JSON.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nyx_client::subscribe::{Audio, Event, Frame, Gap, Reconnected, State};
use nyx_client::{EventCodec, FrameCodec, Refusal, Samples, Topic, Value};
use serde::Serialize;
use serde_json::value::RawValue;

/// One line: what any item says of itself, and its content.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    kind: &'static str,
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<f64>,
    #[serde(flatten)]
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    State {
        value: &'a Value,
    },
    Text {
        text: &'a str,
    },
    Json {
        json: &'a RawValue,
    },
    JsonValue {
        json: serde_json::Value,
    },
    Bytes {
        bytes: String,
    },
    Frame {
        codec: &'static str,
        keyframe: bool,
        length: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<&'a str>,
    },
    Audio {
        codec: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        sample_rate: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        channels: Option<u32>,
        length: usize,
    },
}

/// A state update with the whole document.
pub(crate) fn state(state: &State, value: &Value, now_micros: u64) -> serde_json::Result<String> {
    line(&state.topic, state.version, age_ms(state.unix_micros, now_micros), Content::State { value })
}

/// An event with its content.
pub(crate) fn event(event: &Event, now_micros: u64) -> serde_json::Result<String> {
    let age_ms = age_ms(event.unix_micros, now_micros);
    line(&event.topic, event.sequence, age_ms, event_content(event.codec, &event.payload))
}

/// What is known about a frame, and where it was written.
pub(crate) fn frame(frame: &Frame, file: Option<&str>, now_micros: u64) -> serde_json::Result<String> {
    let content = Content::Frame {
        codec: frame_codec(frame.codec),
        keyframe: frame.keyframe,
        length: frame.payload.len(),
        file,
    };
    line(&frame.topic, frame.sequence, age_ms(frame.unix_micros, now_micros), content)
}

/// What is known about a chunk of sound.
pub(crate) fn audio(audio: &Audio, now_micros: u64) -> serde_json::Result<String> {
    let format = audio.topic.audio;
    let content = Content::Audio {
        codec: match audio.samples {
            Samples::S16Le => "s16le",
            Samples::F32Le => "f32le",
            Samples::Opus => "opus",
            Samples::Unknown(_) => "unknown",
        },
        sample_rate: format.map(|format| format.sample_rate),
        channels: format.map(|format| format.channels),
        length: audio.payload.len(),
    };
    line(&audio.topic, audio.sequence, age_ms(audio.unix_micros, now_micros), content)
}

/// What is missing, and why.
pub(crate) fn gap(gap: &Gap) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Body<'a> {
        topic: &'a str,
        first_sequence: u64,
        missing: u64,
        reasons: BTreeMap<&'static str, u64>,
    }
    #[derive(Serialize)]
    struct Line<'a> {
        gap: Body<'a>,
    }
    let reasons = gap.missing.iter().map(|missing| (missing.reason.name(), missing.count)).collect();
    let topic = gap.topic.name.as_str();
    let body = Body { topic, first_sequence: gap.first_sequence, missing: gap.total(), reasons };
    serde_json::to_string(&Line { gap: body })
}

/// The connection is there again.
pub(crate) fn reconnected(reconnected: &Reconnected) -> serde_json::Result<String> {
    let downtime_ms = reconnected.downtime.as_millis() as u64;
    serde_json::to_string(&serde_json::json!({ "reconnected": { "downtime_ms": downtime_ms } }))
}

pub(crate) fn refused(refusal: &Refusal) -> serde_json::Result<String> {
    let (code, message) = (crate::http::metrics::code_name(refusal.code), &refusal.message);
    serde_json::to_string(&serde_json::json!({ "refused": { "code": code, "message": message } }))
}

/// The age of an item in milliseconds; negative if the clocks of two machines disagree.
pub(crate) fn age_ms(unix_micros: Option<u64>, now_micros: u64) -> Option<f64> {
    let micros = i128::from(now_micros) - i128::from(unix_micros?);
    Some(micros as f64 / 1000.0)
}

fn line(
    topic: &Topic,
    sequence: u64,
    age_ms: Option<f64>,
    content: Content<'_>,
) -> serde_json::Result<String> {
    let (kind, topic) = (topic.kind.name(), topic.name.as_str());
    serde_json::to_string(&Line { topic, kind, sequence, age_ms, content })
}

/// The content as what its codec says it is; as bytes where that is not true.
fn event_content(codec: EventCodec, payload: &[u8]) -> Content<'_> {
    let bytes = || Content::Bytes { bytes: STANDARD.encode(payload) };
    let text = std::str::from_utf8(payload).ok();
    match (codec, text) {
        (EventCodec::Json, Some(text)) => json_content(text).unwrap_or_else(bytes),
        (EventCodec::Text, Some(text)) => Content::Text { text },
        _ => bytes(),
    }
}

/// JSON as it came, so that numbers and the order of keys stay; but on one line.
fn json_content(text: &str) -> Option<Content<'_>> {
    if text.contains(['\n', '\r']) {
        return serde_json::from_str(text).ok().map(|json| Content::JsonValue { json });
    }
    serde_json::from_str(text).ok().map(|json| Content::Json { json })
}

fn frame_codec(codec: FrameCodec) -> &'static str {
    match codec {
        FrameCodec::Jpeg => "jpeg",
        FrameCodec::Png => "png",
        FrameCodec::WebP => "webp",
        FrameCodec::Other => "other",
        FrameCodec::Unknown(_) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(codec: EventCodec, payload: &[u8]) -> String {
        serde_json::to_string(&event_content(codec, payload)).unwrap()
    }

    #[test]
    fn events_are_shown_as_what_they_are() {
        assert_eq!(
            content(EventCodec::Text, "a \"b\"\n\u{1F600}".as_bytes()),
            "{\"text\":\"a \\\"b\\\"\\n\u{1F600}\"}"
        );
        assert_eq!(content(EventCodec::Bytes, b"\x00\xff"), r#"{"bytes":"AP8="}"#);
        assert_eq!(content(EventCodec::Unknown(9), b"hi"), r#"{"bytes":"aGk="}"#);
    }

    #[test]
    fn json_events_keep_their_digits_and_their_order() {
        let json = br#"{"z": 12345678901234567890123, "a": 1.10}"#;
        assert_eq!(content(EventCodec::Json, json), r#"{"json":{"z": 12345678901234567890123, "a": 1.10}}"#);
    }

    #[test]
    fn json_events_never_take_two_lines() {
        assert_eq!(content(EventCodec::Json, b"{\n  \"a\": [1,\r\n 2]\n}"), r#"{"json":{"a":[1,2]}}"#);
    }

    #[test]
    fn what_is_not_what_its_codec_says_is_bytes() {
        assert_eq!(content(EventCodec::Text, b"\xff"), r#"{"bytes":"/w=="}"#);
        assert_eq!(content(EventCodec::Json, b"{"), r#"{"bytes":"ew=="}"#);
    }

    #[test]
    fn documents_keep_integers() {
        let value = Value::map([("big", i64::MAX), ("small", i64::MIN)]);
        let line = serde_json::to_string(&Content::State { value: &value }).unwrap();
        assert_eq!(line, r#"{"value":{"big":9223372036854775807,"small":-9223372036854775808}}"#);
    }

    #[test]
    fn ages_may_be_negative_or_unknown() {
        assert_eq!(age_ms(Some(1_500), 2_750), Some(1.25));
        assert_eq!(age_ms(Some(2_000), 1_000), Some(-1.0));
        assert_eq!(age_ms(None, 1_000), None);
    }
}
