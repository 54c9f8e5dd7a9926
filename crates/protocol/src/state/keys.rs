//! Map keys by number: a key's text travels once in an epoch.

use std::collections::HashMap;
use std::sync::Arc;

use super::limits::{KEY_BYTES_MAX, Limits};
use super::patch::PatchError;

/// The keys of one epoch in the order of first use, each with the version that brought it.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyTable {
    keys: Vec<Key>,
    numbers: HashMap<Arc<str>, u32>,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Key {
    text: Arc<str>,
    born: u64,
}

impl KeyTable {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The bytes that the texts take in a snapshot.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn number(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// The text of a number that this table gave.
    pub(super) fn text(&self, number: u32) -> &str {
        self.keys.get(number as usize).map_or("", |key| &key.text)
    }

    /// How many of the keys a receiver at `version` has.
    pub(super) fn len_at(&self, version: u64) -> usize {
        self.keys.partition_point(|key| key.born <= version)
    }

    /// The texts from number `first` on.
    pub(super) fn from(&self, first: usize) -> impl ExactSizeIterator<Item = &str> {
        self.keys[first.min(self.keys.len())..].iter().map(|key| &*key.text)
    }

    /// Adds keys that are not in the table yet, all born at `version`.
    pub(super) fn extend(&mut self, texts: Vec<Arc<str>>, version: u64) {
        for text in texts {
            self.bytes += encoded_len(&text);
            self.numbers.insert(text.clone(), self.keys.len() as u32);
            self.keys.push(Key { text, born: version });
        }
    }
}

/// Gives numbers to keys for a patch that may still fail.
pub(super) struct Interner<'a> {
    table: &'a KeyTable,
    limits: &'a Limits,
    fresh: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    bytes: usize,
}

impl<'a> Interner<'a> {
    pub(super) fn new(table: &'a KeyTable, limits: &'a Limits) -> Self {
        Self { table, limits, fresh: Vec::new(), numbers: HashMap::new(), bytes: table.bytes }
    }

    /// The keys before this patch. Those that the patch brings name nothing in the document yet.
    pub(super) fn table(&self) -> &'a KeyTable {
        self.table
    }

    /// The number of this key, a new one if need be.
    pub(super) fn intern(&mut self, text: &str) -> Result<u32, PatchError> {
        if let Some(number) = self.table.number(text).or_else(|| self.numbers.get(text).copied()) {
            return Ok(number);
        }
        if text.len() > KEY_BYTES_MAX {
            return Err(PatchError::KeyTooLong);
        }
        let number = self.table.len() + self.fresh.len();
        self.bytes += encoded_len(text);
        if number >= self.limits.keys || self.bytes > self.limits.bytes {
            return Err(PatchError::TooManyKeys);
        }
        let number = u32::try_from(number).map_err(|_| PatchError::TooManyKeys)?;
        let text: Arc<str> = text.into();
        self.numbers.insert(text.clone(), number);
        self.fresh.push(text);
        Ok(number)
    }

    /// The keys to [add to the table](KeyTable::extend).
    pub(super) fn into_fresh(self) -> Vec<Arc<str>> {
        self.fresh
    }
}

/// The bytes of a key in a table on the wire.
pub(super) fn encoded_len(text: &str) -> usize {
    super::varint::len(text.len() as u64) + text.len()
}
