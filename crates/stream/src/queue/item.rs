//! What can be queued.

use bytes::{Bytes, BytesMut};
use nyx_core::Instant;

/// Something with a size.
///
/// The queue asks while it is locked: answers should be a look at a field, and stay the same while the item is queued.
///
/// ```
/// use nyx_stream::queue::Item;
///
/// struct Frame {
///     picture: Vec<u8>,
///     is_intra: bool,
/// }
///
/// impl Item for Frame {
///     fn bytes(&self) -> usize {
///         self.picture.len()
///     }
///
///     fn is_keyframe(&self) -> bool {
///         self.is_intra
///     }
/// }
/// ```
pub trait Item {
    /// Bytes that it counts for.
    fn bytes(&self) -> usize;

    /// Whether it can be used without those before it. Only [`Policy::Keyframes`](super::Policy::Keyframes) asks.
    fn is_keyframe(&self) -> bool {
        true
    }

    /// When it was made, by the clock that tells the queue `now`. `None`: when it is pushed. Only
    /// [`Policy::Predictive`](super::Policy::Predictive) asks.
    fn born(&self) -> Option<Instant> {
        None
    }
}

impl Item for Bytes {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Item for BytesMut {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Item for Vec<u8> {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Item for Box<[u8]> {
    fn bytes(&self) -> usize {
        self.len()
    }
}
