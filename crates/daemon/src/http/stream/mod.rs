//! `/v1/stream/{topic}`: follow one topic with what every browser has.
//!
//! - Frames: `multipart/x-mixed-replace`, which an `<img>` shows.
//! - Sound: a WAV file without end, which an `<audio>` plays, until the topic goes on in another format.
//! - State and events: server-sent events, see [`documents`] and [`events`].
//!
//! None can acknowledge, so what bounds staleness is the kernel's unsent bytes: the next part is asked for when the last
//! has been written.

mod documents;
mod events;
mod parts;
mod place;
mod sound;

use std::convert::Infallible;
use std::future::Future as _;
use std::task::{Context, Poll, ready};
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

pub(crate) use documents::Documents;

/// Content type and body of an answer.
type Opened = (HeaderValue, Body);

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
        (None, Kind::State) => documents::stream(feed, app, &name)?,
        (None, Kind::Frame) => parts::stream(feed, &name, max_age, topic.spec().content_type.clone()),
        _ => {
            let last = headers.get("last-event-id").and_then(|last| last.to_str().ok());
            events::stream(feed, &name, max_age, last.and_then(place::Place::parse))
        }
    };
    let mut response = answer::data(content_type, body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather what they pass on would undo all this.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// How long a stream may have nothing to say. That its reader is gone shows when something is written to it, and proxies end what is silent for a
/// minute.
const IDLE: Duration = Duration::from_secs(15);

/// A body of what `next` yields, and of `idle`, which means nothing, where that is nothing for long.
fn body(
    idle: &'static str,
    mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<Bytes>> + Send + 'static,
) -> Body {
    let mut alarm = Box::pin(tokio::time::sleep(IDLE));
    Body::from_stream(stream::poll_fn(move |cx| {
        let bytes = match next(cx) {
            Poll::Ready(bytes) => bytes,
            Poll::Pending => {
                ready!(alarm.as_mut().poll(cx));
                Some(Bytes::from_static(idle.as_bytes()))
            }
        };
        alarm.as_mut().reset(tokio::time::Instant::now() + IDLE);
        Poll::Ready(bytes.map(Ok::<_, Infallible>))
    }))
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_has_nothing_to_say_says_so() {
        let mut items = vec![Bytes::from_static(b"item")];
        let mut body =
            body(":\n\n", move |_| items.pop().map_or(Poll::Pending, |item| Poll::Ready(Some(item))))
                .into_data_stream();
        let start = tokio::time::Instant::now();
        for (expected, after) in [("item", Duration::ZERO), (":\n\n", IDLE), (":\n\n", 2 * IDLE)] {
            let bytes = body.next().await.unwrap().unwrap();
            assert_eq!((&bytes[..], start.elapsed()), (expected.as_bytes(), after));
        }
    }

    #[test]
    fn max_age_is_a_time() {
        let parse = |text: &str| Options { max_age: Some(text.to_owned()) }.max_age();
        assert_eq!(parse("200ms"), Ok(Some(Duration::from_millis(200))));
        for text in ["", "5", "0s", "-1s", "soon"] {
            assert_eq!(parse(text).unwrap_err().code, Code::BadRequest, "{text}");
        }
    }
}
