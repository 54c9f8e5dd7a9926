//! The bytes around records: the file's header, a record's head, and numbers in its body.

use std::time::Duration;

use prost::encoding::{decode_varint, encode_varint};

/// The version of the format that this crate writes, and the latest that it reads.
pub const VERSION: u16 = 1;

/// Bytes of the file's header.
pub const HEADER_LEN: usize = 16;

/// The most bytes that the body of a record may have: 256 MiB, which no message comes near.
pub const RECORD_BYTES_MAX: u32 = 256 << 20;

/// Topics that one session may define: far more than a hub has.
pub(super) const TOPICS_MAX: usize = 1 << 16;

/// As PNG's: not text, and broken by whatever translates the ends of lines.
pub(super) const MAGIC: [u8; 8] = *b"\x89NYX\r\n\x1a\n";

/// The first byte of a record's body.
pub(super) mod kind {
    pub(crate) const SESSION: u8 = 1;
    pub(crate) const TOPIC: u8 = 2;
    pub(crate) const DATA: u8 = 3;
    pub(crate) const GAP: u8 = 4;
    pub(crate) const OUTAGE: u8 = 5;
    pub(crate) const END: u8 = 6;
    /// From here on, a reader passes over what it does not know.
    pub(crate) const OPTIONAL: u8 = 128;
}

/// The first bytes of a file.
pub(super) fn header(version: u16) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(&MAGIC);
    header[8..10].copy_from_slice(&version.to_be_bytes());
    let sum = crc32fast::hash(&header[..12]);
    header[12..].copy_from_slice(&sum.to_be_bytes());
    header
}

/// What stands before a record's body.
///
/// The length has a check of its own: were it covered by the body's sum alone, a damaged length could
/// not be told from a record that the end of the file cuts off, and whoever repairs that would cut off good records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: u32,
    pub(super) sum: u32,
}

impl Head {
    pub(super) const LEN: usize = 10;

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        let [c0, c1] = length_check(self.length).to_be_bytes();
        let [s0, s1, s2, s3] = self.sum.to_be_bytes();
        [l0, l1, l2, l3, c0, c1, s0, s1, s2, s3]
    }

    /// `None` when the length does not match its check.
    pub(super) fn parse(bytes: [u8; Self::LEN]) -> Option<Self> {
        let [l0, l1, l2, l3, c0, c1, s0, s1, s2, s3] = bytes;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let is_whole = length_check(length) == u16::from_be_bytes([c0, c1]);
        is_whole.then_some(Self { length, sum: u32::from_be_bytes([s0, s1, s2, s3]) })
    }
}

fn length_check(length: u32) -> u16 {
    crc32fast::hash(&length.to_be_bytes()) as u16
}

/// Appends a number to a body.
pub(super) fn put(out: &mut Vec<u8>, n: u64) {
    encode_varint(n, out);
}

/// Appends a time in microseconds.
pub(super) fn put_micros(out: &mut Vec<u8>, time: Duration) {
    put(out, micros(time));
}

/// Appends text or bytes with their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The fields of a body, read off its front. What fails says what the body lacks.
#[derive(Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn u8(&mut self) -> Result<u8, &'static str> {
        let (first, rest) = self.0.split_first().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn number(&mut self) -> Result<u64, &'static str> {
        decode_varint(&mut self.0).map_err(|_| "a number is cut off or exceeds 64 bits")
    }

    pub(super) fn u32(&mut self) -> Result<u32, &'static str> {
        self.number()?.try_into().map_err(|_| "a number exceeds 32 bits")
    }

    pub(super) fn micros(&mut self) -> Result<Duration, &'static str> {
        self.number().map(Duration::from_micros)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, &'static str> {
        let len = usize::try_from(self.number()?).map_err(|_| SHORT)?;
        let (text, rest) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| "a text is not UTF-8")
    }

    /// What is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn finish(&self) -> Result<(), &'static str> {
        if self.0.is_empty() { Ok(()) } else { Err("bytes are left over") }
    }
}

const SHORT: &str = "a field is cut off";
