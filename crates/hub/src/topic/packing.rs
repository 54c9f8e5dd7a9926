//! What of a topic is packed and unpacked.

use bytes::Bytes;
use nyx_core::Instant;
use nyx_protocol::choose::Link;
use nyx_protocol::compress::dictionary::Job;
use nyx_protocol::pack::UnpackError;

use super::{Store, Topic};
use crate::compression::{Opaque, Prefixes, training};

impl Topic {
    /// An item for a subscriber behind a slow link, as is best for it.
    pub(crate) fn encode(
        &self,
        now: Instant,
        chunk: Bytes,
        link: &Link,
        has: Option<&mut Prefixes>,
    ) -> Bytes {
        let make = || Box::new(Opaque::new(self.engine.clone(), self.pin));
        self.opaque.lock().get_or_insert_with(make).encode(now, chunk, link, has)
    }

    /// A publisher's message, plain.
    pub(crate) fn unpacked(&self, message: Bytes) -> Result<Bytes, UnpackError> {
        self.plain.once(message, self.message_bytes)
    }

    /// The sample of a training that is due.
    pub(crate) fn take_training(&self) -> Option<Job> {
        match &mut self.inside.lock().store {
            Store::Document(shelf) => shelf.encoder_mut()?.take_training(),
            Store::Ring(_) | Store::Gone => None,
        }
    }

    pub(crate) fn handle_trained(&self, outcome: training::Outcome) {
        if let Store::Document(shelf) = &mut self.inside.lock().store
            && let Some(encoder) = shelf.encoder_mut()
        {
            encoder.handle_trained(outcome);
        }
    }
}
