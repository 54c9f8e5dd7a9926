//! WASAPI: what is captured on Windows. **Never run on Windows itself**: there is none among the machines that test this crate. Inputs, loopback, losses and errors have
//! run under Wine 10; process loopback and the sessions of applications have not, because Wine has neither. The README says what ran, in which way.
//!
//! - [`Stream`]: an [`Input`] that captures a microphone, all that an output plays (loopback), or what one process and its children play
//!   (process loopback, from Windows 10 2004 on).
//! - [`devices`]: what can be asked for.
//! - [`Server`]: the [`Control`](crate::host::Control) that also lists sessions, and sets their volumes.
//! - [`Watch`]: what tells of them as they come, change and go.
//!
//! Shared mode, driven by events; the thread that captures joins the multimedia class scheduler (MMCSS) as "Pro Audio". An output that plays nothing delivers
//! nothing: silence is then made up from the clock, so that the timeline goes on.

mod explain;
mod find;
mod mmcss;
mod open;
mod process;
mod server;
mod sessions;
mod watch;

use std::cell::RefCell;
use std::fmt;

use wasapi::{Device, DeviceEnumerator, Direction, WasapiError};
use windows::Win32::Foundation::RPC_E_CHANGED_MODE;
use windows::Win32::Media::Audio::AUDCLNT_E_DEVICE_INVALIDATED;

use crate::capture::Feed;
use crate::format::Format;
use crate::host::{self, DeviceKind};
use crate::input::{Input, OpenError, Opened, Progress, ReadError, Request};
use explain::explain;
use find::Found;
use open::{Open, ReadFailure};
pub use server::Server;
pub use watch::Watch;

/// What a [`Stream`] captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The microphone or line that the user has chosen.
    DefaultInput,
    /// All that the output plays that the user has chosen.
    DefaultOutput,
    /// A device by its name, or else by a part of it: an input is heard, an output's loopback too.
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
    /// Whether it has been read from, and so is used by the thread that captures and no other.
    is_capturing: bool,
}

impl Stream {
    /// A stream that is not open yet.
    pub const fn new(target: Target) -> Self {
        Self { target, is_capturing: false }
    }

    fn prepare(&self) -> Result<(Open, Opened), OpenError> {
        initialize()?;
        let found = Found::find(&self.target)?;
        let opened = Opened { format: found.format, latency: found.period };
        Ok((Open::prepare(found)?, opened))
    }
}

thread_local! {
    /// The stream of the thread that captures. COM's objects belong to the thread that made them, so they stand here rather than in [`Stream`], which
    /// is opened by one thread and read by another. A capture has one input, and so has its thread.
    static OPEN: RefCell<Option<Open>> = const { RefCell::new(None) };
}

impl Input for Stream {
    /// Finds out whether it can be captured and what it delivers. After a loss it also starts, so that a device that is there but can't be started is
    /// an error here, and is not tried again and again without a pause.
    fn open(&mut self, _: &Request) -> Result<Opened, OpenError> {
        let (open, opened) = self.prepare()?;
        if self.is_capturing {
            OPEN.set(Some(open.start()?));
        }
        Ok(opened)
    }

    fn read(&mut self, feed: &mut Feed) -> Result<Progress, ReadError> {
        self.is_capturing = true;
        OPEN.with_borrow_mut(|open| {
            let open = match open {
                Some(open) => open,
                None => open.insert(self.begin()?),
            };
            // What was mixed before its end is read once more after it.
            let is_over = open.is_over();
            open.read(feed).map_err(|failure| self.failed(failure))?;
            if is_over { Err(self.ended()) } else { Ok(Progress::More) }
        })
    }

    fn close(&mut self) {
        OPEN.set(None);
    }
}

impl Stream {
    fn begin(&self) -> Result<Open, ReadError> {
        let started = self.prepare().and_then(|(open, _)| open.start());
        started.map_err(|error| ReadError::Lost { reason: error.to_string() })
    }

    fn failed(&self, failure: ReadFailure) -> ReadError {
        match failure {
            ReadFailure::System(WasapiError::Windows(error))
                if error.code() == AUDCLNT_E_DEVICE_INVALIDATED =>
            {
                ReadError::DeviceGone { name: self.target.to_string() }
            }
            ReadFailure::System(error) => ReadError::Lost { reason: explain(&error) },
            ReadFailure::Stalled => {
                ReadError::Lost { reason: format!("{} delivers nothing any more", self.target) }
            }
        }
    }

    fn ended(&self) -> ReadError {
        ReadError::ApplicationGone { name: self.target.to_string() }
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

/// Joins the multi-threaded apartment. Once more does no harm. A thread that shows windows is in an apartment of its own already, from which sound is reached
/// as well.
fn initialize() -> Result<(), OpenError> {
    match wasapi::initialize_mta() {
        RPC_E_CHANGED_MODE => Ok(()),
        joined => joined.ok().map_err(|error| failed("COM was initialised", &error.into())),
    }
}

fn failed(doing: &'static str, error: &WasapiError) -> OpenError {
    OpenError::Failed { doing, reason: explain(error) }
}

const KINDS: [(Direction, DeviceKind); 2] =
    [(Direction::Capture, DeviceKind::Input), (Direction::Render, DeviceKind::Monitor)];
