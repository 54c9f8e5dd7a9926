//! `nyx config`: whether `nyx serve` would begin with a configuration.

use std::path::PathBuf;

use nyx_hub::Hub;

use super::{Config, DEFAULTS};
use crate::exit::Outcome;
use crate::forward;
use crate::serve::Secure;
use crate::tell;

/// Check a configuration, or print one with all defaults.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The file to check; without it, the defaults are printed
    file: Option<PathBuf>,
}

pub(crate) fn run(args: Args) -> Outcome {
    let Some(file) = args.file else {
        return tell::print(DEFAULTS);
    };
    Config::load(Some(&file))?.check()?;
    tell::print(format!("{}: good\n", file.display()))
}

impl Config {
    /// All that `nyx serve` looks at before it listens; whether the addresses are free shows only then.
    fn check(&self) -> Outcome {
        self.check_listen()?;
        self.auth.book()?;
        Secure::load(&self.tls)?;
        self.create_topics(&Hub::new(self.hub()))?;
        forward::check(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_commented_out_in_the_printed_defaults_is_understood() {
        let is_setting = |line: &&str| {
            line.starts_with('[') || line.split(" = ").next().is_some_and(|name| !name.contains([' ', '.']))
        };
        let uncommented = |line: &'static str| line.strip_prefix("# ").filter(is_setting).unwrap_or(line);
        let text: String = DEFAULTS.lines().map(|line| format!("{}\n", uncommented(line))).collect();
        let config = toml::from_str::<Config>(&text).unwrap();
        assert_eq!((config.topics.len(), config.forwards.len()), (1, 1));
        assert!(config.listen.udp.is_some() && config.auth.is_on() && config.tls.asks_clients());
    }
}
