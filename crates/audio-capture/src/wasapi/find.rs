//! What is meant by a target.

use std::time::Duration;

use wasapi::{AudioClient, Device, DeviceEnumerator, Direction, WasapiError};
use windows::Win32::Foundation::ERROR_NOT_FOUND;

use super::process::{self, Process};
use super::{KINDS, Server, Target, failed};
use crate::format::Format;
use crate::host::{self, Control as _, ControlError, DeviceKind, Session, SessionState};
use crate::input::OpenError;

/// A client of what is wanted, not initialised yet.
pub(super) struct Found {
    pub(super) client: AudioClient,
    pub(super) format: Format,
    pub(super) period: Duration,
    pub(super) origin: Origin,
}

/// Whose sound it is.
pub(super) enum Origin {
    /// An input's, which delivers silence too.
    Input,
    /// All that an output plays; nothing comes while nothing plays.
    Output,
    /// What one process plays, likewise. It ends with the process, where we may know when that is.
    Process(Option<Process>),
}

impl Found {
    pub(super) fn find(target: &Target) -> Result<Self, OpenError> {
        match target {
            Target::Process(process) => Self::process(*process),
            Target::Application(name) => Self::process(find_application(name)?),
            Target::Device(name) => {
                let (device, kind) = find_device(name)?;
                Self::device(&device, kind)
            }
            Target::DefaultInput => Self::default(target, Direction::Capture, DeviceKind::Input),
            Target::DefaultOutput => Self::default(target, Direction::Render, DeviceKind::Monitor),
        }
    }

    fn default(target: &Target, direction: Direction, kind: DeviceKind) -> Result<Self, OpenError> {
        let device = DeviceEnumerator::new().and_then(|all| all.get_default_device(&direction));
        let device = device.map_err(|error| match error {
            WasapiError::Windows(error) if error.code() == ERROR_NOT_FOUND.to_hresult() => {
                OpenError::NoDevice { wanted: target.to_string(), known: "none of that kind".to_owned() }
            }
            error => failed("the default device was looked for", &error),
        })?;
        Self::device(&device, kind)
    }

    fn device(device: &Device, kind: DeviceKind) -> Result<Self, OpenError> {
        let opened = |error| failed("the device was opened", &error);
        let client = device.get_iaudioclient().map_err(opened)?;
        let mix = client.get_mixformat().map_err(opened)?;
        let format = Format::new(mix.get_samplespersec(), mix.get_nchannels().into());
        let format = format.map_err(|error| OpenError::Unsupported { what: error.to_string() })?;
        let (period_100ns, _) = client.get_device_period().map_err(opened)?;
        let period = Duration::from_nanos(100 * u64::try_from(period_100ns).unwrap_or(0));
        let origin = match kind {
            DeviceKind::Input => Origin::Input,
            DeviceKind::Monitor => Origin::Output,
        };
        Ok(Self { client, format, period, origin })
    }

    /// A process need not play yet. The system would capture silence of one that is not there, so that is asked before.
    fn process(id: u32) -> Result<Self, OpenError> {
        let process = match Process::open(id) {
            Err(error) if process::is_absent(&error) => {
                let known = Server::connect()?.sessions().unwrap_or_default();
                return Err(OpenError::NoApplication {
                    wanted: format!("process {id}"),
                    known: list(playing(&known)),
                });
            }
            // One of another user, of which we may not know when it ends.
            process => process.ok(),
        };
        let client = AudioClient::new_application_loopback_client(id, true).map_err(|error| {
            let reason = format!(
                "this takes Windows 10 2004 or later, and not Wine: capture the output instead ({error})"
            );
            OpenError::Failed { doing: "the capture of one process was asked for", reason }
        })?;
        // Such a client has no format of its own: it converts to what it is asked for.
        let origin = Origin::Process(process);
        Ok(Self { client, format: PROCESS_FORMAT, period: PROCESS_PERIOD, origin })
    }
}

/// The process of the application of this name, of several the one that plays.
fn find_application(name: &str) -> Result<u32, OpenError> {
    let sessions = Server::connect()?.sessions().map_err(|error| OpenError::Failed {
        doing: "sessions were listed",
        reason: match error {
            ControlError::Failed { reason } => reason,
            error => error.to_string(),
        },
    })?;
    let wanted = name.to_lowercase();
    let mut found: Vec<_> = playing(&sessions)
        .filter(|session| {
            let names = [Some(&session.application), Some(&session.name), session.program.as_ref()];
            names.into_iter().flatten().any(|name| name.to_lowercase().contains(&wanted))
        })
        .collect();
    found.sort_by_key(|session| session.state != SessionState::Running);
    found.iter().find_map(|session| session.process).ok_or_else(|| OpenError::NoApplication {
        wanted: format!("`{name}`"),
        known: list(playing(&sessions)),
    })
}

fn playing(sessions: &[Session]) -> impl Iterator<Item = &Session> {
    sessions.iter().filter(|session| session.id.direction == host::Direction::Plays)
}

/// What a sentence calls them by.
fn list<'a>(sessions: impl Iterator<Item = &'a Session>) -> String {
    let names: Vec<_> = sessions.map(|session| session.application.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The device of this name, or else the first of which this is a part of the name; inputs come first.
fn find_device(wanted: &str) -> Result<(Device, DeviceKind), OpenError> {
    let mut all = all_devices().map_err(|error| failed("devices were listed", &error))?;
    let names: Vec<_> = all.iter().map(|(name, ..)| name.as_str()).collect();
    let Some(index) = choose(wanted, &names) else {
        return Err(OpenError::NoDevice { wanted: wanted.to_owned(), known: names.join(", ") });
    };
    let (_, device, kind) = all.swap_remove(index);
    Ok((device, kind))
}

fn all_devices() -> Result<Vec<(String, Device, DeviceKind)>, WasapiError> {
    let enumerator = DeviceEnumerator::new()?;
    let mut all = Vec::new();
    for (direction, kind) in KINDS {
        for device in &enumerator.get_device_collection(&direction)? {
            let device = device?;
            all.push((device.get_friendlyname()?, device, kind));
        }
    }
    Ok(all)
}

/// Which of the names is meant: one that is equal, or else one of which `wanted` is a part. Upper and lower case are the same.
fn choose(wanted: &str, names: &[&str]) -> Option<usize> {
    let wanted = wanted.to_lowercase();
    let equal = names.iter().position(|name| name.to_lowercase() == wanted);
    equal.or_else(|| names.iter().position(|name| name.to_lowercase().contains(&wanted)))
}

/// What most mixers run at.
const PROCESS_FORMAT: Format = Format::known(48_000, 2);

/// The period of the engine in shared mode.
const PROCESS_PERIOD: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_equal_is_meant_before_one_of_which_it_is_a_part() {
        let names = ["Monitor of Speakers", "Microphone", "Speakers", "Speakers"];
        assert_eq!(choose("speakers", &names), Some(2));
        assert_eq!(choose("of SPEAK", &names), Some(0));
        assert_eq!(choose("headphones", &names), None);
    }
}
