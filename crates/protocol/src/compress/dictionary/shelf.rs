//! The sender's dictionaries.

use thiserror::Error;

use super::content::{Dictionary, Name};

/// The versions of a topic's dictionary that are in use: the current one, with which new items are compressed, and those before
/// it while items that refer to them may still be sent to someone.
#[derive(Debug)]
pub struct Shelf {
    /// In the order of adoption; the last is the current one.
    entries: Vec<Entry>,
    count_max: usize,
}

#[derive(Debug)]
struct Entry {
    dictionary: Dictionary,
    /// The number of the last item that refers to it.
    last_use: Option<u64>,
}

impl Shelf {
    /// Holds at most `count_max` versions, which is to be no more than the receivers' stores hold.
    pub const fn new(count_max: usize) -> Self {
        Self { entries: Vec::new(), count_max }
    }

    /// Makes `dictionary` the current one. Each session is to be sent it before anything that refers to it.
    ///
    /// # Errors
    /// When its name was not new, or when too many versions are in use: retire first, or do without.
    pub fn adopt(&mut self, dictionary: Dictionary) -> Result<(), AdoptError> {
        if self.get(dictionary.name()).is_some() {
            return Err(AdoptError::Taken(dictionary.name()));
        }
        if self.entries.len() >= self.count_max {
            return Err(AdoptError::Full(self.count_max));
        }
        self.entries.push(Entry { dictionary, last_use: None });
        Ok(())
    }

    /// What new items are to be compressed with.
    pub fn current(&self) -> Option<&Dictionary> {
        self.entries.last().map(|entry| &entry.dictionary)
    }

    /// A version that is in use.
    pub fn get(&self, name: Name) -> Option<&Dictionary> {
        self.iter().find(|dictionary| dictionary.name() == name)
    }

    /// All versions that are in use, the current one last: what a session that joins is to be sent.
    pub fn iter(&self) -> impl Iterator<Item = &Dictionary> {
        self.entries.iter().map(|entry| &entry.dictionary)
    }

    /// Item number `sequence` refers to `name`. Returns false if that is not in use: then the item must not go out.
    pub fn note_use(&mut self, name: Name, sequence: u64) -> bool {
        let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.dictionary.name() == name) else {
            return false;
        };
        entry.last_use = entry.last_use.max(Some(sequence));
        true
    }

    /// Takes out the versions before the current one to which no item from number `oldest` on refers. `oldest` is the first item that may
    /// still have to be written to anyone. The retirement of what is returned is to be written to each session that was sent
    /// it, behind what has been written there.
    pub fn retire(&mut self, oldest: u64) -> Vec<Name> {
        let Some(current) = self.current().map(Dictionary::name) else { return Vec::new() };
        let is_done = |entry: &mut Entry| {
            entry.dictionary.name() != current && entry.last_use.is_none_or(|last| last < oldest)
        };
        self.entries.extract_if(.., is_done).map(|entry| entry.dictionary.name()).collect()
    }
}

/// Why a dictionary was not adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// Its name is in use: count versions up.
    #[error("{0} is in use already")]
    Taken(Name),
    /// As many versions are in use as may be: retire, or wait until the slowest reader has got past the oldest.
    #[error("{0} versions of the dictionary are in use: wait until one can be retired")]
    Full(usize),
}
