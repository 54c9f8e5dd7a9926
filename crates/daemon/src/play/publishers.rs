//! Handles for the topics of a recording.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use nyx_client::publish::{Audio, Events, Frame, Frames, Options, State};
use nyx_client::{AdvertiseError, AudioFormat, Client, ErrorCode, Kind, Name, Patch};
use nyx_protocol::record::Topic;
use nyx_protocol::state::Limits;

use super::source::Item;
use crate::exit::Outcome;
use crate::record;
use crate::tell;

/// Publishes items on their topics, which are advertised with their first item.
pub(super) struct Publishers {
    client: Client,
    prefix: Option<Name>,
    topics: Vec<Played>,
    limits: Limits,
}

struct Played {
    topic: Topic,
    /// Under which it is published; `None`: that belongs to the hub.
    name: Option<Name>,
    /// One for each codec that comes; frames and state need only one.
    handles: Vec<(u8, Handle)>,
}

enum Handle {
    Events(Events),
    Frames(Frames),
    Audio(Audio),
    State(State),
}

impl Publishers {
    pub(super) fn new(client: Client, prefix: Option<Name>) -> Self {
        Self { client, prefix, topics: Vec::new(), limits: record::limits() }
    }

    /// Adds a topic; its number is the next.
    pub(super) fn add(&mut self, topic: Topic) -> Outcome {
        let name = match &self.prefix {
            Some(prefix) => Name::new(&format!("{prefix}/{}", topic.name))
                .with_context(|| format!("`{}` with the prefix `{prefix}`", topic.name))?,
            None => topic.name.clone(),
        };
        let name = if name.is_reserved() {
            tell::note(format_args!(
                "`{name}` is the hub's own and is left out; --prefix publishes it elsewhere"
            ));
            None
        } else {
            Some(name)
        };
        self.topics.push(Played { topic, name, handles: Vec::new() });
        Ok(())
    }

    /// Publishes an item, captured at this time; tells whether it was.
    pub(super) async fn publish(&mut self, item: Item, unix_micros: Option<u64>) -> Outcome<bool> {
        let played = self.topics.get(item.topic).context("an item has no topic")?;
        let Some(name) = played.name.clone() else { return Ok(false) };
        if played.topic.kind == Kind::Audio && played.handles.is_empty() {
            self.end_other_formats(item.topic, &name);
        }
        let played = self.topics.get_mut(item.topic).context("an item has no topic")?;
        let handle = played.handle(&self.client, name, item.codec).await?;
        handle
            .publish(item, unix_micros, &self.limits)
            .await
            .with_context(|| format!("`{}`", played.topic.name))?;
        Ok(true)
    }
}

impl Publishers {
    /// Sound that goes on in another format has one publisher at a time.
    fn end_other_formats(&mut self, number: usize, name: &Name) {
        let others = self.topics.iter_mut().enumerate().filter(|(other, _)| *other != number);
        let same = others.filter(|(_, other)| other.name.as_ref() == Some(name));
        same.for_each(|(_, other)| other.handles.clear());
    }
}

impl Played {
    async fn handle(&mut self, client: &Client, name: Name, codec: u8) -> Outcome<&Handle> {
        let key = match self.topic.kind {
            Kind::Event | Kind::Audio => codec,
            Kind::Frame | Kind::State => 0,
        };
        let place = match self.handles.iter().position(|(of, _)| *of == key) {
            Some(place) => place,
            None => {
                let handle = self.advertise(client, name, codec).await?;
                self.handles.push((key, handle));
                self.handles.len() - 1
            }
        };
        Ok(&self.handles[place].1)
    }

    async fn advertise(&self, client: &Client, name: Name, codec: u8) -> Outcome<Handle> {
        let topic = &self.topic;
        let mut options = Options::default();
        options.max_age = max_age(topic);
        options.lane = topic.lane;
        options.content_type.clone_from(&topic.content_type);
        Ok(match topic.kind {
            Kind::State => Handle::State(client.state(name, options).await?),
            Kind::Frame => Handle::Frames(client.frames(name, options).await?),
            Kind::Event => {
                options.codec = codec.into();
                Handle::Events(client.events(name, options).await?)
            }
            Kind::Audio => {
                let format = topic.audio.unwrap_or_default();
                let format = AudioFormat { sample_rate: format.sample_rate, channels: format.channels };
                Handle::Audio(sound(client, name, format, codec, options).await?)
            }
        })
    }
}

impl Handle {
    async fn publish(&self, item: Item, unix_micros: Option<u64>, limits: &Limits) -> anyhow::Result<()> {
        let Item { payload, codec, key, .. } = item;
        match self {
            Self::Frames(frames) => {
                let frame = Frame { payload, codec: codec.into(), keyframe: key, unix_micros };
                frames.send(frame).await.map_err(|error| error.cause)?;
            }
            Self::Audio(audio) => audio.send(payload, unix_micros).await.map_err(|error| error.cause)?,
            Self::Events(events) => send_event(events, payload, unix_micros).await?,
            Self::State(state) => {
                let patch =
                    Patch::decode(&payload, limits).map_err(|error| anyhow!(error).context(BAD_STATE))?;
                // A whole value is kept by the client, so that a hub that was lost is given the document again.
                match patch {
                    Patch::Set(value) => state.set(value).await.map_err(|error| error.cause)?,
                    patch => state.patch(patch).await.map_err(|error| error.cause)?,
                }
            }
        }
        Ok(())
    }
}

/// A publisher of sound. In another format than before the topic goes on when its subscribers have heard the last of it, so it is asked for again
/// for as long as that may take.
async fn sound(
    client: &Client,
    name: Name,
    format: AudioFormat,
    codec: u8,
    options: Options,
) -> Result<Audio, AdvertiseError> {
    let mut tries = TRIES;
    loop {
        match client.audio(name.clone(), format, codec.into(), options.clone()).await {
            Err(AdvertiseError::Refused(refusal)) if refusal.code == ErrorCode::KindMismatch && tries > 0 => {
                tries -= 1;
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// Over the 500 ms for which sound is heard by default.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

async fn send_event(events: &Events, payload: Bytes, unix_micros: Option<u64>) -> anyhow::Result<()> {
    match unix_micros {
        Some(micros) => events.send_stamped(payload, micros).await.map_err(|error| error.cause)?,
        None => events.send(payload).await.map_err(|error| error.cause)?,
    }
    Ok(())
}

/// What the topic is to be created with, so that it comes out as it was.
fn max_age(topic: &Topic) -> Option<Duration> {
    match topic.kind {
        // Their defaults expire, so one that does not has to say so.
        Kind::Frame | Kind::Audio => topic.max_age.or(Some(Duration::MAX)),
        Kind::Event | Kind::State => topic.max_age,
    }
}

const BAD_STATE: &str = "the recording holds a change that is none";
