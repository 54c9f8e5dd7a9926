//! What each system calls its inputs, its sessions and what tells of them.

use std::error::Error;

use nyx_audio_capture::Input;
use nyx_audio_capture::host::{Control, Follow};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is to be captured.
#[derive(Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// The microphone or line that the user has chosen.
    Input,
    /// All that the output plays that the user has chosen.
    Output,
    /// A device by its name.
    Device(&'a str),
    /// What an application plays.
    Application(&'a str),
    /// What a process plays.
    Process(u32),
}

#[cfg(all(target_os = "linux", feature = "pulse"))]
mod backend {
    use nyx_audio_capture::pulse::{Address, Server, Stream, Target, Watch};

    use super::{Control, Follow, Input, Result, Wanted};

    pub(crate) fn input(wanted: Wanted<'_>) -> Result<Box<dyn Input>> {
        let target = match wanted {
            Wanted::Input => Target::Default,
            Wanted::Output => return Err("here an output is captured by its name: --device NAME".into()),
            Wanted::Device(name) => Target::Device(name.to_owned()),
            Wanted::Application(name) => Target::Application(name.to_owned()),
            Wanted::Process(process) => Target::Process(process),
        };
        Ok(Box::new(Stream::new(Address::from_env(), target)))
    }

    pub(crate) fn control() -> Result<Box<dyn Control>> {
        Ok(Box::new(Server::connect(&Address::from_env())?))
    }

    pub(crate) fn watch() -> Result<Box<dyn Follow>> {
        Ok(Box::new(Watch::start(&Address::from_env())?))
    }
}

#[cfg(windows)]
mod backend {
    use nyx_audio_capture::wasapi::{Server, Stream, Target, Watch};

    use super::{Control, Follow, Input, Result, Wanted};

    pub(crate) fn input(wanted: Wanted<'_>) -> Result<Box<dyn Input>> {
        Ok(Box::new(Stream::new(match wanted {
            Wanted::Input => Target::DefaultInput,
            Wanted::Output => Target::DefaultOutput,
            Wanted::Device(name) => Target::Device(name.to_owned()),
            Wanted::Application(name) => Target::Application(name.to_owned()),
            Wanted::Process(process) => Target::Process(process),
        })))
    }

    pub(crate) fn control() -> Result<Box<dyn Control>> {
        Ok(Box::new(Server::connect()?))
    }

    pub(crate) fn watch() -> Result<Box<dyn Follow>> {
        Ok(Box::new(Watch::start()?))
    }
}

/// There is nothing that this build knows: a tone instead.
#[cfg(not(any(all(target_os = "linux", feature = "pulse"), windows)))]
mod backend {
    use nyx_audio_capture::{Format, input::Paced, synth::Tone};

    use super::{Control, Follow, Input, Result, Wanted};

    pub(crate) fn input(wanted: Wanted<'_>) -> Result<Box<dyn Input>> {
        match wanted {
            Wanted::Input => Ok(Box::new(Paced::new(Tone::new(Format::new(48_000, 2)?, 440.0, 0.25)))),
            Wanted::Output => Err(NOTHING.into()),
            Wanted::Device(name) | Wanted::Application(name) => {
                Err(format!("{NOTHING}, nor `{name}`").into())
            }
            Wanted::Process(process) => Err(format!("{NOTHING}, nor process {process}").into()),
        }
    }

    pub(crate) fn control() -> Result<Box<dyn Control>> {
        Err(NOTHING.into())
    }

    pub(crate) fn watch() -> Result<Box<dyn Follow>> {
        Err(NOTHING.into())
    }

    const NOTHING: &str = "this build knows no devices and no sessions of this system";
}

pub(crate) use backend::{control, input, watch};
