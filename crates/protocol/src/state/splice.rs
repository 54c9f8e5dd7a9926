//! Text and bytes of which a part changes.

use bytes::{BufMut, Bytes, BytesMut};

use super::value::Value;

/// The ends that two texts or two blobs have in common, in bytes; they overlap in neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) head: usize,
    pub(super) tail: usize,
}

impl Ends {
    /// Of two values of one sort; `None` for other sorts, and where it is not worth telling. In text both lie on
    /// borders of characters.
    pub(super) fn between(old: &Value, new: &Value) -> Option<Self> {
        let ends = match (old, new) {
            (Value::Str(old), Value::Str(new)) => {
                let Self { head, tail } = common(old.as_bytes(), new.as_bytes());
                let head = old.floor_char_boundary(head);
                let tail = old.len() - old.ceil_char_boundary(old.len() - tail);
                Self { head, tail }
            }
            (Value::Bytes(old), Value::Bytes(new)) => common(old, new),
            _ => return None,
        };
        let fits = ends.head.max(ends.tail) <= u32::MAX as usize;
        (fits && ends.head + ends.tail >= WORTH).then_some(ends)
    }

    /// The ends that several successive values have in common: the least of each.
    pub(super) fn of_all(packed: impl Iterator<Item = u64>) -> Self {
        let all = packed.map(Self::unpack);
        all.fold(Self { head: usize::MAX, tail: usize::MAX }, |a, b| Self {
            head: a.head.min(b.head),
            tail: a.tail.min(b.tail),
        })
    }

    pub(super) fn pack(self) -> u64 {
        (self.head as u64) << 32 | self.tail as u64
    }

    fn unpack(packed: u64) -> Self {
        Self { head: (packed >> 32) as usize, tail: packed as u32 as usize }
    }

    /// What lies between them in the new value.
    pub(super) fn middle(self, value: &Value) -> Option<&[u8]> {
        let bytes = match value {
            Value::Str(text) => text.as_bytes(),
            Value::Bytes(bytes) => bytes,
            _ => return None,
        };
        bytes.get(self.head..bytes.len().checked_sub(self.tail)?)
    }

    /// Whether both lie within a value, and apart; the length that replacing what lies between them leads to.
    pub(super) fn fit(self, value: &Value, inserted: &[u8]) -> Option<usize> {
        let after = |len: usize| {
            let middle = len.checked_sub(self.head)?.checked_sub(self.tail)?;
            (len - middle).checked_add(inserted.len())
        };
        match value {
            Value::Str(text) => {
                let after = after(text.len())?;
                let borders =
                    text.is_char_boundary(self.head) && text.is_char_boundary(text.len() - self.tail);
                (borders && std::str::from_utf8(inserted).is_ok()).then_some(after)
            }
            Value::Bytes(bytes) => after(bytes.len()),
            _ => None,
        }
    }

    /// Replaces what lies between them, if they [fit](Self::fit).
    pub(super) fn apply(self, value: &Value, inserted: &[u8]) -> Option<Value> {
        let len = self.fit(value, inserted)?;
        match value {
            Value::Str(old) => {
                let mut text = String::with_capacity(len);
                text.push_str(old.get(..self.head)?);
                text.push_str(std::str::from_utf8(inserted).ok()?);
                text.push_str(old.get(old.len() - self.tail..)?);
                Some(Value::Str(text))
            }
            Value::Bytes(old) => {
                let mut bytes = BytesMut::with_capacity(len);
                bytes.put_slice(&old[..self.head]);
                bytes.put_slice(inserted);
                bytes.put_slice(&old[old.len() - self.tail..]);
                Some(Value::Bytes(bytes.freeze()))
            }
            _ => None,
        }
    }
}

fn common(old: &[u8], new: &[u8]) -> Ends {
    let shorter = old.len().min(new.len());
    let head = matching(old[..shorter].iter().zip(&new[..shorter]));
    let rest = shorter - head;
    let tail = matching(old[old.len() - rest..].iter().rev().zip(new[new.len() - rest..].iter().rev()));
    Ends { head, tail }
}

fn matching<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    pairs.take_while(|(a, b)| a == b).count()
}

/// The inserted bytes as their own, since a view would keep the whole message alive.
pub(super) fn owned(inserted: &[u8]) -> Bytes {
    Bytes::copy_from_slice(inserted)
}

/// A splice takes two or three bytes more than a set beside its middle.
const WORTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_do_not_overlap_and_keep_characters_whole() {
        let ends = |old: &str, new: &str| {
            Ends::between(&old.into(), &new.into()).map(|Ends { head, tail }| (head, tail))
        };
        assert_eq!(ends("aaaaaa", "aaaaa"), Some((5, 0)));
        assert_eq!(ends("chapter 1: é", "chapter 1: è"), Some((11, 0)));
        assert_eq!(ends("äbcdef", "öbcdef"), Some((0, 5)));
        assert_eq!(ends("abc", "abd"), None);
    }

    #[test]
    fn a_splice_makes_the_new_value_of_the_old_one() {
        for (old, new) in
            [("abcdefgh", "abcdXefgh"), ("abcdefgh", "efgh"), ("abcd", "abcdefgh"), ("naïveté", "naïve été")]
        {
            for (old, new) in [
                (Value::from(old), Value::from(new)),
                (
                    Value::Bytes(Bytes::copy_from_slice(old.as_bytes())),
                    Value::Bytes(Bytes::copy_from_slice(new.as_bytes())),
                ),
            ] {
                let ends = Ends::between(&old, &new).unwrap();
                assert_eq!(ends.apply(&old, ends.middle(&new).unwrap()), Some(new));
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let text = Value::from("naïve");
        assert_eq!(Ends { head: 3, tail: 0 }.apply(&text, b"x"), None);
        assert_eq!(Ends { head: 0, tail: 3 }.apply(&text, b"x"), None);
        assert_eq!(Ends { head: 4, tail: 4 }.apply(&text, b"x"), None);
        assert_eq!(Ends { head: 2, tail: 2 }.apply(&text, &[0xFF]), None);
        assert_eq!(Ends { head: usize::MAX, tail: 1 }.apply(&text, b""), None);
        assert_eq!(Ends { head: 0, tail: 0 }.apply(&Value::from(1), b""), None);
    }
}
