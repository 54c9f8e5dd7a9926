//! Which datagrams get lost.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A share between 0 and 1, written `5%` or `0.05`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// A share of all; `None` unless it is from 0 to 1.
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// From 0 to 1.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without what the product of 0.07 and 100 has behind its comma.
        write!(f, "{}%", (self.0 * 1e14).round() / 1e12)
    }
}

impl FromStr for Share {
    type Err = ParseShareError;

    fn from_str(text: &str) -> Result<Self, ParseShareError> {
        let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
        let number: f64 = number.trim().parse().map_err(|_| ParseShareError::new(text))?;
        Self::new(number / scale).ok_or_else(|| ParseShareError::new(text))
    }
}

/// A text that is no share, or nothing made of shares.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{text}` is not understood: write a share such as 5% or 0.05, for reordering 1%:50, for bursts burst:1%,25%"
)]
pub struct ParseShareError {
    text: String,
}

impl ParseShareError {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }
}

/// Which datagrams get lost: `5%` of them each by itself, or in bursts, `burst:1%,25%`.
///
/// Bursts follow the model of Gilbert and Elliott: the path is good or bad, and changes from one datagram to the next with the first
/// probability to bad and with the second back to good; in bad times all are lost, or the share that is given third. So `burst:1%,25%` has bursts of 4
/// datagrams on average, and loses 1 / (1 + 25) of all.
///
/// ```
/// use nyx_netem::path::Loss;
///
/// assert_eq!("0%".parse(), Ok(Loss::None));
/// assert!(matches!("30%".parse(), Ok(Loss::Random(share)) if share.get() == 0.3));
/// assert!(matches!("burst:1%,25%,80%".parse(), Ok(Loss::Burst { lost, .. }) if lost.get() == 0.8));
/// assert!("130%".parse::<Loss>().is_err());
/// for text in ["0%", "7%", "burst:1%,25%", "burst:1%,25%,80%"] {
///     assert_eq!(text.parse::<Loss>().unwrap().to_string(), text);
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each by itself with this probability.
    Random(Share),
    /// Those that leave while the path is bad.
    Burst {
        /// The probability that a good path becomes bad.
        to_bad: Share,
        /// The probability that a bad path becomes good.
        to_good: Share,
        /// What is lost of those that leave while it is bad.
        lost: Share,
    },
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Share(0.0).fmt(f),
            Self::Random(share) => share.fmt(f),
            Self::Burst { to_bad, to_good, lost } if lost.0 >= 1.0 => write!(f, "burst:{to_bad},{to_good}"),
            Self::Burst { to_bad, to_good, lost } => write!(f, "burst:{to_bad},{to_good},{lost}"),
        }
    }
}

impl FromStr for Loss {
    type Err = ParseShareError;

    fn from_str(text: &str) -> Result<Self, ParseShareError> {
        let Some(burst) = text.strip_prefix("burst:") else {
            let share: Share = text.parse()?;
            return Ok(if share.get() == 0.0 { Self::None } else { Self::Random(share) });
        };
        let shares: Vec<Share> = burst.split(',').map(str::parse).collect::<Result<_, _>>()?;
        match shares[..] {
            [to_bad, to_good] => Ok(Self::Burst { to_bad, to_good, lost: Share(1.0) }),
            [to_bad, to_good, lost] => Ok(Self::Burst { to_bad, to_good, lost }),
            _ => Err(ParseShareError::new(text)),
        }
    }
}

/// Whether the path is bad at the moment.
#[derive(Clone, Debug)]
pub(super) struct Weather {
    bad: bool,
    /// A source of its own, so that only bursts that lose a part draw from it, and change nobody's fate but of theirs.
    random: fastrand::Rng,
}

impl Weather {
    pub(super) fn new(seed: u64) -> Self {
        // The odd fraction of the golden ratio, for another stream than the path's.
        Self { bad: false, random: fastrand::Rng::with_seed(seed ^ 0x9e37_79b9_7f4a_7c15) }
    }

    /// Decides about one datagram by a number from 0 to below 1.
    pub(super) fn loses(&mut self, loss: &Loss, draw: f64) -> bool {
        match *loss {
            Loss::None => false,
            Loss::Random(share) => draw < share.0,
            Loss::Burst { to_bad, to_good, lost } => {
                self.bad ^= draw < if self.bad { to_good.0 } else { to_bad.0 };
                self.bad && (lost.0 >= 1.0 || self.random.f64() < lost.0)
            }
        }
    }
}
