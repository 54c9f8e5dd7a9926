//! The receiver's dictionaries.

use thiserror::Error;

use super::content::{Dictionary, MessageError, Name};
use crate::compress::{Block, Encoding, Reference};

/// The dictionaries that a receiver was sent, in one session and topic. It holds a bounded number of them of bounded
/// size; a sender that wants more has to retire some first.
#[derive(Debug)]
pub struct Store {
    held: Vec<Dictionary>,
    count_max: usize,
    bytes_max: usize,
}

impl Store {
    /// Holds `count_max` dictionaries of at most `bytes_max` bytes each (and never more than [`Dictionary::BYTES_MAX`]).
    pub const fn new(count_max: usize, bytes_max: usize) -> Self {
        Self { held: Vec::new(), count_max, bytes_max }
    }

    /// Takes what [`Dictionary::to_message`] wrote. The same one twice is no error.
    ///
    /// # Errors
    /// The sender erred; what is held stays as it is.
    pub fn insert(&mut self, message: &[u8]) -> Result<Name, InsertError> {
        let dictionary = Dictionary::from_message(message, self.bytes_max)?;
        let name = dictionary.name();
        match self.get(name) {
            Some(held) if held.content() == dictionary.content() => return Ok(name),
            Some(_) => return Err(InsertError::Taken(name)),
            None if self.held.len() >= self.count_max => return Err(InsertError::Full(self.count_max)),
            None => self.held.push(dictionary),
        }
        Ok(name)
    }

    /// The dictionary of this name.
    pub fn get(&self, name: Name) -> Option<&Dictionary> {
        self.held.iter().find(|held| held.name() == name)
    }

    /// What `block` refers to, if it is here; else [`Reference::None`], with which decompression says what is missing.
    pub fn reference(&self, block: &Block<'_>) -> Reference<'_> {
        let Encoding::Dictionary(name) = block.encoding() else { return Reference::None };
        self.get(name).map_or(Reference::None, Reference::Dictionary)
    }

    /// The sender will not refer to it any more. Returns whether it was here.
    pub fn retire(&mut self, name: Name) -> bool {
        let before = self.held.len();
        self.held.retain(|held| held.name() != name);
        self.held.len() < before
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Bytes of memory that they hold: at most 48 KiB and twice the dictionary's length for each, while they are only decompressed with.
    pub fn held_bytes(&self) -> usize {
        self.held.iter().map(Dictionary::held_bytes).sum()
    }
}

/// Why a dictionary was not taken. The sender erred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InsertError {
    /// The message holds none.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Another one of this name is held: versions are not to be used twice.
    #[error("{0} is here already, and is another")]
    Taken(Name),
    /// As many are held as may be: retire one first.
    #[error("{0} dictionaries are here already: retire one first")]
    Full(usize),
}
