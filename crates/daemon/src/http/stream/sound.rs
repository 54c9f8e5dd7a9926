//! Sound as one WAV file of unknown length, which is as long as one listens.
//!
//! 16 bits, in the topic's rate and channels, whatever its publishers send. It ends when the topic goes on in others. See [`Live`] for where
//! there is silence.

use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderValue;
use bytes::Bytes;
use nyx_audio_capture::{Encoding, Format, wav};
use nyx_hub::{Latest, Topic};
use nyx_protocol::control::{AudioFormat, Body as Control};
use nyx_protocol::topic::{Name, Pattern};
use nyx_protocol::wire::Messages;

use super::body;
use crate::http::answer::{Code, Problem};
use crate::http::feed::{Feed, Item};
use crate::serve::App;
use crate::sound::Live;

/// What makes the file.
pub(super) struct Sound {
    app: Arc<App>,
    format: AudioFormat,
    head: Option<Bytes>,
    live: Live,
}

/// The stream is at its end.
struct Ended;

pub(super) fn begin(app: &Arc<App>, topic: &Topic) -> Result<Sound, Problem> {
    let name = topic.name();
    let refused = |why: &dyn std::fmt::Display| {
        Problem::new(Code::KindMismatch, format!("`{name}` can't be streamed as WAV: {why}"))
    };
    let announced = topic.spec().audio.ok_or_else(|| {
        refused(&"its publisher said neither rate nor channels. Let it, or read it by /v1/ws")
    })?;
    let format = Format::new(announced.sample_rate, announced.channels).map_err(|error| refused(&error))?;
    let newest = match app.hub.latest(name) {
        Some(Latest::Message(message)) => Messages::new(&message).next().map(|it| it.header.codec.into()),
        _ => None,
    };
    let live = Live::new(app.now(), format, newest).map_err(|error| refused(&error))?;
    let head = wav::Writer::to_pipe(Vec::new(), format, Encoding::S16Le).and_then(wav::Writer::finish);
    let head = Some(head.map_err(|error| refused(&error))?.into());
    Ok(Sound { app: app.clone(), format: announced, head, live })
}

pub(super) fn stream(
    mut feed: Feed,
    name: &Name,
    max_age: Option<Duration>,
    mut sound: Sound,
) -> (HeaderValue, Body) {
    if let Ok(pattern) = Pattern::new(name.as_str()) {
        feed.subscribe(pattern, max_age);
    }
    let mut has_ended = false;
    let mut alarm = Box::pin(tokio::time::sleep(Duration::ZERO));
    // It is never idle: silence is sound.
    let body = body("", move |cx| {
        loop {
            if let Some(bytes) = sound.next() {
                return Poll::Ready(Some(bytes));
            }
            if has_ended {
                return Poll::Ready(None);
            }
            match feed.poll(cx) {
                Poll::Ready(Some(items)) => {
                    has_ended = items.into_iter().any(|item| sound.take(item).is_err());
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    ready!(alarm.as_mut().poll(cx));
                    let wait = sound.wait();
                    alarm.as_mut().reset(tokio::time::Instant::now() + wait);
                }
            }
        }
    });
    (HeaderValue::from_static("audio/wav"), body)
}

impl Sound {
    fn next(&mut self) -> Option<Bytes> {
        self.head.take().or_else(|| self.live.poll_transmit())
    }

    /// Does what is due, and says how long there is nothing to do.
    fn wait(&mut self) -> Duration {
        let now = self.app.now();
        self.live.handle_timeout(now);
        self.live.poll_timeout() - now
    }

    fn take(&mut self, item: Item) -> Result<(), Ended> {
        match item {
            // A file has one format. Whoever plays it asks again.
            Item::Control(Control::Announce(announce)) if announce.audio != Some(self.format) => Err(Ended),
            Item::Control(Control::Gap(gap)) => {
                self.live.handle_gap(gap.drops.iter().map(|drop| drop.count).sum());
                Ok(())
            }
            Item::Control(_) => Ok(()),
            Item::Data { header, unix_micros, payload } => {
                let taken =
                    self.live.handle_chunk(self.app.now(), header.codec.into(), &payload, unix_micros);
                taken.map_err(|_| Ended)
            }
        }
    }
}
