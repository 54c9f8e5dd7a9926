//! Events: messages in order, of which none is passed over without saying so.

use super::{Handle, Payload, SendError, blocks};
use crate::outgoing::{BULK, Envelope};
use crate::{EventCodec, Name, Trail};

/// Publishes events.
#[derive(Clone, Debug)]
pub struct Events {
    handle: Handle,
    codec: EventCodec,
    /// What each event is sent in, made once: one that was just put together from bytes is slow to copy.
    envelope: Envelope,
}

impl Events {
    pub(crate) fn new(handle: Handle, codec: EventCodec) -> Self {
        let envelope = handle.envelope(codec, None);
        Self { handle, codec, envelope }
    }

    /// The topic.
    pub fn name(&self) -> &Name {
        self.handle.name()
    }

    /// What is published from now on has passed these hubs, see [`Options::passed`](super::Options::passed). Costs nothing where it has passed the same as before.
    pub fn set_passed(&self, passed: &Trail) {
        self.handle.set_passed(passed);
    }

    /// Sends one event, encoded as the options say. Waits while 1 MiB is waiting to be written.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has not sent anything.
    ///
    /// # Errors
    /// Returns the payload, and says why. It may be about an earlier event of this publisher.
    pub async fn send<P: Payload>(&self, payload: P) -> Result<(), SendError<P>> {
        self.handle.send(BULK, &self.envelope, payload).await
    }

    /// Sends one event that happened at `unix_micros`, microseconds since the Unix epoch, which subscribers are told. Its age counts from its
    /// arrival at the hub all the same.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_stamped<P: Payload>(&self, payload: P, unix_micros: u64) -> Result<(), SendError<P>> {
        self.handle.send(BULK, &self.handle.envelope(self.codec, Some(unix_micros)), payload).await
    }

    /// Sends one event of text.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_text<P: Payload + AsRef<str>>(&self, text: P) -> Result<(), SendError<P>> {
        self.handle.send(BULK, &self.handle.envelope(EventCodec::Text, None), text).await
    }

    /// Sends one event of JSON text, which is passed on as it is.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_json<P: Payload + AsRef<str>>(&self, json: P) -> Result<(), SendError<P>> {
        self.handle.send(BULK, &self.handle.envelope(EventCodec::Json, None), json).await
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
        blocks::send(&self.handle, self.codec, payloads, None).await
    }
}
