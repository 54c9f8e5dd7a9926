//! What a pool holds back and hands out, and which of its classes serves a size.

use std::num::NonZeroUsize;

use super::LINE;

/// The size classes of a [`Pool`](super::Pool), and how much memory it holds back.
///
/// Classes are the powers of two from `smallest_bytes` to `largest_bytes`. A block is charged with what it really holds:
/// the bytes of its class and a header of one cache line.
///
/// ```
/// use nyx_core::pool::{Config, Pool};
///
/// let mut config = Config::default();
/// config.largest_bytes = 1 << 20;
/// config.thread_bytes = 2 << 20;
/// assert!(Pool::new(config).is_ok());
///
/// config.largest_bytes = 1_000_000;
/// assert!(Pool::new(config).is_err()); // not a power of two
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The smallest class in bytes, a power of two from 64. Default 64.
    pub smallest_bytes: usize,
    /// The largest class in bytes, a power of two up to 1 GiB. Default 64 KiB. Larger requests are served by the
    /// allocator, and their memory goes back to it.
    pub largest_bytes: usize,
    /// The most that a thread's cache holds of one class in bytes, and at most 64 blocks. Default 256 KiB, which makes
    /// 1.4 MiB for a thread that uses all default classes. A class of which this holds not even one block is shared
    /// between threads without a cache, at the cost of a lock for each buffer.
    pub thread_bytes: usize,
    /// The most that the overflow of one class holds for all threads in bytes. Default 16 MiB, of which the default classes make 176. What comes back beyond
    /// it is freed.
    pub overflow_bytes: usize,
    /// The largest request in bytes; a larger one is refused. At least `largest_bytes`. Default 64 MiB.
    pub request_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            smallest_bytes: LINE,
            largest_bytes: 64 << 10,
            thread_bytes: 256 << 10,
            overflow_bytes: 16 << 20,
            request_bytes_max: 64 << 20,
        }
    }
}

/// Why a [`Config`] makes no pool. Each is the configuration's error: correct the field that is named.
///
/// ```
/// use nyx_core::pool::{Config, ConfigError, Pool};
///
/// let mut config = Config::default();
/// config.smallest_bytes = 100;
/// assert_eq!(Pool::new(config).err(), Some(ConfigError::Class(100)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A class is zero, under a cache line, beyond 1 GiB or no power of two.
    #[error("a size class of {0} bytes is no power of two from 64 to 1073741824")]
    Class(usize),
    /// The smallest class is above the largest. Exchange them.
    #[error("the smallest class, {smallest} bytes, is above the largest, {largest}")]
    Order {
        /// `smallest_bytes`.
        smallest: usize,
        /// `largest_bytes`.
        largest: usize,
    },
    /// A request that a class would serve would be refused. Raise `request_bytes_max`, or lower `largest_bytes`.
    #[error("requests are limited to {max} bytes, under the largest class of {largest}")]
    RequestMax {
        /// `request_bytes_max`.
        max: usize,
        /// `largest_bytes`.
        largest: usize,
    },
}

/// The classes of a valid [`Config`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Classes {
    /// The bits below the smallest class.
    mask: NonZeroUsize,
    /// The highest bit of `mask`.
    first: usize,
    count: usize,
}

impl Classes {
    /// Those of the default configuration.
    pub(super) const DEFAULT: Self = Self { mask: NonZeroUsize::new(63).unwrap(), first: 5, count: 11 };

    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let Config { smallest_bytes: smallest, largest_bytes: largest, request_bytes_max: max, .. } = *config;
        for class in [smallest, largest] {
            if !class.is_power_of_two() || !(LINE..=CLASS_BYTES_MAX).contains(&class) {
                return Err(ConfigError::Class(class));
            }
        }
        if smallest > largest {
            return Err(ConfigError::Order { smallest, largest });
        }
        if max < largest {
            return Err(ConfigError::RequestMax { max, largest });
        }
        let mask = NonZeroUsize::new(smallest - 1).ok_or(ConfigError::Class(smallest))?;
        let count = (largest / smallest).ilog2() as usize + 1;
        Ok(Self { mask, first: mask.ilog2() as usize, count })
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The bytes of each class, ascending.
    pub(super) fn sizes(&self) -> impl Iterator<Item = usize> + use<> {
        let smallest = self.mask.get() + 1;
        (0..self.count).map(move |class| smallest << class)
    }

    /// The class that serves so many bytes. It is [`count`](Self::count) or more where none does, and for no bytes at all.
    #[inline]
    pub(super) fn class_of(&self, bytes: usize) -> usize {
        (self.mask | bytes.wrapping_sub(1)).ilog2() as usize - self.first
    }
}

/// The largest class that may be configured.
const CLASS_BYTES_MAX: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(smallest: usize, largest: usize) -> Config {
        Config {
            smallest_bytes: smallest,
            largest_bytes: largest,
            request_bytes_max: usize::MAX,
            ..Config::default()
        }
    }

    #[test]
    fn each_size_has_the_least_class_that_holds_it() {
        for (smallest, largest) in [(64, 65_536), (256, 4096), (1024, 1024), (64, 1 << 30)] {
            let classes = Classes::new(&config(smallest, largest)).unwrap();
            let sizes: Vec<_> = classes.sizes().collect();
            assert_eq!((sizes[0], sizes[sizes.len() - 1]), (smallest, largest));
            for bytes in (1..5000).chain([
                65_535,
                65_536,
                65_537,
                1 << 30,
                (1 << 30) + 1,
                isize::MAX as usize,
                usize::MAX,
            ]) {
                let least = sizes.iter().position(|&size| size >= bytes);
                let class = classes.class_of(bytes);
                assert_eq!((class < sizes.len()).then_some(class), least, "{bytes} of {sizes:?}");
            }
            assert!(classes.class_of(0) >= sizes.len());
        }
    }

    #[test]
    fn the_default_classes_are_those_of_the_default_configuration() {
        assert_eq!(Classes::new(&Config::default()), Ok(Classes::DEFAULT));
    }

    #[test]
    fn rejects_classes_that_are_no_class() {
        for class in [0, 1, 32, 65, 96, 1 << 31, usize::MAX] {
            assert_eq!(Classes::new(&config(class, 65_536)).unwrap_err(), ConfigError::Class(class));
            assert_eq!(Classes::new(&config(64, class)).unwrap_err(), ConfigError::Class(class));
        }
    }

    #[test]
    fn rejects_classes_out_of_order() {
        let error = ConfigError::Order { smallest: 4096, largest: 1024 };
        assert_eq!(Classes::new(&config(4096, 1024)).unwrap_err(), error);
    }

    #[test]
    fn rejects_a_limit_under_the_largest_class() {
        let config = Config { request_bytes_max: 65_535, ..Config::default() };
        let error = ConfigError::RequestMax { max: 65_535, largest: 65_536 };
        assert_eq!(Classes::new(&config).unwrap_err(), error);
    }
}
