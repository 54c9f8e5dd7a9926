//! What is to be written, as slices that are shared and not copied.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// Slices that go out in order, many with one system call.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use nyx_transport::write::Queue;
///
/// let mut queue = Queue::default();
/// queue.push("header ".into());
/// queue.push("payload".into());
/// let mut out = Vec::new();
/// let written = std::future::poll_fn(|cx| queue.poll_write(cx, &mut out)).await.unwrap();
/// assert_eq!((written, &out[..], queue.is_empty()), (14, &b"header payload"[..], true));
/// # });
/// ```
#[derive(Debug, Default)]
pub struct Queue {
    slices: VecDeque<Bytes>,
    bytes: usize,
}

impl Queue {
    /// Appends a slice. An empty one is left out.
    pub fn push(&mut self, slice: Bytes) {
        if !slice.is_empty() {
            self.bytes += slice.len();
            self.slices.push_back(slice);
        }
    }

    /// Bytes that have not been written.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether all has been written.
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Forgets what has not been written.
    pub fn clear(&mut self) {
        self.slices.clear();
        self.bytes = 0;
    }

    /// Writes until the queue is empty, the socket takes no more, or [`BUDGET`] bytes went out, and returns how many did.
    ///
    /// `Ready(Ok(0))` means that the queue was empty. `Pending` means that nothing at all could be written; the task is
    /// woken when that changes. After `Ready` with something left the caller calls again, now or after other work.
    ///
    /// # Errors
    /// What the socket says; `WriteZero` when it takes nothing without being full. What was written before the error
    /// is no longer in the queue.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<usize>> {
        let mut written = 0;
        while !self.is_empty() && written < BUDGET {
            match self.poll_once(cx, io) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => written += n,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if written == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(written))
    }

    fn poll_once(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<usize>> {
        let io = Pin::new(io);
        let poll = match self.slices.front() {
            Some(only) if self.slices.len() == 1 => io.poll_write(cx, only),
            _ => {
                let mut batch = [IoSlice::new(&[]); SLICES];
                let mut count = 0;
                for (slot, slice) in batch.iter_mut().zip(&self.slices) {
                    *slot = IoSlice::new(slice);
                    count += 1;
                }
                io.poll_write_vectored(cx, &batch[..count])
            }
        };
        if let Poll::Ready(Ok(n)) = poll {
            self.advance(n);
        }
        poll
    }

    fn advance(&mut self, mut n: usize) {
        self.bytes = self.bytes.saturating_sub(n);
        while let Some(front) = self.slices.front_mut() {
            if n < front.len() {
                front.advance(n);
                return;
            }
            n -= front.len();
            self.slices.pop_front();
        }
    }
}

/// Bytes after which [`Queue::poll_write`] returns, so that a fast socket does not keep its task from reading: about
/// 100 µs of copying into the kernel.
pub const BUDGET: usize = 512 * 1024;

/// Slices per system call. Linux takes 1024; past some tens the call's own cost no longer shows, and the array is on the stack.
const SLICES: usize = 64;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes `room` bytes and then no more, `step` at a time.
    struct Narrow {
        taken: Vec<u8>,
        room: usize,
        step: usize,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
            let n = data.len().min(self.step).min(self.room);
            if n == 0 {
                return Poll::Pending;
            }
            self.room -= n;
            self.taken.extend_from_slice(&data[..n]);
            Poll::Ready(Ok(n))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn partial_writes_go_on_where_they_stopped() {
        let mut io = Narrow { taken: Vec::new(), room: 5, step: 2 };
        let mut queue = Queue::default();
        ["abc", "", "defg"].into_iter().for_each(|slice| queue.push(slice.into()));
        let mut cx = Context::from_waker(Waker::noop());

        assert!(matches!(queue.poll_write(&mut cx, &mut io), Poll::Ready(Ok(5))));
        assert_eq!(queue.bytes(), 2);
        assert!(queue.poll_write(&mut cx, &mut io).is_pending());
        io.room = 10;
        assert!(matches!(queue.poll_write(&mut cx, &mut io), Poll::Ready(Ok(2))));
        assert!(matches!(queue.poll_write(&mut cx, &mut io), Poll::Ready(Ok(0))));
        assert_eq!(io.taken, b"abcdefg");
    }

    #[test]
    fn one_call_has_a_bound() {
        let mut queue = Queue::default();
        (0..100).for_each(|_| queue.push(vec![0; 64 * 1024].into()));
        let mut out = Vec::new();
        let Poll::Ready(Ok(written)) = queue.poll_write(&mut Context::from_waker(Waker::noop()), &mut out)
        else {
            panic!("a vector takes everything")
        };
        assert!(written >= BUDGET && !queue.is_empty());
    }
}
