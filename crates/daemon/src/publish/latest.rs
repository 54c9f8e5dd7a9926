//! The newest of what a thread makes, for a task that may be slower.

use tokio::sync::watch;

use crate::exit::Outcome;

/// The end that puts.
pub(crate) struct Sender<T>(watch::Sender<Slot<T>>);

/// The end that takes.
pub(crate) struct Receiver<T> {
    slot: watch::Sender<Slot<T>>,
    changed: watch::Receiver<Slot<T>>,
}

struct Slot<T> {
    value: Option<T>,
    /// How it ended, once it has.
    end: Option<Outcome>,
    is_over: bool,
}

/// A slot that holds at most one value.
pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (slot, changed) = watch::channel(Slot { value: None, end: None, is_over: false });
    (Sender(slot.clone()), Receiver { slot, changed })
}

impl<T> Sender<T> {
    /// Puts a value in the place of one that nobody has taken, which is returned.
    pub(crate) fn put(&self, value: T) -> Option<T> {
        let mut replaced = None;
        self.0.send_modify(|slot| replaced = slot.value.replace(value));
        replaced
    }

    /// Says that nothing comes any more. What is in the slot can still be taken.
    pub(crate) fn end(self, outcome: Outcome) {
        self.0.send_modify(|slot| (slot.end, slot.is_over) = (Some(outcome), true));
    }
}

impl<T> Receiver<T> {
    /// Takes the newest value, as soon as there is one. `None`: nothing comes any more.
    ///
    /// # Errors
    /// What the sender ended with, after everything else.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken nothing.
    pub(crate) async fn take(&mut self) -> Outcome<Option<T>> {
        loop {
            let mut found = None;
            self.changed.mark_unchanged();
            self.slot.send_if_modified(|slot| {
                found = if let Some(value) = slot.value.take() {
                    Some(Ok(Some(value)))
                } else if let Some(Err(failure)) = slot.end.take() {
                    Some(Err(failure))
                } else {
                    slot.is_over.then_some(Ok(None))
                };
                false
            });
            if let Some(found) = found {
                return found;
            }
            // It can't fail: this end holds a sender too.
            let _ = self.changed.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_is_taken_and_the_rest_is_handed_back() {
        let (sender, mut receiver) = channel();
        assert_eq!(sender.put(1), None);
        assert_eq!(sender.put(2), Some(1));
        assert_eq!(receiver.take().await.unwrap(), Some(2));
        assert_eq!(sender.put(3), None);
        sender.end(Ok(()));
        assert_eq!(receiver.take().await.unwrap(), Some(3));
        assert_eq!(receiver.take().await.unwrap(), None);
        assert_eq!(receiver.take().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_failure_comes_after_what_was_made_before_it() {
        let (sender, mut receiver) = channel();
        sender.put(1);
        sender.end(Err(anyhow::anyhow!("the disk is gone").into()));
        assert_eq!(receiver.take().await.unwrap(), Some(1));
        assert!(receiver.take().await.is_err());
    }

    #[tokio::test]
    async fn a_value_that_comes_while_waiting_wakes() {
        let (sender, mut receiver) = channel();
        let taking = tokio::spawn(async move { receiver.take().await });
        tokio::task::yield_now().await;
        sender.put(5);
        assert_eq!(taking.await.unwrap().unwrap(), Some(5));
    }
}
