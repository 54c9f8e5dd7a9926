//! Events: messages in order, of which none is passed over without saying so.

use bytes::BytesMut;
use nyx_protocol::wire::HEADER_LEN;

use super::{Handle, Payload, SendCause, SendError};
use crate::outgoing::{BULK, LARGE};
use crate::{EventCodec, Name};

/// Publishes events.
#[derive(Clone, Debug)]
pub struct Events {
    handle: Handle,
    codec: EventCodec,
}

impl Events {
    pub(crate) const fn new(handle: Handle, codec: EventCodec) -> Self {
        Self { handle, codec }
    }

    /// The topic.
    pub fn name(&self) -> &Name {
        self.handle.name()
    }

    /// Sends one event, encoded as the options say. Waits while 1 MiB is waiting to be written.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has not sent anything.
    ///
    /// # Errors
    /// Returns the payload, and says why. It may be about an earlier event of this publisher.
    pub async fn send<P: Payload>(&self, payload: P) -> Result<(), SendError<P>> {
        self.handle.send(BULK, self.handle.envelope(self.codec, None), payload).await
    }

    /// Sends one event that happened at `unix_micros`, microseconds since the Unix epoch: what the hub takes for its age.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_stamped<P: Payload>(&self, payload: P, unix_micros: u64) -> Result<(), SendError<P>> {
        self.handle.send(BULK, self.handle.envelope(self.codec, Some(unix_micros)), payload).await
    }

    /// Sends one event of text.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_text<P: Payload + AsRef<str>>(&self, text: P) -> Result<(), SendError<P>> {
        self.handle.send(BULK, self.handle.envelope(EventCodec::Text, None), text).await
    }

    /// Sends one event of JSON text, which is passed on as it is.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_json<P: Payload + AsRef<str>>(&self, json: P) -> Result<(), SendError<P>> {
        self.handle.send(BULK, self.handle.envelope(EventCodec::Json, None), json).await
    }

    /// Sends many events and returns how many; cheaper than one by one. An endless iterator is fine: what comes out
    /// of it is sent in blocks of 64 KiB.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has sent all that it took from the iterator.
    ///
    /// # Errors
    /// Returns the first payload that can't be sent, and says why. Those before it are sent.
    pub async fn send_batch<P: Payload>(
        &self,
        payloads: impl IntoIterator<Item = P>,
    ) -> Result<u64, SendError<P>> {
        let envelope = self.handle.envelope(self.codec, None);
        let outgoing = &self.handle.shared().outgoing;
        let mut payloads = payloads.into_iter();
        let mut sent = 0;
        // Room is waited for before a block is gathered, and no wait follows: a bound may be passed by one block.
        loop {
            let has_room = outgoing.has_room(BULK).await;
            let mut block = BytesMut::new();
            let (mut count, mut gathered) = (0, 0);
            let end = loop {
                if gathered >= BLOCK {
                    break None;
                }
                let Some(payload) = payloads.next() else { break Some(Ok(())) };
                let len = payload.as_ref().len();
                let checked = if has_room { self.handle.check(len, None) } else { Err(SendCause::Closed) };
                if let Err(cause) = checked {
                    break Some(Err(SendError { payload, cause }));
                }
                gathered += HEADER_LEN + len;
                sent += 1;
                if len >= LARGE {
                    outgoing.append_block(std::mem::take(&mut block), std::mem::take(&mut count));
                    // Full is no answer under an endless bound, and a client that was closed meanwhile is noticed next.
                    let _ = outgoing.try_append(usize::MAX, envelope, payload);
                    continue;
                }
                if block.capacity() - block.len() < HEADER_LEN + len {
                    // The first few fit a small block; a long batch gets its full size at once.
                    block.reserve(if block.is_empty() { SHORT.max(2 * len) } else { BLOCK + LARGE });
                }
                envelope.put_head(&mut block, len);
                block.extend_from_slice(payload.as_ref());
                count += 1;
            };
            if !block.is_empty() {
                outgoing.append_block(block, count);
            }
            match end {
                Some(result) => return result.map(|()| sent),
                None => continue,
            }
        }
    }
}

/// Bytes gathered before they are handed to the writer: enough that its lock costs nothing per message.
const BLOCK: usize = 64 * 1024;

/// The first size of a block.
const SHORT: usize = 2048;
