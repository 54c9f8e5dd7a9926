//! What of a document is published less exactly, less often or not at all.

use std::str::FromStr;

use anyhow::{Context as _, anyhow};
use nyx_client::Rules;

use crate::exit::{Failure, Outcome};
use crate::pace::Rate;

/// Options that make [`Rules`]. A path is keys or indices with dots between; `*` stands for one, `**` for any number.
#[derive(clap::Args)]
pub(super) struct Options {
    /// State: round floats at a path to multiples of a step, such as 'entities.*.x=0.01'
    #[arg(long, value_name = "PATH=STEP")]
    quantise: Vec<Set<f64>>,
    /// State: leave out what is at a path, such as 'entities.*.debug'
    #[arg(long, value_name = "PATH")]
    ignore: Vec<String>,
    /// State: let what is at a path change at most so often, such as 'entities.*.mood=2/s'
    #[arg(long, value_name = "PATH=RATE")]
    limit: Vec<Set<Rate>>,
}

impl Options {
    /// The first of these options that was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--quantise", !self.quantise.is_empty()),
            ("--ignore", !self.ignore.is_empty()),
            ("--limit", !self.limit.is_empty()),
        ];
        given.into_iter().find_map(|(option, is_given)| is_given.then_some(option))
    }

    pub(super) fn rules(&self) -> Outcome<Rules> {
        let add = || -> Result<Rules, nyx_client::RulesError> {
            let mut rules = Rules::default();
            for path in &self.ignore {
                rules = rules.ignore(path)?;
            }
            for Set { path, to } in &self.quantise {
                rules = rules.quantise(path, *to)?;
            }
            for Set { path, to } in &self.limit {
                rules = rules.limit(path, to.period())?;
            }
            Ok(rules)
        };
        add().map_err(Failure::usage)
    }
}

/// A path and what is said about it.
#[derive(Clone, Debug, PartialEq)]
struct Set<T> {
    path: String,
    to: T,
}

impl<T: FromStr<Err: Into<anyhow::Error>>> FromStr for Set<T> {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, anyhow::Error> {
        let (path, to) = text.rsplit_once('=').ok_or_else(|| anyhow!("`{text}` has no `=`"))?;
        let to = to.parse().map_err(Into::into).with_context(|| format!("`{to}` is no number"))?;
        Ok(Self { path: path.to_owned(), to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_a_path_and_a_number() {
        let step: Set<f64> = "entities.*.x=0.01".parse().unwrap();
        assert_eq!(step, Set { path: "entities.*.x".to_owned(), to: 0.01 });
        assert_eq!("a=b=2/s".parse::<Set<Rate>>().unwrap().path, "a=b");
        for text in ["a", "a=", "a=x"] {
            assert!(text.parse::<Set<f64>>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_rule_is_a_mistake_of_the_caller() {
        let options = |path: &str, to: f64| Options {
            quantise: vec![Set { path: path.to_owned(), to }],
            ignore: vec![],
            limit: vec![],
        };
        assert!(options("a.b", 0.5).rules().is_ok());
        assert!(options("a..b", 0.5).rules().is_err());
        assert!(options("a.b", -1.0).rules().is_err());
        assert_eq!(options("a", 1.0).given(), Some("--quantise"));
    }
}
