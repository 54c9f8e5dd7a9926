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
