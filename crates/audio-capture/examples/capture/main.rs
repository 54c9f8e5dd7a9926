//! Captures a device or an application into a WAV file, lists both, follows them and sets volumes: all that a system of this crate can do.
//!
//! ```sh
//! cargo run --example capture -- out.wav 5                  # the default input, five seconds
//! cargo run --example capture -- out.wav 5 --app mpv        # or --pid 4711, --device NAME, --output for all that is heard
//! cargo run --example capture -- --list
//! cargo run --example capture -- --follow
//! cargo run --example capture -- --volume 42 0.5            # or --mute 42, --unmute 42: the numbers are those of the list
//! ```

mod system;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use nyx_audio_capture::host::{Control, Direction, Event, Session, SessionId};
use nyx_audio_capture::record::{self, Recorder};
use nyx_audio_capture::{Capture, Input, capture};
use system::Wanted;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--list"] => list(&mut *system::control()?),
        ["--follow"] => follow(),
        ["--volume", stream, volume] => Ok(system::control()?.set_volume(id(stream)?, volume.parse()?)?),
        ["--mute", stream] => Ok(system::control()?.set_muted(id(stream)?, true)?),
        ["--unmute", stream] => Ok(system::control()?.set_muted(id(stream)?, false)?),
        [] => record(Wanted::Input, "capture.wav", 5),
        [path] if !path.starts_with('-') => record(Wanted::Input, path, 5),
        [path, seconds] => record(Wanted::Input, path, seconds.parse()?),
        [path, seconds, "--output"] => record(Wanted::Output, path, seconds.parse()?),
        [path, seconds, "--device", name] => record(Wanted::Device(name), path, seconds.parse()?),
        [path, seconds, "--app", name] => record(Wanted::Application(name), path, seconds.parse()?),
        [path, seconds, "--pid", process] => {
            record(Wanted::Process(process.parse()?), path, seconds.parse()?)
        }
        _ => Err(USAGE.into()),
    }
}

/// Records so many seconds, or as many as there are until the input ends; what was recorded is kept either way.
fn record(wanted: Wanted<'_>, path: &str, seconds: u64) -> Outcome {
    let (input, path): (Box<dyn Input>, _) = (system::input(wanted)?, Path::new(path));
    let mut config = capture::Config::default();
    config.reconnect = RECONNECT;
    let (capture, mut reader) = Capture::start(input, config)?;
    let mut recorder = Recorder::create(path, capture.format(), record::Config::default())?;
    let (mut peak, mut gaps) = (0.0_f32, 0);
    while recorder.frames() < seconds * u64::from(capture.format().sample_rate()) {
        let Some(chunk) = reader.recv() else { break };
        peak = chunk.samples().iter().fold(peak, |peak, sample| peak.max(sample.abs()));
        gaps += u32::from(chunk.discontinuity);
        recorder.write(&chunk)?;
    }
    let ended = capture.stop();
    let dropped = reader.metrics().dropped;
    let (frames, level) = (recorder.finish()?, 20.0 * peak.log10());
    println!(
        "{frames} frames in {}, peak {level:.1} dB, {gaps} gaps, {dropped} chunks dropped",
        path.display()
    );
    Ok(ended?)
}

fn list(control: &mut dyn Control) -> Outcome {
    println!("devices:");
    for device in control.devices()? {
        let format = device
            .format
            .map(|format| format!(", {} Hz, {} channels", format.sample_rate(), format.channels()));
        let (kind, default) = (device.kind, if device.is_default { ", the default one" } else { "" });
        println!(
            "  {:?}{}{default}: {} ({})",
            kind,
            format.unwrap_or_default(),
            device.name,
            device.description
        );
    }
    println!("sessions:");
    for session in control.sessions()? {
        println!("  {}", line(&session));
    }
    Ok(())
}

/// Says what begins, changes and ends, until it is interrupted.
fn follow() -> Outcome {
    let (mut watch, mut control) = (system::watch()?, system::control()?);
    list(&mut *control)?;
    loop {
        let Some(event) = watch.next(Duration::from_secs(60))? else { continue };
        println!("{event:?}");
        if let Event::Started(id) | Event::Changed(id) = event {
            let sessions = control.sessions()?;
            sessions
                .iter()
                .filter(|session| session.id == id)
                .for_each(|session| println!("  {}", line(session)));
        }
    }
}

fn line(session: &Session) -> String {
    let Session { id, name, application, process, state, volume, .. } = session;
    let muted = if session.muted { ", muted" } else { "" };
    let (direction, process) = (id.direction, process.map_or(String::new(), |id| format!(", process {id}")));
    format!("{id}: {application} ({name}){process}, {direction:?}, {state:?}, {volume:.2}{muted}")
}

/// A session's number as the list has it: one that records has an `r` in front.
fn id(text: &str) -> Result<SessionId, Box<dyn Error>> {
    let (direction, number) = match text.strip_prefix('r') {
        Some(number) => (Direction::Records, number),
        None => (Direction::Plays, text),
    };
    Ok(SessionId { direction, index: number.parse()? })
}

/// How long a device that is gone is waited for here.
const RECONNECT: Duration = Duration::from_secs(5);

const USAGE: &str = "usage: capture [FILE [SECONDS [--output | --device NAME | --app NAME | --pid NUMBER]]]
       capture --list | --follow | --volume STREAM 0.5 | --mute STREAM | --unmute STREAM";
