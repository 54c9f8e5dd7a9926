//! Reading records back.

use std::io::{self, BufReader, Read};
use std::time::Duration;

use thiserror::Error;

use super::format::{self, Fields, HEADER_LEN, Head, MAGIC, RECORD_BYTES_MAX, TOPICS_MAX, VERSION, kind};
use super::{Data, Gap, Outage, Record, Session, Topic, TopicId};

/// Reads records from `R`, with a buffer of its own.
///
/// Memory is bounded by the largest record, of which no more is allocated than there are bytes of it, and by the topics of one
/// session.
#[derive(Debug)]
pub struct Reader<R> {
    input: BufReader<R>,
    tail: Tail,
    session: Option<Session>,
    topics: Vec<Topic>,
    body: Vec<u8>,
    has_failed: bool,
}

/// Where a recording can be [gone on with](super::Writer::resume).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Where the last record that was read ends, in bytes from the beginning of the file.
    pub bytes: u64,
    /// Its time.
    pub at: Duration,
}

/// Why a file can't be read as a recording.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The input can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The input is something else. Check the name.
    #[error("it is no recording: recordings are written by `nyx record`")]
    NotARecording,
    /// The input ends before the header does: nothing was recorded, or copied.
    #[error("it ends after {bytes} bytes, before a recording begins: there is nothing in it")]
    Cut {
        /// How many there are.
        bytes: usize,
    },
    /// The header does not match its checksum.
    #[error("the header is damaged: take a copy that is not")]
    Damaged,
    /// A later version of Nyx wrote it. Use that, or a later one.
    #[error("it is of version {found} of the format, and this nyx reads up to {VERSION}: use a later one")]
    Newer {
        /// Its version.
        found: u16,
    },
}

/// Why no record follows. What was read before is good.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The input can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The input ends within a record: the recorder was killed, or its disk was full. Nothing else is amiss, and
    /// a [`Writer`](super::Writer) can go on at the [`Tail`].
    #[error(
        "it was cut off: a record that begins at byte {at} ends after {bytes} bytes, all before it is whole"
    )]
    Torn {
        /// Where the record begins.
        at: u64,
        /// How many bytes of it there are.
        bytes: u64,
    },
    /// A record does not match its checksum. There may be good ones behind it, but nothing tells where.
    #[error("it is damaged at byte {at}: only what lies before that can be read")]
    Damaged {
        /// Where the record begins.
        at: u64,
    },
    /// A record says that it is larger than any that is written.
    #[error("a record of {length} bytes at byte {at} is over the limit of {RECORD_BYTES_MAX}")]
    TooLarge {
        /// Where the record begins.
        at: u64,
        /// Bytes of its body.
        length: u32,
    },
    /// A record is as it was written, but makes no sense: whatever wrote it erred, or is a later version.
    #[error("the record at byte {at} makes no sense: {what}")]
    Invalid {
        /// Where the record begins.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When there is none, or none of this version.
    pub fn open(input: R) -> Result<Self, OpenError> {
        let mut input = BufReader::with_capacity(BUFFER, input);
        let mut header = [0; HEADER_LEN];
        let bytes = read_up_to(&mut input, &mut header)?;
        let magic = bytes.min(MAGIC.len());
        if header[..magic] != MAGIC[..magic] {
            return Err(OpenError::NotARecording);
        }
        if bytes < HEADER_LEN {
            return Err(OpenError::Cut { bytes });
        }
        if header[12..] != crc32fast::hash(&header[..12]).to_be_bytes() {
            return Err(OpenError::Damaged);
        }
        if header != format::header(VERSION) {
            return Err(OpenError::Newer { found: u16::from_be_bytes([header[8], header[9]]) });
        }
        let tail = Tail { bytes: HEADER_LEN as u64, at: Duration::ZERO };
        Ok(Self { input, tail, session: None, topics: Vec::new(), body: Vec::new(), has_failed: false })
    }

    /// The next record, or `None` at the end. After an error there is none either.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, ReadError> {
        if self.has_failed {
            return Ok(None);
        }
        // Whatever fails from here on leaves it so.
        self.has_failed = true;
        let end = loop {
            let Some(end) = self.read_body()? else {
                self.has_failed = false;
                return Ok(None);
            };
            if self.body.first().is_none_or(|first| *first < kind::OPTIONAL) {
                break end;
            }
            self.tail.bytes = end;
        };
        let invalid = |what| ReadError::Invalid { at: self.tail.bytes, what };
        let parsed = parse(&self.body, &mut self.session, &mut self.topics).map_err(invalid)?;
        let (record, at) = (parsed.record, parsed.at.unwrap_or(self.tail.at));
        if at < self.tail.at {
            return Err(invalid("time runs backwards"));
        }
        self.tail = Tail { bytes: end, at };
        self.has_failed = false;
        Ok(Some(record))
    }

    /// Where the last record that was read ends. After [`ReadError::Torn`], and at the end, a
    /// [`Writer`](super::Writer) may go on here.
    pub const fn tail(&self) -> Tail {
        self.tail
    }

    /// Reads the body of the next record, if there is one, and tells where it ends.
    fn read_body(&mut self) -> Result<Option<u64>, ReadError> {
        let at = self.tail.bytes;
        let mut head = [0; Head::LEN];
        match read_up_to(&mut self.input, &mut head)? {
            0 => return Ok(None),
            Head::LEN => {}
            bytes => return Err(ReadError::Torn { at, bytes: bytes as u64 }),
        }
        let Head { length, sum } = Head::parse(head).ok_or(ReadError::Damaged { at })?;
        if length > RECORD_BYTES_MAX {
            return Err(ReadError::TooLarge { at, length });
        }
        let read = self.fill_body(length as usize)?;
        let bytes = (Head::LEN + read) as u64;
        if read < length as usize {
            return Err(ReadError::Torn { at, bytes });
        }
        if crc32fast::hash(&self.body) != sum {
            return Err(ReadError::Damaged { at });
        }
        Ok(Some(at + bytes))
    }

    /// Reads so many bytes, or as many as there are.
    fn fill_body(&mut self, length: usize) -> io::Result<usize> {
        if length <= BUFFER {
            self.body.resize(length, 0);
            return read_up_to(&mut self.input, &mut self.body);
        }
        self.body.clear();
        self.body.shrink_to(BODY_KEPT);
        // Grows with what is really there, whatever the length says.
        (&mut self.input).take(length as u64).read_to_end(&mut self.body)
    }
}

struct Parsed<'a> {
    record: Record<'a>,
    /// Its time, if it has one.
    at: Option<Duration>,
}

/// Makes a record of a body that is whole, and learns from it.
fn parse<'a>(
    body: &'a [u8],
    session: &mut Option<Session>,
    topics: &'a mut Vec<Topic>,
) -> Result<Parsed<'a>, &'static str> {
    let mut fields = Fields(body);
    let kind = fields.u8()?;
    if kind == kind::SESSION {
        let begun = Session { at: fields.micros()?, unix_micros: fields.number()? };
        fields.finish()?;
        topics.clear();
        *session = Some(begun);
        return Ok(Parsed { record: Record::Session(begun), at: Some(begun.at) });
    }
    let session = session.as_ref().ok_or("it stands before the first session")?;
    if kind == kind::TOPIC {
        let topic = Topic::read(&mut fields)?;
        fields.finish()?;
        if topics.len() == TOPICS_MAX {
            return Err("it defines one topic too many");
        }
        let id = TopicId(topics.len() as u32);
        topics.push(topic);
        return Ok(Parsed { record: Record::Topic { id, topic: &topics[id.index()] }, at: None });
    }
    let known = |id: TopicId| topics.get(id.index()).ok_or("its topic is not defined");
    let (record, at) = match kind {
        kind::DATA => {
            let data = Data::read(session, &mut fields)?;
            (Record::Data { topic: known(data.topic)?, data }, data.at)
        }
        kind::GAP => {
            let gap = Gap::read(&mut fields)?;
            let (topic, at) = (known(gap.topic)?, gap.at);
            (Record::Gap { topic, gap }, at)
        }
        kind::OUTAGE => {
            let outage = Outage { at: fields.micros()?, downtime: fields.micros()? };
            (Record::Outage(outage), outage.at)
        }
        kind::END => {
            let at = fields.micros()?;
            (Record::End(at), at)
        }
        _ => return Err("its type is unknown"),
    };
    fields.finish()?;
    Ok(Parsed { record, at: Some(at) })
}

/// Fills `buffer`, or as much of it as there is input for.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Bytes that are read at a time.
const BUFFER: usize = 256 * 1024;

/// A body of which more was allocated is given back, so that one large record does not take memory for ever.
const BODY_KEPT: usize = 4 << 20;
