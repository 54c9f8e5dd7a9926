//! Where a reader of events was, as an event's id tells it: epoch in hexadecimal digits, `-`, sequence.

use std::fmt;

/// Where a reader of events was: the id of the last that it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
}

impl Place {
    /// What [`Display`](fmt::Display) writes, and nothing else.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        let (epoch, sequence) = id.split_once('-')?;
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_number(epoch) || !is_number(sequence) {
            return None;
        }
        Some(Self { epoch: u64::from_str_radix(epoch, 16).ok()?, sequence: sequence.parse().ok()? })
    }

    /// The number of the next event.
    pub(crate) const fn next(self) -> u64 {
        self.sequence.saturating_add(1)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.epoch, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_id_is_no_place() {
        for text in
            ["", "-", "17", "a-", "-1", "+a-1", "a-+1", "a-b", "a--1", "a-1-1", " a-1", "10000000000000000-1"]
        {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_read_as_it_was_written(epoch: u64, sequence: u64) {
            let place = Place { epoch, sequence };
            prop_assert_eq!(Place::parse(&place.to_string()), Some(place));
        }
    }
}
