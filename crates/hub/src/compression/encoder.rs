//! A document's messages as blocks, each made once for all who are at the same version.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nyx_core::Instant;
use nyx_protocol::choose::{self, Chooser, Codec, Link, Offer, Pin};
use nyx_protocol::compress::dictionary::{Dictionary, Job, Name, Shelf, Trainer};
use nyx_protocol::compress::{Encoding, Level, Method};
use nyx_protocol::wire::{HEADER_LEN, Messages};

use super::Engine;
use super::plain::is_block;
use super::training::Outcome;
use crate::stats;

/// Encodes one topic's messages.
pub(crate) struct Encoder {
    engine: Arc<Engine>,
    topic: u32,
    chooser: Chooser,
    cache: Cache,
    trainer: Option<Trainer>,
    /// The version that the trainer has seen last.
    observed: u64,
    dictionaries: Shelf,
    /// What the current dictionary saves of a message, in 1/256.
    saves: u64,
    tally: stats::Compression,
}

/// Which message: what it leads to, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) epoch: u64,
    pub(crate) version: u64,
    /// 0: from nothing.
    pub(crate) base: u64,
}

/// What a subscriber that takes blocks can do with them.
#[derive(Debug)]
pub(crate) struct Taker {
    pub(crate) link: Link,
    /// The dictionary of this topic that it has.
    pub(crate) holds: Option<Name>,
    /// Bytes that another one may have; 0 where it can't take one.
    pub(crate) room: usize,
    /// Bytes that a dictionary would have saved it so far.
    pub(crate) missed: u64,
    /// What is to be handed over in front of the message. It takes the place of the one that it has.
    pub(crate) introduce: Option<Dictionary>,
}

/// The candidates beside what an operator pins.
const LEVELS: [Level; 2] = [Level::FAST, Level::DEFAULT];

/// The present dictionary and the one before it. Nothing that is written refers to any other: messages are made when they are sent.
const SHELF_MAX: usize = 2;

impl Encoder {
    pub(crate) fn new(engine: Arc<Engine>, topic: u32, pin: Pin) -> Self {
        let levels = LEVELS.map(Codec::Level);
        let chooser = engine.chooser(pin, &[levels[0], levels[1], Codec::Dictionary]);
        let wants_dictionary = matches!(pin, Pin::Auto | Pin::Codec(Codec::Dictionary));
        let trainer = (wants_dictionary && engine.begin_trainer())
            .then(|| Trainer::new(topic, engine.config.training.clone()));
        Self {
            engine,
            topic,
            chooser,
            cache: Cache::default(),
            trainer,
            observed: 0,
            dictionaries: Shelf::new(SHELF_MAX),
            saves: 0,
            tally: stats::Compression::new(pin),
        }
    }

    /// The message that `plain` is, as is best for this subscriber. What it has to be told before is in `taker`.
    pub(crate) fn encode(&mut self, now: Instant, key: Key, plain: Bytes, taker: &mut Taker) -> Bytes {
        self.chooser.set_killed(now, !self.engine.is_allowed());
        self.cache.turn_to(key);
        self.observe(key, &plain);
        let bytes = plain.len() - HEADER_LEN;
        let offer = Offer { dictionary: self.offers_dictionary(taker), ..Offer::new(bytes) };
        let choice = self.chooser.choose(now, &offer, &taker.link);
        let codec = choice.candidate().codec;
        let (message, encoded) = self.message(key.base, codec, &plain);
        if let Some(cpu) = encoded {
            self.chooser.record(&choice, choose::Outcome { bytes: message.len() - HEADER_LEN, cpu });
            if let Some(trial) = self.chooser.trial(now, &offer, &taker.link) {
                let (message, cpu) = self.message(key.base, trial.candidate().codec, &plain);
                let outcome =
                    choose::Outcome { bytes: message.len() - HEADER_LEN, cpu: cpu.unwrap_or_default() };
                self.chooser.record_trial(&trial, outcome);
            }
        }
        self.introduce(codec, &message, taker);
        self.tally.count(codec, plain.len(), message.len());
        message
    }

    /// A message of `plain` by `codec`, and what it took to make, unless it was there.
    fn message(&mut self, base: u64, codec: Codec, plain: &Bytes) -> (Bytes, Option<Duration>) {
        if codec == Codec::Raw {
            return (plain.clone(), Some(Duration::ZERO));
        }
        let name = (codec == Codec::Dictionary).then(|| self.current_name()).flatten();
        if let Some(message) = self.cache.get(base, codec, name) {
            return (message, None);
        }
        let method = match codec {
            Codec::Level(level) => Method::Level(level),
            Codec::Dictionary => self.dictionaries.current().map_or(Method::Stored, Method::Dictionary),
            Codec::Raw | Codec::Prefix => Method::Stored,
        };
        let stopwatch = &self.engine.config.stopwatch;
        let (message, cpu) = stopwatch.measure(codec, plain.len(), || pack(&self.engine, plain, method));
        self.tally.cpu += cpu;
        self.cache.put(base, codec, name, message.clone());
        (message, Some(cpu))
    }

    fn current_name(&self) -> Option<Name> {
        self.dictionaries.current().map(Dictionary::name)
    }

    /// Whether this subscriber has the dictionary, or is to be sent it for a message that needs it. It costs once what it saves many
    /// times over. Who stays for an unknown time does well to buy when rent has come to the price; most subscribers stay for long, so it is
    /// sent when it would have saved a quarter of its length.
    fn offers_dictionary(&self, taker: &Taker) -> bool {
        let Some(current) = self.dictionaries.current() else { return false };
        if taker.holds == Some(current.name()) {
            return true;
        }
        let bytes = current.content().len();
        let is_due = taker.holds.is_some()
            || taker.missed >= bytes as u64 / 4
            || self.chooser.pin() == Pin::Codec(Codec::Dictionary);
        is_due && bytes <= taker.room
    }

    fn introduce(&self, codec: Codec, message: &Bytes, taker: &mut Taker) {
        let Some(current) = self.dictionaries.current() else { return };
        if codec != Codec::Dictionary {
            taker.missed += (message.len() as u64 * self.saves) >> 8;
        } else if taker.holds != Some(current.name()) && is_block(message) {
            taker.introduce = Some(current.clone());
        }
    }

    /// What the topic has sent by itself is what its dictionary is to fit.
    fn observe(&mut self, key: Key, plain: &Bytes) {
        let Some(trainer) = &mut self.trainer else { return };
        if key.base == 0 || key.version == self.observed || !self.engine.is_allowed() {
            return;
        }
        self.observed = key.version;
        trainer.observe(&plain[HEADER_LEN..]);
        if trainer.is_ready() {
            self.engine.want_training(self.topic);
        }
    }

    pub(crate) fn take_training(&mut self) -> Option<Job> {
        self.trainer.as_mut()?.job()
    }

    pub(crate) fn handle_trained(&mut self, outcome: Outcome) {
        let Some(trainer) = &mut self.trainer else { return };
        let Ok(trained) = outcome else { return trainer.handle_untrained() };
        if self.dictionaries.adopt(trained.dictionary.clone()).is_err() {
            return trainer.handle_untrained();
        }
        // Each message is made when it is sent, so nothing that is still to be sent refers to the one before.
        self.dictionaries.retire(u64::MAX);
        let (with, without) = (trained.with_bytes as u64, trained.without_bytes.max(1) as u64);
        self.saves = 256 * without.saturating_sub(with) / without;
        self.cache.clear();
        self.tally.dictionary = Some((trained.dictionary.name().version, trained.dictionary.content().len()));
        trainer.handle_trained(&trained);
    }

    pub(crate) fn stats(&self) -> stats::Compression {
        self.tally.with(&self.chooser)
    }

    /// Bytes of memory, about.
    pub(crate) fn held_bytes(&self) -> usize {
        self.cache.bytes + self.dictionaries.iter().map(Dictionary::held_bytes).sum::<usize>()
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        if self.trainer.is_some() {
            self.engine.end_trainer();
        }
    }
}

fn pack(engine: &Engine, plain: &Bytes, method: Method<'_>) -> Bytes {
    let Some(message) = Messages::new(plain).next() else { return plain.clone() };
    let mut out = BytesMut::new();
    match engine.with_packer(|packer| packer.pack(&message, method, false, &mut out)) {
        Encoding::Stored => plain.clone(),
        _ => out.freeze(),
    }
}

/// The messages of one version by base and codec.
#[derive(Default)]
struct Cache {
    leads_to: (u64, u64),
    entries: Vec<Entry>,
    bytes: usize,
}

struct Entry {
    base: u64,
    codec: Codec,
    dictionary: Option<Name>,
    message: Bytes,
}

/// Subscribers are at one of the last few versions, by one of a few codecs.
const ENTRIES_MAX: usize = 64;
const BYTES_MAX: usize = 1 << 20;

impl Cache {
    fn turn_to(&mut self, key: Key) {
        if self.leads_to != (key.epoch, key.version) {
            self.clear();
            self.leads_to = (key.epoch, key.version);
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    fn get(&self, base: u64, codec: Codec, dictionary: Option<Name>) -> Option<Bytes> {
        let same = |entry: &&Entry| (entry.base, entry.codec, entry.dictionary) == (base, codec, dictionary);
        self.entries.iter().find(same).map(|entry| entry.message.clone())
    }

    fn put(&mut self, base: u64, codec: Codec, dictionary: Option<Name>, message: Bytes) {
        if self.entries.len() < ENTRIES_MAX && self.bytes + message.len() <= BYTES_MAX {
            self.bytes += message.len();
            self.entries.push(Entry { base, codec, dictionary, message });
        }
    }
}
