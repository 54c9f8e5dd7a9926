//! A state document: the authority's and the receiver's.

use bytes::BytesMut;

use super::change::{Change, Misfit};
use super::delta::{Delta, Epoch};
use super::encoder;
use super::held::Held;
use super::keys::{Interner, KeyTable, encoded_len};
use super::limits::Limits;
use super::node::{Cost, Node};
use super::patch::{Patch, PatchError};
use super::plan::Planner;
use super::reader::DecodeError;
use super::value::Value;
use super::view::View;

/// A versioned value that tells what changed in it since any version it went through.
///
/// It is either patched (the authority) or follows an authority by [`apply`](Self::apply) (a receiver); a receiver
/// can serve others in turn. See the [module](super) for an example.
#[derive(Debug, Clone)]
pub struct Document {
    epoch: u64,
    version: u64,
    root: Node,
    keys: KeyTable,
    held: Held,
    cost: Cost,
    limits: Limits,
}

/// What [`Document::delta_since`] has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// Nothing: the base is the latest version.
    Nothing,
    /// A delta, for a receiver that holds the base.
    Delta,
    /// A snapshot, for any receiver. Its message carries the flag `SNAPSHOT`.
    Snapshot,
}

/// Why a delta or snapshot was not applied. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The payload is not one. The sender erred; ask for a snapshot.
    #[error("malformed delta: {0}")]
    Malformed(#[from] DecodeError),
    /// The delta is of another epoch than this document. Ask for a snapshot.
    #[error("the delta is of an epoch that ends in {got:#x}, the document's is {held:#x}")]
    Epoch {
        /// The document's.
        held: u64,
        /// The low half of the delta's.
        got: u32,
    },
    /// The delta leads on from another version. Ask for a snapshot.
    #[error("the delta leads on from version {got}, the document is at {held}")]
    Base {
        /// The document's.
        held: u64,
        /// The delta's.
        got: u64,
    },
    /// The delta's keys don't continue this document's key table. Ask for a snapshot.
    #[error("the delta's keys do not continue the key table")]
    Keys,
    /// The delta changes what is not there. Ask for a snapshot.
    #[error("the delta does not fit the document")]
    Misfit,
    /// The document would exceed [`Limits::bytes`]. Raise the limit to the sender's.
    #[error("the document would take more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The document would exceed [`Limits::nodes`]. Raise the limit to the sender's.
    #[error("the document would hold more than {limit} values")]
    TooManyNodes {
        /// The limit.
        limit: usize,
    },
}

impl Document {
    /// An empty map at version 0. The authority draws `epoch` at random; a receiver's is that of the first
    /// snapshot that it applies.
    pub fn new(epoch: u64, limits: Limits) -> Self {
        let root = Node::empty_map(0);
        let cost = root.cost();
        Self { epoch, version: 0, root, keys: KeyTable::default(), held: Held::new(0), cost, limits }
    }

    /// The same value in a new epoch at version 1, with a key table of the keys in use only. For
    /// when [`PatchError::TooManyKeys`] is due to keys that are gone. Receivers get a snapshot.
    pub fn renewed(&self, epoch: u64) -> Self {
        let mut renewed = Self::new(epoch, self.limits.clone());
        let patched = renewed.patch(&Patch::Set(self.value()));
        debug_assert!(patched.is_ok(), "a document within its limits exceeds them: {patched:?}");
        renewed
    }

    /// What the patch makes of this document, in a new epoch as by [`renewed`](Self::renewed): for when [`patch`](Self::patch) finds too many keys.
    ///
    /// ```
    /// use nyx_protocol::state::{Document, Limits, Patch, PatchError, Value};
    ///
    /// let mut limits = Limits::default();
    /// limits.keys = 1;
    /// let mut document = Document::new(1, limits);
    /// document.patch(&Patch::Set(Value::map([("old", 1)])))?;
    /// let patch = Patch::Set(Value::map([("new", 2)]));
    /// assert_eq!(document.patch(&patch), Err(PatchError::TooManyKeys));
    /// assert_eq!(document.renewed_by(2, &patch)?.value(), Value::map([("new", 2)]));
    /// # Ok::<(), PatchError>(())
    /// ```
    ///
    /// # Errors
    /// As [`patch`](Self::patch). That there are too many keys, as all are in use, is found without making a copy.
    pub fn renewed_by(&self, epoch: u64, patch: &Patch) -> Result<Self, PatchError> {
        let mut renewed = match patch {
            // Nothing of what there was is left.
            Patch::Set(_) => Self::new(epoch, self.limits.clone()),
            _ if self.root.uses_all(&self.keys) => return Err(PatchError::TooManyKeys),
            _ => self.renewed(epoch),
        };
        renewed.patch(patch)?;
        Ok(renewed)
    }

    /// The number that tells this document from another one under the same name.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How often it has changed.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The size of its content in bytes: a lower bound, and a close one, of what a snapshot takes.
    pub fn weight(&self) -> usize {
        self.keys.bytes() + self.cost.bytes as usize
    }

    /// The whole content.
    pub fn value(&self) -> Value {
        self.root.value(&self.keys)
    }

    /// The root, to read without copying.
    pub fn root(&self) -> View<'_> {
        View::new(&self.root, &self.keys)
    }

    /// What lies at a path of map keys and list indices (in decimal).
    pub fn get(&self, path: &[&str]) -> Option<View<'_>> {
        path.iter().try_fold(self.root(), |view, segment| view.get(segment))
    }

    /// Applies a publisher's patch; tells whether it changed anything, in which case the version went up by one.
    /// Values that are set to what they were do not count as changed, but for the first whole value that is set: with it there is a document.
    ///
    /// # Errors
    /// When the patch does not fit or a limit would be exceeded. Then nothing has changed.
    pub fn patch(&mut self, patch: &Patch) -> Result<bool, PatchError> {
        let version = self.version + 1;
        let keys = Interner::new(&self.keys, &self.limits);
        let mut planner = Planner::new(keys, version, &self.limits);
        let change = match planner.plan(&self.root, patch, 0)? {
            Some(change) => change,
            // That there is a document now is news, also of one that is as empty as none.
            None if self.version == 0 && matches!(patch, Patch::Set(_)) => Change::Map(Vec::new()),
            None => return Ok(false),
        };
        let fresh = planner.keys.into_fresh();
        let Ok(added) = change.fit(&self.root) else {
            debug_assert!(false, "planned a change that does not fit");
            return Ok(false);
        };
        let cost = self.cost + added;
        self.check(cost).map_err(|exceeded| match exceeded {
            Exceeded::Bytes => PatchError::TooLarge { limit: self.limits.bytes },
            Exceeded::Nodes => PatchError::TooManyNodes { limit: self.limits.nodes },
        })?;
        self.keys.extend(fresh, version);
        self.commit(change, version, cost);
        Ok(true)
    }

    /// Appends what leads a receiver from version `base` to the latest: a delta, or a snapshot where the
    /// document did not go through `base` or the snapshot is not larger.
    pub fn delta_since(&self, base: u64, out: &mut BytesMut) -> Encoded {
        if base == self.version {
            return Encoded::Nothing;
        }
        // At version 0 it was empty: a snapshot says as much, and to any receiver.
        if base == 0 || !self.held.contains(base) {
            self.snapshot(out);
            return Encoded::Snapshot;
        }
        let start = out.len();
        encoder::put_delta(out, self.epoch, base..self.version, &self.keys, &self.root);
        // No snapshot is below the weight, so most deltas need not be compared with one.
        if out.len() - start < self.weight() {
            return Encoded::Delta;
        }
        let end = out.len();
        self.snapshot(out);
        if out.len() - end > end - start {
            out.truncate(end);
            return Encoded::Delta;
        }
        out.copy_within(end.., start);
        out.truncate(start + out.len() - end);
        Encoded::Snapshot
    }

    /// Appends a snapshot of the latest version.
    pub fn snapshot(&self, out: &mut BytesMut) {
        encoder::put_snapshot(out, self.epoch, self.version, &self.keys, &self.root);
    }

    /// Applies the payload of a state message from the hub. `is_snapshot` is the message's flag `SNAPSHOT`.
    ///
    /// # Errors
    /// When the payload is malformed, does not lead on from what this document holds, or a limit would be
    /// exceeded. Then nothing has changed.
    pub fn apply(&mut self, payload: &[u8], is_snapshot: bool) -> Result<(), ApplyError> {
        let delta = Delta::decode(payload, is_snapshot, self.keys.len(), &self.limits)?;
        match delta.epoch {
            Epoch::Whole(epoch) => self.apply_snapshot(epoch, delta),
            Epoch::Low(epoch) => self.apply_delta(epoch, delta),
        }
    }

    fn apply_snapshot(&mut self, epoch: u64, delta: Delta) -> Result<(), ApplyError> {
        let Change::Set(root) = delta.change else { return Err(DecodeError::Header.into()) };
        let cost = root.cost();
        self.check_apply(cost, 0, &delta.keys)?;
        let mut keys = KeyTable::default();
        keys.extend(delta.keys, delta.version);
        let (version, held) = (delta.version, Held::new(delta.version));
        *self = Self { epoch, version, root, keys, held, cost, limits: self.limits.clone() };
        Ok(())
    }

    fn apply_delta(&mut self, epoch: u32, delta: Delta) -> Result<(), ApplyError> {
        if epoch != self.epoch as u32 {
            return Err(ApplyError::Epoch { held: self.epoch, got: epoch });
        }
        if delta.base != self.version {
            return Err(ApplyError::Base { held: self.version, got: delta.base });
        }
        let known = delta.keys.iter().any(|key| self.keys.number(key).is_some());
        if known || delta.first_key.is_some_and(|first| first != self.keys.len() as u64) {
            return Err(ApplyError::Keys);
        }
        let cost = self.cost + delta.change.fit(&self.root).map_err(|Misfit| ApplyError::Misfit)?;
        self.check_apply(cost, self.keys.bytes(), &delta.keys)?;
        self.keys.extend(delta.keys, delta.version);
        self.commit(delta.change, delta.version, cost);
        Ok(())
    }

    fn commit(&mut self, change: Change, version: u64, cost: Cost) {
        change.commit(&mut self.root, version);
        self.held.push(version);
        self.version = version;
        self.cost = cost;
    }

    fn check(&self, cost: Cost) -> Result<(), Exceeded> {
        if cost.bytes > i64::try_from(self.limits.bytes).unwrap_or(i64::MAX) {
            return Err(Exceeded::Bytes);
        }
        if cost.nodes > i64::try_from(self.limits.nodes).unwrap_or(i64::MAX) {
            return Err(Exceeded::Nodes);
        }
        Ok(())
    }

    fn check_apply(
        &self,
        cost: Cost,
        table_bytes: usize,
        keys: &[std::sync::Arc<str>],
    ) -> Result<(), ApplyError> {
        let table_bytes = keys.iter().fold(table_bytes, |bytes, key| bytes + encoded_len(key));
        let too_large = ApplyError::TooLarge { limit: self.limits.bytes };
        if table_bytes > self.limits.bytes {
            return Err(too_large);
        }
        self.check(cost).map_err(|exceeded| match exceeded {
            Exceeded::Bytes => too_large,
            Exceeded::Nodes => ApplyError::TooManyNodes { limit: self.limits.nodes },
        })
    }
}

/// The limit that a change would exceed.
enum Exceeded {
    Bytes,
    Nodes,
}
