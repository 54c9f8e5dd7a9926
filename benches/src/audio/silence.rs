//! Tone and silence, a second each.

use std::time::Duration;

use nyx_audio_capture::input::Paced;
use nyx_audio_capture::synth::Tone;
use nyx_audio_capture::{Block, Capture, Encoding, Format, Input, Source, capture, source};

use super::row::Row;
use super::sound::{On, Stage};
use super::stereo;

pub(super) fn measure(stage: &Stage, on: On) -> anyhow::Result<Vec<Row>> {
    let rounds = stage.times(10);
    let time = Duration::from_secs(2) * rounds;
    let (input, player): (Box<dyn Input>, _) = match on {
        On::Synthetic => (Box::new(Paced::new(Beeps::new(rounds))), None),
        On::Pulse => stage.play(on, "beeps.wav", Beeps::new(rounds), time)?,
    };
    let (capture, mut reader) = Capture::start(input, capture::Config::default())?;
    let (mut right, mut chunks, mut begun) = (0_u32, 0_u32, false);
    let wanted = (time.as_secs_f64() * 100.0) as u32;
    while chunks < wanted {
        let Some(chunk) = reader.recv() else { break };
        let has_sound = chunk.samples().iter().any(|sample| sample.abs() > 0.001);
        begun |= has_sound;
        if begun {
            chunks += 1;
            right += u32::from(chunk.silent != has_sound);
        }
    }
    drop((capture.stop(), player));
    let share = f64::from(right) / f64::from(chunks.max(1));
    let what = format!("{rounds} times 1 s of tone, 1 s of silence");
    let measured = format!("{:.2}% of {chunks} chunks flagged right", share * 100.0);
    let reached = share >= 0.99 && chunks.abs_diff(wanted) <= 1;
    Ok(vec![Row::new(what, measured, "99%, and as long to a chunk", reached)])
}

/// A second of tone, a second of nothing, again and again.
struct Beeps {
    tone: Tone,
    next_frame: u64,
    end: u64,
}

impl Beeps {
    fn new(rounds: u32) -> Self {
        Self { tone: Tone::new(stereo(), 1_000.0, 0.5), next_frame: 0, end: u64::from(rounds) * 96_000 }
    }
}

impl Source for Beeps {
    fn format(&self) -> Format {
        self.tone.format()
    }

    fn encoding(&self) -> Encoding {
        self.tone.encoding()
    }

    fn next_block(&mut self, frames: usize) -> Result<Option<Block>, source::Error> {
        let first_frame = self.next_frame;
        if first_frame >= self.end {
            return Ok(None);
        }
        // To the next whole second at most.
        let frames = frames.min((48_000 - first_frame % 48_000) as usize);
        let block = self.tone.next_block(frames)?;
        self.next_frame += frames as u64;
        let is_tone = (first_frame / 48_000).is_multiple_of(2);
        Ok(block.map(
            |block| if is_tone { block } else { Block { pcm: vec![0; block.pcm.len()].into(), ..block } },
        ))
    }
}
