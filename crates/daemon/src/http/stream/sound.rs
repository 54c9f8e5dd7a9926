//! Sound as one WAV file of unknown length, which is as long as one listens.
//!
//! 16 bits, in the topic's rate and channels, whatever its publishers send. See [`Live`] for where there is silence.

use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderValue;
use bytes::Bytes;
use nyx_audio_capture::{Encoding, Format, wav};
use nyx_hub::{Latest, Topic};
use nyx_protocol::control::Body as Control;
use nyx_protocol::topic::{Name, Pattern};
use nyx_protocol::wire::Messages;

use super::body;
use crate::http::answer::{Code, Problem};
use crate::http::feed::{Feed, Item};
use crate::serve::App;
use crate::sound::{Live, Unreadable};

/// The head of the file, and what makes the rest.
pub(super) fn begin(app: &App, topic: &Topic) -> Result<(Bytes, Live), Problem> {
    let name = topic.name();
    let refused = |why: &dyn std::fmt::Display| {
        Problem::new(Code::KindMismatch, format!("`{name}` can't be streamed as WAV: {why}"))
    };
    let format = topic.spec().audio.ok_or_else(|| {
        refused(&"its publisher said neither rate nor channels. Let it, or read it by /v1/ws")
    })?;
    let format = Format::new(format.sample_rate, format.channels).map_err(|error| refused(&error))?;
    let newest = match app.hub.latest(name) {
        Some(Latest::Message(message)) => Messages::new(&message).next().map(|it| it.header.codec.into()),
        _ => None,
    };
    let live = Live::new(app.now(), format, newest).map_err(|error| refused(&error))?;
    let head = wav::Writer::to_pipe(Vec::new(), format, Encoding::S16Le).and_then(wav::Writer::finish);
    Ok((head.map_err(|error| refused(&error))?.into(), live))
}

pub(super) fn stream(
    mut feed: Feed,
    app: Arc<App>,
    name: &Name,
    max_age: Option<Duration>,
    head: Bytes,
    mut live: Live,
) -> (HeaderValue, Body) {
    if let Ok(pattern) = Pattern::new(name.as_str()) {
        feed.subscribe(pattern, max_age);
    }
    let mut head = Some(head);
    let mut has_ended = false;
    let mut alarm = Box::pin(tokio::time::sleep(Duration::ZERO));
    let body = body(move |cx| {
        loop {
            if let Some(bytes) = head.take().or_else(|| live.poll_transmit()) {
                return Poll::Ready(Some(bytes));
            }
            if has_ended {
                return Poll::Ready(None);
            }
            match feed.poll(cx) {
                Poll::Ready(Some(items)) => {
                    has_ended = items.into_iter().any(|item| take(&mut live, &app, item).is_err());
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    ready!(alarm.as_mut().poll(cx));
                    live.handle_timeout(app.now());
                    let wait = live.poll_timeout() - app.now();
                    alarm.as_mut().reset(tokio::time::Instant::now() + wait);
                }
            }
        }
    });
    (HeaderValue::from_static("audio/wav"), body)
}

fn take(live: &mut Live, app: &App, item: Item) -> Result<(), Unreadable> {
    match item {
        Item::Control(Control::Gap(gap)) => live.handle_gap(gap.drops.iter().map(|drop| drop.count).sum()),
        Item::Data { header, unix_micros, payload } => {
            live.handle_chunk(app.now(), header.codec.into(), &payload, unix_micros)?;
        }
        Item::Control(_) => {}
    }
    Ok(())
}
