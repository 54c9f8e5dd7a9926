//! A connection whose unsent bytes follow its drain rate.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use nyx_core::clock::{Clock, Monotonic};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{Config, Control, kernel};

/// A TCP connection that lets as many bytes wait unsent as leave within some milliseconds.
///
/// It stands below TLS and framing, so what it counts is what the kernel gets. A write costs what it did; while the kernel takes no more, the
/// clock is read once, and the kernel is asked what it has not sent twenty times a second (more often where 64 KiB leave sooner, at most 200 times).
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    clock: Monotonic,
    /// `None`: the bound is fixed, or the kernel can't tell. Apart, as a connection is moved through many hands, which all have room for it.
    control: Option<Box<Control>>,
    gauge: Gauge,
}

/// How many bytes may wait unsent, for whoever shows it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU32>);

impl Gauge {
    /// The present target in bytes; `None` where the bound is the kernel's own.
    pub fn target(&self) -> Option<u32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    /// The target itself, 0 where there is none: for who must not know of this crate.
    pub fn cell(&self) -> Arc<AtomicU32> {
        self.0.clone()
    }

    fn set(&self, bytes: u32) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

impl Socket {
    /// The bound follows the drain rate. Where the kernel can't tell what it has not sent, it stays at the initial target.
    ///
    /// # Errors
    /// What the kernel says when it refuses the first target.
    pub fn adaptive(stream: TcpStream, config: Config, clock: Monotonic) -> io::Result<Self> {
        let control = Control::new(config);
        let target = control.target();
        kernel::set(&stream, target)?;
        let control = kernel::IS_EXACT.then(|| Box::new(control));
        Ok(Self::new(stream, clock, control, target))
    }

    /// The bound stays as [`tcp::apply`](crate::tcp::apply) has set it: `bytes`, or the kernel's own.
    pub fn fixed(stream: TcpStream, bytes: Option<u32>, clock: Monotonic) -> Self {
        Self::new(stream, clock, None, bytes.unwrap_or(0))
    }

    fn new(stream: TcpStream, clock: Monotonic, control: Option<Box<Control>>, target: u32) -> Self {
        let gauge = Gauge::default();
        gauge.set(target);
        Self { stream, clock, control, gauge }
    }

    /// Shows the present target, also when this has gone into another stream.
    pub fn gauge(&self) -> Gauge {
        self.gauge.clone()
    }

    /// The connection itself.
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn note(&mut self, outcome: &Poll<io::Result<usize>>) {
        let Some(control) = &mut self.control else { return };
        match outcome {
            Poll::Ready(Ok(written)) if control.is_measuring() => {
                control.handle_written(self.clock.now(), *written as u64);
            }
            Poll::Ready(_) => {}
            Poll::Pending => self.blocked(),
        }
    }

    fn blocked(&mut self) {
        let Some(control) = &mut self.control else { return };
        let now = self.clock.now();
        if !control.wants_sample(now) {
            return;
        }
        let told = kernel::unsent(&self.stream).and_then(|unsent| {
            let Some(target) = control.handle_blocked(now, unsent) else { return Ok(()) };
            kernel::set(&self.stream, target)?;
            self.gauge.set(target);
            Ok(())
        });
        if told.is_err() {
            // A kernel that does not know these calls: what it was told last holds.
            self.control = None;
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, data);
        self.note(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
