//! What is captured.

use std::fmt;

use clap::builder::NonEmptyStringValueParser;
use nyx_audio_capture::{Format, Input, input, synth};

use crate::exit::Outcome;

/// One of them at most.
#[derive(clap::Args)]
#[group(multiple = false)]
pub(super) struct Target {
    /// Capture what this application plays: its name, its program, or a part of it
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    app: Option<String>,
    /// Capture what this process plays
    #[arg(long, value_name = "PROCESS")]
    pid: Option<u32>,
    /// Capture the stream that has this number in the list
    #[arg(long, value_name = "NUMBER")]
    stream: Option<u32>,
    /// Capture this device, or what this output plays; in a build with the feature `cpal` also `alsa:` and a device of ALSA
    #[arg(long, value_name = "DEVICE", value_parser = NonEmptyStringValueParser::new())]
    device: Option<String>,
    /// Capture no device, but a test tone
    #[arg(long, value_name = "HZ", allow_negative_numbers = true, value_parser = parse_tone)]
    tone: Option<f64>,
}

impl Target {
    pub(super) fn input(&self) -> Outcome<Box<dyn Input>> {
        if let Some(hertz) = self.tone {
            let format = Format::new(TONE_RATE, 2)?;
            return Ok(Box::new(input::Paced::new(synth::Tone::new(format, hertz, 0.25))));
        }
        self.system_input()
    }

    #[cfg(target_os = "linux")]
    fn system_input(&self) -> Outcome<Box<dyn Input>> {
        use nyx_audio_capture::pulse;

        #[cfg(feature = "cpal")]
        if let Some(name) = self.device.as_deref().and_then(|name| name.strip_prefix(ALSA)) {
            return Ok(Box::new(nyx_audio_capture::portable::Stream::new(Some(name.to_owned()))));
        }
        let target = match self {
            Self { app: Some(name), .. } => pulse::Target::Application(name.clone()),
            Self { pid: Some(process), .. } => pulse::Target::Process(*process),
            Self { stream: Some(index), .. } => pulse::Target::Session(*index),
            Self { device: Some(name), .. } => pulse::Target::Device(name.clone()),
            _ => pulse::Target::Default,
        };
        Ok(Box::new(pulse::Stream::new(pulse::Address::from_env(), target)))
    }

    #[cfg(windows)]
    fn system_input(&self) -> Outcome<Box<dyn Input>> {
        use nyx_audio_capture::wasapi;

        let target = match self {
            Self { app: Some(name), .. } => wasapi::Target::Application(name.clone()),
            Self { pid: Some(process), .. } => wasapi::Target::Process(*process),
            Self { device: Some(name), .. } => wasapi::Target::Device(name.clone()),
            Self { stream: None, .. } => wasapi::Target::DefaultInput,
            _ => {
                return Err(crate::exit::Failure::usage(anyhow::anyhow!(
                    "on Windows say an application by its name or its --pid"
                )));
            }
        };
        Ok(Box::new(wasapi::Stream::new(target)))
    }

    #[cfg(all(feature = "cpal", not(any(target_os = "linux", windows))))]
    fn system_input(&self) -> Outcome<Box<dyn Input>> {
        match self {
            Self { app: None, pid: None, stream: None, .. } => {
                Ok(Box::new(nyx_audio_capture::portable::Stream::new(self.device.clone())))
            }
            _ => Err(crate::exit::Failure::usage(anyhow::anyhow!(
                "on this system only a --device can be captured"
            ))),
        }
    }

    #[cfg(not(any(feature = "cpal", target_os = "linux", windows)))]
    fn system_input(&self) -> Outcome<Box<dyn Input>> {
        Err(super::no_backend())
    }
}

fn parse_tone(text: &str) -> Result<f64, String> {
    let half = f64::from(TONE_RATE / 2);
    let hertz = text.parse().ok().filter(|hertz| (f64::MIN_POSITIVE..half).contains(hertz));
    hertz.ok_or_else(|| format!("a tone has more than 0 and less than {half} Hz, such as 440"))
}

/// Frames a second of a test tone.
const TONE_RATE: u32 = 48_000;

/// In front of devices that PulseAudio does not have.
#[cfg(all(feature = "cpal", target_os = "linux"))]
pub(super) const ALSA: &str = "alsa:";

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { app: Some(name), .. } => write!(f, "what `{name}` plays"),
            Self { pid: Some(process), .. } => write!(f, "what process {process} plays"),
            Self { stream: Some(index), .. } => write!(f, "stream {index}"),
            Self { device: Some(name), .. } => write!(f, "`{name}`"),
            Self { tone: Some(hertz), .. } => write!(f, "a tone of {hertz} Hz"),
            _ => f.write_str("the default device"),
        }
    }
}
