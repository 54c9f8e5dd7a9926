//! How long the server's answers take.

use std::time::Duration;

use anyhow::Context;
use nyx_audio_capture::host::Control as _;
use nyx_audio_capture::pulse::Server;
use nyx_audio_capture::synth::Tone;
use nyx_audio_capture::{Capture, capture};
use nyx_core::clock::{Clock as _, Monotonic};

use super::row::Row;
use super::sound::{On, Stage};
use super::stereo;

pub(super) fn measure(stage: &Stage, on: On) -> anyhow::Result<Vec<Row>> {
    let clock = Monotonic::new();
    let time = |work: &mut dyn FnMut() -> anyhow::Result<()>| -> anyhow::Result<Duration> {
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let start = clock.now();
            work()?;
            times.push(clock.now().since(start));
        }
        times.sort_unstable();
        Ok(times[TIMES / 2])
    };
    let start = time(&mut || {
        let (capture, mut reader) = Capture::start(stage.input(on), capture::Config::default())?;
        reader.recv().context("nothing came")?;
        Ok(capture.stop()?)
    })?;
    let tone = |name: &str| stage.play(on, name, Tone::new(stereo(), 440.0, 0.1), Duration::from_secs(30));
    let players = (0..5).map(|index| tone(&format!("{index}.wav"))).collect::<anyhow::Result<Vec<_>>>()?;
    let mut server = Server::connect(&stage.address())?;
    let mut count = 0;
    let list = time(&mut || {
        count = server.sessions()?.len();
        Ok(())
    })?;
    let session = server.sessions()?.into_iter().next().context("five play")?;
    let mut volume = 0.5;
    let set = time(&mut || {
        volume = 1.0 - volume + 0.1;
        Ok(server.set_volume(session.id, volume)?)
    })?;
    drop(players);
    let row = |what: String, measured: Duration, aim: &'static str, most: u64| {
        Row::new(what, format!("{measured:.2?}"), aim, measured < Duration::from_millis(most))
    };
    Ok(vec![
        row("start, read a chunk, stop".to_owned(), start, "under 200 ms", 200),
        row(format!("list {count} sessions"), list, "under 10 ms", 10),
        row("set a volume".to_owned(), set, "under 5 ms", 5),
    ])
}

/// The median of so many.
const TIMES: usize = 11;
