//! Finding whole messages in a read buffer, and making them a hub's own.

use super::{DecodeError, Flags, HEADER_LEN, Header, Kind, MAX_CONTROL_LEN, TIMESTAMP_LEN};
use crate::compress;

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
    /// How many items there are. One, for kinds other than events: these are judged one by one. A [block](Flags::BLOCK) is a
    /// run of its own, and has as many items as it says.
    pub count: u32,
}

impl Run {
    /// The part of this run, which stands at the front of `buffer`, that has at most so many messages and bytes; but
    /// the first message always, with all its items. O(messages in the part).
    ///
    /// ```
    /// use nyx_protocol::wire::{self, Header, Kind, Scan};
    ///
    /// let mut stream = Vec::new();
    /// for text in [b"one", b"two", b"six"] {
    ///     wire::put_message(&mut stream, Header::data(Kind::Event), text);
    /// }
    /// let Ok(Scan::Run(run)) = wire::scan(&stream, 1024) else { panic!("three messages") };
    /// assert_eq!(run.first(&stream, 2, 1000).count, 2);
    /// assert_eq!(run.first(&stream, 9, 40).count, 2);
    /// assert_eq!(run.first(&stream, 0, 0).count, 1);
    /// ```
    #[inline]
    pub fn first(self, buffer: &[u8], messages: u32, bytes: usize) -> Self {
        if buffer.get(1).is_some_and(|flags| flags & Flags::BLOCK_BIT != 0) {
            return self;
        }
        let mut part = Self { len: 0, count: 0, ..self };
        while part.count < self.count
            && let Some(&[.., l0, l1, l2, l3]) =
                buffer.get(part.len..).and_then(<[u8]>::first_chunk::<HEADER_LEN>)
        {
            let end = part.len + HEADER_LEN + u32::from_be_bytes([l0, l1, l2, l3]) as usize;
            if part.count > 0 && (part.count >= messages || end > bytes) {
                break;
            }
            part = Self { len: end.min(self.len), count: part.count + 1, ..part };
        }
        part
    }
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
#[inline]
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
    if first.flags.contains(Flags::BLOCK) {
        run.count = items(&buffer[..run.len]);
    } else if kind == Kind::Event {
        // A bad header ends the run: its error is the next call's, after what is good has been taken.
        while let Ok(Some(next)) = peek(&buffer[run.len..], max_payload)
            && next.kind == first.kind
            && next.topic == first.topic
            && !next.flags.contains(Flags::BLOCK)
            && buffer.len() - run.len >= next.message_len()
        {
            run.len += next.message_len();
            run.count += 1;
        }
    }
    Ok(Scan::Run(run))
}

/// How many items a whole message with a block says that it has. What is no block counts as one: whoever opens it will say so.
fn items(message: &[u8]) -> u32 {
    let stamp = if message[1] & Flags::TIMESTAMP.bits() == 0 { 0 } else { TIMESTAMP_LEN };
    message.get(HEADER_LEN + stamp..).map_or(1, compress::items)
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
/// [`scan`] found, and stops after the message with which `limit` bytes are reached. Returns the bytes patched, and the number of
/// items in them.
#[inline]
pub fn patch_run(run: &mut [u8], topic: u32, first_sequence: u32, limit: usize) -> (usize, u32) {
    let (mut len, mut count) = (0, 0u32);
    while len < limit
        && let Some(header) = run.get_mut(len..).and_then(|rest| rest.first_chunk_mut::<HEADER_LEN>())
    {
        header[4..8].copy_from_slice(&topic.to_be_bytes());
        header[8..12].copy_from_slice(&first_sequence.wrapping_add(count).to_be_bytes());
        let [_, flags, .., l0, l1, l2, l3] = *header;
        let end = len + HEADER_LEN + u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        count += if flags & Flags::BLOCK_BIT == 0 { 1 } else { run.get(len..end).map_or(1, items) };
        len = end;
    }
    (len.min(run.len()), count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Messages, put_message};
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

    proptest! {
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
