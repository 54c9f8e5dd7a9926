//! What each row should reach: `benches/aims.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

/// The aims of all suites.
#[derive(Debug)]
pub(crate) struct Aims(BTreeMap<String, Vec<Aim>>);

/// One aim for one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aim {
    pub(crate) row: String,
    /// Which of our contenders it is about.
    pub(crate) ours: String,
    pub(crate) bound: Bound,
}

/// What our figure is held to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bound {
    /// So many nanoseconds per operation.
    Nanos(f64),
    /// So many bytes.
    Bytes(f64),
    /// So many times the fastest of these.
    Peers { peers: Peers, at_most: f64 },
    /// So many times our own figure in another row.
    Row { row: String, at_most: f64 },
}

/// Peers of the same row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Peers {
    /// All but these.
    AllBut(Vec<String>),
    Named(Vec<String>),
}

/// Why the aims can't be read.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The file breaks TOML or the shape of the table.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// An aim asks for nothing, or does not say what a ratio is to: see the head of the file.
    #[error("the aim for `{row}` {what}")]
    Aim {
        /// The aim's row.
        row: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl Aims {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let suites: BTreeMap<String, Vec<Entry>> = toml::from_str(text)?;
        let mut aims = BTreeMap::new();
        for (suite, entries) in suites {
            let of_suite: &mut Vec<Aim> = aims.entry(suite).or_default();
            for entry in entries {
                of_suite.extend(entry.aims()?);
            }
        }
        Ok(Self(aims))
    }

    /// The aims of a suite in the order of the file; none if it has none.
    pub(crate) fn of_suite(&self, suite: &str) -> &[Aim] {
        self.0.get(suite).map_or(&[], Vec::as_slice)
    }
}

/// An aim as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    row: String,
    #[serde(default = "nyx")]
    contender: String,
    of: Option<Of>,
    #[serde(default)]
    except: Vec<String>,
    of_row: Option<String>,
    at_most: Option<f64>,
    nanos_at_most: Option<f64>,
    bytes_at_most: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Of {
    Best(Best),
    Named(Vec<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Best {
    Best,
}

impl Entry {
    fn aims(self) -> Result<Vec<Aim>, Error> {
        let Self { row, contender, of, except, of_row, at_most, nanos_at_most, bytes_at_most } = self;
        let refuse = |what| Err(Error::Aim { row: row.clone(), what });
        if !except.is_empty() && !matches!(of, Some(Of::Best(_))) {
            return refuse("excepts peers from nothing: `except` goes with `of = \"best\"`");
        }
        let ratio = match (of, of_row, at_most) {
            (None, None, None) => None,
            (Some(of), None, Some(at_most)) => Some(Bound::Peers { peers: of.peers(except), at_most }),
            (None, Some(row), Some(at_most)) => Some(Bound::Row { row, at_most }),
            (Some(_), Some(_), _) => return refuse("has both `of` and `of_row`: write two aims"),
            (None, None, Some(_)) => return refuse("has `at_most`, but neither `of` nor `of_row`"),
            (_, _, None) => return refuse("says what the ratio is to, but no `at_most`"),
        };
        let figures = [nanos_at_most.map(Bound::Nanos), bytes_at_most.map(Bound::Bytes)];
        let bounds = figures.into_iter().flatten().chain(ratio);
        let aims: Vec<_> =
            bounds.map(|bound| Aim { row: row.clone(), ours: contender.clone(), bound }).collect();
        if aims.is_empty() {
            refuse("asks for nothing: give it `at_most`, `nanos_at_most` or `bytes_at_most`")
        } else {
            Ok(aims)
        }
    }
}

impl Of {
    fn peers(self, except: Vec<String>) -> Peers {
        match self {
            Self::Best(Best::Best) => Peers::AllBut(except),
            Self::Named(names) => Peers::Named(names),
        }
    }
}

fn nyx() -> String {
    "nyx".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(entry: &str) -> Result<Vec<Aim>, Error> {
        Aims::parse(&format!("[[core]]\nrow = \"a/b\"\n{entry}")).map(|aims| aims.of_suite("core").to_vec())
    }

    fn bounds(entry: &str) -> Vec<Bound> {
        one(entry).expect("the entry is right").into_iter().map(|aim| aim.bound).collect()
    }

    #[test]
    fn an_aim_is_a_ratio_a_time_or_both() {
        let named = Bound::Peers { peers: Peers::Named(vec!["governor".to_owned()]), at_most: 1.0 };
        assert_eq!(bounds("of = [\"governor\"]\nat_most = 1.0"), std::slice::from_ref(&named));
        assert_eq!(bounds("nanos_at_most = 4"), [Bound::Nanos(4.0)]);
        assert_eq!(bounds("bytes_at_most = 46017"), [Bound::Bytes(46_017.0)]);
        assert_eq!(
            bounds("of = [\"governor\"]\nat_most = 1\nnanos_at_most = 4.0"),
            [Bound::Nanos(4.0), named]
        );
        let row = Bound::Row { row: "a/c".to_owned(), at_most: 1.1 };
        assert_eq!(bounds("of_row = \"a/c\"\nat_most = 1.1"), [row]);
    }

    #[test]
    fn the_best_is_of_all_peers_but_those_excepted() {
        let all = Bound::Peers { peers: Peers::AllBut(Vec::new()), at_most: 0.5 };
        assert_eq!(bounds("of = \"best\"\nat_most = 0.5"), [all]);
        let but = Bound::Peers { peers: Peers::AllBut(vec!["floor".to_owned()]), at_most: 0.5 };
        assert_eq!(bounds("of = \"best\"\nexcept = [\"floor\"]\nat_most = 0.5"), [but]);
    }

    #[test]
    fn an_aim_that_is_not_whole_is_refused() {
        let wrong = [
            "",
            "at_most = 1",
            "of = [\"x\"]",
            "of_row = \"x\"",
            "of = \"worst\"\nat_most = 1",
            "of = [\"x\"]\nexcept = [\"y\"]\nat_most = 1",
            "of = [\"x\"]\nof_row = \"y\"\nat_most = 1",
            "nanos_at_most = 1\nnanoseconds = 2",
        ];
        for entry in wrong {
            assert!(one(entry).is_err(), "{entry}");
        }
    }

    #[test]
    fn a_suite_without_aims_has_none() {
        assert!(one("nanos_at_most = 1").is_ok_and(|aims| aims.len() == 1));
        assert!(Aims::parse("").is_ok_and(|aims| aims.of_suite("core").is_empty()));
    }
}
