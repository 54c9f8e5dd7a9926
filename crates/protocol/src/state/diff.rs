//! The patch between two values.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bytes::Bytes;

use super::align::align;
use super::arrange::{Order, Piece};
use super::patch::{ListOp, Patch};
use super::splice::Ends;
use super::value::Value;
use super::value_codec::scalar_len;

impl Patch {
    /// The patch that makes `new` of `old`, or `None` when they are equal. It costs one walk over both, and for a list
    /// whose elements do not stand as before a few hash table look-ups for each.
    ///
    /// Rows of a list (maps) are known again by their `id`, `key` or `name`, or by another field of text or integers that
    /// is different in each row; other elements by their content. So a row that moves is told in a few bytes,
    /// with only the fields that changed, an insertion does not touch what follows, and of long text only the part that
    /// changed is told.
    pub fn diff(old: &Value, new: &Value) -> Option<Self> {
        match (old, new) {
            (Value::Map(old), Value::Map(new)) => diff_maps(old, new),
            (Value::List(old), Value::List(new)) => diff_lists(old, new),
            _ if old == new => None,
            _ => Some(splice(old, new).unwrap_or_else(|| Self::Set(new.clone()))),
        }
    }
}

/// Both maps are walked once, side by side.
fn diff_maps(old: &BTreeMap<String, Value>, new: &BTreeMap<String, Value>) -> Option<Patch> {
    let mut entries = Vec::new();
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some((old, _)), Some((new, _))) => old.cmp(new),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        let before = if order.is_le() { old.next() } else { None };
        let after = if order.is_ge() { new.next() } else { None };
        match (before, after) {
            (Some((key, old)), Some((_, new))) => {
                entries.extend(Patch::diff(old, new).map(|patch| (key.clone(), patch)));
            }
            (Some((key, _)), None) => entries.push((key.clone(), Patch::Remove)),
            (None, Some((key, new))) => entries.push((key.clone(), Patch::Set(new.clone()))),
            (None, None) => {}
        }
    }
    (!entries.is_empty()).then(|| Patch::Map(entries.into_iter().collect()))
}

fn diff_lists(old: &[Value], new: &[Value]) -> Option<Patch> {
    if old == new {
        return None;
    }
    let places = align(old, new);
    let order = Order::of(places.iter().copied());
    let mut ops = Vec::new();
    if !order.is_unchanged(old.len()) {
        let is_new = |(value, place): (&Value, &Option<usize>)| place.is_none().then(|| value.clone());
        let inserted = new.iter().zip(&places).filter_map(is_new).collect();
        ops.push(reorder(order, inserted, old.len()));
    }
    let item = |(index, place): (usize, &Option<usize>)| {
        Some(ListOp::Item { index, patch: Patch::diff(&old[(*place)?], &new[index])? })
    };
    ops.extend(places.iter().enumerate().filter_map(item));
    (!ops.is_empty()).then_some(Patch::List(ops))
}

/// A splice where that says it.
fn reorder(order: Order, inserted: Vec<Value>, len: usize) -> ListOp {
    let (mut rest, mut index) = (order.pieces(), 0);
    if let [Piece::Kept { from: 0, len: head }, others @ ..] = rest {
        (rest, index) = (others, *head);
    }
    if let [Piece::New { .. }, others @ ..] = rest {
        rest = others;
    }
    match *rest {
        [] => ListOp::Splice { index, removed: len - index, inserted },
        [Piece::Kept { from, len: tail }] if from >= index && from + tail == len => {
            ListOp::Splice { index, removed: from - index, inserted }
        }
        _ => ListOp::Arrange { pieces: order.into_pieces(), inserted },
    }
}

/// The part of text or bytes that changed, if telling that is shorter.
fn splice(old: &Value, new: &Value) -> Option<Patch> {
    let ends = Ends::between(old, new)?;
    let part = ends.middle(new)?;
    let length = match old {
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => return None,
    };
    (part.len() + SPLICE_BYTES < scalar_len(new)).then(|| Patch::Splice {
        head: ends.head,
        tail: ends.tail,
        length,
        inserted: Bytes::copy_from_slice(part),
    })
}

/// What a splice must save at least, its own numbers included: a set can't fail, and says what there is.
const SPLICE_BYTES: usize = 16;

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
    fn a_row_that_moves_is_told_by_its_new_place_and_what_changed_in_it() {
        let row = |id: i64, score: i64| Value::map([("id", id), ("score", score)]);
        let old = Value::list([row(1, 30), row(2, 20), row(3, 10)]);
        let new = Value::list([row(3, 40), row(1, 30), row(2, 20)]);
        let pieces = vec![Piece::Kept { from: 2, len: 1 }, Piece::Kept { from: 0, len: 2 }];
        let score = Patch::Map([("score".to_owned(), Patch::Set(40.into()))].into());
        let ops = vec![ListOp::Arrange { pieces, inserted: vec![] }, ListOp::Item { index: 0, patch: score }];
        assert_eq!(Patch::diff(&old, &new), Some(Patch::List(ops)));
    }

    #[test]
    fn of_long_text_the_part_that_changed_is_told() {
        let old = Value::from("a notice that is rather long");
        let new = Value::from("a notice that is now rather long");
        let inserted = Bytes::from_static(b"now ");
        let splice = Patch::Splice { head: 17, tail: 11, length: 28, inserted };
        assert_eq!(Patch::diff(&old, &new), Some(splice));
        assert_eq!(Patch::diff(&"short".into(), &"shore".into()), Some(Patch::Set("shore".into())));
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
