//! The content of a block that holds several items.
//!
//! Small records compress only together, and each has a header that is as long as itself. A batch is one message and one block for
//! up to [`ITEMS_MAX`] items of one topic and codec. Its head tells their number, so a relay counts them without opening the block.
//!
//! Each item is a varint (its length × 2, and 1 where it has a capture time), the capture time as a zigzag varint of microseconds less
//! that of the item with a capture time before it (less 0 for the first), and its bytes.
//!
//! ```
//! use nyx_protocol::compress::batch::{Builder, Item, read};
//!
//! let mut batch = Builder::default();
//! batch.push(None, b"one");
//! batch.push(Some(1_700_000_000_000_000), b"two");
//! assert_eq!(batch.items(), 2);
//!
//! let items: Result<Vec<_>, _> = read(batch.content(), batch.items()).collect();
//! let two = Item { unix_micros: Some(1_700_000_000_000_000), payload: b"two" };
//! assert_eq!(items?, [Item { unix_micros: None, payload: b"one" }, two]);
//! # Ok::<_, nyx_protocol::compress::batch::BatchError>(())
//! ```

use prost::encoding::{decode_varint, encode_varint};
use thiserror::Error;

/// The most items of a batch: more save nothing, and a subscriber that joins again in its middle costs the hub all of it.
pub const ITEMS_MAX: u32 = 4096;

/// One item of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its capture time in microseconds since the Unix epoch, if it has one.
    pub unix_micros: Option<u64>,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// Gathers a batch. Reuse it: it keeps its memory.
#[derive(Debug, Default)]
pub struct Builder {
    content: Vec<u8>,
    items: u32,
    last_micros: u64,
}

impl Builder {
    /// Appends an item. The caller sees to it that there are at most [`ITEMS_MAX`].
    pub fn push(&mut self, unix_micros: Option<u64>, payload: &[u8]) {
        encode_varint((payload.len() as u64) << 1 | u64::from(unix_micros.is_some()), &mut self.content);
        if let Some(micros) = unix_micros {
            encode_varint(zigzag(micros.wrapping_sub(self.last_micros) as i64), &mut self.content);
            self.last_micros = micros;
        }
        self.content.extend_from_slice(payload);
        self.items += 1;
    }

    /// Items so far.
    pub const fn items(&self) -> u32 {
        self.items
    }

    /// What a block is to hold.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.content.clear();
        (self.items, self.last_micros) = (0, 0);
    }
}

/// The items of a batch. Ends behind the first error; bytes that are left over are one.
pub fn read(content: &[u8], items: u32) -> impl Iterator<Item = Result<Item<'_>, BatchError>> {
    let (mut rest, mut left, mut last_micros) = (content, items, 0u64);
    std::iter::from_fn(move || {
        if left == 0 {
            let is_over = std::mem::take(&mut rest).is_empty();
            return (!is_over).then_some(Err(BatchError));
        }
        left -= 1;
        let item = item(&mut rest, &mut last_micros);
        if item.is_err() {
            (rest, left) = (&[], 0);
        }
        Some(item)
    })
}

fn item<'a>(rest: &mut &'a [u8], last_micros: &mut u64) -> Result<Item<'a>, BatchError> {
    let head = decode_varint(rest).map_err(|_| BatchError)?;
    let mut unix_micros = None;
    if head & 1 == 1 {
        let step = decode_varint(rest).map_err(|_| BatchError)?;
        *last_micros = last_micros.wrapping_add(unzigzag(step) as u64);
        unix_micros = Some(*last_micros);
    }
    let len = usize::try_from(head >> 1).map_err(|_| BatchError)?;
    let (payload, after) = rest.split_at_checked(len).ok_or(BatchError)?;
    *rest = after;
    Ok(Item { unix_micros, payload })
}

const fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

const fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// A content is not that of a batch of so many items. Whoever made it erred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a batch does not hold the items that its block announces")]
pub struct BatchError;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn items_come_back_as_they_went_in(
            items in prop::collection::vec((any::<Option<u64>>(), prop::collection::vec(any::<u8>(), 0..30)), 1..40),
        ) {
            let mut batch = Builder::default();
            items.iter().for_each(|(micros, payload)| batch.push(*micros, payload));
            let read: Vec<_> = read(batch.content(), batch.items()).map(Result::unwrap).collect();
            let expected: Vec<_> =
                items.iter().map(|(unix_micros, payload)| Item { unix_micros: *unix_micros, payload }).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn no_bytes_panic_and_nothing_follows_an_error(
            content in prop::collection::vec(any::<u8>(), 0..200),
            items in 0..=ITEMS_MAX,
        ) {
            let read: Vec<_> = read(&content, items).collect();
            prop_assert!(read.iter().rev().skip(1).all(Result::is_ok));
            prop_assert!(read.len() <= items as usize + 1);
        }
    }

    #[test]
    fn too_few_and_too_many_items_are_errors() {
        let mut batch = Builder::default();
        batch.push(None, b"one");
        for items in [0, 2] {
            assert_eq!(read(batch.content(), items).last(), Some(Err(BatchError)), "{items}");
        }
    }
}
