//! `/v1/stream/{topic}`: follow one topic with what every browser has.
//!
//! - Frames: `multipart/x-mixed-replace`, which an `<img>` shows.
//! - Sound: a WAV file without end, which an `<audio>` plays, until the topic goes on in another format.
//! - State and events: server-sent events, see [`events`].
//!
//! None can acknowledge, so what bounds staleness is the kernel's unsent bytes: the next part is asked for when the last
//! has been written.

mod events;
mod parts;
mod sound;

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use axum::http::header::{self, HeaderMap, HeaderValue};
use bytes::Bytes;
use futures_util::stream;
use nyx_hub::Transport;
use nyx_protocol::wire::Kind;
use serde::Deserialize;

use super::answer::{self, Code, Problem};
use super::feed::Feed;
use super::routes::{Params, Topic};
use super::topics;
use super::visitor::Asker;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    max_age: Option<String>,
}

impl Options {
    fn max_age(&self) -> Result<Option<Duration>, Problem> {
        let Some(text) = &self.max_age else { return Ok(None) };
        match humantime::parse_duration(text) {
            Ok(age) if age >= Duration::from_millis(1) => Ok(Some(age)),
            _ => Err(Problem::new(
                Code::BadRequest,
                format!("max_age is a time from 1ms up, such as 200ms or 2s, not `{text}`"),
            )),
        }
    }
}

pub(super) async fn open(
    asker: Asker,
    Topic(name): Topic,
    Params(options): Params<Options>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let asker = asker.may_read(&name)?;
    let app = &asker.connection.app;
    let max_age = options.max_age()?;
    let topic = app.hub.topic(&name).ok_or_else(|| topics::unknown(&asker, &name))?;
    let live = match topic.spec().kind {
        Kind::Audio => Some(sound::begin(app, &topic)?),
        _ => None,
    };
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let feed = Feed::open(&asker, agent.unwrap_or("http"), Transport::Http)?;
    let (content_type, body) = match (live, topic.spec().kind) {
        (Some(live), _) => sound::stream(feed, &name, max_age, live),
        (None, Kind::Frame) => parts::stream(feed, &name, max_age, topic.spec().content_type.clone()),
        _ => {
            let last = headers.get("last-event-id").and_then(|last| last.to_str().ok());
            let limits = app.hub.config().document.clone();
            events::stream(feed, &name, max_age, last.and_then(events::Place::parse), limits)
        }
    };
    let mut response = answer::data(content_type, body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather what they pass on would undo all this.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// A body of what `next` yields.
fn body(
    mut next: impl FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> + Send + 'static,
) -> Body {
    Body::from_stream(stream::poll_fn(move |cx| next(cx).map(|bytes| bytes.map(Ok::<_, Infallible>))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_a_time() {
        let parse = |text: &str| Options { max_age: Some(text.to_owned()) }.max_age();
        assert_eq!(parse("200ms"), Ok(Some(Duration::from_millis(200))));
        for text in ["", "5", "0s", "-1s", "soon"] {
            assert_eq!(parse(text).unwrap_err().code, Code::BadRequest, "{text}");
        }
    }
}
