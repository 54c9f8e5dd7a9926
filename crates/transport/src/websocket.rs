//! The framing of WebSocket (RFC 6455, section 5), as a server needs it: bytes in, payload and control frames out, no socket.
//!
//! Binary messages are parts of one stream of bytes, so their boundaries mean nothing: payload is unmasked in place and passed on as it
//! comes, and no length needs a bound. Text is refused. A library that makes whole messages would copy each, and hold a buffer for
//! every idle connection.

/// Takes the framing off what a client sends.
///
/// ```
/// use nyx_transport::websocket::Decoder;
///
/// // A final binary frame of two bytes with the mask 1, 2, 3, 4.
/// let mut bytes = [0x82, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];
/// let payload = Decoder::default().decode(&mut bytes, |control| panic!("{control:?}")).unwrap();
/// assert_eq!(&bytes[..payload], b"hi");
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    head: Head,
    frame: Option<Frame>,
    /// Inside a message of several frames.
    fragmented: bool,
    /// The payload of a control frame so far.
    control: Vec<u8>,
    /// The client has closed: what it sends behind that means nothing.
    is_closed: bool,
}

/// A header that has come in part.
#[derive(Debug, Default)]
struct Head {
    bytes: [u8; HEAD_MAX],
    len: usize,
}

/// The longest header: two bytes, a length of eight, a mask of four.
const HEAD_MAX: usize = 14;

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: u8,
    left: u64,
    mask: [u8; 4],
    /// Payload bytes that have passed, modulo the mask's length.
    passed: usize,
}

/// What a client says beside data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// To be answered with the same payload.
    Ping(Vec<u8>),
    /// The last frame; the code is to be sent back.
    Close(u16),
}

/// Why a client's frames can't be taken. It is told the code and the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The close code.
    pub code: u16,
    /// What the client did wrong.
    pub reason: &'static str,
}

impl Refusal {
    const TEXT: Self = Self { code: 1003, reason: "binary messages only: see docs/WIRE.md" };

    const fn protocol(reason: &'static str) -> Self {
        Self { code: 1002, reason }
    }
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
/// The opcode of a binary message.
pub const BINARY: u8 = 2;
/// The opcode that closes.
pub const CLOSE: u8 = 8;
const PING: u8 = 9;
/// The opcode of the answer to a ping.
pub const PONG: u8 = 10;

/// The most that a control frame's payload may have.
const CONTROL_MAX: usize = 125;

impl Decoder {
    /// Takes what has been read. Payload is moved to the front of `bytes`, and its length returned; control frames go to
    /// `said`.
    ///
    /// # Errors
    /// The client broke the protocol; nothing after this can be trusted.
    pub fn decode(&mut self, bytes: &mut [u8], mut said: impl FnMut(Control)) -> Result<usize, Refusal> {
        let (mut read, mut kept) = (0, 0);
        while !self.is_closed && (read < bytes.len() || self.frame.is_some_and(|frame| frame.left == 0)) {
            let Some(frame) = &mut self.frame else {
                self.head.bytes[self.head.len] = bytes[read];
                self.head.len += 1;
                read += 1;
                self.frame = self.head.parse()?;
                self.check()?;
                continue;
            };
            let here = usize::try_from(frame.left).unwrap_or(usize::MAX).min(bytes.len() - read);
            let payload = &mut bytes[read..read + here];
            frame.unmask(payload);
            if frame.opcode < CLOSE {
                bytes.copy_within(read..read + here, kept);
                kept += here;
            } else {
                self.control.extend_from_slice(payload);
            }
            read += here;
            if frame.left == 0 {
                self.end_frame(&mut said)?;
            }
        }
        Ok(kept)
    }

    /// Judges a frame by its header.
    fn check(&mut self) -> Result<(), Refusal> {
        let Some(frame) = self.frame else { return Ok(()) };
        let fin = self.head.bytes[0] & 0x80 != 0;
        match frame.opcode {
            TEXT => return Err(Refusal::TEXT),
            BINARY if self.fragmented => return Err(Refusal::protocol("a message begins inside another")),
            CONTINUATION if !self.fragmented => return Err(Refusal::protocol("no message goes on here")),
            BINARY | CONTINUATION => self.fragmented = !fin,
            CLOSE..=PONG if !fin || frame.left > CONTROL_MAX as u64 => {
                return Err(Refusal::protocol("a control frame is whole and has at most 125 bytes"));
            }
            CLOSE..=PONG => {}
            _ => return Err(Refusal::protocol("unknown opcode")),
        }
        self.head.len = 0;
        Ok(())
    }

    fn end_frame(&mut self, said: &mut impl FnMut(Control)) -> Result<(), Refusal> {
        let Some(frame) = self.frame.take() else { return Ok(()) };
        let payload = std::mem::take(&mut self.control);
        match frame.opcode {
            PING => said(Control::Ping(payload)),
            CLOSE => {
                self.is_closed = true;
                said(Control::Close(close_code(&payload)?));
            }
            _ => {}
        }
        Ok(())
    }
}

/// What the payload of a close says: a code, and a reason, which is for people (RFC 6455, section 5.5.1).
fn close_code(payload: &[u8]) -> Result<u16, Refusal> {
    let (code, reason) = match payload {
        // No code said: that it closes normally.
        [] => return Ok(1000),
        [_] => return Err(Refusal::protocol("half a close code")),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    // Those in between are said of connections, never on them, or are nobody's yet (section 7.4).
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Refusal::protocol("no close code that may be sent"));
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(code),
        Err(_) => Err(Refusal { code: 1007, reason: "the reason of a close is UTF-8" }),
    }
}

impl Head {
    /// The frame whose header this is, when it is whole.
    fn parse(&self) -> Result<Option<Frame>, Refusal> {
        let bytes = &self.bytes[..self.len];
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(Refusal::protocol("no extension was agreed on"));
        }
        if second & 0x80 == 0 {
            return Err(Refusal::protocol("a client masks its frames"));
        }
        let (length, mask) = match (second & 0x7f, rest) {
            (126, [a, b, mask @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), mask),
            (127, [a, b, c, d, e, f, g, h, mask @ ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), mask)
            }
            (126 | 127, _) => return Ok(None),
            (length, mask) => (u64::from(length), mask),
        };
        let Ok(mask) = mask.try_into() else { return Ok(None) };
        if length > i64::MAX as u64 {
            return Err(Refusal::protocol("a length has 63 bits"));
        }
        Ok(Some(Frame { opcode: first & 0x0f, left: length, mask, passed: 0 }))
    }
}

impl Frame {
    /// Unmasks the next part of the payload.
    fn unmask(&mut self, payload: &mut [u8]) {
        let mut mask = self.mask;
        mask.rotate_left(self.passed % 4);
        let mut words = payload.chunks_exact_mut(4);
        for word in &mut words {
            word.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
        words.into_remainder().iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        self.passed = (self.passed + payload.len()) % 4;
        self.left -= payload.len() as u64;
    }
}

/// The header of a whole message or control frame from a server. Returns the bytes and how many of them count.
pub fn head(opcode: u8, length: usize) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    bytes[0] = 0x80 | opcode;
    let len = match length {
        0..=125 => {
            bytes[1] = length as u8;
            2
        }
        126..=0xffff => {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            bytes[1] = 127;
            bytes[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    (bytes, len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A client's frame.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let (bytes, len) = head(first & 0x0f, payload.len());
        let mut out = bytes[..len].to_vec();
        out[0] = first;
        out[1] |= 0x80;
        let mask = [0x5a, 0xc3, 0x0f, 0x99];
        out.extend_from_slice(&mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        out
    }

    fn decode(decoder: &mut Decoder, bytes: &[u8]) -> Result<(Vec<u8>, Vec<Control>), Refusal> {
        let (mut bytes, mut said) = (bytes.to_vec(), Vec::new());
        let kept = decoder.decode(&mut bytes, |control| said.push(control))?;
        bytes.truncate(kept);
        Ok((bytes, said))
    }

    fn refused(bytes: &[u8]) -> u16 {
        decode(&mut Decoder::default(), bytes).unwrap_err().code
    }

    #[test]
    fn control_frames_may_stand_inside_a_message() {
        let stream =
            [frame(0x02, b"one "), frame(0x89, b"there?"), frame(0x80, b"two"), frame(0x88, &[3, 233])]
                .concat();
        let (payload, said) = decode(&mut Decoder::default(), &stream).unwrap();
        assert_eq!(payload, b"one two");
        assert_eq!(said, [Control::Ping(b"there?".to_vec()), Control::Close(1001)]);
    }

    #[test]
    fn a_close_is_the_last_and_says_why_in_words() {
        let stream = [frame(0x88, b"\x03\xe9bye"), frame(0x82, b"late"), frame(0x8f, b"")].concat();
        let mut decoder = Decoder::default();
        assert_eq!(decode(&mut decoder, &stream), Ok((Vec::new(), vec![Control::Close(1001)])));
        assert_eq!(decode(&mut decoder, &frame(0x82, b"later")), Ok((Vec::new(), Vec::new())));
        assert_eq!(refused(&frame(0x88, b"\x03\xe8\xff")), 1007);
    }

    #[test]
    fn text_is_refused_before_its_payload_comes() {
        assert_eq!(refused(&frame(0x81, b"hello")[..6]), 1003);
    }

    #[test]
    fn what_breaks_the_protocol_is_refused() {
        let unmasked = [0x82, 0x01, b'x'];
        let endless = [0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for bytes in [
            unmasked.to_vec(),
            endless.to_vec(),
            frame(0xc2, b"compressed"),
            frame(0x80, b"goes on from nothing"),
            [frame(0x02, b"a"), frame(0x82, b"b")].concat(),
            frame(0x09, b"half a ping"),
            frame(0x89, &[0; 126]),
            frame(0x88, &[3]),
            frame(0x88, &999u16.to_be_bytes()),
            frame(0x88, &1005u16.to_be_bytes()),
            frame(0x88, &1015u16.to_be_bytes()),
            frame(0x88, &5000u16.to_be_bytes()),
            frame(0x83, b""),
            frame(0x8b, b""),
        ] {
            assert_eq!(refused(&bytes), 1002, "{bytes:?}");
        }
    }

    #[test]
    fn lengths_of_every_size_are_written_as_they_are_read() {
        for len in [0, 125, 126, 0xffff, 0x10000] {
            let (payload, _) = decode(&mut Decoder::default(), &frame(0x82, &vec![7; len])).unwrap();
            assert_eq!(payload, vec![7; len]);
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_reads_end(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..6),
            cuts in prop::collection::vec(1usize..80, 1..60),
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|m| [frame(0x82, m), frame(0x89, b"p")].concat()).collect();
            let (mut decoder, mut payload, mut pings) = (Decoder::default(), Vec::new(), 0);
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                let (part, said) = decode(&mut decoder, piece).unwrap();
                payload.extend(part);
                pings += said.len();
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(payload, messages.concat());
            prop_assert_eq!(pings, messages.len());
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&mut Decoder::default(), &bytes);
        }
    }
}
