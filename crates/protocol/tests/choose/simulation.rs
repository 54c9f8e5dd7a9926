//! Items of a trace, sent over a link by a fixed or an adaptive choice. Bytes are measured; CPU time is a model with noise, so
//! that every run is the same.

use std::time::Duration;

use nyx_core::Instant;
use nyx_protocol::choose::{Candidate, Chooser, Codec, Config, Form, Link, Offer, Outcome};
use nyx_protocol::compress::dictionary::{Dictionary, Trainer};
use nyx_protocol::compress::{Compressor, Encoding, Level, Method};

use crate::traces::{Random, Update};

/// What can be chosen here.
pub(crate) fn candidates() -> Vec<Candidate> {
    let with = |form, codec| Candidate { form, codec, ..Candidate::PLAIN };
    let levels = [Codec::Level(Level::FAST), Codec::Level(Level::DEFAULT)];
    let codecs = [Codec::Raw, levels[0], levels[1], Codec::Dictionary, Codec::Prefix];
    let full = codecs.map(|codec| with(Form::Full, codec));
    let delta = [codecs[0], codecs[1], codecs[3]].map(|codec| with(Form::Delta, codec));
    full.into_iter().chain(delta).collect()
}

/// What each candidate makes of each item of a trace.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) name: &'static str,
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) bytes: usize,
    pub(crate) delta: Option<usize>,
    /// By candidate; `None` where it can't be had.
    pub(crate) outcomes: Vec<Option<Outcome>>,
}

impl Trace {
    /// Encodes every item in every way. The dictionary is trained on `before`.
    pub(crate) fn new(name: &'static str, before: &[Update], updates: &[Update]) -> Self {
        let dictionary = train(before);
        let mut compressor = Compressor::new();
        let mut noise = Random(name.len() as u64);
        let mut last: Option<&Update> = None;
        let mut items = Vec::new();
        for update in updates {
            let mut encode = |candidate: &Candidate| {
                let payload = match candidate.form {
                    Form::Full => &update.full,
                    Form::Delta => last.and(update.delta.as_ref())?,
                };
                let method = match candidate.codec {
                    Codec::Raw => Method::Stored,
                    Codec::Level(level) => Method::Level(level),
                    Codec::Dictionary => Method::Dictionary(dictionary.as_ref()?),
                    Codec::Prefix => Method::Prefix { base: 1, prefix: &last?.full, level: Level::FAST },
                };
                let block = compressor.compress(payload, method);
                let is_stored = block.encoding() == Encoding::Stored;
                let bytes = if is_stored { payload.len() } else { block.len() };
                let nanos = nanos(candidate, payload.len(), is_stored, update.full.len());
                Some(Outcome { bytes, cpu: noisy(&mut noise, nanos) })
            };
            let outcomes = candidates().iter().map(&mut encode).collect();
            let delta = last.and(update.delta.as_ref()).map(Vec::len);
            items.push(Item { bytes: update.full.len(), delta, outcomes });
            last = Some(update);
        }
        Self { name, items }
    }

    /// One after the other.
    pub(crate) fn then(mut self, name: &'static str, other: &Self) -> Self {
        self.items.extend_from_slice(&other.items);
        Self { name, ..self }
    }
}

fn train(updates: &[Update]) -> Option<Dictionary> {
    let mut trainer = Trainer::new(1, nyx_protocol::compress::dictionary::Config::default());
    updates.iter().for_each(|update| trainer.observe(update.delta.as_ref().unwrap_or(&update.full)));
    trainer.job()?.run().ok().map(|trained| trained.dictionary)
}

/// CPU of one item on the reference machine, about.
fn nanos(candidate: &Candidate, len: usize, is_stored: bool, full_len: usize) -> f64 {
    let len = len as f64;
    let codec = match candidate.codec {
        Codec::Raw => 50.0 + len * 0.02,
        // Recognised by its first bytes or a sample.
        Codec::Level(_) if is_stored => 600.0 + len * 0.02,
        Codec::Level(level) => 3_000.0 + len * 2.5 * f64::from(level.get()).sqrt(),
        Codec::Dictionary => 700.0 + len * 4.0,
        Codec::Prefix => 1_500.0 + len * 3.5,
    };
    match candidate.form {
        Form::Full => codec,
        Form::Delta => codec + full_len as f64,
    }
}

/// 15 % up or down.
fn noisy(random: &mut Random, nanos: f64) -> Duration {
    Duration::from_nanos((nanos * (0.85 + random.below(300) as f64 / 1000.0)) as u64)
}

/// What is measured: now and then it is somebody else's turn meanwhile.
fn measured(random: &mut Random, outcome: Outcome) -> Outcome {
    let factor = if random.below(200) == 0 { 15 } else { 1 };
    Outcome { cpu: outcome.cpu * factor, ..outcome }
}

/// The link while item `n` is sent.
pub(crate) type LinkAt<'a> = &'a dyn Fn(usize) -> Link;

/// Time that the objective names, for one item.
pub(crate) fn delivery(outcome: Outcome, link: &Link) -> f64 {
    let nanos_per_byte = 1e9 / link.drain.unwrap_or(125_000_000) as f64;
    let ready = (outcome.cpu.as_nanos() as f64 - link.unsent as f64 * nanos_per_byte).max(0.0);
    ready + outcome.bytes as f64 * nanos_per_byte
}

/// The whole trace by one candidate, and plainly where that can't be had. Nanoseconds.
pub(crate) fn fixed(trace: &Trace, link: LinkAt<'_>, index: usize) -> f64 {
    let item = |(n, item): (usize, &Item)| {
        let outcome = item.outcomes[index].or(item.outcomes[0]).unwrap();
        delivery(outcome, &link(n))
    };
    trace.items.iter().enumerate().map(item).sum()
}

/// The best candidate for the whole trace.
pub(crate) fn best_fixed(trace: &Trace, link: LinkAt<'_>) -> (f64, Candidate) {
    let all = candidates().into_iter().enumerate().map(|(n, candidate)| (fixed(trace, link, n), candidate));
    all.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

/// What an adaptive choice came to.
pub(crate) struct Adaptive {
    /// Nanoseconds, those of trials included.
    pub(crate) total: f64,
    pub(crate) trials: f64,
    pub(crate) dearest_trial: f64,
    pub(crate) cpu: f64,
    pub(crate) chosen: Vec<Candidate>,
    pub(crate) chooser: Chooser,
}

/// Items come every 33 ms.
pub(crate) const EVERY: Duration = Duration::from_millis(33);

pub(crate) fn adaptive(trace: &Trace, link: LinkAt<'_>, config: Config) -> Adaptive {
    let chooser = Chooser::new(candidates(), config).unwrap();
    adaptive_with(chooser, trace, link)
}

pub(crate) fn adaptive_with(mut chooser: Chooser, trace: &Trace, link: LinkAt<'_>) -> Adaptive {
    let (mut total, mut trials, mut cpu, mut chosen) = (0.0, 0.0, 0.0, Vec::new());
    let (mut trial_cpu, mut dearest_trial) = (0.0, 0.0f64);
    let (all, mut random) = (candidates(), Random(7));
    for (n, item) in trace.items.iter().enumerate() {
        let (now, link) = (Instant::ZERO + EVERY * n as u32, link(n));
        let has = |wanted: &dyn Fn(&Candidate) -> bool| {
            all.iter().zip(&item.outcomes).any(|(candidate, outcome)| wanted(candidate) && outcome.is_some())
        };
        let offer = Offer {
            bytes: item.bytes,
            delta: item.delta,
            dictionary: has(&|candidate| candidate.codec == Codec::Dictionary),
            prefix: has(&|candidate| candidate.codec == Codec::Prefix),
        };
        let outcome = |candidate: Candidate| {
            let index = all.iter().position(|known| *known == candidate).unwrap();
            item.outcomes[index].unwrap()
        };
        let choice = chooser.choose(now, &offer, &link);
        let outcome_of_choice = outcome(choice.candidate());
        total += delivery(outcome_of_choice, &link);
        cpu += outcome_of_choice.cpu.as_nanos() as f64;
        chosen.push(choice.candidate());
        chooser.record(&choice, measured(&mut random, outcome_of_choice));
        if let Some(trial) = chooser.trial(now, &offer, &link) {
            let outcome = outcome(trial.candidate());
            trial_cpu += outcome.cpu.as_nanos() as f64;
            // It runs while the link is busy with what was unsent, and else delays what comes next.
            let delay = delivery(Outcome { bytes: 0, ..outcome }, &link);
            trials += delay;
            dearest_trial = delay.max(dearest_trial);
            chooser.record_trial(&trial, measured(&mut random, outcome));
        }
    }
    Adaptive { total: total + trials, trials, dearest_trial, cpu: cpu + trial_cpu, chosen, chooser }
}
