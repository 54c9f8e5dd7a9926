//! How hard zstd tries.

use thiserror::Error;

/// A level of zstd: from -5, which is fastest, to 9, beyond which a message costs more than a link can give
/// back, and a context takes tens of megabytes.
///
/// ```
/// use nyx_protocol::compress::Level;
///
/// assert_eq!(Level::new(3), Ok(Level::DEFAULT));
/// assert!(Level::new(19).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(i8);

impl Level {
    /// Level 1: most of what can be saved, at about 400 MB/s.
    pub const FAST: Self = Self(1);
    /// Level 3, which is zstd's own default, and that of dictionaries.
    pub const DEFAULT: Self = Self(3);

    const MIN: i32 = -5;
    const MAX: i32 = 9;

    /// A level.
    ///
    /// # Errors
    /// When it is out of range, or 0, which is a second name of level 3 in zstd.
    pub const fn new(level: i32) -> Result<Self, LevelError> {
        if level < Self::MIN || level > Self::MAX || level == 0 {
            return Err(LevelError(level));
        }
        Ok(Self(level as i8))
    }

    /// The number.
    pub const fn get(self) -> i32 {
        self.0 as i32
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A number that is no [`Level`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("level {0} is out of range: use -5 to -1 or 1 to 9")]
pub struct LevelError(pub i32);
