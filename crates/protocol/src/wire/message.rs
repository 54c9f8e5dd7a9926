//! Whole messages: writing them, and walking those of a run.

use bytes::{BufMut, Bytes};

use super::{Flags, Header, TIMESTAMP_LEN};

/// Appends a message; its header's length becomes that of `payload`.
#[inline]
pub fn put_message(out: &mut impl BufMut, header: Header, payload: &[u8]) {
    put_parts(out, header, None, payload);
}

/// Appends a message whose payload starts with a capture time, in microseconds since the Unix epoch.
#[inline]
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
    #[inline]
    pub fn owned_payload(&self, of: &Bytes) -> Bytes {
        of.slice_ref(self.payload)
    }
}

/// Walks the whole messages of a run.
///
/// Ends at the first that is not whole or not well-formed; in what [`scan`](super::scan()) returned there is none.
#[derive(Clone, Debug)]
pub struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    /// The messages in `run`.
    #[inline]
    pub const fn new(run: &'a [u8]) -> Self {
        Self(run)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    #[inline]
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
