//! What a queue gave up.

use std::collections::VecDeque;

use crate::drops::Reason;

/// Items that a queue evicted, oldest first, each with the reason. An iterator.
///
/// The first needs no memory of its own. Where several may go at once often, keep one for all pushes
/// ([`Queue::push_into`](super::Queue::push_into)): it keeps its memory.
///
/// ```
/// use nyx_core::Instant;
/// use nyx_stream::queue::{Config, Evicted, Policy, Queue};
///
/// let mut queue = Queue::new(Config::new(1, 1 << 20, Policy::DropOldest))?;
/// let mut evicted = Evicted::new();
/// for text in ["one", "two", "three"] {
///     queue.push_into(Instant::ZERO, text.as_bytes().to_vec(), &mut evicted)?;
/// }
/// assert!(!evicted.is_empty());
/// assert_eq!(evicted.next().map(|(item, reason)| (item, reason.name())), Some((b"one".to_vec(), "overrun")));
/// assert_eq!(evicted.count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Evicted<T> {
    first: Option<(T, Reason)>,
    /// Behind a pointer, since it is hardly ever there, and each push returns one of these.
    rest: Option<Box<Rest<T>>>,
}

#[derive(Debug)]
struct Rest<T>(VecDeque<(T, Reason)>);

impl<T> Default for Rest<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Evicted<T> {
    /// None.
    #[inline]
    pub const fn new() -> Self {
        Self { first: None, rest: None }
    }

    /// The one that alone made room.
    #[inline]
    pub(super) const fn one(item: T, reason: Reason) -> Self {
        Self { first: Some((item, reason)), rest: None }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.as_ref().is_none_or(|rest| rest.0.is_empty())
    }

    #[inline]
    pub(super) fn add(&mut self, item: T, reason: Reason) {
        if self.is_empty() {
            self.first = Some((item, reason));
        } else {
            self.rest.get_or_insert_default().0.push_back((item, reason));
        }
    }
}

impl<T> Default for Evicted<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Iterator for Evicted<T> {
    type Item = (T, Reason);

    fn next(&mut self) -> Option<(T, Reason)> {
        self.first.take().or_else(|| self.rest.as_mut()?.0.pop_front())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = usize::from(self.first.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.0.len());
        (len, Some(len))
    }
}
