//! Audio: chunks of samples in order, each with a deadline.

use super::{Handle, Payload, SendError};
use crate::outgoing::LIVE;
use crate::{Name, Samples, Trail};

/// Publishes sound.
#[derive(Clone, Debug)]
pub struct Audio {
    handle: Handle,
    samples: Samples,
}

impl Audio {
    pub(crate) const fn new(handle: Handle, samples: Samples) -> Self {
        Self { handle, samples }
    }

    /// The topic.
    pub fn name(&self) -> &Name {
        self.handle.name()
    }

    /// What is published from now on has passed these hubs, see [`Options::passed`](super::Options::passed). Costs nothing where it has passed the same as before.
    pub fn set_passed(&self, passed: &Trail) {
        self.handle.set_passed(passed);
    }

    /// Sends one chunk of interleaved samples, captured at `unix_micros` (microseconds since the Unix epoch), which subscribers are told. Its
    /// age counts from its arrival at the hub all the same. Waits while 64 KiB wait to be written.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has not sent anything.
    ///
    /// # Errors
    /// Returns the chunk, and says why. It may be about an earlier one of this publisher.
    pub async fn send<P: Payload>(&self, chunk: P, unix_micros: Option<u64>) -> Result<(), SendError<P>> {
        self.handle.send(LIVE, &self.handle.envelope(self.samples, unix_micros), chunk).await
    }
}
