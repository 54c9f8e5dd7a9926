//! Documents as server-sent events: whole, as JSON, after one or many changes.
//!
//! A copy of a document takes some times its JSON, and making that takes time. So there is one copy of each document, whoever reads it, and one text of its
//! latest version: a reader has a session of its own, which says when there is something new and whether it may still read it, and nothing else.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};

use axum::http::HeaderValue;
use bytes::Bytes;
use nyx_hub::AdmitError;
use nyx_protocol::control;
use nyx_protocol::state::Document;
use nyx_protocol::topic::{Name, Pattern};
use nyx_protocol::wire::{Flags, Kind};
use parking_lot::Mutex;

use super::events::{COMMENT, EVENT_STREAM, GREETING};
use super::{Opened, body};
use crate::http::feed::{Feed, Item};
use crate::serve::App;

/// The documents that somebody reads.
#[derive(Default)]
pub(crate) struct Documents(Mutex<HashMap<Name, Weak<Mutex<Follower>>>>);

impl Documents {
    /// The one that follows this document.
    fn follow(&self, app: &Arc<App>, name: &Name) -> Result<Arc<Mutex<Follower>>, AdmitError> {
        let mut followers = self.0.lock();
        if let Some(follower) = followers.get(name).and_then(Weak::upgrade) {
            return Ok(follower);
        }
        followers.retain(|_, follower| follower.strong_count() > 0);
        let follower = Arc::new(Mutex::new(Follower::new(app, name)?));
        followers.insert(name.clone(), Arc::downgrade(&follower));
        Ok(follower)
    }
}

/// A document that follows the hub's when it is asked for.
struct Follower {
    feed: Feed,
    document: Document,
    latest: Option<Event>,
}

/// A version of a document, as it is sent.
#[derive(Clone, Debug)]
struct Event {
    /// Epoch and number.
    version: (u64, u64),
    text: Bytes,
}

impl Follower {
    fn new(app: &Arc<App>, name: &Name) -> Result<Self, AdmitError> {
        let mut feed = Feed::of_process(app.clone(), "documents")?;
        if let Ok(pattern) = Pattern::new(name.as_str()) {
            feed.subscribe(pattern, None);
        }
        let document = Document::new(0, app.hub.config().document.clone());
        Ok(Self { feed, document, latest: None })
    }

    /// The latest version, if there is one.
    fn latest(&mut self) -> Option<Event> {
        self.catch_up();
        let version = (self.document.epoch(), self.document.version());
        if self.latest.as_ref().is_none_or(|latest| latest.version != version) {
            self.latest = (version.1 > 0).then(|| Event { version, text: text(&self.document) });
        }
        self.latest.clone()
    }

    /// Takes what there is. Nobody is woken by more: whoever wants to know has a session that is.
    fn catch_up(&mut self) {
        let cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(items)) = self.feed.poll(&cx) {
            for item in items {
                let Item::Data { header, payload, .. } = item else { continue };
                if self.document.apply(&payload, header.flags.contains(Flags::SNAPSHOT)).is_err() {
                    self.feed.tell(control::Resync { topic_id: header.topic });
                }
            }
        }
    }
}

fn text(document: &Document) -> Bytes {
    let json = serde_json::to_string(&document.value()).unwrap_or_default();
    let mut text = String::with_capacity(json.len() + 64);
    // Writing to a string does not fail, and JSON has no line of its own.
    let _ = write!(text, "event: state\nid: {}\ndata: {json}\n\n", document.version());
    text.into()
}

pub(super) fn stream(mut feed: Feed, app: &Arc<App>, name: &Name) -> Result<Opened, AdmitError> {
    let follower = app.documents.follow(app, name)?;
    if let Ok(pattern) = Pattern::new(name.as_str()) {
        feed.subscribe(pattern, None);
    }
    let (mut greeting, mut sent) = (Some(Bytes::from_static(GREETING.as_bytes())), None);
    let body = body(COMMENT, move |cx| {
        if let Some(greeting) = greeting.take() {
            return Poll::Ready(Some(greeting));
        }
        loop {
            let Some(items) = ready!(feed.poll(cx)) else { return Poll::Ready(None) };
            let is_news =
                |item: &Item| matches!(item, Item::Data { header, .. } if header.kind == Some(Kind::State));
            if !items.iter().any(is_news) {
                continue;
            }
            // It may have been ahead of what this one was told of last.
            let latest = follower.lock().latest().filter(|latest| sent != Some(latest.version));
            if let Some(latest) = latest {
                sent = Some(latest.version);
                return Poll::Ready(Some(latest.text));
            }
        }
    });
    Ok((HeaderValue::from_static(EVENT_STREAM), body))
}
