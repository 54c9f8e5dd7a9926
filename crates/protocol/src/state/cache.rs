//! Deltas that several receivers need.

use bytes::{Bytes, BytesMut};

use super::document::{Document, Encoded};

/// The deltas to a document's latest version, each encoded once however many receivers ask for it.
///
/// ```
/// use nyx_protocol::state::{Cache, Document, Limits, Patch, Value};
///
/// let mut document = Document::new(7, Limits::default());
/// document.patch(&Patch::Set(Value::map([("hp", 100)])))?;
/// let mut cache = Cache::default();
/// let (encoded, first) = cache.delta_since(&document, 0);
/// let (_, second) = cache.delta_since(&document, 0);
/// assert_eq!(first.as_ptr(), second.as_ptr());
/// # Ok::<_, nyx_protocol::state::PatchError>(())
/// ```
#[derive(Debug, Default)]
pub struct Cache {
    /// Epoch and version that the deltas lead to.
    leads_to: (u64, u64),
    deltas: Vec<Delta>,
    bytes: usize,
}

#[derive(Debug)]
struct Delta {
    base: u64,
    encoded: Encoded,
    message: Bytes,
}

impl Cache {
    /// What [`Document::delta_since`] says, shared. It costs a look at the bases that were asked for since the last change,
    /// 64 at most; receivers at other bases pay for their own encoding.
    pub fn delta_since(&mut self, document: &Document, base: u64) -> (Encoded, Bytes) {
        self.message_since(document, base, 0, |_, _| {})
    }

    /// The same behind `lead` bytes, which `seal` fills when the delta is new: so a whole message is shared.
    pub fn message_since(
        &mut self,
        document: &Document,
        base: u64,
        lead: usize,
        seal: impl FnOnce(Encoded, &mut [u8]),
    ) -> (Encoded, Bytes) {
        let leads_to = (document.epoch(), document.version());
        if self.leads_to != leads_to {
            self.deltas.clear();
            (self.leads_to, self.bytes) = (leads_to, 0);
        }
        if let Some(delta) = self.deltas.iter().find(|delta| delta.base == base) {
            return (delta.encoded, delta.message.clone());
        }
        let mut message = BytesMut::zeroed(lead);
        let encoded = document.delta_since(base, &mut message);
        seal(encoded, &mut message);
        let message = message.freeze();
        if self.deltas.len() < DELTAS_MAX && self.bytes < BYTES_MAX {
            self.bytes += message.len();
            self.deltas.push(Delta { base, encoded, message: message.clone() });
        }
        (encoded, message)
    }

    /// Bytes of the deltas that are kept.
    pub const fn held_bytes(&self) -> usize {
        self.bytes
    }
}

/// Most receivers are at one of the last few versions.
const DELTAS_MAX: usize = 64;

/// What is large is seldom asked for from many bases.
const BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::super::{Limits, Patch, Value};
    use super::*;

    #[test]
    fn a_delta_is_kept_until_the_document_changes() {
        let mut document = Document::new(7, Limits::default());
        let mut cache = Cache::default();
        for n in 0..3 {
            let value = Value::map([("n", Value::from(n)), ("ballast", "-".repeat(200).into())]);
            assert_eq!(document.patch(&Patch::Set(value)), Ok(true));
            for base in 0..=document.version() {
                let mut expected = BytesMut::new();
                let encoded = document.delta_since(base, &mut expected);
                for _ in 0..2 {
                    assert_eq!(cache.delta_since(&document, base), (encoded, expected.clone().freeze()));
                }
            }
        }
    }
}
