//! Events of each of which the publisher learns what became of it.

use std::sync::Arc;

use super::{Handle, Payload, Promise, Receipt, Receipts, SendCause, blocks};
use crate::outgoing::{BULK, Entry, Fate};
use crate::{EventCodec, Name};

/// Publishes events, and tells of each whether the hub has taken it in.
///
/// Results come back together, some bytes for each batch, so that waiting for many costs about as much as not waiting. Waiting for
/// each one before publishing the next costs a round trip each: keep several under way, or use
/// [`publish_batch`](Self::publish_batch). At most 65,536 records of a client are under way without a result; then publishing waits.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    handle: Handle,
    codec: EventCodec,
}

impl Acknowledged {
    pub(crate) const fn new(handle: Handle, codec: EventCodec) -> Self {
        Self { handle, codec }
    }

    /// The topic.
    pub fn name(&self) -> &Name {
        self.handle.name()
    }

    /// Publishes one event, encoded as the options say, and returns its receipt. Waits while 1 MiB is waiting to be written.
    ///
    /// What can't be sent, because it is too large or the topic is refused, is told by the receipt too.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has not published anything.
    pub async fn publish<P: Payload>(&self, payload: P) -> Receipt {
        let promise = Arc::new(Promise::default());
        promise.seal(1);
        let receipt = Receipt::new(promise.clone(), self.handle.open.clone());
        if let Err(cause) = self.handle.check(payload.as_ref().len(), None) {
            // Nobody waits for it yet.
            let _ = promise.settle(0, 1, cause.into());
            return receipt;
        }
        let entry = || Entry { promise: promise.clone(), first: 0, count: 1 };
        let envelope = self.handle.envelope(self.codec, None);
        let outgoing = &self.handle.shared().outgoing;
        if outgoing.append_tracked(BULK, &envelope, payload, entry).await.is_err() {
            let _ = promise.settle(0, 1, Fate::Closed);
        }
        receipt
    }

    /// Publishes many events, and returns their receipts, which become the result of each in the order in which they were given. One
    /// that is refused does not keep others from being published. Waits as [`publish`](Self::publish) does.
    ///
    /// ```no_run
    /// # async fn example(client: nyx_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use nyx_client::{Name, publish};
    ///
    /// let orders = client.acknowledged(Name::new("shop/orders")?, publish::Options::default()).await?;
    /// for (order, result) in ["one", "two"].iter().zip(orders.publish_batch(["one", "two"]).await.await) {
    ///     match result {
    ///         Ok(accepted) => println!("{order} is number {}", accepted.sequence),
    ///         Err(why) => println!("{order}: {why}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has published all that it took from the iterator.
    pub async fn publish_batch<P: Payload>(&self, payloads: impl IntoIterator<Item = P>) -> Receipts {
        let promise = Arc::new(Promise::default());
        let receipts = Receipts::new(promise.clone(), self.handle.open.clone());
        let sent = blocks::send(&self.handle, self.codec, payloads, Some(&promise)).await;
        // With a promise everything has a result there.
        promise.seal(sent.unwrap_or(0));
        receipts
    }
}

impl From<SendCause> for Fate {
    fn from(cause: SendCause) -> Self {
        match cause {
            SendCause::Refused(refusal) => Self::Refused(refusal),
            SendCause::TooLarge { length, limit } => Self::TooLarge { length, limit },
            // The others are about documents.
            _ => Self::Closed,
        }
    }
}
