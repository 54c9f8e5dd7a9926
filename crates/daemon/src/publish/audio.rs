//! Audio: WAV in real time.

use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use nyx_audio_capture::{Block, Encoding, Format, Source as _, pcm, wav};
use nyx_client::publish;
use nyx_client::{AudioFormat, Client, Name, Samples};
use nyx_core::Instant;
use nyx_core::clock::{Clock as _, Monotonic, unix_micros};
use tokio::sync::mpsc;

use super::Source;
use super::tally::Tally;
use crate::exit::Outcome;

/// Publishes the chunks of WAV inputs of one format.
pub(super) async fn publish(
    source: Source,
    paced: bool,
    client: &Client,
    name: &Name,
    options: publish::Options,
    tally: &Tally,
) -> Outcome {
    let mut chunks = read(source);
    let Some(first) = chunks.recv().await.transpose()? else { return Ok(()) };
    let Sound { format, encoding, .. } = first;
    let samples = match encoding {
        Encoding::S16Le => Samples::S16Le,
        Encoding::S24Le | Encoding::F32Le => Samples::F32Le,
    };
    let channels = u32::from(format.channels());
    let audio_format = AudioFormat { sample_rate: format.sample_rate(), channels };
    let audio = client.audio(name.clone(), audio_format, samples, options).await?;
    let clock = Monotonic::new();
    let mut timeline = Timeline::new(format, clock.now());
    let start_micros = unix_micros();
    let mut next = Some(first);
    let mut waited = false;
    while let Some(sound) = next {
        if sound.format != format || sound.encoding != encoding {
            return Err(anyhow!(
                "the inputs differ in rate, channels or sample type: convert them first, for example with sox"
            )
            .into());
        }
        let frames = sound.pcm.len() / format.frame_bytes(encoding);
        let micros = if paced {
            let turn = timeline.next(frames as u64, clock.now(), waited);
            let Some((due, since_start)) = turn else {
                tally.skip();
                (next, waited) = receive(&mut chunks).await?;
                continue;
            };
            sleep_until(due, &clock).await;
            start_micros + since_start.as_micros() as u64
        } else {
            unix_micros()
        };
        let bytes = sound.pcm.len();
        let before = clock.now();
        audio.send(sound.pcm, Some(micros)).await.map_err(|error| error.cause)?;
        timeline.blocked(clock.now() - before);
        tally.send(bytes);
        (next, waited) = receive(&mut chunks).await?;
    }
    Ok(())
}

async fn sleep_until(due: Instant, clock: &Monotonic) {
    let wait = due - clock.now();
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

/// The next chunk, and whether it was waited for.
async fn receive(chunks: &mut mpsc::Receiver<Outcome<Sound>>) -> Outcome<(Option<Sound>, bool)> {
    match chunks.try_recv() {
        Ok(sound) => Ok((Some(sound?), false)),
        Err(_) => Ok((chunks.recv().await.transpose()?, true)),
    }
}

/// A chunk that knows what it is.
struct Sound {
    format: Format,
    encoding: Encoding,
    pcm: Bytes,
}

/// Reads in a thread of its own, since that blocks.
fn read(source: Source) -> mpsc::Receiver<Outcome<Sound>> {
    let (sender, receiver) = mpsc::channel(CHUNKS_WAITING);
    std::thread::spawn(move || {
        let read = source.each(|place, input| {
            let mut wav = wav::Reader::open(input).with_context(|| place.to_string())?;
            let (format, stored) = (wav.format(), wav.encoding());
            let frames = usize::try_from(format.frames_in(CHUNK)).unwrap_or(usize::MAX);
            let mut has_some = false;
            while let Some(Block { pcm, .. }) = wav.next_block(frames).with_context(|| place.to_string())? {
                let (encoding, pcm) = as_sent(stored, pcm);
                if sender.blocking_send(Ok(Sound { format, encoding, pcm })).is_err() {
                    return Ok(ControlFlow::Break(()));
                }
                has_some = true;
            }
            Ok(ControlFlow::Continue(has_some))
        });
        if let Err(failure) = read {
            // Nobody listens when the command is ending.
            let _ = sender.blocking_send(Err(failure));
        }
    });
    receiver
}

/// The wire has no samples of 24 bits. As floats they are the same, and packed as what they were.
fn as_sent(encoding: Encoding, pcm: Bytes) -> (Encoding, Bytes) {
    if encoding != Encoding::S24Le {
        return (encoding, pcm);
    }
    let (mut samples, mut floats) = (Vec::new(), Vec::new());
    pcm::decode(encoding, &pcm, &mut samples);
    pcm::encode(Encoding::F32Le, &samples, &mut floats);
    (Encoding::F32Le, floats.into())
}

/// When each chunk is due, in real time.
///
/// A source that stalls delays what follows. A connection that stalls does not: what should have sounded meanwhile is passed
/// over, since nobody wants it any more.
#[derive(Debug)]
struct Timeline {
    format: Format,
    start: Instant,
    /// How far the source has made the whole thing late.
    delay: Duration,
    /// Frames up to the next chunk.
    position: u64,
    /// Chunks before this frame are passed over.
    resume: u64,
}

impl Timeline {
    const fn new(format: Format, start: Instant) -> Self {
        Self { format, start, delay: Duration::ZERO, position: 0, resume: 0 }
    }

    /// When a chunk of so many frames is due, and how long after the start that is; `None`: pass it over. `waited`: the
    /// source has only just yielded it.
    fn next(&mut self, frames: u64, now: Instant, waited: bool) -> Option<(Instant, Duration)> {
        let position = self.position;
        self.position += frames;
        if position < self.resume {
            return None;
        }
        let mut since_start = self.format.duration_of(position) + self.delay;
        if waited {
            let late = now - (self.start + since_start);
            self.delay += late;
            since_start += late;
        }
        Some((self.start + since_start, since_start))
    }

    /// Sending took so long.
    fn blocked(&mut self, time: Duration) {
        if time >= BLOCKED_MAX {
            self.resume = self.position + self.format.frames_in(time);
        }
    }
}

/// What is sent at a time: short against the hub's deadline, long against its header.
const CHUNK: Duration = Duration::from_millis(20);

/// Chunks read ahead, so that reading a file never delays one.
const CHUNKS_WAITING: usize = 4;

/// A connection that makes a chunk wait this long has stalled; less is caught up. Below the 500 ms after which a hub drops audio.
const BLOCKED_MAX: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn timeline() -> Timeline {
        Timeline::new(Format::new(8_000, 1).unwrap(), at(1000))
    }

    fn due(turn: Option<(Instant, Duration)>) -> Option<Instant> {
        turn.map(|(due, _)| due)
    }

    #[test]
    fn chunks_are_due_in_real_time_however_late_the_last_one_went() {
        let mut timeline = timeline();
        for chunk in 0..100 {
            let late = at(1000 + 20 * chunk + 15);
            assert_eq!(due(timeline.next(160, late, false)), Some(at(1000 + 20 * chunk)));
        }
    }

    #[test]
    fn a_source_that_stalls_delays_what_follows() {
        let mut timeline = timeline();
        timeline.next(160, at(1000), true);
        assert_eq!(due(timeline.next(160, at(3000), true)), Some(at(3000)));
        assert_eq!(due(timeline.next(160, at(3001), false)), Some(at(3020)));
    }

    #[test]
    fn what_should_have_sounded_while_the_connection_stalled_is_passed_over() {
        let mut timeline = timeline();
        timeline.next(160, at(1000), false);
        timeline.blocked(Duration::from_millis(400));
        let turns: Vec<_> = (0..21).map(|_| due(timeline.next(160, at(1400), false))).collect();
        assert!(turns[..20].iter().all(Option::is_none));
        assert_eq!(turns[20], Some(at(1420)));
    }
}
