//! Two applications, of which one is captured.

use std::time::Duration;

use nyx_audio_capture::pulse::{Stream, Target};
use nyx_audio_capture::synth::Tone;
use nyx_audio_capture::{Capture, capture};

use super::row::Row;
use super::sound::{On, Stage};
use super::stereo;

pub(super) fn measure(stage: &Stage, on: On) -> anyhow::Result<Vec<Row>> {
    let time = stage.seconds(5.0).max(Duration::from_secs(1));
    let play =
        |name, hertz| stage.play(on, name, Tone::new(stereo(), hertz, 0.5), time + Duration::from_secs(10));
    let (_, wanted) = play("wanted.wav", 440.0)?;
    let (_, _other) = play("other.wav", 1_000.0)?;
    let process = wanted.as_ref().map_or(0, |player| player.0.id());
    let stream = Stream::new(stage.address(), Target::Process(process));
    let (capture, mut reader) = Capture::start(stream, capture::Config::default())?;
    let mut samples = Vec::new();
    let frames = stereo().frames_in(time) as usize;
    while samples.len() < 2 * frames {
        let Some(chunk) = reader.recv() else { break };
        samples.extend_from_slice(chunk.samples());
    }
    capture.stop()?;
    let steady: Vec<f64> =
        samples[samples.len() / 4 / 2 * 2..].iter().step_by(2).map(|sample| f64::from(*sample)).collect();
    let (own, other) = (level(&steady, 440.0), level(&steady, 1_000.0));
    let measured = format!("own {own:.1} dB, the other {:.1} dB below", own - other);
    Ok(vec![Row::new(
        "two applications, one captured",
        measured,
        "the other 60 dB below",
        own > -10.0 && other < own - 60.0,
    )])
}

/// In dB relative to full scale, by the Goertzel algorithm with a Blackman-Harris window.
fn level(samples: &[f64], hertz: f64) -> f64 {
    let step = std::f64::consts::TAU * hertz / 48_000.0;
    let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let turn = std::f64::consts::TAU * index as f64 / samples.len() as f64;
        let window =
            0.358_75 - 0.488_29 * turn.cos() + 0.141_28 * (2.0 * turn).cos() - 0.011_68 * (3.0 * turn).cos();
        re += window * sample * (step * index as f64).cos();
        im += window * sample * (step * index as f64).sin();
        weight += window;
    }
    20.0 * (2.0 * re.hypot(im) / weight).log10()
}
