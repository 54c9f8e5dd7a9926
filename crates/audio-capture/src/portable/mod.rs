//! Devices of every system that the crate `cpal` knows: Core Audio on macOS, ALSA on Linux, and others. With the feature `cpal`, which on Linux needs the
//! headers of ALSA.
//!
//! Microphones and lines only: single applications, monitors and volumes are not in what the systems have in common. On Linux `pulse` and on
//! Windows `wasapi` do more. What we have run is ALSA.
//!
//! `cpal` calls back on a thread of its own, which leaves the samples in a ring and wakes the one that captures.

mod stream;

use cpal::traits::{DeviceTrait as _, HostTrait as _};
use cpal::{ErrorKind, SampleFormat, SupportedStreamConfig};

use crate::capture::Feed;
use crate::format::Format;
use crate::host::{self, DeviceKind};
use crate::input::{Input, OpenError, Opened, Progress, ReadError, Request};
use stream::Open;

/// Captures a device.
#[derive(Debug)]
pub struct Stream {
    device: Option<String>,
    open: Option<Open>,
}

impl Stream {
    /// A stream of the device of this name, as [`devices`] has it, or of the one that the user has chosen. It is not open yet.
    pub const fn new(device: Option<String>) -> Self {
        Self { device, open: None }
    }
}

impl Input for Stream {
    fn open(&mut self, request: &Request) -> Result<Opened, OpenError> {
        let device = find(self.device.as_deref())?;
        let config = device.default_input_config().map_err(|error| self.refused(&error))?;
        let format = format(&config).ok_or_else(|| OpenError::Unsupported { what: format!("{config:?}") })?;
        let open = Open::start(&device, &config, format, request.chunk_frames);
        self.open = Some(open.map_err(|error| self.refused(&error))?);
        // Each packet says how old it is.
        Ok(Opened { format, latency: std::time::Duration::ZERO })
    }

    fn read(&mut self, feed: &mut Feed) -> Result<Progress, ReadError> {
        let Some(open) = &mut self.open else { return Ok(Progress::End) };
        let name = self.device.as_deref().unwrap_or("the default device");
        open.read(feed).map(|()| Progress::More).map_err(|error| match error.kind() {
            ErrorKind::DeviceNotAvailable => ReadError::DeviceGone { name: name.to_owned() },
            _ => ReadError::Lost { reason: error.to_string() },
        })
    }

    fn close(&mut self) {
        self.open = None;
    }
}

impl Stream {
    fn refused(&self, error: &cpal::Error) -> OpenError {
        match error.kind() {
            ErrorKind::DeviceNotAvailable => no_device(self.device.as_deref()),
            ErrorKind::PermissionDenied => OpenError::Refused { reason: error.to_string() },
            ErrorKind::UnsupportedConfig | ErrorKind::UnsupportedOperation => {
                OpenError::Unsupported { what: error.to_string() }
            }
            _ => failed("the device was opened", error),
        }
    }
}

/// All inputs.
///
/// # Errors
///
/// [`OpenError::Failed`].
pub fn devices() -> Result<Vec<host::Device>, OpenError> {
    let host = cpal::default_host();
    let default = host.default_input_device().and_then(|device| device.id().ok());
    let inputs = host.input_devices().map_err(|error| failed("devices were listed", &error))?;
    let describe = |device: cpal::Device| {
        let id = device.id().ok()?;
        let description = device.description().ok()?;
        Some(host::Device {
            name: id.id().to_owned(),
            description: description.name().to_owned(),
            kind: DeviceKind::Input,
            format: device.default_input_config().ok().and_then(|config| format(&config)),
            is_default: default.as_ref() == Some(&id),
        })
    };
    Ok(inputs.filter_map(describe).collect())
}

/// The device of this name, or one of which the description has the name in it.
fn find(name: Option<&str>) -> Result<cpal::Device, OpenError> {
    let host = cpal::default_host();
    let Some(name) = name else {
        return host.default_input_device().ok_or_else(|| no_device(None));
    };
    // Not all that can be opened is listed, as devices of ALSA that have arguments.
    if let Some(device) = host.device_by_id(&cpal::DeviceId::new(host.id(), name)) {
        return Ok(device);
    }
    let wanted = name.to_lowercase();
    let mut inputs = host.input_devices().map_err(|error| failed("devices were listed", &error))?;
    let is_it = |device: &cpal::Device| {
        device.description().is_ok_and(|description| description.name().to_lowercase().contains(&wanted))
    };
    inputs.find(is_it).ok_or_else(|| no_device(Some(name)))
}

fn no_device(name: Option<&str>) -> OpenError {
    let known = devices().unwrap_or_default().into_iter().map(|device| device.name).collect::<Vec<_>>();
    OpenError::NoDevice { wanted: name.unwrap_or("default").to_owned(), known: known.join(", ") }
}

/// `None` for samples that are no sound, and for what is beyond any device.
fn format(config: &SupportedStreamConfig) -> Option<Format> {
    let is_pcm =
        !matches!(config.sample_format(), SampleFormat::DsdU8 | SampleFormat::DsdU16 | SampleFormat::DsdU32);
    Format::new(config.sample_rate(), config.channels().into()).ok().filter(|_| is_pcm)
}

fn failed(doing: &'static str, error: &cpal::Error) -> OpenError {
    OpenError::Failed { doing, reason: error.to_string() }
}
