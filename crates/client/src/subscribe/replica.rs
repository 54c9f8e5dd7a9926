//! A subscriber's copy of a state document.

use std::collections::VecDeque;
use std::sync::Arc;

use nyx_protocol::state::{ApplyError, DecodeError, Document, Limits, base_of};
use nyx_protocol::wire::{Flags, Message};

use super::{Reason, State, Topic};

/// A document that follows the hub's.
#[derive(Debug)]
pub(crate) struct Replica {
    document: Document,
    /// Earlier versions that a delta may start from, oldest first, and how many are kept.
    past: VecDeque<Document>,
    keeps: usize,
    /// Whether anything has been applied.
    has_content: bool,
    sync: Sync,
    /// Deltas to pass over before a snapshot is asked for again, after snapshots that did not fit.
    patience: u32,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    Changed(State),
    /// There is nothing to tell.
    Passed,
    /// The document does not fit, for this reason. Told once, until it has fitted.
    Refused(Reason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sync {
    /// Deltas fit.
    Following,
    /// The last snapshot did not fit: after so many deltas more it is worth asking for another.
    Refused(u32),
    /// One did not, and nobody has been asked for a snapshot.
    Lost,
    /// A snapshot has been asked for; deltas that come before it are passed over.
    Asked,
}

impl Replica {
    /// One that keeps so many earlier versions: none where each delta starts from the last one.
    pub(crate) fn new(limits: Limits, keeps: usize) -> Self {
        let document = Document::new(0, limits);
        Self {
            document,
            past: VecDeque::new(),
            keeps,
            has_content: false,
            sync: Sync::Following,
            patience: 0,
        }
    }

    /// What it holds, once it holds something.
    pub(crate) fn document(&self) -> Option<&Document> {
        self.has_content.then_some(&self.document)
    }

    /// Applies a message, which came as `size` bytes, whole, or changes nothing.
    pub(crate) fn update(&mut self, topic: &Arc<Topic>, message: &Message<'_>, size: usize) -> Update {
        let snapshot = message.header.flags.contains(Flags::SNAPSHOT);
        if let Err(error) = self.apply(message.payload, snapshot) {
            return if snapshot { self.refuse(&error) } else { self.pass_over() };
        }
        self.has_content = true;
        (self.sync, self.patience) = (Sync::Following, 0);
        Update::Changed(State {
            topic: topic.clone(),
            version: self.document.version(),
            snapshot,
            unix_micros: message.unix_micros,
            encoded_len: size,
        })
    }

    /// A snapshot does not fit. Another one will not soon: to ask for it with each change would be all that the connection does.
    fn refuse(&mut self, error: &ApplyError) -> Update {
        let is_first = self.patience == 0;
        self.patience = (self.patience * 2).clamp(1, PATIENCE_MAX);
        self.sync = Sync::Refused(self.patience);
        if is_first { Update::Refused(reason(error)) } else { Update::Passed }
    }

    /// A delta does not fit.
    fn pass_over(&mut self) -> Update {
        self.sync = match self.sync {
            Sync::Following | Sync::Refused(0 | 1) => Sync::Lost,
            Sync::Refused(left) => Sync::Refused(left - 1),
            asked @ (Sync::Lost | Sync::Asked) => asked,
        };
        Update::Passed
    }

    fn apply(&mut self, payload: &[u8], snapshot: bool) -> Result<(), ApplyError> {
        let base = base_of(payload).filter(|_| self.keeps > 0 && !snapshot);
        let Some(base) = base else {
            self.past.clear();
            return self.document.apply(payload, snapshot);
        };
        // Nobody starts from versions before this one any more.
        self.past.retain(|document| document.version() >= base);
        let from = self.past.iter().find(|document| document.version() == base).unwrap_or(&self.document);
        let mut next = from.clone();
        next.apply(payload, false)?;
        if self.past.len() >= self.keeps {
            self.past.pop_front();
        }
        self.past.push_back(std::mem::replace(&mut self.document, next));
        Ok(())
    }

    /// Whether a snapshot is to be asked for now. Tells it once.
    pub(crate) fn needs_snapshot(&mut self) -> bool {
        let lost = self.sync == Sync::Lost;
        if lost {
            self.sync = Sync::Asked;
        }
        lost
    }
}

/// Deltas that are passed over at most before a snapshot is asked for again.
const PATIENCE_MAX: u32 = 1024;

/// Why a snapshot does not fit: its receiver's limits, or what the hub has made of it.
const fn reason(error: &ApplyError) -> Reason {
    use DecodeError::{TooDeep, TooManyKeys, TooManyNodes};
    match error {
        ApplyError::TooLarge { .. }
        | ApplyError::TooManyNodes { .. }
        | ApplyError::Malformed(TooDeep { .. } | TooManyKeys { .. } | TooManyNodes) => Reason::OverLimits,
        _ => Reason::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use nyx_protocol::control::Announce;
    use nyx_protocol::state::{Patch, Value};
    use nyx_protocol::wire::{Header, Kind};

    use super::*;

    fn topic() -> Arc<Topic> {
        let announce = Announce { topic: "a".to_owned(), kind: 1, ..Announce::default() };
        Arc::new(Topic::new(&announce).unwrap())
    }

    fn update(replica: &mut Replica, payload: &[u8], flags: Flags) -> Update {
        let header = Header { flags, length: payload.len() as u32, ..Header::data(Kind::State) };
        replica.update(&topic(), &Message { header, unix_micros: None, payload }, payload.len())
    }

    fn feed(replica: &mut Replica, payload: &[u8], flags: Flags) -> Option<State> {
        if let Update::Changed(state) = update(replica, payload, flags) { Some(state) } else { None }
    }

    fn hub(versions: i64) -> Document {
        let mut hub = Document::new(9, Limits::default());
        (1..=versions).for_each(|n| {
            hub.patch(&Patch::Set(Value::map([("n", Value::from(n)), ("filler", "x".repeat(200).into())])))
                .unwrap();
        });
        hub
    }

    #[test]
    fn a_delta_that_does_not_fit_asks_once_for_a_snapshot_and_changes_nothing() {
        let hub = hub(3);
        let (mut snapshot, mut delta) = (BytesMut::new(), BytesMut::new());
        hub.snapshot(&mut snapshot);
        hub.delta_since(2, &mut delta);
        let mut replica = Replica::new(Limits::default(), 0);

        assert_eq!(feed(&mut replica, &delta, Flags::NONE), None);
        assert!(replica.needs_snapshot());
        assert_eq!(feed(&mut replica, &delta, Flags::NONE), None);
        assert!(!replica.needs_snapshot());
        assert!(replica.document().is_none());

        let state = feed(&mut replica, &snapshot, Flags::SNAPSHOT).unwrap();
        assert_eq!((state.version, state.snapshot), (3, true));
        assert_eq!(replica.document().unwrap().value(), hub.value());
    }

    #[test]
    fn a_delta_may_start_from_a_version_before_the_last_where_some_are_kept() {
        let mut hub = hub(1);
        let (mut snapshot, mut replica) = (BytesMut::new(), Replica::new(Limits::default(), 4));
        hub.snapshot(&mut snapshot);
        feed(&mut replica, &snapshot, Flags::SNAPSHOT).unwrap();
        let mut arrived = vec![1u64];
        for version in 2..50u64 {
            hub.patch(&Patch::Set(Value::map([
                ("n", Value::from(version as i64)),
                ("filler", "x".repeat(200).into()),
            ])))
            .unwrap();
            // The hub knows of what arrived some time ago; some are lost.
            let base = *arrived.iter().rev().find(|held| **held + 3 <= version).unwrap_or(&1);
            let mut delta = BytesMut::new();
            hub.delta_since(base, &mut delta);
            if version % 5 != 0 {
                assert_eq!(feed(&mut replica, &delta, Flags::NONE).unwrap().version, version);
                arrived.push(version);
            }
            assert!(replica.past.len() <= 4);
        }
        assert_eq!(replica.document().unwrap().value(), hub.value());
    }

    #[test]
    fn a_document_over_the_limits_is_told_once_and_asked_for_ever_less_often() {
        let mut hub = hub(1);
        let mut limits = Limits::default();
        limits.bytes = 100;
        let mut replica = Replica::new(limits, 0);
        let (mut told, mut asked) = (0, 1);
        let mut is_asked = true;
        for n in 0..10_000i64 {
            let mut message = BytesMut::new();
            let flags = if std::mem::take(&mut is_asked) {
                hub.snapshot(&mut message);
                Flags::SNAPSHOT
            } else {
                hub.delta_since(hub.version() - 1, &mut message);
                Flags::NONE
            };
            match update(&mut replica, &message, flags) {
                Update::Refused(reason) => {
                    assert_eq!(reason, Reason::OverLimits);
                    told += 1;
                }
                other => assert_eq!(other, Update::Passed),
            }
            if replica.needs_snapshot() {
                (is_asked, asked) = (true, asked + 1);
            }
            hub.patch(&Patch::merge(Value::map([("n", n)]))).unwrap();
        }
        assert_eq!(told, 1);
        assert!((10..30).contains(&asked), "{asked}");

        // When it fits again, it is here again.
        hub.patch(&Patch::Set(Value::map([("n", 0)]))).unwrap();
        let mut small = BytesMut::new();
        hub.snapshot(&mut small);
        assert!(feed(&mut replica, &small, Flags::SNAPSHOT).is_some());
        assert_eq!(replica.document().unwrap().value(), hub.value());
    }
}
