//! Payloads that are compressed already, or random: what must not be made larger, nor tried at length.

use std::time::Duration;

use nyx_core::Instant;
use nyx_protocol::choose::{Candidate, Chooser, Codec, Config, Link, Offer, Outcome};
use nyx_protocol::compress::{Compressor, Level, Method};

use super::measure::now;
use super::report::{Line, Report};
use super::ways::Zstd;

/// The items of one topic.
pub(super) struct Payloads {
    name: String,
    items: Vec<Vec<u8>>,
}

impl Payloads {
    pub(super) const fn new(name: String, items: Vec<Vec<u8>>) -> Self {
        Self { name, items }
    }
}

/// A stream of JPEG images of 46 KB, of which what matters here is their first bytes and that the rest has no pattern; and random bytes.
pub(super) fn seeded(seed: u64) -> Vec<Payloads> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut items = |head: &[u8]| {
        let item = |rng: &mut fastrand::Rng| {
            let mut bytes = vec![0; ITEM_BYTES];
            rng.fill(&mut bytes);
            bytes[..head.len()].copy_from_slice(head);
            bytes
        };
        std::iter::repeat_with(|| item(&mut rng)).take(ITEMS).collect::<Vec<_>>()
    };
    vec![
        Payloads::new("JPEG, 46 KB".to_owned(), items(&[0xFF, 0xD8, 0xFF, 0xE0])),
        Payloads::new("random bytes, 46 KB".to_owned(), items(&[])),
    ]
}

/// As they are, by zstd, and as Nyx chooses over a link of 500 kB/s, where saving bytes would pay most.
pub(super) fn measure(payloads: &Payloads, report: &mut Report) -> anyhow::Result<()> {
    let Payloads { name, items } = payloads;
    let (mut zstd, mut chosen) = (Zstd::new(), Chosen::new()?);
    let mut out = Vec::new();
    let [mut raw, mut by_zstd, mut ours] = [(0, Duration::ZERO); 3];
    for (index, item) in items.iter().enumerate() {
        raw.0 += item.len();
        let start = now();
        out.clear();
        zstd.compress(item, &mut out)?;
        by_zstd = (by_zstd.0 + out.len(), by_zstd.1 + (now() - start));
        let start = now();
        let len = chosen.send(Instant::ZERO + EVERY * index as u32, item);
        ours = (ours.0 + len, ours.1 + (now() - start));
    }
    let count = items.len().max(1) as f64;
    for (contender, (bytes, time), is_timed) in
        [("as it is", raw, false), ("zstd", by_zstd, true), ("nyx", ours, true)]
    {
        report.push(Line {
            row: name.clone(),
            contender: contender.to_owned(),
            bytes: Some(bytes as f64 / count),
            percent: Some(100.0 * bytes as f64 / raw.0.max(1) as f64),
            encode_ns: is_timed.then_some(time.as_nanos() as f64 / count),
            ..Line::default()
        });
    }
    Ok(())
}

/// Whatever the chooser takes.
struct Chosen {
    chooser: Chooser,
    compressor: Compressor,
}

impl Chosen {
    fn new() -> anyhow::Result<Self> {
        let levels = [Level::FAST, Level::DEFAULT].map(Codec::Level);
        let candidates =
            [Codec::Raw].into_iter().chain(levels).map(|codec| Candidate { codec, ..Candidate::PLAIN });
        Ok(Self { chooser: Chooser::new(candidates, Config::default())?, compressor: Compressor::new() })
    }

    /// The bytes of the item's block. What is tried beside it is not sent, but its time counts.
    fn send(&mut self, now: Instant, item: &[u8]) -> usize {
        let link = Link { drain: Some(500_000), unsent: 0 };
        let offer = Offer::new(item.len());
        let choice = self.chooser.choose(now, &offer, &link);
        let outcome = self.encode(choice.candidate(), item);
        self.chooser.record(&choice, outcome);
        if let Some(trial) = self.chooser.trial(now, &offer, &link) {
            let outcome = self.encode(trial.candidate(), item);
            self.chooser.record_trial(&trial, outcome);
        }
        outcome.bytes
    }

    fn encode(&mut self, candidate: Candidate, item: &[u8]) -> Outcome {
        let method =
            if let Codec::Level(level) = candidate.codec { Method::Level(level) } else { Method::Stored };
        let start = now();
        let bytes = std::hint::black_box(self.compressor.compress(item, method)).len();
        Outcome { bytes, cpu: now() - start }
    }
}

const ITEM_BYTES: usize = 46_000;
const ITEMS: usize = 100;

/// 30 Hz.
const EVERY: Duration = Duration::from_micros(33_333);
