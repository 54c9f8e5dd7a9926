//! WASAPI: what is captured on Windows. **Compiled and linked, but never run by us**: there is no Windows among the machines that test this crate.
//!
//! - [`Stream`]: an [`Input`](crate::Input) that captures a microphone, all that an output plays (loopback), or what one process and its children play
//!   (process loopback, from Windows 10 2004 on).
//! - [`devices`]: what can be asked for.
//! - [`Server`]: the [`Control`](crate::host::Control) that also lists sessions, and sets their volumes.
//! - [`Watch`]: what tells of them as they come, change and go.
//!
//! Shared mode, driven by events; the thread that captures joins the multimedia class scheduler (MMCSS) as "Pro Audio". An output that plays nothing delivers
//! nothing: silence is then made up from the clock, so that the timeline goes on.

mod mmcss;
mod open;
mod server;
mod sessions;
mod watch;

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use wasapi::{AudioClient, Device, DeviceEnumerator, Direction, WasapiError};

use crate::capture::Feed;
use crate::format::Format;
use crate::host::{self, Control as _, ControlError, DeviceKind, SessionState};
use crate::input::{Input, OpenError, Opened, Progress, ReadError, Request};
use open::Open;
pub use server::Server;
pub use watch::Watch;

/// What a [`Stream`] captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The microphone or line that the user has chosen.
    DefaultInput,
    /// All that the output plays that the user has chosen.
    DefaultOutput,
    /// A device by its name, or by a part of it: an input is heard, an output's loopback too.
    Device(String),
    /// What this process and its children play.
    Process(u32),
    /// What the application plays of which name or program this is, or a part of it.
    Application(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DefaultInput => f.write_str("the default input"),
            Self::DefaultOutput => f.write_str("the default output"),
            Self::Device(name) => write!(f, "device `{name}`"),
            Self::Process(process) => write!(f, "process {process}"),
            Self::Application(name) => write!(f, "application `{name}`"),
        }
    }
}

/// Captures a device or a process.
#[derive(Debug)]
pub struct Stream {
    target: Target,
}

impl Stream {
    /// A stream that is not open yet.
    pub const fn new(target: Target) -> Self {
        Self { target }
    }
}

thread_local! {
    /// The stream of the thread that captures. COM's objects belong to the thread that made them, so they are made by the first read,
    /// and stand here rather than in [`Stream`], which is made by another thread. A capture has one input, and so has its thread.
    static OPEN: RefCell<Option<Open>> = const { RefCell::new(None) };
}

impl Input for Stream {
    /// Finds out whether it is there and what it delivers.
    fn open(&mut self, _: &Request) -> Result<Opened, OpenError> {
        initialize()?;
        let found = Found::find(&self.target)?;
        Ok(Opened { format: found.format, latency: found.period })
    }

    fn read(&mut self, feed: &mut Feed) -> Result<Progress, ReadError> {
        OPEN.with_borrow_mut(|open| {
            if open.is_none() {
                let lost = |error: OpenError| ReadError::Lost { reason: error.to_string() };
                initialize().map_err(lost)?;
                *open = Some(Found::find(&self.target).and_then(Open::start).map_err(lost)?);
            }
            let read = open.as_mut().map_or(Ok(()), |open| open.read(feed));
            read.map_err(|error| self.failed(&error)).map(|()| Progress::More)
        })
    }

    fn close(&mut self) {
        OPEN.set(None);
    }
}

impl Stream {
    fn failed(&self, error: &WasapiError) -> ReadError {
        match error {
            WasapiError::Windows(error) if error.code().0 as u32 == DEVICE_INVALIDATED => {
                ReadError::DeviceGone { name: self.target.to_string() }
            }
            error => ReadError::Lost { reason: error.to_string() },
        }
    }
}

/// All inputs and outputs.
///
/// # Errors
///
/// [`OpenError::Failed`].
pub fn devices() -> Result<Vec<host::Device>, OpenError> {
    initialize()?;
    let listed = |error| failed("devices were listed", &error);
    let enumerator = DeviceEnumerator::new().map_err(listed)?;
    let mut devices = Vec::new();
    for (direction, kind) in KINDS {
        let default = enumerator.get_default_device(&direction).and_then(|device| device.get_id()).ok();
        for device in &enumerator.get_device_collection(&direction).map_err(listed)? {
            devices.push(describe(&device.map_err(listed)?, kind, default.as_deref()).map_err(listed)?);
        }
    }
    Ok(devices)
}

fn describe(device: &Device, kind: DeviceKind, default: Option<&str>) -> Result<host::Device, WasapiError> {
    let format = device.get_iaudioclient().and_then(|client| client.get_mixformat()).ok();
    Ok(host::Device {
        name: device.get_friendlyname()?,
        description: device.get_interface_friendlyname().unwrap_or_default(),
        kind,
        format: format
            .and_then(|format| Format::new(format.get_samplespersec(), format.get_nchannels().into()).ok()),
        is_default: device.get_id().ok().as_deref() == default && default.is_some(),
    })
}

/// A client of what is wanted, not initialised yet.
struct Found {
    client: AudioClient,
    format: Format,
    period: Duration,
    /// Whether it delivers nothing while nothing plays.
    is_loopback: bool,
}

impl Found {
    fn find(target: &Target) -> Result<Self, OpenError> {
        let opened = |error| failed("the device was opened", &error);
        let process = match target {
            Target::Process(process) => Some(*process),
            Target::Application(name) => Some(find_application(name)?),
            _ => None,
        };
        if let Some(process) = process {
            let client = AudioClient::new_application_loopback_client(process, true).map_err(opened)?;
            // Such a client has no format of its own: it converts to what it is asked for.
            return Ok(Self { client, format: PROCESS_FORMAT, period: PROCESS_PERIOD, is_loopback: true });
        }
        let (device, is_loopback) = find_device(target)?;
        let client = device.get_iaudioclient().map_err(opened)?;
        let mix = client.get_mixformat().map_err(opened)?;
        let format = Format::new(mix.get_samplespersec(), mix.get_nchannels().into());
        let format = format.map_err(|error| OpenError::Unsupported { what: error.to_string() })?;
        let (period_100ns, _) = client.get_device_period().map_err(opened)?;
        let period = Duration::from_nanos(100 * u64::try_from(period_100ns).unwrap_or(0));
        Ok(Self { client, format, period, is_loopback })
    }
}

/// The process of the application of this name, of several the one that plays.
fn find_application(name: &str) -> Result<u32, OpenError> {
    let failed =
        |error: ControlError| OpenError::Failed { doing: "sessions were listed", reason: error.to_string() };
    let sessions = Server::connect()?.sessions().map_err(failed)?;
    let plays = sessions.iter().filter(|session| session.id.direction == host::Direction::Plays);
    let wanted = name.to_lowercase();
    let mut found: Vec<_> = plays
        .clone()
        .filter(|session| {
            let names =
                [&session.application, &session.name, session.program.as_ref().unwrap_or(&session.name)];
            names.iter().any(|name| name.to_lowercase().contains(&wanted))
        })
        .collect();
    found.sort_by_key(|session| session.state != SessionState::Running);
    found.iter().find_map(|session| session.process).ok_or_else(|| {
        let known: Vec<_> = plays.map(|session| session.application.as_str()).collect();
        OpenError::NoApplication { wanted: format!("`{name}`"), known: known.join(", ") }
    })
}

/// The device, and whether it is an output.
fn find_device(target: &Target) -> Result<(Device, bool), OpenError> {
    let listed = |error| failed("devices were listed", &error);
    let enumerator = DeviceEnumerator::new().map_err(listed)?;
    let name = match target {
        Target::Device(name) => name,
        Target::DefaultOutput => {
            return Ok((enumerator.get_default_device(&Direction::Render).map_err(listed)?, true));
        }
        Target::DefaultInput | Target::Process(_) | Target::Application(_) => {
            return Ok((enumerator.get_default_device(&Direction::Capture).map_err(listed)?, false));
        }
    };
    let wanted = name.to_lowercase();
    let mut known = Vec::new();
    for (direction, kind) in KINDS {
        for device in &enumerator.get_device_collection(&direction).map_err(listed)? {
            let device = device.map_err(listed)?;
            let name = device.get_friendlyname().map_err(listed)?;
            if name.to_lowercase().contains(&wanted) {
                return Ok((device, kind == DeviceKind::Monitor));
            }
            known.push(name);
        }
    }
    Err(OpenError::NoDevice { wanted: name.clone(), known: known.join(", ") })
}

/// Joins the multi-threaded apartment. Once more does no harm.
fn initialize() -> Result<(), OpenError> {
    wasapi::initialize_mta().ok().map_err(|error| failed("COM was initialised", &error.into()))
}

fn failed(doing: &'static str, error: &WasapiError) -> OpenError {
    OpenError::Failed { doing, reason: error.to_string() }
}

const KINDS: [(Direction, DeviceKind); 2] =
    [(Direction::Capture, DeviceKind::Input), (Direction::Render, DeviceKind::Monitor)];

/// What most mixers run at.
const PROCESS_FORMAT: Format = Format::known(48_000, 2);

/// The period of the engine in shared mode.
const PROCESS_PERIOD: Duration = Duration::from_millis(10);

/// `AUDCLNT_E_DEVICE_INVALIDATED`.
const DEVICE_INVALIDATED: u32 = 0x8889_0004;
