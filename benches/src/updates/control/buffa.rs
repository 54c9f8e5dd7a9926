//! buffa, by the code that it generates from the same schemas.

use std::hint::black_box;

use ::buffa::{Message as _, MessageView as _};
use bytes::Bytes;

use super::{PAYLOAD_BYTES, SEQUENCE, TOPIC, Took, announce};
use crate::updates::measure::nanos_of;

#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::use_self,
    reason = "generated"
)]
mod schema {
    include!(concat!(env!("OUT_DIR"), "/buffa.rs"));
}

use schema::envelope::Envelope;
use schema::nyx::v1::Control;

pub(super) fn data(brief: bool, payload: &Bytes) -> Took {
    let mut out = Vec::with_capacity(2 * PAYLOAD_BYTES);
    // Its payload is a vector that the message owns: it is made once, which favours it.
    let mut envelope = Envelope { r#type: 4, payload: payload.to_vec(), ..Default::default() };
    let encode = nanos_of(brief, || {
        out.clear();
        (envelope.topic, envelope.sequence) = (black_box(TOPIC), black_box(SEQUENCE));
        black_box(&envelope).encode_length_delimited(&mut out);
    });
    let body = envelope.encode_to_vec();
    let decode = nanos_of(brief, || {
        let view = schema::envelope::EnvelopeView::decode_view(black_box(&body));
        assert!(black_box(view).is_ok_and(|envelope| envelope.payload.len() == PAYLOAD_BYTES));
    });
    Took { bytes: out.len(), encode, decode }
}

pub(super) fn control(brief: bool) -> Took {
    let ours = nyx_protocol::control::Control { body: Some(announce().into()) };
    let body = prost::Message::encode_to_vec(&ours);
    let control = Control::decode_from_slice(&body);
    let Ok(control) = control else { panic!("both speak protobuf: {control:?}") };
    let mut out = Vec::with_capacity(PAYLOAD_BYTES);
    let encode = nanos_of(brief, || {
        out.clear();
        // As for the others: a message that is made for sending.
        black_box(&control).clone().encode_length_delimited(&mut out);
    });
    let decode = nanos_of(brief, || {
        assert!(black_box(Control::decode_from_slice(black_box(&body))).is_ok());
    });
    Took { bytes: out.len(), encode, decode }
}
