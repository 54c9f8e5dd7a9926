//! The producers, each in a thread of its own: rendering takes milliseconds, which no connection should wait for.

use std::pin::Pin;
use std::time::Duration;

use nyx_audio_capture::{Melody, Source as _};
use nyx_client::publish::{self, Frame};
use nyx_client::{AudioFormat, Client, EventCodec, FrameCodec, Name, Samples, Value};
use nyx_core::clock::{Clock as _, Monotonic, unix_micros};
use nyx_stream::quality::{self, Controller};
use tokio::runtime::Handle;

use super::{Card, World};
use crate::exit::Outcome;
use crate::pace::{Rate, block_until};
use crate::publish::window::Way;
use crate::tell;

/// One of them.
pub(super) struct Producer {
    pub(super) name: &'static str,
    /// Advertises its topics and starts its thread, which ends when the client is closed.
    pub(super) start: fn(Client) -> Starting,
}

type Starting = Pin<Box<dyn Future<Output = Outcome> + Send>>;

pub(super) const ALL: [Producer; 3] = [
    Producer { name: "world", start: |client| Box::pin(world(client)) },
    Producer { name: "card", start: |client| Box::pin(card(client)) },
    Producer { name: "melody", start: |client| Box::pin(melody(client)) },
];

async fn world(client: Client) -> Outcome {
    let mut options = publish::Options::default();
    options.codec = EventCodec::Json;
    let state = client.state(Name::new("game/world")?, publish::Options::default()).await?;
    let events = client.events(Name::new("game/events")?, options).await?;
    let mut world = World::new(SEED);
    let mut said = chat(&world.value());
    each(WORLD_RATE, async move || {
        world.tick();
        let value = world.value();
        let chat = chat(&value);
        let news: Vec<String> =
            fresh(&said, &chat).iter().filter_map(|line| serde_json::to_string(line).ok()).collect();
        said = chat;
        state.set(value).await.is_ok() && events.send_batch(news).await.is_ok()
    });
    Ok(())
}

/// Renders no frame before the last ones are where they should be, and encodes it as well as the way there allows.
async fn card(client: Client) -> Outcome {
    let mut options = publish::Options::default();
    options.content_type = "image/jpeg".to_owned();
    let frames = client.frames(Name::new("demo/card")?, options).await?;
    let mut quality = Controller::new(card_quality())?;
    let (clock, mut way) = (Monotonic::new(), Way::new(client));
    let mut card = Card::new();
    let mut number = 0;
    let mut last = clock.now();
    each(CARD_RATE, async move || {
        if way.clear().await.is_err() {
            return false;
        }
        let now = clock.now();
        // Frames that would wait by now, had they been rendered.
        let missed = ((now - last).as_nanos() / CARD_RATE.period().as_nanos()).saturating_sub(1);
        last = now;
        let before = quality.quality();
        let chosen = quality.update(now, way.held_up(), usize::try_from(missed).unwrap_or(usize::MAX));
        if chosen != before {
            tell::note(format_args!("demo/card: JPEG quality {chosen} instead of {before}"));
        }
        let captured = unix_micros();
        card.render(number, captured);
        number += 1;
        let jpeg = Frame::key(FrameCodec::Jpeg, card.jpeg(chosen));
        way.send(&frames, Frame { unix_micros: Some(captured), ..jpeg }).await.is_ok()
    });
    Ok(())
}

/// 85, some 35 KB a frame, then 75 and 60. A step down when the way takes less than a third of the frames.
fn card_quality() -> quality::Config {
    let mut config = quality::Config::default();
    config.depth_max = 1;
    config
}

async fn melody(client: Client) -> Outcome {
    let format = Melody::new().format();
    let channels = format.channels().into();
    let audio_format = AudioFormat { sample_rate: format.sample_rate(), channels };
    let name = Name::new("demo/melody")?;
    let audio = client.audio(name, audio_format, Samples::S16Le, publish::Options::default()).await?;
    let frames = format.frames_in(CHUNK);
    let (clock, start_micros) = (Monotonic::new(), unix_micros());
    let start = clock.now();
    let mut melody = Melody::new();
    let mut number = 0_u32;
    each(Rate::per_second(CHUNKS_PER_SECOND), async move || {
        // What a delay has swallowed is left out of the melody, so that the rest sounds when it should.
        let played = ((clock.now() - start).as_nanos() / CHUNK.as_nanos()) as u32;
        if played > number + LATE_CHUNKS {
            number = played;
            melody = Melody::from_frame(u64::from(number) * frames);
        }
        let micros = start_micros + (CHUNK * number).as_micros() as u64;
        number += 1;
        match melody.next_block(frames as usize) {
            Ok(Some(chunk)) => audio.send(chunk.pcm, Some(micros)).await.is_ok(),
            _ => false,
        }
    });
    Ok(())
}

/// Makes a step at each beat, in a thread of its own, as long as it wants to go on.
fn each(rate: Rate, mut step: impl AsyncFnMut() -> bool + Send + 'static) {
    let (runtime, clock) = (Handle::current(), Monotonic::new());
    std::thread::spawn(move || {
        let mut beat = rate.beat();
        loop {
            let now = clock.now();
            block_until(beat.next(now), now);
            if !runtime.block_on(step()) {
                break;
            }
        }
    });
}

/// The lines of chat in a world's document.
fn chat(world: &Value) -> Vec<Value> {
    world.get("chat").and_then(Value::as_list).map(<[Value]>::to_vec).unwrap_or_default()
}

/// What is new in a list that drops lines in front and gets some behind.
fn fresh<'a>(before: &[Value], now: &'a [Value]) -> &'a [Value] {
    let stayed = (0..=before.len()).map(|gone| &before[gone..]).find(|rest| now.starts_with(rest));
    &now[stayed.map_or(0, <[Value]>::len)..]
}

/// Any will do; always the same, so that the demo is too.
const SEED: u64 = 7;

const WORLD_RATE: Rate = Rate::per_second(30);

const CARD_RATE: Rate = Rate::per_second(30);

const CHUNKS_PER_SECOND: u32 = 50;

/// What a second's chunks leave of it each.
const CHUNK: Duration = Duration::from_millis(1000 / CHUNKS_PER_SECOND as u64);

/// So late is caught up; later is left out. Below the 500 ms after which a hub drops audio.
const LATE_CHUNKS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_the_lines_that_were_not_there() {
        let lines = |text: &str| text.chars().map(|c| Value::from(c.to_string())).collect::<Vec<_>>();
        let cases = [
            ("abc", "abc", ""),
            ("abc", "bcd", "d"),
            ("abc", "cxy", "xy"),
            ("abc", "xyz", "xyz"),
            ("", "ab", "ab"),
        ];
        for (before, now, news) in cases {
            assert_eq!(fresh(&lines(before), &lines(now)), lines(news), "{before} to {now}");
        }
    }

    #[test]
    fn the_world_has_news() {
        let mut world = World::new(SEED);
        let mut said = chat(&world.value());
        let mut news = 0;
        for _ in 0..1_000 {
            world.tick();
            let chat = chat(&world.value());
            news += fresh(&said, &chat).len();
            said = chat;
        }
        assert!((5..100).contains(&news), "{news}");
    }
}
