//! What has been read of a connection: cut into the protocol's packets.

use pulseaudio::protocol::DESCRIPTOR_SIZE;
use thiserror::Error;

/// Bytes of a connection, and the packets in them. A value: whoever has a socket reads into [`Self::room`].
///
/// ```
/// use nyx_audio_capture::pulse::inbox::{Inbox, Packet};
///
/// let mut inbox = Inbox::new();
/// // Four bytes of the stream on channel 7: length, channel, offset (64 bits), flags, content.
/// let packet = [0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
/// inbox.room()[..packet.len()].copy_from_slice(&packet);
/// inbox.filled(packet.len());
/// assert_eq!(inbox.next_packet()?, Some(Packet::Samples { channel: 7, bytes: &[1, 2, 3, 4] }));
/// assert_eq!(inbox.next_packet()?, None);
/// # Ok::<(), nyx_audio_capture::pulse::inbox::Malformed>(())
/// ```
#[derive(Debug)]
pub struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A message.
    Message {
        /// What it is, by the protocol's numbers.
        command: u32,
        /// The request that it answers; for events this means nothing.
        sequence: u32,
        /// What follows.
        body: &'a [u8],
    },
    /// Samples of a stream.
    Samples {
        /// The stream.
        channel: u32,
        /// The samples as the stream has them.
        bytes: &'a [u8],
    },
}

/// The server does not speak the protocol: the connection can't be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// A packet is longer than the protocol allows.
    #[error("the server announces a packet of {0} bytes")]
    TooLong(
        /// Bytes announced.
        u32,
    ),
    /// A message does not begin with its number and that of the request.
    #[error("the server sends a message without a number")]
    NoNumber,
}

impl Inbox {
    /// An inbox for packets of usual length; it grows for longer ones.
    pub fn new() -> Self {
        Self { buffer: vec![0; USUAL_BYTES], start: 0, end: 0 }
    }

    /// Where to read to; never empty. Grows with what has been read, not with what a packet says of itself.
    pub fn room(&mut self) -> &mut [u8] {
        if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.end, 0);
        }
        &mut self.buffer[self.end..]
    }

    /// So many bytes were read into [`Self::room`].
    pub fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.buffer.len());
    }

    /// The next whole packet.
    ///
    /// # Errors
    ///
    /// [`Malformed`], from then on always.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Malformed> {
        let Some((length, channel)) = self.descriptor() else { return Ok(None) };
        if length > PACKET_MAX {
            return Err(Malformed::TooLong(length));
        }
        let (from, to) = (self.start + DESCRIPTOR_SIZE, self.start + DESCRIPTOR_SIZE + length as usize);
        if to > self.end {
            return Ok(None);
        }
        let content = &self.buffer[from..to];
        if channel != CONTROL {
            self.start = to;
            return Ok(Some(Packet::Samples { channel, bytes: content }));
        }
        let (command, sequence, body) = numbers(content).ok_or(Malformed::NoNumber)?;
        self.start = to;
        Ok(Some(Packet::Message { command, sequence, body }))
    }

    /// Length and channel of the packet that begins here.
    fn descriptor(&self) -> Option<(u32, u32)> {
        let head = self.buffer[self.start..self.end].first_chunk::<8>()?;
        let [a, b, c, d, e, f, g, h] = *head;
        (self.end - self.start >= DESCRIPTOR_SIZE)
            .then(|| (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])))
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

/// The two numbers in front of every message, each with its tag.
fn numbers(content: &[u8]) -> Option<(u32, u32, &[u8])> {
    let ([b'L', a, b, c, d, b'L', e, f, g, h], body) = content.split_first_chunk::<10>()? else {
        return None;
    };
    Some((u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h]), body))
}

/// The channel of messages.
const CONTROL: u32 = u32::MAX;

/// Several fragments of any stream that we ask for.
const USUAL_BYTES: usize = 1 << 16;

/// PulseAudio's own bound (FRAME_SIZE_MAX_ALLOW).
const PACKET_MAX: u32 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(channel: u32, content: &[u8]) -> Vec<u8> {
        let mut packet = (content.len() as u32).to_be_bytes().to_vec();
        packet.extend(channel.to_be_bytes());
        packet.extend([0; 12]);
        packet.extend(content);
        packet
    }

    fn feed(inbox: &mut Inbox, mut bytes: &[u8]) -> usize {
        let room = inbox.room();
        let len = bytes.len().min(room.len());
        bytes = &bytes[..len];
        room[..len].copy_from_slice(bytes);
        inbox.filled(len);
        len
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn packets_come_out_as_they_went_in_however_they_are_cut(
            contents in prop::collection::vec((0_u32..5, any::<u8>(), 0_usize..200_000), 1..6),
            cuts in prop::collection::vec(1_usize..90_000, 1..9),
        ) {
            let contents: Vec<_> =
                contents.into_iter().map(|(channel, byte, length)| (channel, vec![byte; length])).collect();
            let stream: Vec<u8> =
                contents.iter().flat_map(|(channel, content)| packet(*channel, content)).collect();
            let mut inbox = Inbox::new();
            let (mut expected, mut rest) = (contents.iter(), &stream[..]);
            for cut in cuts.iter().cycle() {
                let taken = feed(&mut inbox, &rest[..rest.len().min(*cut)]);
                rest = &rest[taken..];
                while let Some(Packet::Samples { channel, bytes }) = inbox.next_packet().unwrap() {
                    let (wanted, content) = expected.next().unwrap();
                    prop_assert!(channel == *wanted && bytes == &content[..]);
                }
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert!(expected.next().is_none());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut inbox = Inbox::new();
            feed(&mut inbox, &bytes);
            while let Ok(Some(_)) = inbox.next_packet() {}
            inbox.room();
        }
    }

    #[test]
    fn a_packet_that_is_too_long_is_refused_before_memory_is_taken() {
        let mut inbox = Inbox::new();
        let mut bytes = packet(0, &[]);
        bytes[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        feed(&mut inbox, &bytes);
        assert_eq!(inbox.next_packet(), Err(Malformed::TooLong(u32::MAX)));
        assert!(inbox.room().len() <= USUAL_BYTES);
    }

    #[test]
    fn a_message_has_two_numbers() {
        let mut inbox = Inbox::new();
        feed(&mut inbox, &packet(CONTROL, b"L\0\0\0\x02L\0\0\0\x09rest"));
        assert_eq!(inbox.next_packet(), Ok(Some(Packet::Message { command: 2, sequence: 9, body: b"rest" })));
        feed(&mut inbox, &packet(CONTROL, b"L\0\0\0\x02R"));
        assert_eq!(inbox.next_packet(), Err(Malformed::NoNumber));
    }
}
