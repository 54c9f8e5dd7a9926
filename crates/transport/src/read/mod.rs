//! Reading into pooled memory that is carved up without copies.
//!
//! A connection that waits for bytes holds no buffer: all readers of a thread fill the same large one in turn, each
//! going on where the last one stopped. What is split off keeps its part of the memory; the rest is used until under a
//! quarter is left. Only a message that has arrived in part keeps memory of its own, in proportion to what did arrive.

mod spare;

use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use spare::CHUNK;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What one connection has received and not yet taken.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use nyx_transport::read::Reader;
///
/// let mut io = &b"one two"[..];
/// let mut reader = Reader::new();
/// let n = std::future::poll_fn(|cx| reader.poll_fill(cx, &mut io)).await.unwrap();
/// assert_eq!(n, 7);
/// let word = reader.buffer_mut().split_to(3).freeze();
/// assert_eq!((&word[..], &reader.buffer_mut()[..]), (&b"one"[..], &b" two"[..]));
/// # });
/// ```
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
    origin: Origin,
    needed: usize,
}

/// Where the memory of a reader's buffer comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Origin {
    /// It was made for this reader, or there is none.
    #[default]
    Own,
    /// It is the thread's, and goes back.
    Pool,
}

impl Reader {
    /// A reader that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What has been read and not consumed. The caller takes from the front, with
    /// [`split_to`](BytesMut::split_to) or [`advance`](bytes::Buf::advance).
    pub const fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Says how many bytes are missing until the message at the front is whole, so that a long one gets a buffer in
    /// which it fits. Memory still grows only as bytes arrive: at most twofold, whatever is claimed here.
    pub const fn expect(&mut self, needed: usize) {
        self.needed = needed;
    }

    /// Reads once. `Ready(Ok(0))` is the end of the stream.
    ///
    /// When nothing is there, memory that is not needed goes back to the thread's pool, and the task is woken when
    /// there is something.
    ///
    /// # Errors
    /// What the socket says.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let poll = pin!(io.read_buf(&mut self.buffer)).poll(cx);
        match poll {
            Poll::Ready(Ok(n)) => self.needed = self.needed.saturating_sub(n),
            _ => self.settle(),
        }
        poll
    }

    /// Memory for the next read, behind what is still there.
    fn make_room(&mut self) {
        let (len, spare) = (self.buffer.len(), self.buffer.capacity() - self.buffer.len());
        let enough = match self.origin {
            Origin::Pool => spare >= READ_MIN,
            // A large message in memory of its own is read to its end there, small ones move to the shared buffer.
            Origin::Own => len > SMALL && spare > 0,
        };
        if enough {
            return;
        }
        if len < CHUNK / 2 {
            self.replace(spare::take(len + READ_MIN), Origin::Pool);
        } else {
            let grown = (2 * len).min(len + self.needed.max(READ_MIN));
            self.replace(BytesMut::with_capacity(grown), Origin::Own);
        }
    }

    /// Gives back what is not needed while nothing arrives.
    fn settle(&mut self) {
        match (self.origin, self.buffer.len()) {
            (Origin::Pool, len @ 0..=SMALL) => self.replace(BytesMut::with_capacity(len), Origin::Own),
            (Origin::Own, 0) => self.buffer = BytesMut::new(),
            _ => {}
        }
    }

    fn replace(&mut self, mut by: BytesMut, origin: Origin) {
        by.extend_from_slice(&self.buffer);
        let old = std::mem::replace(&mut self.buffer, by);
        if self.origin == Origin::Pool {
            spare::put(old);
        }
        self.origin = origin;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.origin == Origin::Pool {
            spare::put(std::mem::take(&mut self.buffer));
        }
    }
}

/// Room below which a shared buffer is exchanged: a read into less would cost a system call for little.
const READ_MIN: usize = CHUNK / 4;

/// Bytes of an unfinished message that are worth copying out and back (under a microsecond) to set a large buffer free.
/// Above it the reader keeps the buffer, at most sixteen times what the peer really sent.
const SMALL: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::Waker;

    use bytes::{Buf, Bytes};
    use proptest::prelude::*;
    use tokio::io::ReadBuf;

    use super::*;

    /// Yields its pieces one by one, is not ready at the empty ones, and then ends.
    struct Pieces(VecDeque<Bytes>);

    impl Pieces {
        fn new<const N: usize>(pieces: [&[u8]; N]) -> Self {
            Self(pieces.into_iter().map(Bytes::copy_from_slice).collect())
        }
    }

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            out: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let Some(mut piece) = self.0.pop_front() else { return Poll::Ready(Ok(())) };
            if piece.is_empty() {
                return Poll::Pending;
            }
            let n = piece.len().min(out.remaining());
            out.put_slice(&piece[..n]);
            piece.advance(n);
            if !piece.is_empty() {
                self.0.push_front(piece);
            }
            Poll::Ready(Ok(()))
        }
    }

    fn fill(reader: &mut Reader, io: &mut Pieces) -> Option<usize> {
        match reader.poll_fill(&mut Context::from_waker(Waker::noop()), io) {
            Poll::Ready(n) => Some(n.unwrap()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn an_idle_reader_holds_no_memory() {
        let mut reader = Reader::new();
        let mut io = Pieces::new([b"", b"hello", b""]);
        assert_eq!(fill(&mut reader, &mut io), None);
        assert_eq!(reader.buffer.capacity(), 0);
        assert_eq!(fill(&mut reader, &mut io), Some(5));
        reader.buffer_mut().clear();
        assert_eq!(fill(&mut reader, &mut io), None);
        assert_eq!(reader.buffer.capacity(), 0);
        assert_eq!(fill(&mut reader, &mut io), Some(0));
    }

    #[test]
    fn a_partial_message_keeps_what_it_needs() {
        let mut reader = Reader::new();
        let mut io = Pieces::new([&[1; 5000], b"", &[2; 5000]]);
        fill(&mut reader, &mut io);
        assert_eq!(fill(&mut reader, &mut io), None);
        assert!(reader.buffer.capacity() < 8192, "{}", reader.buffer.capacity());
        assert_eq!(fill(&mut reader, &mut io), Some(5000));
        assert_eq!(reader.buffer_mut()[..], [[1; 5000], [2; 5000]].concat());
    }

    #[test]
    fn memory_follows_what_arrived_and_not_what_was_claimed() {
        let mut reader = Reader::new();
        let piece = [7; 100_000];
        let mut io = Pieces::new([&piece, b""]);
        reader.expect(usize::MAX / 4);
        while fill(&mut reader, &mut io).is_some() {}
        assert!(reader.buffer.capacity() <= CHUNK);

        let mut io = Pieces(std::iter::repeat_n(Bytes::from_static(&[7; 4096]), 500).collect());
        while fill(&mut reader, &mut io) != Some(0) {
            assert!(reader.buffer.capacity() <= (2 * reader.buffer.len()).max(CHUNK));
        }
        assert_eq!(reader.buffer.len(), 100_000 + 500 * 4096);
    }

    #[test]
    fn a_long_message_ends_in_memory_that_fits_it() {
        let mut reader = Reader::new();
        let mut io = Pieces::new([&[7; CHUNK + 1000]]);
        fill(&mut reader, &mut io);
        reader.expect(CHUNK + 1000 - reader.buffer.len());
        while fill(&mut reader, &mut io) != Some(0) {}
        assert_eq!(reader.buffer.len(), CHUNK + 1000);
    }

    #[test]
    fn the_rest_of_a_buffer_is_used_on() {
        let mut reader = Reader::new();
        let mut io = Pieces::new([b"one", b"", b"two"]);
        fill(&mut reader, &mut io);
        let one = reader.buffer_mut().split_to(3).freeze();
        fill(&mut reader, &mut io);
        fill(&mut reader, &mut io);
        let two = reader.buffer_mut().split_to(3).freeze();
        assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
        assert_eq!(one.as_ptr().wrapping_add(3), two.as_ptr());
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_changed(
            pieces in prop::collection::vec(prop_oneof![Just(0), 1usize..300_000], 1..12),
            takes in prop::collection::vec(0usize..300_000, 1..12),
        ) {
            let mut next = 0u32;
            let stream: Vec<Bytes> = pieces.iter().map(|&len| {
                (0..len).map(|_| { next += 1; (next % 251) as u8 }).collect::<Vec<_>>().into()
            }).collect();
            let expected = stream.concat();
            let (mut reader, mut io, mut got, mut held) = (Reader::new(), Pieces(stream.into()), Vec::new(), Vec::new());
            for take in takes.iter().cycle() {
                let end = fill(&mut reader, &mut io) == Some(0);
                let n = if end { reader.buffer.len() } else { (*take).min(reader.buffer.len()) };
                reader.expect(take - n.min(*take));
                let part = reader.buffer_mut().split_to(n).freeze();
                got.extend_from_slice(&part);
                held.push(part);
                if end { break; }
            }
            prop_assert_eq!(&got, &expected);
            prop_assert_eq!(held.concat(), expected);
        }
    }
}
