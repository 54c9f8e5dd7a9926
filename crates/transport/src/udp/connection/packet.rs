//! What is in a datagram (docs/WIRE.md, section 9).

use std::ops::Range;

use thiserror::Error;

use super::ranges::Ranges;
use super::varint;

/// A datagram, as far as it can be read without its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A client that has not heard from the hub yet: without a cookie it asks for one, with it it has begun to talk.
    Open {
        /// The connection, as the client has drawn it.
        id: u64,
        /// What the hub had it echo; empty at first.
        cookie: &'a [u8],
        /// Counts the datagrams of this side.
        number: u64,
        /// What it carries.
        frames: &'a [u8],
    },
    /// The hub's answer to a client without a good cookie.
    Cookie {
        /// The connection that was asked for.
        id: u64,
        /// What to echo.
        cookie: &'a [u8],
    },
    /// Everything else.
    Data {
        /// The connection.
        id: u64,
        /// Counts the datagrams of this side.
        number: u64,
        /// What it carries.
        frames: &'a [u8],
    },
    /// The hub knows no such connection.
    Gone {
        /// The one that it does not know.
        id: u64,
    },
}

/// What one datagram carries, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A byte that fills.
    Padding,
    /// It is to be acknowledged, and says nothing.
    Ping,
    /// What has arrived here.
    Ack(Ack),
    /// A piece of the ordered stream.
    Stream {
        /// Where it belongs.
        offset: u64,
        /// What it is.
        bytes: &'a [u8],
    },
    /// A piece of an item.
    Item(Piece<'a>),
    /// Items of a flow that are still missing will not come.
    Skip {
        /// The flow.
        flow: u32,
        /// All below this number are over.
        below: u64,
    },
    /// This side has ended the connection.
    Close,
}

/// Which datagrams have arrived, and what waits here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// How long ago the one with the largest number came, in microseconds.
    pub delay_us: u64,
    /// Bytes of items and of the stream that are here whole and not consumed.
    pub backlog: u64,
    /// The numbers, in descending ranges of which no two touch; never empty.
    pub ranges: Vec<Range<u64>>,
}

/// A piece of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The flow that the item belongs to.
    pub flow: u32,
    /// Its number in the flow, from 0.
    pub number: u64,
    /// Whether it waits for the one before; otherwise it makes all before it obsolete.
    pub in_order: bool,
    /// Bytes of the stream that come before it.
    pub after: u64,
    /// Bytes of the whole item.
    pub total: u64,
    /// Where the piece belongs in it.
    pub offset: u64,
    /// The piece.
    pub bytes: &'a [u8],
}

/// Why a datagram can't be read. Its sender erred, or it was cut short or forged on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PacketError {
    /// It ends in the middle of something.
    #[error("the datagram is cut short")]
    Truncated,
    /// Its first byte says nothing that is known.
    #[error("no datagram begins with {0:#04x}")]
    Kind(u8),
    /// It is for another version of this format.
    #[error("version {0} of datagrams is not spoken here")]
    Version(u8),
    /// It carries something that is not known.
    #[error("no frame begins with {0:#04x}")]
    Frame(u8),
    /// It acknowledges what can't be, or too much at once.
    #[error("its acknowledgement is no list of at most 64 descending ranges")]
    Ack,
    /// A piece lies outside of its item, or has no bytes, or the item is empty, too large, or another one than was said before.
    #[error("a piece of an item is empty, lies outside of it, or contradicts what came of it before")]
    Piece,
}

/// Ranges of numbers in one acknowledgement.
pub(super) const RANGES_MAX: usize = 64;

/// The version of this format, which is that of the protocol.
const VERSION: u8 = 1;

const OPEN: u8 = 1;
const COOKIE: u8 = 2;
const DATA: u8 = 3;
const GONE: u8 = 4;

const PADDING: u8 = 0;
const PING: u8 = 1;
const ACK: u8 = 2;
const STREAM: u8 = 3;
const ITEM: u8 = 4;
const ITEM_IN_ORDER: u8 = 5;
const SKIP: u8 = 6;
const CLOSE: u8 = 7;

impl<'a> Packet<'a> {
    /// Reads a datagram's head. What it carries is read by [`Frames`].
    ///
    /// # Errors
    /// See [`PacketError`].
    pub fn decode(datagram: &'a [u8]) -> Result<Self, PacketError> {
        let (&kind, mut rest) = datagram.split_first().ok_or(PacketError::Truncated)?;
        match kind {
            OPEN => {
                let (&version, behind) = rest.split_first().ok_or(PacketError::Truncated)?;
                if version != VERSION {
                    return Err(PacketError::Version(version));
                }
                rest = behind;
                let id = take_id(&mut rest)?;
                let cookie = take_bytes(&mut rest)?;
                let number = number(&mut rest)?;
                Ok(Packet::Open { id, cookie, number, frames: rest })
            }
            COOKIE => {
                let id = take_id(&mut rest)?;
                Ok(Packet::Cookie { id, cookie: take_bytes(&mut rest)? })
            }
            DATA => {
                let id = take_id(&mut rest)?;
                Ok(Packet::Data { id, number: number(&mut rest)?, frames: rest })
            }
            GONE => Ok(Packet::Gone { id: take_id(&mut rest)? }),
            other => Err(PacketError::Kind(other)),
        }
    }

    /// Appends the datagram, as far as it is known so.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Packet::Open { id, cookie, number, frames } => {
                out.extend_from_slice(&[OPEN, VERSION]);
                out.extend_from_slice(&id.to_be_bytes());
                put_bytes(out, cookie);
                varint::put(out, number);
                out.extend_from_slice(frames);
            }
            Packet::Cookie { id, cookie } => {
                out.push(COOKIE);
                out.extend_from_slice(&id.to_be_bytes());
                put_bytes(out, cookie);
            }
            Packet::Data { id, number, frames } => {
                out.push(DATA);
                out.extend_from_slice(&id.to_be_bytes());
                varint::put(out, number);
                out.extend_from_slice(frames);
            }
            Packet::Gone { id } => {
                out.push(GONE);
                out.extend_from_slice(&id.to_be_bytes());
            }
        }
    }
}

/// The frames of a datagram. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Frames<'a>(&'a [u8]);

impl<'a> Frames<'a> {
    /// Of what a [`Packet`] carries.
    pub const fn new(frames: &'a [u8]) -> Self {
        Self(frames)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, PacketError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&kind, rest) = self.0.split_first()?;
        self.0 = rest;
        let frame = decode(kind, &mut self.0);
        if frame.is_err() {
            self.0 = &[];
        }
        Some(frame)
    }
}

fn decode<'a>(kind: u8, rest: &mut &'a [u8]) -> Result<Frame<'a>, PacketError> {
    Ok(match kind {
        PADDING => Frame::Padding,
        PING => Frame::Ping,
        ACK => Frame::Ack(decode_ack(rest)?),
        STREAM => Frame::Stream { offset: number(rest)?, bytes: take_bytes(rest)? },
        ITEM | ITEM_IN_ORDER => Frame::Item(decode_piece(kind == ITEM_IN_ORDER, rest)?),
        SKIP => Frame::Skip { flow: flow(rest)?, below: number(rest)? },
        CLOSE => Frame::Close,
        other => return Err(PacketError::Frame(other)),
    })
}

fn decode_piece<'a>(in_order: bool, rest: &mut &'a [u8]) -> Result<Piece<'a>, PacketError> {
    let piece = Piece {
        in_order,
        flow: flow(rest)?,
        number: number(rest)?,
        after: number(rest)?,
        total: number(rest)?,
        offset: number(rest)?,
        bytes: take_bytes(rest)?,
    };
    let end = piece.offset + piece.bytes.len() as u64;
    if piece.bytes.is_empty() || end > piece.total {
        return Err(PacketError::Piece);
    }
    Ok(piece)
}

fn decode_ack(rest: &mut &[u8]) -> Result<Ack, PacketError> {
    let (delay_us, backlog, count) = (number(rest)?, number(rest)?, number(rest)?);
    if count == 0 || count > RANGES_MAX as u64 {
        return Err(PacketError::Ack);
    }
    let mut ranges: Vec<Range<u64>> = Vec::with_capacity(count as usize);
    for _ in 0..count {
        // The first begins at the largest number; each other says how far below the one before it ends, where 0 would touch it.
        let (gap, length) = (number(rest)?, number(rest)?);
        let end = match ranges.last() {
            None => gap + 1,
            Some(last) if gap > 0 => last.start.checked_sub(gap).ok_or(PacketError::Ack)?,
            Some(_) => return Err(PacketError::Ack),
        };
        let start = end.checked_sub(length).filter(|start| *start < end).ok_or(PacketError::Ack)?;
        ranges.push(start..end);
    }
    Ok(Ack { delay_us, backlog, ranges })
}

impl Frame<'_> {
    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Frame::Padding => out.push(PADDING),
            Frame::Ping => out.push(PING),
            Frame::Ack(ack) => ack.encode(out),
            Frame::Stream { offset, bytes } => {
                out.push(STREAM);
                varint::put(out, *offset);
                put_bytes(out, bytes);
            }
            Frame::Item(piece) => {
                out.push(if piece.in_order { ITEM_IN_ORDER } else { ITEM });
                let Piece { flow, number, after, total, offset, .. } = *piece;
                [u64::from(flow), number, after, total, offset]
                    .into_iter()
                    .for_each(|value| varint::put(out, value));
                put_bytes(out, piece.bytes);
            }
            Frame::Skip { flow, below } => {
                out.push(SKIP);
                varint::put(out, u64::from(*flow));
                varint::put(out, *below);
            }
            Frame::Close => out.push(CLOSE),
        }
    }

    /// Whether the other side is to acknowledge it.
    pub const fn is_eliciting(&self) -> bool {
        !matches!(self, Frame::Padding | Frame::Ack(_) | Frame::Close)
    }
}

impl Ack {
    /// The newest numbers of those that have arrived.
    pub(super) fn of(numbers: &Ranges, delay_us: u64, backlog: u64) -> Self {
        let ranges = numbers.iter().rev().take(RANGES_MAX / 2).cloned().collect();
        Self { delay_us, backlog, ranges }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(ACK);
        varint::put(out, self.delay_us);
        varint::put(out, self.backlog);
        varint::put(out, self.ranges.len() as u64);
        let mut last: Option<&Range<u64>> = None;
        for range in &self.ranges {
            varint::put(out, last.map_or(range.end - 1, |last| last.start - range.end));
            varint::put(out, range.end - range.start);
            last = Some(range);
        }
    }
}

fn number(rest: &mut &[u8]) -> Result<u64, PacketError> {
    varint::take(rest).ok_or(PacketError::Truncated)
}

fn flow(rest: &mut &[u8]) -> Result<u32, PacketError> {
    u32::try_from(number(rest)?).map_err(|_| PacketError::Piece)
}

fn take_id(rest: &mut &[u8]) -> Result<u64, PacketError> {
    let (id, behind) = rest.split_first_chunk::<8>().ok_or(PacketError::Truncated)?;
    *rest = behind;
    Ok(u64::from_be_bytes(*id))
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], PacketError> {
    let length = usize::try_from(number(rest)?).map_err(|_| PacketError::Truncated)?;
    let (bytes, behind) = rest.split_at_checked(length).ok_or(PacketError::Truncated)?;
    *rest = behind;
    Ok(bytes)
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
