//! What to capture, and where it is.

use std::{fmt, fs, iter};

use pulseaudio::protocol::{ClientInfo, Command, SinkInputInfo};

use super::connection::{Connection, Failure};
use super::listing;
use crate::host::{Device, Session, SessionState};
use crate::input::OpenError;

/// What a [`Stream`](super::Stream) captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The device that the user has chosen for recording.
    Default,
    /// A device by its name, by the name of an output whose monitor is meant, or by a part of its description.
    Device(String),
    /// What an application plays, by its name, its program, or the name of its stream; upper and lower case are the same, and a part is enough
    /// where no name is equal. Of several the one that runs, of these the newest.
    Application(String),
    /// What a process plays, or else one that it has started, as browsers do; of several streams the one that runs, of these the newest.
    Process(u32),
    /// One stream that plays, by the number in its [`SessionId`](crate::host::SessionId).
    Session(u32),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default device"),
            Self::Device(name) => write!(f, "device `{name}`"),
            Self::Application(name) => write!(f, "`{name}`"),
            Self::Process(process) => write!(f, "process {process}"),
            Self::Session(index) => write!(f, "stream {index}"),
        }
    }
}

/// Where something is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The source; `None`: the default one, whichever that is by then.
    pub(super) source: Option<Source>,
    /// The one stream that is wanted of all that the source hears.
    pub(super) stream: Option<u32>,
    /// What people call it.
    pub(super) name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Name(String),
    Index(u32),
}

impl Target {
    /// Finds what is meant.
    pub(super) fn find(&self, connection: &mut Connection) -> Result<Place, OpenError> {
        let failed = |failure: Failure| failure.while_doing("devices and applications were listed");
        match self {
            Self::Default => Ok(Place { source: None, stream: None, name: "default".to_owned() }),
            Self::Device(wanted) => find_device(wanted, &listing::devices(connection).map_err(failed)?),
            Self::Application(_) | Self::Process(_) | Self::Session(_) => {
                let input = self.find_stream(connection, failed)?;
                let sink = listing::sink(connection, input.sink_index).map_err(failed)?;
                let source = sink.monitor_source_index.map(Source::Index);
                Ok(Place { source, stream: Some(input.index), name: listing::text(&input.name) })
            }
        }
    }

    fn find_stream(
        &self,
        connection: &mut Connection,
        failed: impl Fn(Failure) -> OpenError,
    ) -> Result<SinkInputInfo, OpenError> {
        let clients: Vec<ClientInfo> = connection.request(&Command::GetClientInfoList).map_err(&failed)?;
        let inputs = listing::sink_inputs(connection).map_err(failed)?;
        let sessions: Vec<_> = inputs.iter().map(|input| listing::playing(input, &clients)).collect();
        let found =
            self.choose(&sessions).and_then(|index| inputs.into_iter().find(|input| input.index == index));
        found.ok_or_else(|| OpenError::NoApplication {
            wanted: self.to_string(),
            known: list(sessions.iter().map(describe)),
        })
    }

    /// The number of the stream that is meant.
    fn choose(&self, sessions: &[Session]) -> Option<u32> {
        let mut best = None;
        for session in sessions {
            let key = (self.fit(session)?, session.state == SessionState::Running, session.id.index);
            if key.0 > 0 {
                best = best.max(Some(key));
            }
        }
        best.map(|(_, _, index)| index)
    }

    /// How well a stream fits; 0: not at all. `None` for what is no stream.
    fn fit(&self, session: &Session) -> Option<u8> {
        Some(match self {
            Self::Application(wanted) => fit_name(&wanted.to_lowercase(), session),
            Self::Process(process) => session.process.map_or(0, |its| fit_process(*process, its)),
            Self::Session(index) => (session.id.index == *index).into(),
            Self::Default | Self::Device(_) => return None,
        })
    }
}

/// What a sentence calls a session by.
fn describe(session: &Session) -> String {
    let Session { application, id, .. } = session;
    match session.process {
        Some(process) => format!("{application} (process {process}, stream {id})"),
        None => format!("{application} (stream {id})"),
    }
}

fn fit_process(wanted: u32, its: u32) -> u8 {
    if its == wanted {
        return 2;
    }
    let mut ancestors = iter::successors(parent(its), |process| parent(*process)).take(ANCESTORS_MAX);
    ancestors.any(|ancestor| ancestor == wanted).into()
}

/// The process that has started this one, as far as that can be known: what a sandbox calls its processes is nothing here.
fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before it may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok().filter(|parent| *parent > 0)
}

fn fit_name(wanted: &str, session: &Session) -> u8 {
    let names = [Some(&session.application), session.program.as_ref(), Some(&session.name)];
    let names = names.into_iter().flatten().map(|name| name.to_lowercase());
    names
        .map(|name| match () {
            () if name == wanted => 2,
            () if name.contains(wanted) => 1,
            () => 0,
        })
        .max()
        .unwrap_or(0)
}

fn find_device(wanted: &str, devices: &[Device]) -> Result<Place, OpenError> {
    let monitor = format!("{wanted}.monitor");
    let lower = wanted.to_lowercase();
    let by_name = |name: &str| devices.iter().find(|device| device.name == name);
    let found = by_name(wanted).or_else(|| by_name(&monitor)).or_else(|| {
        devices.iter().find(|device| !lower.is_empty() && device.description.to_lowercase().contains(&lower))
    });
    let found =
        found.ok_or_else(|| OpenError::NoDevice { wanted: wanted.to_owned(), known: known(devices) })?;
    Ok(Place { source: Some(Source::Name(found.name.clone())), stream: None, name: found.name.clone() })
}

/// The names that can be asked for, in a sentence.
pub(super) fn known(devices: &[Device]) -> String {
    list(devices.iter().map(|device| device.name.clone()))
}

fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.take(NAMES_MAX).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A process that is asked about may be gone, and its number another's: no way up is endless.
const ANCESTORS_MAX: usize = 64;

/// A sentence that is longer is not read.
const NAMES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{DeviceKind, Direction, SessionId};

    fn session(index: u32, application: &str, name: &str, state: SessionState) -> Session {
        Session {
            id: SessionId { direction: Direction::Plays, index },
            name: name.to_owned(),
            application: application.to_owned(),
            process: Some(100 + index),
            program: None,
            state,
            volume: 1.0,
            muted: false,
        }
    }

    #[test]
    fn an_equal_name_beats_a_part_and_what_runs_beats_what_does_not() {
        use SessionState::{Paused, Running};
        let sessions = [
            session(1, "mpv", "song", Running),
            session(2, "MPV", "song", Running),
            session(3, "mpv", "song", Paused),
            session(4, "mpv-helper", "beep", Running),
        ];
        let choose = |target: Target| target.choose(&sessions);
        assert_eq!(choose(Target::Application("mpv".to_owned())), Some(2));
        assert_eq!(choose(Target::Application("help".to_owned())), Some(4));
        assert_eq!(choose(Target::Application("vlc".to_owned())), None);
        assert_eq!(choose(Target::Process(103)), Some(3));
        assert_eq!(choose(Target::Session(1)), Some(1));
    }

    #[test]
    fn a_process_is_fitted_by_itself_best_and_by_what_it_has_started() {
        let (this, its_parent) = (std::process::id(), std::os::unix::process::parent_id());
        assert_eq!((fit_process(this, this), fit_process(its_parent, this)), (2, 1));
        assert_eq!(fit_process(this, its_parent), 0);
        assert_eq!(parent(u32::MAX), None);
    }

    #[test]
    fn an_output_stands_for_its_monitor() {
        let device = |name: &str, description: &str| Device {
            name: name.to_owned(),
            description: description.to_owned(),
            kind: DeviceKind::Monitor,
            format: None,
            is_default: false,
        };
        let devices = [device("a.monitor", "Monitor of Speakers"), device("mic", "USB Microphone")];
        let name = |wanted: &str| find_device(wanted, &devices).map(|place| place.name);
        assert_eq!(name("a").unwrap(), "a.monitor");
        assert_eq!(name("usb mic").unwrap(), "mic");
        let error = name("zzz").unwrap_err();
        assert!(error.to_string().contains("a.monitor, mic"), "{error}");
    }
}
