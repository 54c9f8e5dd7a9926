//! What a forwarder is given by the hub.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use anyhow::Context as _;
use bytes::Bytes;
use nyx_protocol::control::{self, Body};
use nyx_protocol::state::{Document, Limits};
use nyx_protocol::topic::Name;
use nyx_protocol::trail::Trail;
use nyx_protocol::wire::{Flags, Header, Kind};

use super::parcel::Parcel;
use super::settings::Forward;
use crate::exit::Outcome;
use crate::http::feed::{Feed, Item};
use crate::serve::App;

/// A session of the hub, whose items become parcels.
pub(super) struct Source {
    feed: Feed,
    limits: Limits,
    hub: u64,
    topics: HashMap<u32, Topic>,
}

/// What came at once.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) parcels: Vec<Parcel>,
    /// What the hub could not give.
    pub(super) gaps: Vec<control::Gap>,
}

struct Topic {
    name: Name,
    content_type: Arc<str>,
    audio: Option<control::AudioFormat>,
    /// The full number of the next item.
    next: u64,
    document: Document,
    /// Which hubs its items have passed, this one too.
    passed: Trail,
}

impl Source {
    pub(super) fn open(app: &Arc<App>, settings: &Forward) -> Outcome<Self> {
        let name = format!("forward to {}", settings.to.0);
        let mut feed = Feed::of_process(Arc::clone(app), &name)
            .context("the hub admits no forwarder: allow more `sessions`")?;
        feed.tell_passed();
        feed.subscribe(settings.topics.0.clone(), None);
        let (limits, hub) = (app.hub.config().document.clone(), app.hub.id());
        Ok(Self { feed, limits, hub, topics: HashMap::new() })
    }

    /// What is next; `None` when nothing will come any more.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Batch>> {
        let Some(items) = ready!(self.feed.poll(cx)) else { return Poll::Ready(None) };
        let mut batch = Batch::default();
        for item in items {
            match item {
                Item::Control(Body::Announce(announce)) => self.announce(announce),
                Item::Control(Body::Gap(gap)) => batch.gaps.push(gap),
                Item::Control(Body::Passed(passed)) => self.pass(&passed),
                Item::Control(_) => {}
                Item::Data { header, unix_micros, payload } => {
                    batch.parcels.extend(self.parcel(&header, unix_micros, payload));
                }
            }
        }
        Poll::Ready(Some(batch))
    }

    fn pass(&mut self, passed: &control::Passed) {
        // The hub has checked it.
        let Ok(trail) = Trail::new(&passed.hubs) else { return };
        if let Some(topic) = self.topics.get_mut(&passed.topic_id) {
            topic.passed = trail.through(self.hub);
        }
    }

    fn announce(&mut self, announce: control::Announce) {
        let Ok(name) = Name::new(&announce.topic) else { return };
        let topic = Topic {
            name,
            content_type: announce.content_type.into(),
            audio: announce.audio,
            next: announce.position,
            document: Document::new(0, self.limits.clone()),
            passed: Trail::default().through(self.hub),
        };
        if announce.audio.is_some() {
            // In another format it goes on under another id.
            self.topics.retain(|_, known| known.name != topic.name);
        }
        self.topics.insert(announce.topic_id, topic);
    }

    fn parcel(&mut self, header: &Header, unix_micros: Option<u64>, payload: Bytes) -> Option<Parcel> {
        let (topic, kind) = (self.topics.get_mut(&header.topic)?, header.kind?);
        let mut parcel = Parcel {
            topic: topic.name.clone(),
            kind,
            codec: header.codec,
            keyframe: header.flags.contains(Flags::KEYFRAME),
            content_type: Arc::clone(&topic.content_type),
            audio: topic.audio,
            sequence: 0,
            unix_micros,
            payload,
            value: None,
            passed: topic.passed.clone(),
        };
        if kind == Kind::State {
            if topic.document.apply(&parcel.payload, header.flags.contains(Flags::SNAPSHOT)).is_err() {
                self.feed.tell(control::Resync { topic_id: header.topic });
                return None;
            }
            let value = topic.document.value();
            parcel.sequence = topic.document.version();
            parcel.payload = serde_json::to_vec(&value).unwrap_or_default().into();
            parcel.value = Some(Arc::new(value));
        } else {
            // The header has the low half of a number that only grows.
            parcel.sequence = topic.next + u64::from(header.sequence.wrapping_sub(topic.next as u32));
            topic.next = parcel.sequence + 1;
        }
        Some(parcel)
    }
}
