//! Documents as patches.

use bytes::BytesMut;

use crate::state::{Patch, Value};

/// Turns the values that a document takes, one after the other, into the payloads of a recording: the first whole, then
/// what changes. Keeps one copy of the document.
///
/// ```
/// use nyx_protocol::record::Changes;
/// use nyx_protocol::state::{Limits, Patch, Value};
///
/// let (mut changes, mut payload) = (Changes::default(), bytes::BytesMut::new());
/// assert!(changes.put(Value::map([("hp", 10)]), &mut payload), "the first is whole");
/// payload.clear();
/// assert!(!changes.put(Value::map([("hp", 9)]), &mut payload));
/// let patch = Patch::decode(&payload, &Limits::default())?;
/// assert_eq!(patch.apply_to(Value::map([("hp", 10)])), Ok(Value::map([("hp", 9)])));
/// # Ok::<_, nyx_protocol::state::DecodeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Changes {
    last: Option<Value>,
}

impl Changes {
    /// Appends the patch that makes `value` of the one before, encoded; tells whether it sets the whole document, and so
    /// is an item that can be used [alone](super::Data::key). Costs a walk over both values.
    pub fn put(&mut self, value: Value, out: &mut BytesMut) -> bool {
        let patch = self.last.as_ref().and_then(|last| Patch::diff(last, &value));
        // Also where nothing has changed: an update that was received is recorded as one.
        let patch = patch.unwrap_or_else(|| Patch::Set(value.clone()));
        patch.encode(out);
        self.last = Some(value);
        matches!(patch, Patch::Set(_))
    }
}
