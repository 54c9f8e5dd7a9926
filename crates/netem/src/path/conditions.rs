//! What a path does to datagrams.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use nyx_core::{Bitrate, ByteSize};

use super::loss::{Loss, ParseShareError, Share};

/// What one direction of a path does to the datagrams that cross it. The default impairs nothing but the queue.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Conditions {
    /// How fast bytes of datagrams cross, headers not counted. Default `None`, at once.
    pub rate: Option<Bitrate>,
    /// How long each datagram takes from the end of the line to the receiver, one way. Default 0.
    pub delay: Duration,
    /// Delay added to each datagram, uniform between 0 and this, so that they overtake each other. Default 0.
    pub jitter: Duration,
    /// Bytes that may wait before the line; what comes then is dropped. Default 64 KiB.
    pub buffer: ByteSize,
    /// What gets lost behind the line. Default nothing.
    pub loss: Loss,
    /// The share of datagrams that arrives twice. Default none.
    pub duplicate: Share,
    /// Which datagrams are held back behind others. Default none.
    pub reorder: Option<Reorder>,
    /// The largest datagram that is carried, in bytes of UDP payload; larger ones vanish. Default `None`, all.
    pub mtu: Option<usize>,
    /// Where all that is random comes from: the same seed and the same inputs give the same outputs. Default 0.
    pub seed: u64,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            rate: None,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            buffer: ByteSize::new(64 * 1024),
            loss: Loss::None,
            duplicate: Share::default(),
            reorder: None,
            mtu: None,
            seed: 0,
        }
    }
}

impl Conditions {
    pub(super) fn line_time(&self, length: usize) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let rate = u128::from(rate.bits_per_second());
        if rate == 0 {
            return Duration::MAX;
        }
        let nanos = length as u128 * 8 * 1_000_000_000 / rate;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A share of datagrams that arrives behind `by` later ones, written `1%:50`; without a number behind one.
///
/// ```
/// use nyx_netem::path::Reorder;
///
/// let reorder: Reorder = "1%:50".parse().unwrap();
/// assert_eq!((reorder.share.get(), reorder.by), (0.01, 50));
/// assert_eq!(reorder.to_string(), "1%:50");
/// assert!("1%:0".parse::<Reorder>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reorder {
    /// Which share.
    pub share: Share,
    /// Behind how many. Where so many don't come, it arrives 200 ms late.
    pub by: usize,
}

impl fmt::Display for Reorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.share, self.by)
    }
}

impl FromStr for Reorder {
    type Err = ParseShareError;

    fn from_str(text: &str) -> Result<Self, ParseShareError> {
        let (share, by) = text.split_once(':').unwrap_or((text, "1"));
        // Behind none is in its place: who writes it means something else.
        let by = by.parse().ok().filter(|by| *by > 0).ok_or_else(|| ParseShareError::new(text))?;
        Ok(Self { share: share.parse()?, by })
    }
}
