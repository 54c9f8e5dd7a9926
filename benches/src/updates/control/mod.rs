//! What every message costs before its content: headers and control messages, beside protobuf.

#[cfg(feature = "buffa")]
mod buffa;

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use nyx_protocol::control::{self, Announce, Body, Control};
use nyx_protocol::wire::{self, Header, Kind, Messages, Scan};
use prost::Message as _;

use super::measure::nanos_of;
use super::report::{Line, Report};

/// Measures writing and reading of a data message and of the longest control message that is sent often.
pub(super) fn measure(brief: bool, report: &mut Report) {
    let payload = Bytes::from(vec![0x5A; PAYLOAD_BYTES]);
    let mut data = vec![("nyx", by_header(brief, &payload)), ("prost", by_prost(brief, &payload))];
    let mut control = vec![("nyx", control_by_nyx(brief)), ("prost", control_by_prost(brief))];
    #[cfg(feature = "buffa")]
    {
        data.push(("buffa", buffa::data(brief, &payload)));
        control.push(("buffa", buffa::control(brief)));
    }
    for (row, contenders) in [("data message of 1 KiB", &mut data), ("control message", &mut control)] {
        for (contender, took) in contenders.drain(..) {
            report.push(Line {
                row: row.to_owned(),
                contender: contender.to_owned(),
                bytes: Some(took.bytes as f64),
                encode_ns: Some(took.encode),
                apply_ns: Some(took.decode),
                ..Line::default()
            });
        }
    }
}

/// What a message took: its bytes with whatever says where it ends, and nanoseconds.
struct Took {
    bytes: usize,
    encode: f64,
    decode: f64,
}

/// A data message as one would declare it for prost; the same as `proto/envelope.proto`.
#[derive(Clone, PartialEq, prost::Message)]
struct Envelope {
    #[prost(uint32, tag = "1")]
    r#type: u32,
    #[prost(uint32, tag = "2")]
    flags: u32,
    #[prost(uint32, tag = "3")]
    codec: u32,
    #[prost(uint32, tag = "4")]
    topic: u32,
    #[prost(uint32, tag = "5")]
    sequence: u32,
    #[prost(bytes = "bytes", tag = "6")]
    payload: Bytes,
}

fn by_header(brief: bool, payload: &Bytes) -> Took {
    let mut out = BytesMut::with_capacity(2 * PAYLOAD_BYTES);
    let encode = nanos_of(brief, || {
        out.clear();
        let header =
            Header { topic: black_box(TOPIC), sequence: black_box(SEQUENCE), ..Header::data(Kind::Event) };
        wire::put_message(&mut out, header, black_box(payload));
    });
    let decode = nanos_of(brief, || {
        let scan = wire::scan(black_box(&out), usize::MAX);
        let Ok(Scan::Run(run)) = scan else { panic!("a whole message was written") };
        let message = Messages::new(&out[..run.len]).next();
        assert!(black_box(message).is_some_and(|message| message.payload.len() == PAYLOAD_BYTES));
    });
    Took { bytes: out.len(), encode, decode }
}

fn by_prost(brief: bool, payload: &Bytes) -> Took {
    let mut out = BytesMut::with_capacity(2 * PAYLOAD_BYTES);
    let encode = nanos_of(brief, || {
        out.clear();
        let envelope = Envelope {
            r#type: 4,
            flags: 0,
            codec: 0,
            topic: black_box(TOPIC),
            sequence: black_box(SEQUENCE),
            payload: black_box(payload).clone(),
        };
        assert!(envelope.encode_length_delimited(&mut out).is_ok(), "a buffer grows");
    });
    let bytes = out.freeze();
    let decode = nanos_of(brief, || {
        // The payload stays a part of the buffer, as with a header.
        let envelope = Envelope::decode_length_delimited(black_box(bytes.clone()));
        assert!(black_box(envelope).is_ok_and(|envelope| envelope.payload.len() == PAYLOAD_BYTES));
    });
    Took { bytes: bytes.len(), encode, decode }
}

fn announce() -> Announce {
    Announce {
        topic_id: 7,
        topic: "game/world/ashfen".to_owned(),
        kind: control::Kind::State.into(),
        content_type: "application/json".to_owned(),
        max_age_ms: 250,
        prompt: true,
        epoch: 0x0123_4567_89ab_cdef,
        position: 123_456,
        ..Default::default()
    }
}

fn control_by_nyx(brief: bool) -> Took {
    let (body, mut out) = (Body::Announce(announce()), BytesMut::with_capacity(PAYLOAD_BYTES));
    let encode = nanos_of(brief, || {
        out.clear();
        control::put(&mut out, black_box(&body).clone());
    });
    let decode = nanos_of(brief, || {
        assert!(black_box(control::parse(black_box(&out))).is_ok_and(|body| body.is_some()));
    });
    Took { bytes: out.len(), encode, decode }
}

fn control_by_prost(brief: bool) -> Took {
    let (body, mut out) = (Body::Announce(announce()), BytesMut::with_capacity(PAYLOAD_BYTES));
    let encode = nanos_of(brief, || {
        out.clear();
        let control = Control { body: Some(black_box(&body).clone()) };
        assert!(control.encode_length_delimited(&mut out).is_ok(), "a buffer grows");
    });
    let decode = nanos_of(brief, || {
        assert!(black_box(Control::decode_length_delimited(black_box(&out[..]))).is_ok());
    });
    Took { bytes: out.len(), encode, decode }
}

const PAYLOAD_BYTES: usize = 1024;
const TOPIC: u32 = 7;
const SEQUENCE: u32 = 123_456;
