//! Data that goes out as items of a datagram connection: each arrives whole or not at all, and the hub is told which.
//!
//! Control messages and events stay in the stream of bytes, of which nothing is lost. State, frames and audio leave as [`Parcel`]s.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use nyx_core::Instant;
use nyx_protocol::control;
use nyx_protocol::wire::{Flags, Kind, Messages};
use nyx_stream::policy::Pull;
use nyx_stream::{Drops, Reason};

use super::egress::wire_drops;
use super::{Phase, Session};
use crate::shared::add;
use crate::topic::{Ticket, Topic};

/// A message that is to be sent as one item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parcel {
    /// Its number, from 0 on: what became of it is told by [`Session::handle_fate`].
    pub number: u64,
    /// The topic's id. Parcels of one flow are delivered in order.
    pub flow: u32,
    /// The message.
    pub bytes: Bytes,
    /// Whether it makes those of its flow before it obsolete; otherwise it is of use only behind them, or when they were given up.
    pub is_latest: bool,
    /// When it is to be given up; `None`: when it is obsolete.
    pub deadline: Option<Instant>,
}

/// What became of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has arrived.
    Delivered,
    /// A newer one has arrived that makes it obsolete.
    Obsolete,
    /// It was too old.
    Expired,
}

/// Parcels that are to be sent, and those of which nobody knows yet what became of them.
#[derive(Default)]
pub(super) struct Departures {
    out: Vec<Parcel>,
    next: u64,
    under_way: BTreeMap<u64, Note>,
}

struct Note {
    slot: u32,
    serial: u64,
    key: usize,
    topic: Arc<Topic>,
    born: Instant,
    sequence: u32,
    /// Of a document's message.
    ticket: Option<Ticket>,
}

impl Departures {
    fn add(&mut self, note: Note, bytes: Bytes, is_latest: bool, deadline: Option<Instant>) {
        let (number, flow) = (self.next, note.topic.id);
        self.next += 1;
        self.under_way.insert(number, note);
        self.out.push(Parcel { number, flow, bytes, is_latest, deadline });
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.under_way.clear();
    }
}

/// Whether what a topic carries leaves as parcels.
pub(super) const fn is_sent_whole(kind: Kind) -> bool {
    matches!(kind, Kind::State | Kind::Frame | Kind::Audio)
}

impl Session {
    /// Appends what is to be sent as items behind what [`poll_transmit`](Self::poll_transmit) returned. Only sessions over
    /// [`Transport::Udp`](crate::Transport::Udp) have any.
    pub fn poll_parcels(&mut self, parcels: &mut Vec<Parcel>) {
        if let Some(departures) = &mut self.departures {
            parcels.append(&mut departures.out);
        }
    }

    /// Takes the latest version of slot `number`'s document. Returns the bytes of its message.
    pub(super) fn pull_update(&mut self, now: Instant, number: u32) -> usize {
        let Some((slot, departures)) = self.slots.get_mut(number).zip(self.departures.as_mut()) else {
            return 0;
        };
        let Some(update) = slot.topic.pull_update(slot.key) else { return 0 };
        let (topic, key, prompt, bytes) = (slot.topic.clone(), slot.key, slot.prompt, update.message.len());
        let serial = slot.serial;
        self.shared.counters.add_drops(topic.lane, &update.drops);
        let sequence = Messages::new(&update.message).next().map_or(0, |message| message.header.sequence);
        let note =
            Note { slot: number, serial, key, topic, born: now, sequence, ticket: Some(update.ticket) };
        departures.add(note, update.message, true, None);
        self.probe_path(now);
        self.flight.handle_sent(now, bytes, prompt);
        add(&self.shared.counters.bytes, bytes as u64);
        self.slots.charge(number, bytes);
        bytes
    }

    /// Makes a parcel of each message that was pulled.
    pub(super) fn post(&mut self, number: u32, topic: &Arc<Topic>, pull: &Pull) {
        let Some((slot, departures)) = self.slots.get_mut(number).zip(self.departures.as_mut()) else {
            return;
        };
        let born = pull.oldest.unwrap_or_default();
        let deadline = slot.max_age.map(|max_age| born + max_age);
        for chunk in &pull.chunks {
            let mut at = 0;
            for message in Messages::new(chunk) {
                let length = message.header.message_len();
                let bytes = chunk.slice(at..at + length);
                at += length;
                let is_latest =
                    topic.spec.kind == Kind::Frame && message.header.flags.contains(Flags::KEYFRAME);
                let (topic, sequence) = (topic.clone(), message.header.sequence);
                let note = Note {
                    slot: number,
                    serial: slot.serial,
                    key: slot.key,
                    topic,
                    born,
                    sequence,
                    ticket: None,
                };
                departures.add(note, bytes, is_latest, deadline);
            }
        }
    }

    /// It is decided what became of parcel `number`. After all that is known was told, tell
    /// [`handle_unsettled`](Self::handle_unsettled).
    pub fn handle_fate(&mut self, now: Instant, number: u64, fate: Fate) {
        let Some(note) = self.departures.as_mut().and_then(|departures| departures.under_way.remove(&number))
        else {
            return;
        };
        let has_arrived = fate == Fate::Delivered;
        if has_arrived {
            self.hub.record_age(&note.topic, now, note.born);
            add(&self.shared.counters.delivered, 1);
        }
        // A subscription that came after it has nothing to do with it, be it of the same topic.
        let is_read = self.slots.is_still(note.slot, note.serial);
        match note.ticket {
            Some(ticket) if is_read => {
                note.topic.settle_update(note.key, ticket, has_arrived);
                // There may be more that had no room beside it.
                self.slots.enqueue(note.slot);
            }
            None if !has_arrived => self.report_lost(&note, fate, is_read),
            _ => {}
        }
    }

    /// So many bytes of what was handed out, messages of the stream included, have neither been consumed nor given up.
    pub fn handle_unsettled(&mut self, now: Instant, bytes: u64) {
        if self.departures.is_some() && self.phase == Phase::Open {
            let before = self.flight.acked();
            self.acknowledge(now, self.flight.sent().saturating_sub(bytes));
            if self.flight.acked() > before {
                // As on a stream: what it would say answers what stands behind that.
                self.handle_written(now);
            }
        }
    }

    fn report_lost(&mut self, note: &Note, fate: Fate, is_read: bool) {
        let mut drops = Drops::default();
        drops.add(if fate == Fate::Expired { Reason::Expired } else { Reason::Conflated }, 1);
        if is_read {
            note.topic.lose(note.key, &drops);
        } else if note.topic.is_gone() {
            // It was sent before the successor was announced, and is told of under the id that it had.
            let successor = self.hub.topic(&note.topic.name);
            successor.into_iter().for_each(|successor| successor.count_drops(&drops));
        } else {
            return;
        }
        self.shared.counters.add_drops(note.topic.lane, &drops);
        let gap = control::Gap {
            topic_id: note.topic.id,
            first_sequence: note.sequence,
            drops: wire_drops(&drops),
        };
        let mut message = BytesMut::new();
        control::put(&mut message, gap);
        self.outbox.extend_from_slice(&message);
    }
}
