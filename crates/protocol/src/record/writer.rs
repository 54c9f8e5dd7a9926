//! Appending records.

use std::io::{self, Write};
use std::time::Duration;

use thiserror::Error;

use super::format::{self, HEADER_LEN, Head, RECORD_BYTES_MAX, TOPICS_MAX, VERSION, kind};
use super::{Data, Gap, Outage, Session, Tail, Topic, TopicId};

/// Appends records to `W`. It hands on each record at once, in up to two writes: wrap a file in a
/// [`BufWriter`](io::BufWriter), and [`flush`](Self::flush) that as often as little may be lost.
///
/// A time that lies before that of the last record becomes the latter.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    session: Session,
    /// The time of the last record.
    at: Duration,
    topics: usize,
    bytes: u64,
    limit: Option<u64>,
    /// A record's head and the fields of its body.
    scratch: Vec<u8>,
}

/// Why a record was not appended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The output takes no more. What was written before is good but for a record that may be cut off: append to it after
    /// the cause is gone, from the [`Tail`] that a [`Reader`](super::Reader) finds.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The record does not fit below the [limit](Writer::limit). [End](Writer::end) the recording.
    #[error("the recording has reached its limit of {limit} bytes")]
    Full {
        /// The limit.
        limit: u64,
    },
    /// The record has over [`RECORD_BYTES_MAX`] bytes, which no reader takes. Leave it out.
    #[error("an item of {bytes} bytes can't be recorded: a record has at most {RECORD_BYTES_MAX}")]
    TooLarge {
        /// Bytes of the record.
        bytes: usize,
    },
    /// The session has 65,536 topics. Begin another recording.
    #[error("a recording has at most {TOPICS_MAX} topics: record fewer, or in several files")]
    TooManyTopics,
    /// The topic id is not of this writer.
    #[error("the topic was not defined in this recording")]
    UnknownTopic,
}

impl<W: Write> Writer<W> {
    /// Begins a recording at the time `unix_micros`, in microseconds since the Unix epoch.
    ///
    /// # Errors
    /// When the output does not take it.
    pub fn create(mut out: W, unix_micros: u64) -> Result<Self, WriteError> {
        out.write_all(&format::header(VERSION))?;
        Self::begin(out, Duration::ZERO, HEADER_LEN as u64, unix_micros)
    }

    /// Goes on with a recording, whose `tail` a [`Reader`](super::Reader) has found; `out` stands at its
    /// [end](Tail::bytes), and holds nothing after it. The new session begins at the time of the last record:
    /// a pause between two sessions is not part of a recording.
    ///
    /// # Errors
    /// When the output does not take it.
    pub fn resume(out: W, tail: Tail, unix_micros: u64) -> Result<Self, WriteError> {
        Self::begin(out, tail.at, tail.bytes, unix_micros)
    }

    fn begin(out: W, at: Duration, bytes: u64, unix_micros: u64) -> Result<Self, WriteError> {
        let session = Session { at, unix_micros };
        let mut writer = Self { out, session, at, topics: 0, bytes, limit: None, scratch: Vec::new() };
        writer.start(kind::SESSION);
        format::put_micros(&mut writer.scratch, at);
        format::put(&mut writer.scratch, unix_micros);
        writer.append(&[], 0)?;
        Ok(writer)
    }

    /// Lets the recording grow to at most so many bytes, its [end](Self::end) included.
    #[must_use]
    pub fn limit(mut self, bytes: Option<u64>) -> Self {
        self.limit = bytes;
        self
    }

    /// Defines a topic.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn topic(&mut self, topic: &Topic) -> Result<TopicId, WriteError> {
        if self.topics == TOPICS_MAX {
            return Err(WriteError::TooManyTopics);
        }
        self.start(kind::TOPIC);
        topic.put(&mut self.scratch);
        self.append(&[], END_LEN)?;
        let id = TopicId(self.topics as u32);
        self.topics += 1;
        Ok(id)
    }

    /// Appends an item.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn data(&mut self, data: &Data<'_>) -> Result<(), WriteError> {
        let data = Data { at: self.at_least(data.at), ..*data };
        self.check(data.topic)?;
        self.start(kind::DATA);
        data.put(&self.session, &mut self.scratch);
        self.append(data.payload, END_LEN)?;
        self.at = data.at;
        Ok(())
    }

    /// Says that items are missing.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn gap(&mut self, gap: &Gap) -> Result<(), WriteError> {
        let gap = Gap { at: self.at_least(gap.at), ..gap.clone() };
        self.check(gap.topic)?;
        self.start(kind::GAP);
        gap.put(&mut self.scratch);
        self.append(&[], END_LEN)?;
        self.at = gap.at;
        Ok(())
    }

    /// Says that there was no connection.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn outage(&mut self, outage: Outage) -> Result<(), WriteError> {
        let at = self.at_least(outage.at);
        self.start(kind::OUTAGE);
        format::put_micros(&mut self.scratch, at);
        format::put_micros(&mut self.scratch, outage.downtime);
        self.append(&[], END_LEN)?;
        self.at = at;
        Ok(())
    }

    /// Ends the session at this time, and flushes. There is room for this below every limit that was not passed
    /// before it was set.
    ///
    /// # Errors
    /// When the output does not take it.
    pub fn end(&mut self, at: Duration) -> Result<(), WriteError> {
        let at = self.at_least(at);
        self.start(kind::END);
        format::put_micros(&mut self.scratch, at);
        let limit = self.limit.take();
        self.append(&[], 0)?;
        (self.at, self.limit) = (at, limit);
        self.flush()
    }

    /// Makes the output hand on what it holds.
    ///
    /// # Errors
    /// When it can't.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        Ok(self.out.flush()?)
    }

    /// Bytes of the recording so far, from the beginning of the file.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The output.
    pub const fn get_ref(&self) -> &W {
        &self.out
    }

    /// The output, as it is.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn at_least(&self, at: Duration) -> Duration {
        // To the microsecond, as it is read again: the next record must not lie before it by the rest.
        Duration::from_micros(format::micros(at)).max(self.at)
    }

    fn check(&self, topic: TopicId) -> Result<(), WriteError> {
        if topic.index() < self.topics { Ok(()) } else { Err(WriteError::UnknownTopic) }
    }

    /// Begins a record in `scratch`.
    fn start(&mut self, kind: u8) {
        self.scratch.clear();
        self.scratch.extend_from_slice(&[0; Head::LEN]);
        self.scratch.push(kind);
    }

    /// Writes the record that is in `scratch` and goes on with `payload`, if `reserve` bytes have room after it.
    fn append(&mut self, payload: &[u8], reserve: u64) -> Result<(), WriteError> {
        let record = self.scratch.len() + payload.len();
        let body = u32::try_from(record - Head::LEN).ok().filter(|length| *length <= RECORD_BYTES_MAX);
        let length = body.ok_or(WriteError::TooLarge { bytes: record })?;
        let bytes = self.bytes + record as u64;
        if let Some(limit) = self.limit.filter(|limit| bytes + reserve > *limit) {
            return Err(WriteError::Full { limit });
        }
        let mut sum = crc32fast::Hasher::new();
        sum.update(&self.scratch[Head::LEN..]);
        sum.update(payload);
        let head = Head { length, sum: sum.finalize() };
        self.scratch[..Head::LEN].copy_from_slice(&head.to_bytes());
        self.out.write_all(&self.scratch)?;
        if !payload.is_empty() {
            self.out.write_all(payload)?;
        }
        self.bytes = bytes;
        Ok(())
    }
}

/// The most bytes that a session takes in which nothing is recorded: its beginning and its end. A limit that leaves less is passed by them.
///
/// ```
/// use nyx_protocol::record::{EMPTY_SESSION_BYTES_MAX, HEADER_LEN, Writer};
/// use std::time::Duration;
///
/// let mut writer = Writer::create(Vec::new(), u64::MAX)?;
/// writer.end(Duration::MAX)?;
/// assert!(writer.bytes() <= HEADER_LEN as u64 + EMPTY_SESSION_BYTES_MAX);
/// # Ok::<(), nyx_protocol::record::WriteError>(())
/// ```
pub const EMPTY_SESSION_BYTES_MAX: u64 = Head::LEN as u64 + 1 + 10 + 10 + END_LEN;

/// The most bytes of an end record: its head, its first byte, and a time.
const END_LEN: u64 = Head::LEN as u64 + 1 + 10;
