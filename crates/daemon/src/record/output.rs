//! The file, and what is known about its topics.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::BytesMut;
use nyx_client::subscribe::{Gap, Reason, State};
use nyx_client::{Batch, Item, Kind, Name, Topic, Value};
use nyx_core::{ByteSize, Instant};
use nyx_protocol::control;
use nyx_protocol::record::{
    self, Changes, Data, EMPTY_SESSION_BYTES_MAX, Missing, OpenError, Outage, ReadError, Reader, Tail,
    TopicId, WriteError, Writer,
};
use nyx_protocol::wire::{Flags, codec};

use super::intake::Received;
use super::tally::Tally;
use crate::exit::{Failure, Outcome};
use crate::{stdio, tell};

/// What to do with a file that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    New,
    Append,
    Overwrite,
}

/// A recording that is being written.
pub(super) struct Output {
    path: PathBuf,
    writer: Writer<BufWriter<File>>,
    /// When the clock was where the session begins.
    start: Instant,
    /// Where the session begins.
    offset: Duration,
    topics: HashMap<Name, Known>,
    payload: BytesMut,
    has_failed: bool,
}

/// A topic that was defined.
struct Known {
    topic: Arc<Topic>,
    id: TopicId,
    changes: Changes,
}

impl Output {
    /// Opens the file, which others may read but not write until this one is done, and begins a session.
    pub(super) fn open(
        path: &Path,
        mode: Mode,
        limit: Option<ByteSize>,
        now: Instant,
        unix_micros: u64,
    ) -> Outcome<Self> {
        let place = || format!("can't write {}", path.display());
        let (mut file, length) = open_file(path, mode)?;
        let tail =
            if mode == Mode::Append && length > 0 { Some(find_tail(&file, path, length)?) } else { None };
        if let Some(tail) = tail {
            check_limit(path, limit, tail.bytes)?;
        }
        if length > 0 {
            file.set_len(tail.map_or(0, |tail| tail.bytes)).with_context(place)?;
        }
        if let Some(tail) = tail {
            file.seek(SeekFrom::Start(tail.bytes)).with_context(place)?;
        }
        let file = BufWriter::with_capacity(BUFFER, file);
        let writer = match tail {
            Some(tail) => Writer::resume(file, tail, unix_micros),
            None => Writer::create(file, unix_micros),
        };
        let writer = writer.with_context(place)?.limit(limit.map(ByteSize::bytes));
        let offset = tail.map_or(Duration::ZERO, |tail| tail.at);
        let (path, topics, payload) = (path.to_owned(), HashMap::new(), BytesMut::new());
        Ok(Self { path, writer, start: now, offset, topics, payload, has_failed: false })
    }

    /// Appends what was received.
    pub(super) fn take(
        &mut self,
        received: Received,
        now: Instant,
        tally: &mut Tally,
    ) -> Result<(), WriteError> {
        let at = self.offset + self.elapsed(now);
        let taken = self.append(received, at, tally);
        self.note(taken)
    }

    /// Hands what is buffered to the system: a killed process loses nothing of it any more.
    pub(super) fn flush(&mut self) -> Result<(), WriteError> {
        let flushed = self.writer.flush();
        self.note(flushed)
    }

    /// Ends the recording, and waits until it is on the disk, if it is a file.
    pub(super) fn end(&mut self, now: Instant) -> Result<(), WriteError> {
        let at = self.offset + self.elapsed(now);
        let ended = self.writer.end(at).and_then(|()| {
            let file = self.writer.get_ref().get_ref();
            if file.metadata()?.is_file() { Ok(file.sync_all()?) } else { Ok(()) }
        });
        self.note(ended)
    }

    /// How long this session has lasted.
    pub(super) fn elapsed(&self, now: Instant) -> Duration {
        now - self.start
    }

    /// Bytes of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.writer.bytes()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file takes no more.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// What to say when it does not.
    pub(super) fn explain(&self, error: WriteError) -> anyhow::Error {
        let what = if stdio::is_meant(&self.path) {
            "can't write to stdout".to_owned()
        } else {
            format!("can't write {}, which can be played up to there", self.path.display())
        };
        match error {
            // As itself, since of a closed pipe it is no failure.
            WriteError::Io(error) => anyhow!(error).context(what),
            error => anyhow!(error).context(what),
        }
    }

    fn note(&mut self, result: Result<(), WriteError>) -> Result<(), WriteError> {
        self.has_failed |= matches!(result, Err(WriteError::Io(_)));
        result
    }

    fn append(&mut self, received: Received, at: Duration, tally: &mut Tally) -> Result<(), WriteError> {
        match &received.batch {
            Batch::Messages(messages) => {
                let id = self.define(messages.topic())?.id;
                for (behind, message) in (0..).zip(messages) {
                    let sequence = messages.first_sequence().saturating_add(behind);
                    let (codec, unix_micros) = (message.header.codec, message.unix_micros);
                    let key = message.header.flags.contains(Flags::KEYFRAME);
                    let data =
                        Data { codec, key, unix_micros, ..Data::new(id, at, sequence, message.payload) };
                    self.writer.data(&data)?;
                    tally.take(message.payload.len());
                }
                Ok(())
            }
            Batch::Item(Item::State(state)) => match received.document {
                Some(value) => self.append_state(state, value, at, tally),
                None => Ok(()),
            },
            Batch::Item(Item::Gap(gap)) => self.append_gap(gap, at, tally),
            Batch::Item(Item::Reconnected(reconnected)) => {
                tally.reconnect();
                self.writer.outage(Outage { at, downtime: reconnected.downtime })
            }
            Batch::Item(_) => Ok(()),
        }
    }

    fn append_state(
        &mut self,
        state: &State,
        value: Value,
        at: Duration,
        tally: &mut Tally,
    ) -> Result<(), WriteError> {
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        let known = self.define(&state.topic)?;
        let (id, key) = (known.id, known.changes.put(value, &mut payload));
        let (codec, unix_micros) = (codec::STATE_PATCH, state.unix_micros);
        let data = Data { codec, key, unix_micros, ..Data::new(id, at, state.version, &payload) };
        self.writer.data(&data)?;
        tally.take(payload.len());
        self.payload = payload;
        Ok(())
    }

    fn append_gap(&mut self, gap: &Gap, at: Duration, tally: &mut Tally) -> Result<(), WriteError> {
        let topic = self.define(&gap.topic)?.id;
        let missing =
            gap.missing.iter().map(|one| Missing { reason: reason(one.reason), count: one.count }).collect();
        self.writer.gap(&record::Gap { topic, at, first_sequence: gap.first_sequence, missing })?;
        tally.miss(gap);
        Ok(())
    }

    /// Defines the topic, unless it is known as it is.
    fn define(&mut self, topic: &Arc<Topic>) -> Result<&mut Known, WriteError> {
        let known = self.topics.get(&topic.name);
        if !known.is_some_and(|known| Arc::ptr_eq(&known.topic, topic) || known.topic == *topic) {
            let id = self.writer.topic(&definition(topic))?;
            let known = Known { topic: topic.clone(), id, changes: Changes::default() };
            self.topics.insert(topic.name.clone(), known);
        }
        // It has just been found or inserted.
        self.topics.get_mut(&topic.name).ok_or(WriteError::UnknownTopic)
    }

    /// How many topics were recorded.
    pub(super) fn topics(&self) -> usize {
        self.topics.len()
    }
}

/// What the recording says about a topic. Subscribers are not told its lane.
fn definition(topic: &Topic) -> record::Topic {
    let mut definition = record::Topic::new(topic.name.clone(), topic.kind);
    definition.content_type.clone_from(&topic.content_type);
    definition.audio = topic
        .audio
        .filter(|_| topic.kind == Kind::Audio)
        .map(|format| control::AudioFormat { sample_rate: format.sample_rate, channels: format.channels });
    definition.max_age = topic.max_age;
    definition
}

fn reason(reason: Reason) -> control::Reason {
    match reason {
        Reason::Expired => control::Reason::Expired,
        Reason::Conflated => control::Reason::Conflated,
        Reason::Overrun => control::Reason::Overrun,
        Reason::PredictedLate => control::Reason::PredictedLate,
        Reason::RateLimited => control::Reason::RateLimited,
        Reason::Unreadable => control::Reason::Unreadable,
        _ => control::Reason::Unspecified,
    }
}

/// Refuses a limit under what the file has and a session takes that records nothing, before anything is written or overwritten.
pub(super) fn check_limit(path: &Path, limit: Option<ByteSize>, has: u64) -> Outcome {
    let least = has + EMPTY_SESSION_BYTES_MAX;
    match limit {
        Some(limit) if limit.bytes() < least => Err(Failure::usage(anyhow!(
            "{} takes {least} bytes before anything is recorded: --size {limit} leaves no room",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// The file, unchanged and locked, and how much is in it. A device, a pipe or stdout has nothing in it.
fn open_file(path: &Path, mode: Mode) -> Outcome<(File, u64)> {
    let place = || format!("can't write {}", path.display());
    if stdio::is_meant(path) {
        return Ok((stdio::stdout().context("can't write to stdout")?, 0));
    }
    let is_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let reads = mode == Mode::Append && is_file;
    let file = File::options()
        .read(reads)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(place)?;
    let metadata = file.metadata().with_context(place)?;
    if !metadata.is_file() {
        return Ok((file, 0));
    }
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => {
            return Err(anyhow!("{} is being recorded to by another process", path.display()).into());
        }
        // Some file systems have no locks.
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => {}
    }
    if mode == Mode::New && metadata.len() > 0 {
        return Err(anyhow!(
            "{} exists: choose another name, --append to go on with it, or --force to overwrite it",
            path.display()
        )
        .into());
    }
    Ok((file, metadata.len()))
}

/// Where a recording ends, to go on there. Says so when something is cut off.
fn find_tail(file: &File, path: &Path, length: u64) -> Outcome<Tail> {
    let place = path.display();
    let mut reader = match Reader::open(file) {
        Ok(reader) => reader,
        // Not even a header: there is nothing to keep.
        Err(OpenError::Cut { .. }) => {
            return Err(anyhow!("{place} holds nothing to go on with: use --force").into());
        }
        Err(error) => return Err(anyhow!(error).context(format!("can't append to {place}")).into()),
    };
    loop {
        match reader.next_record() {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(reader.tail()),
            Err(ReadError::Torn { at, .. }) => {
                let cut = length.saturating_sub(at);
                tell::note(format_args!(
                    "{place} was cut off: removing the last {cut} bytes, an unfinished record"
                ));
                return Ok(reader.tail());
            }
            Err(error) => {
                let advice = format!("can't append to {place}: record to another file");
                return Err(anyhow!(error).context(advice).into());
            }
        }
    }
}

/// A few frames.
const BUFFER: usize = 256 * 1024;
