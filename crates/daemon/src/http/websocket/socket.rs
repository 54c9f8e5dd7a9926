//! A WebSocket as a stream of bytes.
//!
//! Reading yields the payload of binary messages. Each write makes one message of all that it was given, so what is decided
//! together travels together; the payload is not copied, and nothing waits here but the rest of a header. Control frames stand
//! between messages: the answer to a ping goes before the next message begins.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use nyx_transport::websocket::{self, Control, Decoder, Refusal};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::answer::Code;

pub(super) struct Socket<S> {
    stream: S,
    /// What came behind the opening handshake.
    early: Bytes,
    decoder: Decoder,
    answers: Answers,
    message: Message,
}

/// Control frames that are to go as soon as no message is half written.
#[derive(Default)]
struct Answers {
    bytes: Vec<u8>,
    /// The last of them closes.
    closing: bool,
}

/// What is left of the message that is being written: bytes of its header, and how many of payload.
#[derive(Default)]
struct Message {
    head: [u8; 10],
    head_sent: usize,
    head_len: usize,
    left: usize,
}

/// Answers that may wait. A peer that asks and does not read is not answered each time; RFC 6455 (5.5.3) has room for that.
const ANSWERS_MAX: usize = 1024;

/// Slices of one write: as many as a queue hands out at once, and the header.
const SLICES: usize = 65;

impl Answers {
    fn put(&mut self, opcode: u8, payload: &[u8]) {
        let (head, len) = websocket::head(opcode, payload.len());
        self.bytes.extend_from_slice(&head[..len]);
        self.bytes.extend_from_slice(payload);
    }

    fn close(&mut self, code: u16, reason: &str) {
        if !self.closing {
            self.closing = true;
            self.put(websocket::CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat());
        }
    }

    fn hear(&mut self, control: Control) {
        match control {
            Control::Ping(payload) if !self.closing && self.bytes.len() < ANSWERS_MAX => {
                self.put(websocket::PONG, &payload)
            }
            Control::Ping(_) => {}
            Control::Close(code) => self.close(code, ""),
        }
    }
}

impl Message {
    fn new(len: usize) -> Self {
        let (head, head_len) = websocket::head(websocket::BINARY, len);
        Self { head, head_sent: 0, head_len, left: len }
    }

    const fn is_written(&self) -> bool {
        self.left == 0 && self.head_sent == self.head_len
    }
}

impl<S> Socket<S> {
    pub(super) fn new(stream: S, early: Bytes) -> Self {
        Self {
            stream,
            early,
            decoder: Decoder::default(),
            answers: Answers::default(),
            message: Message::default(),
        }
    }

    /// Takes the framing off what was read. Returns the bytes of payload, which are then at the front.
    fn unwrap(&mut self, read: &mut [u8]) -> usize {
        let Self { decoder, answers, .. } = self;
        match decoder.decode(read, |control| answers.hear(control)) {
            Ok(kept) => kept,
            Err(Refusal { code, reason }) => {
                Code::BadFrame.count();
                answers.close(code, reason);
                0
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Socket<S> {
    /// Writes answers, if no message is half written.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.answers.bytes.is_empty() && self.message.is_written() {
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.answers.bytes))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.answers.bytes.drain(..n);
            if self.answers.bytes.is_empty() {
                self.answers.bytes = Vec::new();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes a part of the present message: the rest of the header, and payload from `slices`. Returns bytes of payload.
    fn poll_part(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let message = &mut self.message;
        let mut batch = [IoSlice::new(&[]); SLICES];
        batch[0] = IoSlice::new(&message.head[message.head_sent..message.head_len]);
        let (mut count, mut room) = (1, message.left);
        for (slot, slice) in batch[1..].iter_mut().zip(slices) {
            let taken = slice.len().min(room);
            *slot = IoSlice::new(&slice[..taken]);
            room -= taken;
            count += 1;
        }
        let n = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &batch[..count]))?;
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let of_head = n.min(message.head_len - message.head_sent);
        message.head_sent += of_head;
        message.left -= n - of_head;
        Poll::Ready(Ok(n - of_head))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            // When it can't go now, the task is woken when it can, and reads again.
            let answered = this.poll_answers(cx)?;
            if this.answers.closing {
                // A message that was begun is written to its end first, by those who write.
                return if this.message.is_written() { answered.map(Ok) } else { Poll::Pending };
            }
            let start = buf.filled().len();
            if this.early.is_empty() {
                ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            } else {
                let n = this.early.len().min(buf.remaining());
                buf.put_slice(&this.early.split_to(n));
            }
            if buf.filled().len() == start {
                return Poll::Ready(Ok(()));
            }
            let kept = this.unwrap(&mut buf.filled_mut()[start..]);
            buf.set_filled(start + kept);
            if kept > 0 {
                let _ = this.poll_answers(cx)?;
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let slices = &slices[..slices.len().min(SLICES - 1)];
        if this.message.is_written() {
            ready!(this.poll_answers(cx))?;
            if this.answers.closing {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let total = slices.iter().map(|slice| slice.len()).sum();
            if total == 0 {
                return Poll::Ready(Ok(0));
            }
            this.message = Message::new(total);
        }
        loop {
            let n = ready!(this.poll_part(cx, slices))?;
            if n > 0 {
                return Poll::Ready(Ok(n));
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answers(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.answers.close(1001, "");
        // A peer that does not read is not waited for.
        let _ = self.poll_answers(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    fn pair(room: usize) -> (Socket<DuplexStream>, DuplexStream) {
        let (near, far) = duplex(room);
        (Socket::new(near, Bytes::new()), far)
    }

    /// A client's frame with a mask of zeros.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
    }

    #[tokio::test]
    async fn one_write_is_one_message_however_it_goes_out() {
        let (mut socket, mut client) = pair(3);
        let write = async {
            let mut queue = nyx_transport::write::Queue::default();
            ["header,", "payload"].into_iter().for_each(|slice| queue.push(slice.into()));
            while !queue.is_empty() {
                std::future::poll_fn(|cx| queue.poll_write(cx, &mut socket)).await.unwrap();
            }
            drop(socket);
        };
        let mut received = Vec::new();
        let (_, read) = tokio::join!(write, client.read_to_end(&mut received));
        read.unwrap();
        assert_eq!(received, b"\x82\x0eheader,payload");
    }

    #[tokio::test]
    async fn pings_are_answered_between_messages() {
        let (mut socket, mut client) = pair(8);
        let mut cx = Context::from_waker(Waker::noop());
        // Half of a message has gone when the ping comes.
        assert!(matches!(Pin::new(&mut socket).poll_write(&mut cx, b"ten bytes!"), Poll::Ready(Ok(6))));
        client.write_all(&masked(0x89, b"?")).await.unwrap();
        let mut room = [0; 16];
        assert!(Pin::new(&mut socket).poll_read(&mut cx, &mut ReadBuf::new(&mut room)).is_pending());
        let mut received = [0; 15];
        let rest = async {
            socket.write_all(b"tes!").await.unwrap();
            socket.flush().await.unwrap();
        };
        tokio::join!(rest, async { client.read_exact(&mut received).await.unwrap() });
        assert_eq!(&received, b"\x82\x0aten bytes!\x8a\x01?");
    }

    #[tokio::test]
    async fn text_ends_it_with_a_reason() {
        let (mut socket, mut client) = pair(256);
        client.write_all(&masked(0x81, b"hello")).await.unwrap();
        assert_eq!(socket.read(&mut [0; 16]).await.unwrap(), 0);
        socket.shutdown().await.unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        assert_eq!((received[0], &received[2..4]), (0x88, &1003u16.to_be_bytes()[..]));
    }

    #[tokio::test]
    async fn a_close_is_answered_with_its_code_and_only_once() {
        let (mut socket, mut client) = pair(256);
        client.write_all(&masked(0x88, &3000u16.to_be_bytes())).await.unwrap();
        assert_eq!(socket.read(&mut [0; 16]).await.unwrap(), 0);
        socket.shutdown().await.unwrap();
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, [&[0x88, 2][..], &3000u16.to_be_bytes()].concat());
    }

    #[tokio::test]
    async fn what_came_with_the_handshake_is_read_first() {
        let (near, mut client) = duplex(64);
        let mut socket = Socket::new(near, masked(0x82, b"early ").into());
        client.write_all(&masked(0x82, b"late")).await.unwrap();
        let mut received = [0; 10];
        socket.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"early late");
    }
}
