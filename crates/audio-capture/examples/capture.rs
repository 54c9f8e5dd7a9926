//! Captures the default device for some seconds into a WAV file: `cargo run --example capture -- out.wav 5`.

use std::path::PathBuf;

use nyx_audio_capture::record::{self, Recorder};
use nyx_audio_capture::{Capture, Input, capture};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().unwrap_or_else(|| "capture.wav".to_owned()));
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let (capture, mut reader) = Capture::start(device(), capture::Config::default())?;
    let mut recorder = Recorder::create(&path, capture.format(), record::Config::default())?;
    while recorder.frames() < seconds * u64::from(capture.format().sample_rate()) {
        let Some(chunk) = reader.recv() else { break };
        recorder.write(&chunk)?;
    }
    capture.stop()?;
    println!("{} frames in {}", recorder.finish()?, path.display());
    Ok(())
}

#[cfg(all(target_os = "linux", feature = "pulse"))]
fn device() -> impl Input {
    use nyx_audio_capture::pulse::{Address, Stream, Target};

    Stream::new(Address::from_env(), Target::Default)
}

#[cfg(windows)]
fn device() -> impl Input {
    use nyx_audio_capture::wasapi::{Stream, Target};

    Stream::new(Target::DefaultInput)
}

/// There is no device that this build knows: a tone instead.
#[cfg(not(any(all(target_os = "linux", feature = "pulse"), windows)))]
fn device() -> impl Input {
    use nyx_audio_capture::{Format, input::Paced, synth::Tone};

    Paced::new(Tone::new(Format::new(48_000, 2).expect("a usual format"), 440.0, 0.25))
}
