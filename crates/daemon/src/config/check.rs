//! `nyx config`: whether `nyx serve` would begin with a configuration.

use std::path::PathBuf;

use anyhow::anyhow;
use nyx_hub::Hub;

use super::{Config, DEFAULTS};
use crate::exit::{Failure, Outcome};
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
        self.check_limits()?;
        self.auth.book()?;
        Secure::load(&self.tls)?;
        self.create_topics(&Hub::new(self.hub()))?;
        forward::check(self)
    }

    /// Refuses limits of nothing, which elsewhere often means none.
    pub(crate) fn check_limits(&self) -> Outcome {
        let limits = &self.limits;
        let zero = [
            ("sessions", limits.sessions == 0),
            ("handshake", limits.handshake.duration().is_zero()),
            ("silence", limits.silence.duration().is_zero()),
            ("message_bytes", limits.message_bytes.bytes() == 0),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            None => Ok(()),
            Some((name, _)) => Err(Failure::usage(anyhow!(
                "with limits.{name} at 0 nobody could say anything: there is always a limit, so say a large one"
            ))),
        }
    }
}
