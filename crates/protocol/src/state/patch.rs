//! What becomes of a value: the publisher's side of an update.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::arrange::{Kept, Piece};
use super::splice::Ends;
use super::value::Value;

/// What becomes of the value that it is applied to.
///
/// ```
/// use nyx_protocol::state::{Patch, Value};
///
/// let old = Value::map([("hp", 100), ("x", 1)]);
/// let new = Value::map([("hp", 90), ("y", 2)]);
/// let patch = Patch::diff(&old, &new).unwrap();
/// assert_eq!(patch.apply_to(old).unwrap(), new);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patch {
    /// It becomes this value. Where a container replaces one of its own sort, what is equal in both keeps
    /// its version, so only the difference travels further.
    Set(Value),
    /// It goes away. Only as an entry of a [`Map`](Self::Map).
    Remove,
    /// Entries of it change; what is not a map becomes an empty one first.
    Map(BTreeMap<String, Self>),
    /// It is a list, and these happen to it one after the other.
    List(Vec<ListOp>),
    /// It is text or bytes, and what lies between its ends is replaced.
    Splice {
        /// Bytes at the beginning that stay.
        head: usize,
        /// Bytes at the end that stay.
        tail: usize,
        /// Bytes that it has before, to notice when it is not what the publisher thinks.
        length: usize,
        /// What comes between the ends; for text, UTF-8.
        inserted: Bytes,
    },
}

/// One change of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListOp {
    /// Takes elements out at an index and puts others in their place.
    Splice {
        /// Where, at most the list's length.
        index: usize,
        /// How many elements go.
        removed: usize,
        /// What comes instead.
        inserted: Vec<Value>,
    },
    /// Changes one element.
    Item {
        /// Which.
        index: usize,
        /// What becomes of it.
        patch: Patch,
    },
    /// Puts the elements in a new order, among them new ones; those that no piece keeps go. An element that moves keeps
    /// its versions, and costs a few bytes.
    ///
    /// ```
    /// use nyx_protocol::state::{ListOp, Patch, Piece, Value};
    ///
    /// // The last of four comes first.
    /// let pieces = vec![Piece::Kept { from: 3, len: 1 }, Piece::Kept { from: 0, len: 3 }];
    /// let patch = Patch::List(vec![ListOp::Arrange { pieces, inserted: vec![] }]);
    /// assert_eq!(patch.apply_to(Value::list([1, 2, 3, 4]))?, Value::list([4, 1, 2, 3]));
    /// # Ok::<_, nyx_protocol::state::PatchError>(())
    /// ```
    Arrange {
        /// The new order, from left to right.
        pieces: Vec<Piece>,
        /// The new elements, in order.
        inserted: Vec<Value>,
    },
}

/// Why a patch does not fit the document. The publisher erred; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The document would exceed [`Limits::bytes`](super::Limits::bytes). Keep less in it, split it over
    /// several topics, or raise the limit.
    #[error("the document would take more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The document would exceed [`Limits::nodes`](super::Limits::nodes). Keep fewer values in it, pack them
    /// into bytes, or raise the limit.
    #[error("the document would hold more than {limit} values")]
    TooManyNodes {
        /// The limit.
        limit: usize,
    },
    /// The document would exceed [`Limits::depth`](super::Limits::depth). Flatten it or raise the limit.
    #[error("the document would nest deeper than {limit}")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The key table would exceed [`Limits::keys`](super::Limits::keys), or its text
    /// [`Limits::bytes`](super::Limits::bytes). Keys are kept for a whole epoch: when fewer are in use,
    /// use [`Document::renewed_by`](super::Document::renewed_by) instead; otherwise use lists or fewer different
    /// keys.
    #[error("the document would have used too many different keys")]
    TooManyKeys,
    /// A key exceeds [`KEY_BYTES_MAX`](super::KEY_BYTES_MAX). Shorten it.
    #[error("a map key is longer than {max} bytes", max = super::KEY_BYTES_MAX)]
    KeyTooLong,
    /// A float is NaN or infinite. Send null instead.
    #[error("a float is not finite")]
    NotFinite,
    /// List operations meet something that is not a list. Set a list first.
    #[error("list operations on something that is not a list")]
    NotAList,
    /// A list operation reaches past the end. The publisher's idea of the document is not the document's:
    /// set the list anew.
    #[error("index {index} is out of range in a list of {length}")]
    OutOfRange {
        /// What was asked for.
        index: usize,
        /// The list's length at this point.
        length: usize,
    },
    /// An order keeps an element twice or one that is not there, or its new elements are not as many as it says. Set
    /// the list anew.
    #[error("the new order does not fit a list of {length}")]
    BadOrder {
        /// The list's length at this point.
        length: usize,
    },
    /// A splice meets something that is neither text nor bytes, has another length than it says, or would cut a
    /// character. The publisher's idea of the document is not the document's: set the value anew.
    #[error("a splice does not fit what it is applied to")]
    BadSplice,
    /// A remove that is not an entry of a map. Remove list elements with a splice.
    #[error("a remove stands outside of a map")]
    MisplacedRemove,
    /// The splices move too many elements. Set the list instead of editing it so often in one patch.
    #[error("the splices of this patch move too many elements")]
    TooCostly,
}

impl Patch {
    /// A merge patch as RFC 7386 defines it: maps merge, null removes, anything else replaces.
    pub fn merge(value: Value) -> Self {
        let Value::Map(entries) = value else { return Self::Set(value) };
        let entry = |(key, value)| match value {
            Value::Null => (key, Self::Remove),
            value => (key, Self::merge(value)),
        };
        Self::Map(entries.into_iter().map(entry).collect())
    }

    /// What `value` becomes by this patch.
    ///
    /// A client applies a patch so to its own copy; limits are the document's business.
    ///
    /// # Errors
    /// [`NotAList`](PatchError::NotAList), [`OutOfRange`](PatchError::OutOfRange),
    /// [`BadOrder`](PatchError::BadOrder), [`BadSplice`](PatchError::BadSplice) or
    /// [`MisplacedRemove`](PatchError::MisplacedRemove), as [`Document::patch`](super::Document::patch) would say.
    pub fn apply_to(&self, mut value: Value) -> Result<Value, PatchError> {
        self.apply(&mut value, &mut Work::unlimited())?;
        Ok(value)
    }

    /// Applies to a plain value in place; after an error the value is in between.
    pub(super) fn apply(&self, value: &mut Value, work: &mut Work) -> Result<(), PatchError> {
        match self {
            Self::Set(new) => value.clone_from(new),
            Self::Remove => return Err(PatchError::MisplacedRemove),
            Self::Map(patches) => {
                if !matches!(value, Value::Map(_)) {
                    *value = Value::Map(BTreeMap::new());
                }
                let Value::Map(entries) = value else { return Ok(()) };
                for (key, patch) in patches {
                    if *patch == Self::Remove {
                        entries.remove(key);
                    } else if let Some(entry) = entries.get_mut(key) {
                        patch.apply(entry, work)?;
                    } else {
                        let mut entry = Value::Null;
                        patch.apply(&mut entry, work)?;
                        entries.insert(key.clone(), entry);
                    }
                }
            }
            Self::List(ops) => {
                let Value::List(values) = value else { return Err(PatchError::NotAList) };
                for op in ops {
                    op.apply(values, work)?;
                }
            }
            Self::Splice { head, tail, length, inserted } => {
                *value = spliced(value, (*head, *tail), *length, inserted).ok_or(PatchError::BadSplice)?;
            }
        }
        Ok(())
    }
}

/// What a splice makes of a value, if it fits.
pub(super) fn spliced(value: &Value, ends: (usize, usize), length: usize, inserted: &[u8]) -> Option<Value> {
    let actual = match value {
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => return None,
    };
    let ends = Ends { head: ends.0, tail: ends.1 };
    if actual == length { ends.apply(value, inserted) } else { None }
}

impl ListOp {
    fn apply(&self, values: &mut Vec<Value>, work: &mut Work) -> Result<(), PatchError> {
        match self {
            Self::Splice { index, removed, inserted } => {
                let range = work.splice(values.len(), *index, *removed, inserted.len())?;
                values.splice(range, inserted.iter().cloned());
            }
            Self::Item { index, patch } => {
                let length = values.len();
                let value = values.get_mut(*index).ok_or(PatchError::OutOfRange { index: *index, length })?;
                patch.apply(value, work)?;
            }
            Self::Arrange { pieces, inserted } => {
                work.order(values.len(), pieces, inserted.len())?;
                *values = arranged(values.iter().cloned(), pieces, inserted.iter().cloned());
            }
        }
        Ok(())
    }
}

/// Puts elements in an order that [fits](Work::order).
pub(super) fn arranged<T>(
    old: impl Iterator<Item = T>,
    pieces: &[Piece],
    mut fresh: impl Iterator<Item = T>,
) -> Vec<T> {
    let mut old: Vec<_> = old.map(Some).collect();
    let mut new = Vec::new();
    for piece in pieces {
        match *piece {
            Piece::Kept { from, len } => {
                let run = old.get_mut(from..from + len).into_iter().flatten();
                new.extend(run.filter_map(Option::take));
            }
            Piece::New { len } => new.extend(fresh.by_ref().take(len)),
        }
    }
    new
}

/// How many list elements the splices of one patch may still move: without a bound, a patch of many small
/// splices at the head of a long list costs the product of both.
pub(super) struct Work(usize);

impl Work {
    pub(super) fn new(elements: usize) -> Self {
        Self(elements)
    }

    fn unlimited() -> Self {
        Self(usize::MAX)
    }

    /// Checks a splice against the list's length and charges what it moves.
    pub(super) fn splice(
        &mut self,
        length: usize,
        index: usize,
        removed: usize,
        inserted: usize,
    ) -> Result<std::ops::Range<usize>, PatchError> {
        let end = index.saturating_add(removed);
        if end > length {
            return Err(PatchError::OutOfRange { index: end, length });
        }
        let moved = (length - index).saturating_add(inserted);
        if self.0 != usize::MAX {
            self.0 = self.0.checked_sub(moved).ok_or(PatchError::TooCostly)?;
        }
        Ok(index..end)
    }

    /// Checks an order against the list's length and charges what it moves.
    pub(super) fn order(
        &mut self,
        length: usize,
        pieces: &[Piece],
        inserted: usize,
    ) -> Result<(), PatchError> {
        let fresh = pieces.iter().map(|piece| if let Piece::New { len } = piece { *len } else { 0 });
        let fits = fresh.fold(0, usize::saturating_add) == inserted
            && Kept::of(pieces.iter().copied(), length).is_some();
        if !fits {
            return Err(PatchError::BadOrder { length });
        }
        self.splice(length, 0, length, inserted).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_follows_rfc_7386() {
        let old =
            Value::map([("keep", Value::from(1)), ("drop", Value::from(2)), ("was", Value::from("text"))]);
        let inner = Value::map([("a", Value::from(3)), ("b", Value::Null)]);
        let merge = Value::map([("drop", Value::Null), ("was", inner), ("absent", Value::Null)]);
        let expected = Value::map([("keep", Value::from(1)), ("was", Value::map([("a", Value::from(3))]))]);
        assert_eq!(Patch::merge(merge).apply_to(old), Ok(expected));
        assert_eq!(Patch::merge(Value::Null), Patch::Set(Value::Null));
    }

    #[test]
    fn list_operations_apply_one_after_the_other() {
        let splice = |index, removed, inserted: &[i64]| ListOp::Splice {
            index,
            removed,
            inserted: inserted.iter().map(|&n| n.into()).collect(),
        };
        let item = |index, n: i64| ListOp::Item { index, patch: Patch::Set(n.into()) };
        let list = Value::list([1, 2, 3]);
        let patch = Patch::List(vec![splice(0, 1, &[]), splice(2, 0, &[4, 5]), item(3, 6)]);
        assert_eq!(patch.apply_to(list.clone()), Ok(Value::list([2, 3, 4, 6])));
        let past = Patch::List(vec![splice(0, 2, &[]), item(1, 0)]);
        assert_eq!(past.apply_to(list.clone()), Err(PatchError::OutOfRange { index: 1, length: 1 }));
        let overflow = Patch::List(vec![splice(1, usize::MAX, &[])]);
        assert!(overflow.apply_to(list).is_err());
    }
}
