//! Which element of a list became which: by key, by content, or by place.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use super::value::Value;
use super::value_codec::scalar_len;

/// For each new element the index of the old one that it was, if it was there.
///
/// Ends that are equal are taken as they are. Between them rows (maps) are told by a field that all of them have, and that is
/// another in each: `id`, `key`, `name`, or any text or integer that serves. Other elements are told by content:
/// one that occurs once in either list is the same, and so are equal neighbours of such, as in P. Heckel, *A technique for
/// isolating differences between files* (CACM 21(4), 1978). What then stands between two that belong together in
/// both lists is paired by place.
pub(super) fn align(old: &[Value], new: &[Value]) -> Vec<Option<usize>> {
    let shorter = old.len().min(new.len());
    let head = (0..shorter).take_while(|&i| old[i] == new[i]).count();
    let tail = (1..=shorter - head).take_while(|&i| old[old.len() - i] == new[new.len() - i]).count();
    let (middle_old, middle_new) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let middle = align_middle(middle_old, middle_new);
    let tail_from = old.len() - tail;
    (0..head)
        .map(Some)
        .chain(middle.into_iter().map(|place| place.map(|i| i + head)))
        .chain((tail_from..old.len()).map(Some))
        .collect()
}

fn align_middle(old: &[Value], new: &[Value]) -> Vec<Option<usize>> {
    if old.is_empty() || new.is_empty() {
        return vec![None; new.len()];
    }
    if let Some((field, is_name)) = key_field(old, new) {
        let mut pairs = Pairs::new(old.len(), new.len());
        pair_by_key(&mut pairs, old, new, field);
        // A row with another id is another row; with another value of some other field it may well be the same.
        if !is_name {
            pairs.pair_by_place(old, new);
        }
        return pairs.of_new;
    }
    let mut pairs = Pairs::new(old.len(), new.len());
    pair_by_content(&mut pairs, old, new);
    pairs.pair_by_place(old, new);
    let by_place = || (0..new.len()).map(|i| (i < old.len()).then_some(i)).collect::<Vec<_>>();
    if is_plain(old) && is_plain(new) && cost(old, new, &by_place()) <= cost(old, new, &pairs.of_new) {
        return by_place();
    }
    pairs.of_new
}

/// Who belongs to whom.
struct Pairs {
    of_new: Vec<Option<usize>>,
    old_is_free: Vec<bool>,
}

impl Pairs {
    fn new(old: usize, new: usize) -> Self {
        Self { of_new: vec![None; new], old_is_free: vec![true; old] }
    }

    fn join(&mut self, old: usize, new: usize) {
        self.of_new[new] = Some(old);
        self.old_is_free[old] = false;
    }

    /// Goes on from what belongs together to the next in both lists while `same`, forwards and backwards.
    fn extend(&mut self, same: impl Fn(usize, usize) -> bool) {
        let (old_len, new_len) = (self.old_is_free.len(), self.of_new.len());
        let mut before = None;
        for new in 0..new_len {
            if self.of_new[new].is_none() {
                // The lists' own beginnings belong together.
                let old = before.map_or((new == 0).then_some(0), |old: usize| Some(old + 1));
                if let Some(old) = old.filter(|&old| old < old_len && self.old_is_free[old] && same(old, new))
                {
                    self.join(old, new);
                }
            }
            before = self.of_new[new];
        }
        let mut after = Some(old_len);
        for new in (0..new_len).rev() {
            if self.of_new[new].is_none()
                && let Some(old) = after.and_then(|old| old.checked_sub(1))
                && self.old_is_free[old]
                && same(old, new)
            {
                self.join(old, new);
            }
            after = self.of_new[new];
        }
    }

    fn pair_by_place(&mut self, old: &[Value], new: &[Value]) {
        self.extend(|i, j| are_alike(&old[i], &new[j]));
    }
}

fn pair_by_key(pairs: &mut Pairs, old: &[Value], new: &[Value], field: &str) {
    let places: HashMap<Key<'_>, usize> =
        old.iter().enumerate().filter_map(|(i, row)| Some((key_of(row, field)?, i))).collect();
    for (j, row) in new.iter().enumerate() {
        if let Some(&i) = key_of(row, field).and_then(|key| places.get(&key)) {
            pairs.join(i, j);
        }
    }
}

fn pair_by_content(pairs: &mut Pairs, old: &[Value], new: &[Value]) {
    let state = RandomState::new();
    let hash = |value: &Value| {
        let mut hasher = state.build_hasher();
        feed(&mut hasher, value);
        hasher.finish()
    };
    let mut seen: HashMap<u64, Seen> = HashMap::with_capacity(new.len());
    for (i, value) in old.iter().enumerate() {
        let seen = seen.entry(hash(value)).or_default();
        (seen.in_old, seen.old) = (seen.in_old + 1, i);
    }
    for (j, value) in new.iter().enumerate() {
        if let Some(seen) = seen.get_mut(&hash(value)) {
            (seen.in_new, seen.new) = (seen.in_new + 1, j);
        }
    }
    for seen in seen.into_values() {
        if seen.in_old == 1 && seen.in_new == 1 && old[seen.old] == new[seen.new] {
            pairs.join(seen.old, seen.new);
        }
    }
    pairs.extend(|i, j| old[i] == new[j]);
}

/// Where a content occurs, and how often.
#[derive(Default)]
struct Seen {
    in_old: usize,
    in_new: usize,
    old: usize,
    new: usize,
}

fn feed(hasher: &mut impl Hasher, value: &Value) {
    std::mem::discriminant(value).hash(hasher);
    match value {
        Value::Null => {}
        Value::Bool(value) => value.hash(hasher),
        Value::I64(n) => n.hash(hasher),
        Value::F64(x) => x.to_bits().hash(hasher),
        Value::Str(text) => text.hash(hasher),
        Value::Bytes(bytes) => bytes.hash(hasher),
        Value::List(values) => {
            values.len().hash(hasher);
            values.iter().for_each(|value| feed(hasher, value));
        }
        Value::Map(entries) => {
            entries.len().hash(hasher);
            for (key, value) in entries {
                key.hash(hasher);
                feed(hasher, value);
            }
        }
    }
}

/// What may tell rows apart.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Text(&'a str),
    Integer(i64),
}

fn key_of<'a>(row: &'a Value, field: &str) -> Option<Key<'a>> {
    match row.get(field)? {
        Value::Str(text) => Some(Key::Text(text)),
        Value::I64(n) => Some(Key::Integer(*n)),
        _ => None,
    }
}

/// The field that tells rows apart, and whether its name says so.
fn key_field<'a>(old: &'a [Value], new: &[Value]) -> Option<(&'a str, bool)> {
    let fields = old[0].as_map()?;
    let by_name =
        KEY_NAMES.iter().filter_map(|name| fields.get_key_value(*name)).map(|(name, _)| (name, true));
    let others = fields.keys().filter(|field| !KEY_NAMES.contains(&field.as_str())).take(CANDIDATES_MAX);
    let candidates = by_name.chain(others.map(|field| (field, false)));
    let mut candidates = candidates.map(|(field, is_name)| (field.as_str(), is_name));
    candidates.find(|(field, is_name)| {
        // Of fields with any other name, one that is told in most rows as before.
        let known = is_key(old, field).and_then(|old| Some((is_key(new, field)?, old)));
        known.is_some_and(|(new, old)| {
            *is_name || new.intersection(&old).count() * 2 >= new.len().min(old.len())
        })
    })
}

fn is_key<'a>(rows: &'a [Value], field: &str) -> Option<HashSet<Key<'a>>> {
    let mut keys = HashSet::with_capacity(rows.len());
    rows.iter().all(|row| key_of(row, field).is_some_and(|key| keys.insert(key))).then_some(keys)
}

/// Whether a change from one to the other can be told in parts, or costs no more than the new one.
fn are_alike(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Map(_), new) => matches!(new, Value::Map(_)),
        (Value::List(_), new) => matches!(new, Value::List(_)),
        (_, new) => !matches!(new, Value::Map(_) | Value::List(_)),
    }
}

fn is_plain(values: &[Value]) -> bool {
    !values.iter().any(|value| matches!(value, Value::List(_) | Value::Map(_)))
}

/// About what it takes to tell plain elements so, in bytes.
fn cost(old: &[Value], new: &[Value], places: &[Option<usize>]) -> usize {
    let mut cost = 0;
    let mut expected = Some(0);
    for (value, place) in new.iter().zip(places) {
        if place.is_some() && *place != expected {
            cost += PIECE_BYTES;
        }
        cost += match place {
            Some(i) if old[*i] == *value => 0,
            _ => 1 + scalar_len(value),
        };
        expected = place.map(|i| i + 1).or(expected);
    }
    cost + if expected == Some(old.len()) { 0 } else { PIECE_BYTES }
}

/// What rows are told apart by, where they follow the custom.
const KEY_NAMES: [&str; 3] = ["id", "key", "name"];

/// Fields that are tried when none has such a name.
const CANDIDATES_MAX: usize = 8;

/// A run of elements out of turn.
const PIECE_BYTES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, n: i64) -> Value {
        Value::map([("id", Value::from(id)), ("n", n.into()), ("team", "red".into())])
    }

    #[test]
    fn rows_are_told_by_their_id_even_when_they_move_and_change() {
        let old = [row("a", 1), row("b", 2), row("c", 3)];
        let new = [row("c", 9), row("x", 2), row("a", 8)];
        assert_eq!(align(&old, &new), [Some(2), None, Some(0)]);
    }

    #[test]
    fn a_key_with_another_name_is_found() {
        let row = |sku: &str, n: i64| Value::map([("count", Value::from(n)), ("sku", Value::from(sku))]);
        let old = [row("apple", 1), row("pear", 1), row("plum", 2)];
        let new = [row("plum", 3), row("apple", 1), row("pear", 5)];
        assert_eq!(align(&old, &new), [Some(2), Some(0), Some(1)]);
    }

    #[test]
    fn elements_without_a_key_are_told_by_content() {
        let list = |items: &[&str]| items.iter().map(|item| Value::from(*item)).collect::<Vec<_>>();
        let old = list(&["a long line", "another line", "the same", "the same", "the last line"]);
        let new = list(&["another line", "the same", "the same", "something new", "a long line"]);
        assert_eq!(align(&old, &new), [Some(1), Some(2), Some(3), Some(4), Some(0)]);
    }

    #[test]
    fn numbers_that_change_in_place_stay_in_place() {
        let list = |items: &[i64]| items.iter().map(|&item| Value::from(item)).collect::<Vec<_>>();
        assert_eq!(align(&list(&[1, 2, 3, 4]), &list(&[2, 1, 4, 3])), [Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!(
            align(&list(&[1, 2, 3, 4]), &list(&[1, 2, 9, 3, 4])),
            [Some(0), Some(1), None, Some(2), Some(3)]
        );
    }
}
