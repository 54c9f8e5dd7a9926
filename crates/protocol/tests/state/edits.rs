//! Random values, and random edits of whatever document there is.

use nyx_protocol::state::{ListOp, Patch, Piece, Value};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;

/// Few keys and small numbers, so that edits meet.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[a-f]", 1 => "[α-δ]{0,3}"]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..3_i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |x| Value::try_from(x).ok()),
        any::<f32>().prop_filter_map("finite", |x| Value::try_from(f64::from(x)).ok()),
        (-500..500_i64, 0..4).prop_map(|(n, scale)| Value::F64(n as f64 / 10_f64.powi(scale))),
        "[a-c]{0,4}".prop_map(Value::from),
        "a{0,12}[bä]{0,3}c{0,12}ö{0,6}".prop_map(Value::from),
        (0..3_u8, 0..40_usize).prop_map(|(byte, len)| Value::Bytes(vec![byte; len].into())),
        vec(any::<u8>(), 0..4).prop_map(|bytes| Value::Bytes(bytes.into())),
    ]
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::List),
            btree_map(key(), inner, 0..6).prop_map(Value::Map),
        ]
    })
}

/// An edit to be made wherever the seeds lead in the document as it then is.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    /// Puts a value at a place, whatever is there.
    Set(Vec<Index>, Value),
    /// Removes a map entry or a list element.
    Remove(Vec<Index>),
    /// Adds a map entry or list element.
    Insert(Vec<Index>, String, Value),
    /// Takes a list's element out and puts it in elsewhere.
    Move(Vec<Index>, Index, Index),
    /// Cuts a list and puts what comes behind in front, with a new element between.
    Cut(Vec<Index>, Index, Value),
    /// Moves every number a little: of the document, and of the lists and maps in it.
    Step(i64),
    /// Several operations on a list, items among them.
    Items(Vec<Index>, Vec<(Index, Value)>),
    /// A whole new root, diffed by the document.
    Root(Value),
    /// A merge patch, with its nulls.
    Merge(Value),
}

pub(crate) fn edit() -> impl Strategy<Value = Edit> {
    let path = || vec(any::<Index>(), 0..4);
    prop_oneof![
        4 => (path(), value()).prop_map(|(path, value)| Edit::Set(path, value)),
        3 => path().prop_map(Edit::Remove),
        4 => (path(), key(), value()).prop_map(|(path, key, value)| Edit::Insert(path, key, value)),
        2 => (path(), any::<Index>(), any::<Index>()).prop_map(|(path, a, b)| Edit::Move(path, a, b)),
        2 => (path(), any::<Index>(), value()).prop_map(|(path, at, value)| Edit::Cut(path, at, value)),
        3 => (-3..200_i64).prop_map(Edit::Step),
        2 => (path(), vec((any::<Index>(), value()), 1..4)).prop_map(|(path, ops)| Edit::Items(path, ops)),
        1 => value().prop_map(Edit::Root),
        1 => value().prop_map(Edit::Merge),
    ]
}

impl Edit {
    /// The patch that this comes down to on a document of this value.
    pub(crate) fn patch(&self, root: &Value) -> Patch {
        match self {
            Self::Root(value) => Patch::Set(value.clone()),
            Self::Merge(value) => Patch::merge(value.clone()),
            Self::Set(path, value) => at(root, path, &|_| Patch::Set(value.clone())),
            Self::Remove(path) => removal(root, path),
            Self::Insert(path, key, value) => at(root, path, &|here| match here {
                Value::List(values) => splice(values.len() / 2, 0, vec![value.clone()]),
                _ => Patch::Map([(key.clone(), Patch::Set(value.clone()))].into()),
            }),
            Self::Move(path, from, to) => at(root, path, &|here| match here {
                Value::List(values) if !values.is_empty() => {
                    let moved = values[from.index(values.len())].clone();
                    let (Patch::List(mut out), Patch::List(into)) = (
                        splice(from.index(values.len()), 1, vec![]),
                        splice(to.index(values.len()), 0, vec![moved]),
                    ) else {
                        unreachable!()
                    };
                    out.extend(into);
                    Patch::List(out)
                }
                _ => Patch::Map([].into()),
            }),
            Self::Cut(path, cut, value) => at(root, path, &|here| match here {
                Value::List(values) if !values.is_empty() => {
                    let cut = cut.index(values.len());
                    let head = (cut > 0).then_some(Piece::Kept { from: 0, len: cut });
                    let tail = Piece::Kept { from: cut, len: values.len() - cut };
                    let pieces =
                        [Some(tail), Some(Piece::New { len: 1 }), head].into_iter().flatten().collect();
                    Patch::List(vec![ListOp::Arrange { pieces, inserted: vec![value.clone()] }])
                }
                _ => Patch::Map([].into()),
            }),
            Self::Step(by) => Patch::diff(root, &stepped(root, *by)).unwrap_or(Patch::Set(root.clone())),
            Self::Items(path, edits) => at(root, path, &|here| match here {
                Value::List(values) if !values.is_empty() => {
                    let item = |(index, value): &(Index, Value)| ListOp::Item {
                        index: index.index(values.len()),
                        patch: Patch::Set(value.clone()),
                    };
                    let mut ops: Vec<_> = edits.iter().map(item).collect();
                    let index = edits[0].0.index(values.len());
                    let inserted = vec![Value::Null, Value::Null];
                    ops.insert(ops.len() / 2, ListOp::Splice { index, removed: 1, inserted });
                    Patch::List(ops)
                }
                _ => Patch::Set(Value::list(edits.iter().map(|(_, value)| value.clone()))),
            }),
        }
    }
}

fn stepped(value: &Value, by: i64) -> Value {
    match value {
        Value::I64(n) => n.wrapping_add(by).into(),
        Value::F64(x) => Value::try_from(((x * 100.0).round() + by as f64) / 100.0).unwrap_or(Value::F64(*x)),
        Value::List(values) => Value::list(values.iter().map(|value| stepped(value, by))),
        Value::Map(entries) => {
            Value::map(entries.iter().map(|(key, value)| (key.clone(), stepped(value, by))))
        }
        other => other.clone(),
    }
}

fn splice(index: usize, removed: usize, inserted: Vec<Value>) -> Patch {
    Patch::List(vec![ListOp::Splice { index, removed, inserted }])
}

/// Wraps the patch that `make` returns for the value at the end of the path.
fn at(here: &Value, path: &[Index], make: &dyn Fn(&Value) -> Patch) -> Patch {
    match (here, path.split_first()) {
        (Value::Map(entries), Some((seed, rest))) if !entries.is_empty() => {
            let (key, value) = entries.iter().nth(seed.index(entries.len())).unwrap();
            Patch::Map([(key.clone(), at(value, rest, make))].into())
        }
        (Value::List(values), Some((seed, rest))) if !values.is_empty() => {
            let index = seed.index(values.len());
            Patch::List(vec![ListOp::Item { index, patch: at(&values[index], rest, make) }])
        }
        _ => make(here),
    }
}

fn removal(root: &Value, path: &[Index]) -> Patch {
    let (last, path) = path.split_last().map_or((None, path), |(last, path)| (Some(last), path));
    at(root, path, &|here| match (here, last) {
        (Value::Map(entries), Some(seed)) if !entries.is_empty() => {
            let key = entries.keys().nth(seed.index(entries.len())).unwrap();
            Patch::Map([(key.clone(), Patch::Remove)].into())
        }
        (Value::List(values), Some(seed)) if !values.is_empty() => {
            splice(seed.index(values.len()), 1, vec![])
        }
        _ => Patch::Map([("a".into(), Patch::Remove)].into()),
    })
}
