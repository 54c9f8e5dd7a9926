//! What happens when: a list of changes, from a text.
//!
//! ```text
//! # The radio gets worse, drops out, and comes back.
//! 0s    rate=4Mbit/s delay=40ms
//! 10s   loss=5% jitter=20ms
//! 20s   cut
//! 22s   return loss=0%
//! 30s   repeat
//! ```
//!
//! A line is a time from the start, and settings or words; times don't decrease. A setting is one of `rate` (or `off`), `delay`, `jitter`,
//! `buffer`, `loss`, `duplicate`, `reorder` and `mtu` (or `off`), written as on the command line of `nyx netem`. `stall` and `go` stop all bytes and let them go on,
//! `cut` breaks connections and lets nothing through until `return`, and `repeat` begins again from the first line. Datagrams don't wait, so a
//! stall loses them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::link::Impairment;
use crate::path::Conditions;

/// Changes of a network over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    steps: Vec<Step>,
    repeat: Option<Duration>,
}

/// Changes at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When, from the start.
    pub at: Duration,
    /// What changes, in order.
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// A setting, of streams and datagrams alike or of one of them.
    Set(Setting),
    /// All bytes stop, or go on.
    Stall(bool),
    /// Connections break and nothing gets through, or does again.
    Cut(bool),
}

/// As it stands in the text.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set(setting) => &setting.text,
            Self::Stall(true) => "stall",
            Self::Stall(false) => "go",
            Self::Cut(true) => "cut",
            Self::Cut(false) => "return",
        })
    }
}

/// A setting and its value; its text was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    name: Name,
    conditions: Conditions,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Rate,
    Delay,
    Jitter,
    Buffer,
    Loss,
    Duplicate,
    Reorder,
    Mtu,
}

impl Setting {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, value) =
            text.split_once('=').ok_or_else(|| format!("`{text}` is no setting and no word"))?;
        let mut conditions = Conditions::default();
        let off = value == "off";
        let name = match name {
            "rate" => {
                conditions.rate = if off { None } else { Some(parse(value)?) };
                Name::Rate
            }
            "delay" => {
                conditions.delay = duration(value)?;
                Name::Delay
            }
            "jitter" => {
                conditions.jitter = duration(value)?;
                Name::Jitter
            }
            "buffer" => {
                conditions.buffer = parse(value)?;
                Name::Buffer
            }
            "loss" => {
                conditions.loss = parse(value)?;
                Name::Loss
            }
            "duplicate" => {
                conditions.duplicate = parse(value)?;
                Name::Duplicate
            }
            "reorder" => {
                conditions.reorder = if off { None } else { Some(parse(value)?) };
                Name::Reorder
            }
            "mtu" => {
                conditions.mtu = if off { None } else { Some(parse(value)?) };
                Name::Mtu
            }
            _ => return Err(format!("there is no setting `{name}`")),
        };
        Ok(Self { name, conditions, text: text.to_owned() })
    }

    /// Applies it to a path of datagrams.
    pub fn apply_to_path(&self, conditions: &mut Conditions) {
        let from = &self.conditions;
        match self.name {
            Name::Rate => conditions.rate = from.rate,
            Name::Delay => conditions.delay = from.delay,
            Name::Jitter => conditions.jitter = from.jitter,
            Name::Buffer => conditions.buffer = from.buffer,
            Name::Loss => conditions.loss = from.loss,
            Name::Duplicate => conditions.duplicate = from.duplicate,
            Name::Reorder => conditions.reorder = from.reorder,
            Name::Mtu => conditions.mtu = from.mtu,
        }
    }

    /// Applies it to a link of bytes, and says whether there is such a setting there: TCP hides the others.
    pub fn apply_to_link(&self, impairment: &mut Impairment) -> bool {
        let from = &self.conditions;
        match self.name {
            Name::Rate => impairment.rate = from.rate,
            Name::Delay => impairment.delay = from.delay,
            Name::Jitter => impairment.jitter = from.jitter,
            Name::Buffer => impairment.buffer = from.buffer,
            Name::Loss | Name::Duplicate | Name::Reorder | Name::Mtu => return false,
        }
        true
    }
}

impl Schedule {
    /// All steps, in order of time.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// After how long it begins again, if it does.
    pub const fn repeat(&self) -> Option<Duration> {
        self.repeat
    }

    /// Steps and times from the start, without end where it repeats.
    ///
    /// ```
    /// use nyx_netem::schedule::Schedule;
    ///
    /// let schedule: Schedule = "0s loss=5%\n1s loss=0%\n2s repeat".parse().unwrap();
    /// let times: Vec<_> = schedule.timeline().take(5).map(|(at, _)| at.as_secs()).collect();
    /// assert_eq!(times, [0, 1, 2, 3, 4]);
    /// ```
    pub fn timeline(&self) -> impl Iterator<Item = (Duration, &Step)> {
        let rounds = if self.repeat.is_some() { u32::MAX } else { 1 };
        (0..rounds).flat_map(move |round| {
            let begin = self.repeat.unwrap_or_default().saturating_mul(round);
            self.steps.iter().map(move |step| (begin + step.at, step))
        })
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let at = duration(words.next().unwrap_or_default())?;
        if self.repeat.is_some() {
            return Err("nothing follows `repeat`".to_owned());
        }
        if self.steps.last().is_some_and(|last| last.at > at) {
            return Err("the line before is later".to_owned());
        }
        if self.steps.len() >= STEPS_MAX {
            return Err(format!("there are more than {STEPS_MAX} steps"));
        }
        let mut changes = Vec::new();
        for word in words {
            changes.push(match word {
                "stall" | "go" => Change::Stall(word == "stall"),
                "cut" | "return" => Change::Cut(word == "cut"),
                "repeat" if at >= REPEAT_MIN => {
                    self.repeat = Some(at);
                    continue;
                }
                "repeat" => return Err("`repeat` needs a time of 1ms at least".to_owned()),
                setting => Change::Set(Setting::parse(setting)?),
            });
        }
        if !changes.is_empty() {
            self.steps.push(Step { at, changes });
        } else if self.repeat.is_none() {
            return Err("nothing happens here".to_owned());
        } else if self.steps.is_empty() {
            return Err("nothing changes before `repeat`".to_owned());
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = ParseScheduleError;

    fn from_str(text: &str) -> Result<Self, ParseScheduleError> {
        let mut schedule = Self::default();
        for (line, number) in text.lines().zip(1..) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                schedule.add(line).map_err(|what| ParseScheduleError { line: number, what })?;
            }
        }
        Ok(schedule)
    }
}

/// What is wrong with the text of a [`Schedule`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "line {line}: {what}; write a time and what changes then, such as `10s loss=5% delay=40ms` or `20s cut`"
)]
pub struct ParseScheduleError {
    line: usize,
    what: String,
}

fn parse<T: FromStr<Err: fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| format!("`{text}`: {error}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("`{text}`: {error}"))?;
    // A year: so that sums stay far from the end of time.
    if duration > DURATION_MAX { Err(format!("`{text}` is more than a year")) } else { Ok(duration) }
}

const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// What timers can tell apart: who plays a shorter one would do nothing else.
const REPEAT_MIN: Duration = Duration::from_millis(1);

/// A day of one change a second, and some.
const STEPS_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_this_page_is_understood() {
        let text = "# The radio\n0s rate=4Mbit/s delay=40ms\n10s loss=5% jitter=20ms\n20s cut\n22s return loss=0%\n30s repeat";
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!((schedule.steps().len(), schedule.repeat()), (4, Some(Duration::from_secs(30))));
        assert_eq!(schedule.steps()[2].changes, [Change::Cut(true)]);
        let told: Vec<_> =
            schedule.steps().iter().flat_map(|step| &step.changes).map(ToString::to_string).collect();
        let said = ["rate=4Mbit/s", "delay=40ms", "loss=5%", "jitter=20ms", "cut", "return", "loss=0%"];
        assert_eq!(told, said);
        let quick: Schedule = "0s loss=5%\n1ms repeat".parse().unwrap();
        assert_eq!(quick.repeat(), Some(REPEAT_MIN));
        let mut conditions = Conditions::default();
        for change in schedule.steps()[..2].iter().flat_map(|step| &step.changes) {
            if let Change::Set(setting) = change {
                setting.apply_to_path(&mut conditions);
            }
        }
        assert_eq!(conditions.loss, "5%".parse().unwrap());
        assert_eq!(
            (conditions.delay, conditions.jitter),
            (Duration::from_millis(40), Duration::from_millis(20))
        );
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_line() {
        for (text, what) in [
            ("0s loss=5%\n1s lost=5%", "line 2: there is no setting `lost`"),
            ("soon cut", "line 1: `soon`"),
            ("2s cut\n1s return", "line 2: the line before is later"),
            ("1s", "line 1: nothing happens here"),
            ("0s repeat", "line 1: `repeat` needs a time"),
            ("0s loss=5%\n999us repeat", "line 2: `repeat` needs a time of 1ms at least"),
            ("30s repeat", "line 1: nothing changes before `repeat`"),
            ("1s cut repeat\n2s cut", "line 2: nothing follows `repeat`"),
            ("1s loss=200%", "line 1: `200%`"),
            ("1s jump", "line 1: `jump` is no setting"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.starts_with(what), "{error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "([0-9a-z=%:,#\\. ]{0,30}\n){0,6}") {
            let _ = text.parse::<Schedule>();
        }
    }
}
