//! What a document may grow to.

/// Bounds on a document, enforced whole or not at all by every patch and every delta.
///
/// ```
/// use nyx_protocol::state::Limits;
///
/// let mut limits = Limits::default();
/// limits.bytes = 64 * 1024;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the document's content, as [`Document::weight`](super::Document::weight) counts them, and
    /// separately bytes of the text of its key table. Default 1 MiB.
    pub bytes: usize,
    /// Maps and lists inside one another, the root included. Default 32; more than [`DEPTH_MAX`] counts
    /// as [`DEPTH_MAX`].
    pub depth: usize,
    /// Different map keys used in one epoch, those no longer in use included. Default 65,536.
    pub keys: usize,
    /// Values in the document: each leaf, map and list is one. Default 262,144.
    pub nodes: usize,
}

impl Limits {
    /// The nesting that is really allowed.
    pub(super) fn depth_max(&self) -> usize {
        self.depth.min(DEPTH_MAX)
    }

    /// How many patches, changes, list operations and segments a message may hold, beside its values: enough to
    /// take everything away and to put everything in.
    pub(super) fn entries(&self) -> usize {
        self.nodes.saturating_mul(2)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 1 << 20, depth: 32, keys: 1 << 16, nodes: 1 << 18 }
    }
}

/// The deepest nesting that [`Limits::depth`] can ask for. Documents are walked recursively, and a frame of
/// the deepest walk takes some hundred bytes of stack.
pub const DEPTH_MAX: usize = 128;

/// The longest map key, in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 255;
