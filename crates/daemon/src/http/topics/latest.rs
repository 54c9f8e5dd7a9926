//! The newest that a topic has.

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use nyx_hub::Latest;
use nyx_protocol::wire::{Kind, Messages, codec};

use super::unknown;
use crate::http::answer::{self, Code, Problem};
use crate::http::routes::Topic;
use crate::http::visitor::Asker;

/// A document as JSON; a frame, a chunk of sound or an event as it was published.
pub(in crate::http) async fn latest(
    asker: Asker,
    Topic(name): Topic,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let asker = asker.may_read(&name)?;
    let app = &asker.connection.app;
    let topic = app.hub.topic(&name).ok_or_else(|| unknown(&asker, &name))?;
    match app.hub.latest(&name) {
        None => Err(Problem::new(
            Code::NotFound,
            format!("topic `{name}` carries {} but has none yet: publish one", topic.spec().kind),
        )),
        Some(Latest::Document(value)) => {
            let mut response = answer::json(StatusCode::OK, &value);
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(response)
        }
        Some(Latest::Message(message)) => {
            let spec = topic.spec();
            Ok(item(app.started_ms, spec.kind, &spec.content_type, &message, &headers))
        }
    }
}

fn item(started_ms: u64, kind: Kind, topic_type: &str, message: &Bytes, asked: &HeaderMap) -> Response<Body> {
    let Some(item) = Messages::new(message).next() else {
        return Problem::new(Code::NotFound, "the topic's newest item is gone: ask again").into_response();
    };
    let content_type = match (kind, item.header.codec) {
        (Kind::Frame, codec) => frame_type(codec, topic_type),
        (Kind::Event, codec::EVENT_TEXT) => HeaderValue::from_static("text/plain; charset=utf-8"),
        (Kind::Event, codec::EVENT_JSON) => HeaderValue::from_static("application/json"),
        (Kind::Audio, codec::AUDIO_S16LE) => HeaderValue::from_static("audio/x-raw; format=S16LE"),
        (Kind::Audio, codec::AUDIO_F32LE) => HeaderValue::from_static("audio/x-raw; format=F32LE"),
        (Kind::Audio, codec::AUDIO_OPUS) => HeaderValue::from_static("audio/opus"),
        _ => HeaderValue::from_static("application/octet-stream"),
    };
    // Sequences begin anew with the hub.
    let tag = format!("\"{started_ms:x}-{}\"", item.header.sequence);
    let known = answer::is_known(asked, &tag);
    let body = if known { Body::empty() } else { Body::from(item.owned_payload(message)) };
    let mut response = answer::data(content_type, body);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert("x-nyx-sequence", item.header.sequence.into());
    if let Some(micros) = item.unix_micros {
        headers.insert("x-nyx-timestamp", micros.into());
    }
    response
}

/// A frame's content type: as its codec says, or else as the topic does.
pub(in crate::http) fn frame_type(codec: u8, topic_type: &str) -> HeaderValue {
    let known = match codec {
        codec::FRAME_JPEG => "image/jpeg",
        codec::FRAME_PNG => "image/png",
        codec::FRAME_WEBP => "image/webp",
        _ => "application/octet-stream",
    };
    let said = (codec == codec::FRAME_OTHER).then(|| HeaderValue::from_str(topic_type).ok()).flatten();
    said.filter(|said| !said.is_empty()).unwrap_or(HeaderValue::from_static(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_its_codec_says_or_else_its_topic() {
        assert_eq!(frame_type(codec::FRAME_PNG, "image/avif"), "image/png");
        assert_eq!(frame_type(codec::FRAME_OTHER, "image/avif"), "image/avif");
        assert_eq!(frame_type(codec::FRAME_OTHER, ""), "application/octet-stream");
        assert_eq!(frame_type(codec::FRAME_OTHER, "bro\nken"), "application/octet-stream");
    }
}
