//! The header, and how messages are found in a stream of bytes.
//!
//! A relay never builds a message object for data. [`scan`] looks at the headers in a read buffer and says how many
//! bytes the next *run* has: consecutive whole messages of one topic. The relay splits these off, patches the two fields
//! that are its own ([`patch_run`]), and passes the bytes on as they are. A consumer walks a run with [`Messages`].

use bytes::{BufMut, Bytes};
use thiserror::Error;

/// Bytes of a header.
pub const HEADER_LEN: usize = 16;

/// Bytes of the capture time that leads the payload of a message with [`Flags::TIMESTAMP`].
pub const TIMESTAMP_LEN: usize = 8;

/// The most that a control message's payload may have.
pub const MAX_CONTROL_LEN: usize = 64 * 1024;

/// What a data message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A document that changes.
    State = 1,
    /// An image.
    Frame = 2,
    /// A chunk of sound.
    Audio = 3,
    /// A message that must not be lost.
    Event = 4,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::State, Self::Frame, Self::Audio, Self::Event];

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::State),
            2 => Some(Self::Frame),
            3 => Some(Self::Audio),
            4 => Some(Self::Event),
            _ => None,
        }
    }

    /// The kind's name in the command line, in HTTP and in the console.
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Frame => "frame",
            Self::Audio => "audio",
            Self::Event => "event",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

/// A text that names no [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no kind: use state, frame, audio or event")]
pub struct UnknownKind(String);

/// The flag bits of a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// None set.
    pub const NONE: Self = Self(0);
    /// The payload starts with the capture time.
    pub const TIMESTAMP: Self = Self(1);
    /// The frame can be decoded alone.
    pub const KEYFRAME: Self = Self(2);
    /// The state payload needs no base.
    pub const SNAPSHOT: Self = Self(4);

    /// The bit of [`KEYFRAME`](Self::KEYFRAME) in the header's second byte, for those who look at it in place.
    pub const KEYFRAME_BIT: u8 = Self::KEYFRAME.0;

    const KNOWN: u8 = 7;

    /// Whether all of `other`'s bits are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Values of the codec byte, by kind. `docs/WIRE.md` says what each means.
pub mod codec {
    /// State, publisher to hub.
    pub const STATE_PATCH: u8 = 1;
    /// State, hub to subscriber.
    pub const STATE_DELTA: u8 = 2;
    /// A frame whose encoding only the topic's content type tells.
    pub const FRAME_OTHER: u8 = 0;
    /// A JPEG frame.
    pub const FRAME_JPEG: u8 = 1;
    /// A PNG frame.
    pub const FRAME_PNG: u8 = 2;
    /// A WebP frame.
    pub const FRAME_WEBP: u8 = 3;
    /// Interleaved signed 16-bit little-endian samples.
    pub const AUDIO_S16LE: u8 = 1;
    /// Interleaved 32-bit float little-endian samples.
    pub const AUDIO_F32LE: u8 = 2;
    /// An event of arbitrary bytes.
    pub const EVENT_BYTES: u8 = 0;
    /// An event of UTF-8 text.
    pub const EVENT_TEXT: u8 = 1;
    /// An event of JSON text.
    pub const EVENT_JSON: u8 = 2;
}

/// A message's first 16 bytes.
///
/// ```
/// use nyx_protocol::wire::{Header, Kind};
///
/// let header = Header { topic: 7, length: 5, ..Header::data(Kind::Event) };
/// assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the message carries; `None` for a control message.
    pub kind: Option<Kind>,
    /// The flags.
    pub flags: Flags,
    /// How the payload is encoded, see [`codec`].
    pub codec: u8,
    /// A publisher's alias, or the hub's topic id.
    pub topic: u32,
    /// The low 32 bits of the item's number in its topic.
    pub sequence: u32,
    /// Bytes of the payload.
    pub length: u32,
}

impl Header {
    /// The header of an empty control message.
    pub const CONTROL: Self =
        Self { kind: None, flags: Flags::NONE, codec: 0, topic: 0, sequence: 0, length: 0 };

    /// The header of an empty message of this kind.
    pub const fn data(kind: Kind) -> Self {
        Self { kind: Some(kind), ..Self::CONTROL }
    }

    /// Reads a header.
    ///
    /// # Errors
    /// When the type is unknown or a reserved bit is set: what follows can't be trusted then.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, DecodeError> {
        let [kind, flags, codec, reserved, t0, t1, t2, t3, s0, s1, s2, s3, l0, l1, l2, l3] = *bytes;
        if kind > 4 {
            return Err(DecodeError::UnknownType(kind));
        }
        if flags & !Flags::KNOWN != 0 || reserved != 0 {
            return Err(DecodeError::ReservedBits);
        }
        Ok(Self {
            kind: Kind::from_byte(kind),
            flags: Flags(flags),
            codec,
            topic: u32::from_be_bytes([t0, t1, t2, t3]),
            sequence: u32::from_be_bytes([s0, s1, s2, s3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        })
    }

    /// The header as it travels.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let [t0, t1, t2, t3] = self.topic.to_be_bytes();
        let [s0, s1, s2, s3] = self.sequence.to_be_bytes();
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        let kind = self.kind.map_or(0, |kind| kind as u8);
        [kind, self.flags.0, self.codec, 0, t0, t1, t2, t3, s0, s1, s2, s3, l0, l1, l2, l3]
    }

    /// Bytes of the whole message.
    pub const fn message_len(&self) -> usize {
        HEADER_LEN + self.length as usize
    }
}

/// Why a stream of bytes is no stream of messages. The peer erred; nothing after this point can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The first byte of a header is none of the known types.
    #[error("message type {0} is unknown: the peer does not speak the Nyx protocol, version 1")]
    UnknownType(u8),
    /// A reserved bit is set.
    #[error("a reserved header bit is set: the peer speaks a later version of the protocol")]
    ReservedBits,
    /// A message is longer than the receiver takes.
    #[error(
        "a message of {length} bytes is over the limit of {limit}: send smaller ones or raise limits.message_bytes"
    )]
    TooLarge {
        /// Bytes of the payload.
        length: u32,
        /// What the receiver takes.
        limit: usize,
    },
    /// A message with a timestamp flag is too short to hold one.
    #[error("a message says that it has a timestamp, but its payload has under 8 bytes")]
    NoTimestamp,
}

/// What stands at the front of a read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Not a whole message yet: `needed` more bytes complete it, or at least its header.
    Incomplete {
        /// Bytes that are missing.
        needed: usize,
    },
    /// A control message of `len` bytes with its header.
    Control {
        /// Bytes of the message.
        len: usize,
    },
    /// Whole data messages of one topic and kind.
    Run(Run),
}

/// Consecutive whole messages of one topic and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// What they carry.
    pub kind: Kind,
    /// Their topic field.
    pub topic: u32,
    /// Bytes of all, headers included.
    pub len: usize,
    /// How many there are. One, for kinds other than events: these are judged one by one.
    pub count: u32,
}

/// Looks at the front of `buffer`. O(messages in the run), and nothing is copied.
///
/// # Errors
/// When the front is no message. What precedes a bad message is still returned, by an earlier call.
///
/// ```
/// use nyx_protocol::wire::{self, Header, Kind, Run, Scan};
///
/// let mut stream = Vec::new();
/// wire::put_message(&mut stream, Header { topic: 3, ..Header::data(Kind::Event) }, b"one");
/// wire::put_message(&mut stream, Header { topic: 3, ..Header::data(Kind::Event) }, b"two");
/// stream.extend_from_slice(&[4, 0]); // the next message has only just begun
///
/// let run = Run { kind: Kind::Event, topic: 3, len: 38, count: 2 };
/// assert_eq!(wire::scan(&stream, 1024), Ok(Scan::Run(run)));
/// assert_eq!(wire::scan(&stream[38..], 1024), Ok(Scan::Incomplete { needed: 14 }));
/// ```
pub fn scan(buffer: &[u8], max_payload: usize) -> Result<Scan, DecodeError> {
    let Some(first) = peek(buffer, max_payload)? else {
        return Ok(Scan::Incomplete { needed: HEADER_LEN - buffer.len() });
    };
    if buffer.len() < first.message_len() {
        return Ok(Scan::Incomplete { needed: first.message_len() - buffer.len() });
    }
    let Some(kind) = first.kind else {
        return Ok(Scan::Control { len: first.message_len() });
    };
    let mut run = Run { kind, topic: first.topic, len: first.message_len(), count: 1 };
    if kind == Kind::Event {
        // A bad header ends the run: its error is the next call's, after what is good has been taken.
        while let Ok(Some(next)) = peek(&buffer[run.len..], max_payload)
            && next.kind == first.kind
            && next.topic == first.topic
            && buffer.len() - run.len >= next.message_len()
        {
            run.len += next.message_len();
            run.count += 1;
        }
    }
    Ok(Scan::Run(run))
}

/// The header at the front of `buffer`, checked against the limits; `None` if it is not whole yet.
fn peek(buffer: &[u8], max_payload: usize) -> Result<Option<Header>, DecodeError> {
    let Some(bytes) = buffer.first_chunk() else {
        return Ok(None);
    };
    let header = Header::parse(bytes)?;
    let limit = if header.kind.is_some() { max_payload } else { MAX_CONTROL_LEN };
    if header.length as usize > limit {
        return Err(DecodeError::TooLarge { length: header.length, limit });
    }
    if header.flags.contains(Flags::TIMESTAMP) && (header.length as usize) < TIMESTAMP_LEN {
        return Err(DecodeError::NoTimestamp);
    }
    Ok(Some(header))
}

/// Writes a hub's topic id and consecutive sequences from `first_sequence` into the headers at the front of a run that
/// [`scan`] found, and stops after the message with which `limit` bytes are reached. Returns the bytes and the number of
/// the messages patched.
pub fn patch_run(run: &mut [u8], topic: u32, first_sequence: u32, limit: usize) -> (usize, u32) {
    let (mut len, mut count) = (0, 0u32);
    while len < limit
        && let Some(header) = run.get_mut(len..).and_then(|rest| rest.first_chunk_mut::<HEADER_LEN>())
    {
        header[4..8].copy_from_slice(&topic.to_be_bytes());
        header[8..12].copy_from_slice(&first_sequence.wrapping_add(count).to_be_bytes());
        let [.., l0, l1, l2, l3] = *header;
        len += HEADER_LEN + u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        count += 1;
    }
    (len.min(run.len()), count)
}

/// Appends a message; its header's length becomes that of `payload`.
pub fn put_message(out: &mut impl BufMut, header: Header, payload: &[u8]) {
    put_parts(out, header, None, payload);
}

/// Appends a message whose payload starts with a capture time, in microseconds since the Unix epoch.
pub fn put_stamped(out: &mut impl BufMut, header: Header, unix_micros: u64, payload: &[u8]) {
    put_parts(out, header, Some(unix_micros), payload);
}

fn put_parts(out: &mut impl BufMut, header: Header, unix_micros: Option<u64>, payload: &[u8]) {
    let stamp = unix_micros.map_or(0, |_| TIMESTAMP_LEN);
    // Callers hold payloads to the message limit, which is a u32; a longer one would be cut off by the receiver's scan.
    let length = u32::try_from(payload.len() + stamp).unwrap_or(u32::MAX);
    let flags = if stamp > 0 { header.flags.with(Flags::TIMESTAMP) } else { header.flags };
    out.put_slice(&Header { length, flags, ..header }.to_bytes());
    if let Some(micros) = unix_micros {
        out.put_u64(micros);
    }
    out.put_slice(payload);
}

/// A whole message, borrowed from the bytes it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its header.
    pub header: Header,
    /// The capture time in microseconds since the Unix epoch, if it has one.
    pub unix_micros: Option<u64>,
    /// What follows the header and the capture time.
    pub payload: &'a [u8],
}

impl Message<'_> {
    /// The payload as an owner of the bytes `of` which it was read from, without a copy.
    pub fn owned_payload(&self, of: &Bytes) -> Bytes {
        of.slice_ref(self.payload)
    }
}

/// Walks the whole messages of a run.
///
/// Ends at the first that is not whole or not well-formed; in what [`scan`] returned there is none.
#[derive(Clone, Debug)]
pub struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    /// The messages in `run`.
    pub const fn new(run: &'a [u8]) -> Self {
        Self(run)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let (header, rest) = self.0.split_first_chunk()?;
        let header = Header::parse(header).ok()?;
        let (mut payload, rest) = rest.split_at_checked(header.length as usize)?;
        let mut unix_micros = None;
        if header.flags.contains(Flags::TIMESTAMP) {
            let (stamp, after) = payload.split_first_chunk()?;
            unix_micros = Some(u64::from_be_bytes(*stamp));
            payload = after;
        }
        self.0 = rest;
        Some(Message { header, unix_micros, payload })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(topic: u32, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_message(&mut out, Header { topic, ..Header::data(Kind::Event) }, payload);
        out
    }

    #[test]
    fn a_run_ends_where_the_topic_changes() {
        let stream = [event(1, b"a"), event(1, b"bc"), event(2, b"d")].concat();
        let Ok(Scan::Run(run)) = scan(&stream, 100) else { panic!("a run") };
        assert_eq!((run.topic, run.count, run.len), (1, 2, 35));
    }

    #[test]
    fn frames_are_judged_one_by_one() {
        let mut stream = Vec::new();
        for _ in 0..2 {
            put_message(&mut stream, Header::data(Kind::Frame), b"jpeg");
        }
        let Ok(Scan::Run(run)) = scan(&stream, 100) else { panic!("a run") };
        assert_eq!((run.count, run.len), (1, 20));
    }

    #[test]
    fn a_long_run_is_patched_in_parts() {
        let mut run = [event(1, b"abcd"), event(1, b"efgh"), event(1, b"ijkl")].concat();
        assert_eq!(patch_run(&mut run, 9, 5, 21), (40, 2));
        assert_eq!(patch_run(&mut run[40..], 9, 7, 21), (20, 1));
        let sequences: Vec<_> = Messages::new(&run).map(|message| message.header.sequence).collect();
        assert_eq!(sequences, [5, 6, 7]);
    }

    #[test]
    fn what_precedes_a_bad_header_is_still_found() {
        let stream = [event(1, b"good"), vec![0xff; 16]].concat();
        let Ok(Scan::Run(run)) = scan(&stream, 100) else { panic!("a run") };
        assert_eq!(run.len, 20);
        assert_eq!(scan(&stream[run.len..], 100), Err(DecodeError::UnknownType(0xff)));
    }

    #[test]
    fn refuses_what_is_too_large_before_it_arrives() {
        let header = Header { length: 101, ..Header::data(Kind::Event) };
        assert_eq!(scan(&header.to_bytes(), 100), Err(DecodeError::TooLarge { length: 101, limit: 100 }));
        let control = Header { length: MAX_CONTROL_LEN as u32 + 1, ..Header::CONTROL };
        assert!(matches!(scan(&control.to_bytes(), usize::MAX), Err(DecodeError::TooLarge { .. })));
    }

    #[test]
    fn refuses_reserved_bits_and_short_timestamps() {
        let mut bytes = Header::data(Kind::Event).to_bytes();
        bytes[3] = 1;
        assert_eq!(scan(&bytes, 100), Err(DecodeError::ReservedBits));
        let stamped = Header { flags: Flags::TIMESTAMP, length: 7, ..Header::data(Kind::Event) };
        assert_eq!(scan(&stamped.to_bytes(), 100), Err(DecodeError::NoTimestamp));
    }

    fn any_header() -> impl Strategy<Value = Header> {
        (0u8..=4, 0u8..=7, any::<u8>(), any::<u32>(), any::<u32>(), any::<u32>()).prop_map(
            |(kind, flags, codec, topic, sequence, length)| Header {
                kind: Kind::from_byte(kind),
                flags: Flags(flags),
                codec,
                topic,
                sequence,
                length,
            },
        )
    }

    proptest! {
        #[test]
        fn headers_round_trip(header in any_header()) {
            prop_assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
        }

        #[test]
        fn messages_are_found_however_the_stream_is_cut(
            messages in prop::collection::vec((0u32..3, prop::collection::vec(any::<u8>(), 0..40)), 1..20),
            cuts in prop::collection::vec(1usize..60, 1..200),
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|(topic, payload)| event(*topic, payload)).collect();
            let (mut fed, mut taken, mut found) = (0, 0, Vec::new());
            for cut in cuts.into_iter().cycle() {
                fed = (fed + cut).min(stream.len());
                while let Ok(Scan::Run(run)) = scan(&stream[taken..fed], 1000) {
                    let bytes = &stream[taken..taken + run.len];
                    found.extend(Messages::new(bytes).map(|m| (m.header.topic, m.payload.to_vec())));
                    taken += run.len;
                }
                if fed == stream.len() {
                    break;
                }
            }
            prop_assert_eq!(found, messages);
        }

        #[test]
        fn patching_touches_topic_and_sequence_only(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20),
            first in any::<u32>(),
        ) {
            let mut run: Vec<u8> = payloads.iter().flat_map(|payload| event(9, payload)).collect();
            let whole = patch_run(&mut run, 77, first, usize::MAX);
            prop_assert_eq!(whole, (run.len(), payloads.len() as u32));
            for (i, (message, payload)) in Messages::new(&run).zip(&payloads).enumerate() {
                prop_assert_eq!(message.payload, &payload[..]);
                prop_assert_eq!(message.header.topic, 77);
                prop_assert_eq!(message.header.sequence, first.wrapping_add(i as u32));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = scan(&bytes, 100);
            let mut copy = bytes.clone();
            patch_run(&mut copy, 1, 2, usize::MAX);
            Messages::new(&bytes).for_each(drop);
        }
    }
}
