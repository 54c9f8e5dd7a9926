//! A stream whose peer may be slow, but not gone, and that hears to the end what it is told.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Fails a write of which nothing has gone for `limit`: a peer that reads nothing for so long holds memory for nobody.
///
/// After a shutdown it takes what the peer still sends, for a moment: to close while something is unread would reset the
/// connection, and the peer could lose the reason that it was just told.
pub(super) struct Patient<S> {
    stream: S,
    limit: Duration,
    /// Since when nothing could be written.
    stalled: Option<Instant>,
    /// Made with the first stall, and kept.
    alarm: Option<Pin<Box<Sleep>>>,
    /// The end has begun, and until when the peer is given for it.
    lingering: Option<Instant>,
    /// The write side is shut down.
    is_shut: bool,
}

/// How long a peer may take to see that the connection is over.
const LINGER: Duration = Duration::from_secs(1);

impl<S> Patient<S> {
    pub(super) const fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, stalled: None, alarm: None, lingering: None, is_shut: false }
    }

    fn judge<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let deadline = *self.stalled.get_or_insert_with(Instant::now) + self.limit;
        self.poll_alarm(cx, deadline).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        }
        // An alarm that was set for an earlier stall rings once too early, which costs less than setting it each time.
        while alarm.as_mut().poll(cx).is_ready() {
            if alarm.deadline() >= deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, data);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = *self.lingering.get_or_insert_with(|| Instant::now() + LINGER);
        if !self.is_shut {
            match Pin::new(&mut self.stream).poll_shutdown(cx)? {
                Poll::Ready(()) => self.is_shut = true,
                // TLS says that it ends, which a peer that reads nothing can hold up.
                Poll::Pending => return self.poll_alarm(cx, deadline).map(Ok),
            }
        }
        loop {
            let mut room = [0; 1024];
            let mut unread = ReadBuf::new(&mut room);
            match Pin::new(&mut self.stream).poll_read(cx, &mut unread) {
                Poll::Ready(Ok(())) if !unread.filled().is_empty() => {}
                // A peer that resets has seen it too.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return self.poll_alarm(cx, deadline).map(Ok),
            }
            if Instant::now() >= deadline {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_is_given_up_on() {
        let (mut writer, _reader) = {
            let (near, far) = tokio::io::duplex(4);
            (Patient::new(near, Duration::from_secs(30)), far)
        };
        let error = writer.write_all(b"more than fits").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_the_peer_but_not_for_long() {
        let (near, mut far) = tokio::io::duplex(64);
        far.write_all(b"unread").await.unwrap();
        let start = Instant::now();
        Patient::new(near, Duration::from_secs(30)).shutdown().await.unwrap();
        assert_eq!(start.elapsed(), LINGER);

        let (near, far) = tokio::io::duplex(64);
        drop(far);
        let start = Instant::now();
        Patient::new(near, Duration::from_secs(30)).shutdown().await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_slowly_is_not() {
        use tokio::io::AsyncReadExt as _;
        let (near, mut far) = tokio::io::duplex(1);
        let mut writer = Patient::new(near, Duration::from_secs(30));
        let write = async { writer.write_all(b"slow").await };
        let read = async {
            for _ in 0..4 {
                tokio::time::advance(Duration::from_secs(29)).await;
                far.read_u8().await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(write, read);
        written.unwrap();
    }
}
