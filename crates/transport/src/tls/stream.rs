//! A connection, encrypted or not.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// Bytes, encrypted, that may wait for a socket that takes no more: one record, which is the least that can be sent.
pub const UNSENT_MAX: usize = 16 * 1024;

/// Bytes that one write takes at most: to encrypt them takes some 20 µs, after which others are looked at.
const WRITE_MAX: usize = 64 * 1024;

/// A connection, encrypted or not.
#[derive(Debug)]
pub struct Stream<S = TcpStream>(Kind<S>);

#[derive(Debug)]
enum Kind<S> {
    Plain(S),
    Encrypted(Box<TlsStream<S>>),
}

impl<S> Stream<S> {
    /// A connection that is not encrypted.
    pub const fn plain(stream: S) -> Self {
        Self(Kind::Plain(stream))
    }

    pub(super) fn encrypted(stream: impl Into<TlsStream<S>>) -> Self {
        let mut stream = stream.into();
        match &mut stream {
            TlsStream::Client(stream) => stream.get_mut().1.set_buffer_limit(Some(UNSENT_MAX)),
            TlsStream::Server(stream) => stream.get_mut().1.set_buffer_limit(Some(UNSENT_MAX)),
        }
        Self(Kind::Encrypted(Box::new(stream)))
    }

    /// Whether it is encrypted.
    pub const fn is_encrypted(&self) -> bool {
        matches!(self.0, Kind::Encrypted(_))
    }

    /// The connection below, to set it up.
    pub fn socket_mut(&mut self) -> &mut S {
        match &mut self.0 {
            Kind::Plain(stream) => stream,
            Kind::Encrypted(stream) => stream.get_mut().0,
        }
    }

    /// The connection below.
    pub fn socket(&self) -> &S {
        match &self.0 {
            Kind::Plain(stream) => stream,
            Kind::Encrypted(stream) => stream.get_ref().0,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Encrypted(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Kind::Encrypted(stream) => Pin::new(stream).poll_write(cx, &data[..data.len().min(WRITE_MAX)]),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            // Takes what fits into the bound, and sends that.
            Kind::Encrypted(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Encrypted(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Encrypted(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
