//! `nyx capture --list`.

use std::fmt::Write as _;

use nyx_audio_capture::host::{Device, DeviceKind, Direction, Session, SessionState};
use serde::Serialize;

use crate::exit::Outcome;
use crate::tell;

/// Prints devices and sessions on stdout.
pub(super) fn run(json: bool) -> Outcome {
    let (devices, sessions) = ask()?;
    let text = if json {
        let devices = devices.iter().map(DeviceLine::from).collect();
        let sessions = sessions.iter().map(SessionLine::from).collect();
        serde_json::to_string(&Listing { devices, sessions })? + "\n"
    } else {
        table(&devices, &sessions)
    };
    tell::print(text)
}

#[cfg(target_os = "linux")]
fn ask() -> Outcome<(Vec<Device>, Vec<Session>)> {
    use nyx_audio_capture::host::Control as _;
    use nyx_audio_capture::pulse::{Address, Server};

    let mut server = Server::connect(&Address::from_env())?;
    #[cfg_attr(not(feature = "cpal"), expect(unused_mut, reason = "others are added with it"))]
    let mut devices = server.devices()?;
    #[cfg(feature = "cpal")]
    devices.extend(nyx_audio_capture::portable::devices()?.into_iter().map(|mut device| {
        device.name.insert_str(0, super::target::ALSA);
        device.is_default = false;
        device
    }));
    Ok((devices, server.sessions()?))
}

#[cfg(windows)]
fn ask() -> Outcome<(Vec<Device>, Vec<Session>)> {
    use nyx_audio_capture::host::Control as _;
    use nyx_audio_capture::wasapi::Server;

    let mut server = Server::connect()?;
    Ok((server.devices()?, server.sessions()?))
}

#[cfg(all(feature = "cpal", not(any(target_os = "linux", windows))))]
fn ask() -> Outcome<(Vec<Device>, Vec<Session>)> {
    Ok((nyx_audio_capture::portable::devices()?, Vec::new()))
}

#[cfg(not(any(feature = "cpal", target_os = "linux", windows)))]
fn ask() -> Outcome<(Vec<Device>, Vec<Session>)> {
    Err(super::no_backend())
}

#[derive(Serialize)]
struct Listing<'a> {
    devices: Vec<DeviceLine<'a>>,
    sessions: Vec<SessionLine<'a>>,
}

#[derive(Serialize)]
struct DeviceLine<'a> {
    name: &'a str,
    description: &'a str,
    kind: &'static str,
    sample_rate: Option<u32>,
    channels: Option<u16>,
    default: bool,
}

#[derive(Serialize)]
pub(super) struct SessionLine<'a> {
    stream: u32,
    direction: &'static str,
    application: &'a str,
    name: &'a str,
    process: Option<u32>,
    program: Option<&'a str>,
    state: &'static str,
    volume: f32,
    muted: bool,
}

impl<'a> From<&'a Device> for DeviceLine<'a> {
    fn from(device: &'a Device) -> Self {
        Self {
            name: &device.name,
            description: &device.description,
            kind: kind(device.kind),
            sample_rate: device.format.map(nyx_audio_capture::Format::sample_rate),
            channels: device.format.map(nyx_audio_capture::Format::channels),
            default: device.is_default,
        }
    }
}

impl<'a> From<&'a Session> for SessionLine<'a> {
    fn from(session: &'a Session) -> Self {
        Self {
            stream: session.id.index,
            direction: direction(session.id.direction),
            application: &session.application,
            name: &session.name,
            process: session.process,
            program: session.program.as_deref(),
            state: state(session.state),
            volume: session.volume,
            muted: session.muted,
        }
    }
}

fn table(devices: &[Device], sessions: &[Session]) -> String {
    let mut text = String::from("DEVICES (* the default one)\n");
    for device in devices {
        let format = device
            .format
            .map(|format| format!("{} Hz, {} channels", format.sample_rate(), format.channels()));
        let star = if device.is_default { '*' } else { ' ' };
        let (name, kind) = (tell::plain(&device.name), kind(device.kind));
        let _ = writeln!(
            text,
            "{star} {name:<40} {kind:<8} {:<20} {}",
            format.unwrap_or_default(),
            tell::plain(&device.description)
        );
    }
    text.push_str("\nSTREAMS\n");
    for session in sessions {
        let _ = writeln!(text, "  {}", row(session));
    }
    if sessions.is_empty() {
        text.push_str("  none\n");
    }
    text
}

/// A session as people read it.
pub(super) fn row(session: &Session) -> String {
    let (stream, direction, state) =
        (session.id.index, direction(session.id.direction), state(session.state));
    let process = session.process.map(|process| format!("process {process}")).unwrap_or_default();
    let muted = if session.muted { ", muted" } else { "" };
    let volume = session.volume * 100.0;
    format!(
        "{stream:<5} {direction:<8} {state:<8} {volume:>3.0}%{muted} {process:<15} {}: {}",
        tell::plain(&session.application),
        tell::plain(&session.name)
    )
}

const fn kind(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Input => "input",
        DeviceKind::Monitor => "monitor",
    }
}

pub(super) const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Plays => "plays",
        Direction::Records => "records",
    }
}

const fn state(state: SessionState) -> &'static str {
    match state {
        SessionState::Running => "running",
        SessionState::Paused => "paused",
    }
}
