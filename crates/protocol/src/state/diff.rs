//! The patch between two values.

use std::collections::BTreeMap;

use super::patch::{ListOp, Patch};
use super::value::Value;

impl Patch {
    /// The patch that makes `new` of `old`, or `None` when they are equal. It costs one walk over both.
    ///
    /// Lists are compared without their common head and tail; what remains is compared by position, and the
    /// difference in length is spliced. So an insertion or removal in one place costs what was inserted or
    /// removed, while a reordering costs the elements that moved.
    pub fn diff(old: &Value, new: &Value) -> Option<Self> {
        match (old, new) {
            (Value::Map(old), Value::Map(new)) => diff_maps(old, new),
            (Value::List(old), Value::List(new)) => diff_lists(old, new),
            _ if old == new => None,
            _ => Some(Self::Set(new.clone())),
        }
    }
}

fn diff_maps(old: &BTreeMap<String, Value>, new: &BTreeMap<String, Value>) -> Option<Patch> {
    let mut entries: BTreeMap<_, _> =
        old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Patch::Remove)).collect();
    for (key, value) in new {
        let patch = match old.get(key) {
            Some(old) => Patch::diff(old, value),
            None => Some(Patch::Set(value.clone())),
        };
        entries.extend(patch.map(|patch| (key.clone(), patch)));
    }
    (!entries.is_empty()).then_some(Patch::Map(entries))
}

fn diff_lists(old: &[Value], new: &[Value]) -> Option<Patch> {
    let middle = Middle::between(old.len(), new.len(), |i, j| old[i] == new[j]);
    let item = |index| Some(ListOp::Item { index, patch: Patch::diff(&old[index], &new[index])? });
    let mut ops: Vec<_> = (middle.head..middle.paired).filter_map(item).collect();
    if middle.old_end > middle.paired || middle.new_end > middle.paired {
        ops.push(ListOp::Splice {
            index: middle.paired,
            removed: middle.old_end - middle.paired,
            inserted: new[middle.paired..middle.new_end].to_vec(),
        });
    }
    (!ops.is_empty()).then_some(Patch::List(ops))
}

/// What lies between the common head and the common tail of two lists.
pub(super) struct Middle {
    /// Where the common head ends.
    pub(super) head: usize,
    /// Where the elements that are compared by position end; from here the longer one has more.
    pub(super) paired: usize,
    /// Where the common tail begins in the old list.
    pub(super) old_end: usize,
    /// Where it begins in the new one.
    pub(super) new_end: usize,
}

impl Middle {
    pub(super) fn between(old: usize, new: usize, same: impl Fn(usize, usize) -> bool) -> Self {
        let shorter = old.min(new);
        let head = (0..shorter).take_while(|&i| same(i, i)).count();
        let tail = (1..=shorter - head).take_while(|&i| same(old - i, new - i)).count();
        Self { head, paired: shorter - tail, old_end: old - tail, new_end: new - tail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_insertion_into_a_list_is_one_splice() {
        let (old, new) = (Value::list([1, 2, 3, 4]), Value::list([1, 2, 9, 3, 4]));
        let splice = ListOp::Splice { index: 2, removed: 0, inserted: vec![9.into()] };
        assert_eq!(Patch::diff(&old, &new), Some(Patch::List(vec![splice])));
    }

    #[test]
    fn repeated_elements_are_not_counted_twice() {
        let (old, new) = (Value::list([1, 1, 1]), Value::list([1, 1]));
        let splice = ListOp::Splice { index: 2, removed: 1, inserted: vec![] };
        assert_eq!(Patch::diff(&old, &new), Some(Patch::List(vec![splice])));
    }

    #[test]
    fn equal_values_have_no_difference() {
        let value = Value::map([("a", Value::list([1, 2])), ("b", Value::from(0.5_f32 as i32))]);
        assert_eq!(Patch::diff(&value, &value.clone()), None);
    }
}
