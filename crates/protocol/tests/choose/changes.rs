//! When things change in the middle: better than every fixed choice.

use nyx_protocol::choose::{Config, Form, Link};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::simulation::{Item, LinkAt, Trace, adaptive, best_fixed, candidates, delivery};
use crate::traces;

fn beats_every_fixed_choice(trace: &Trace, link: LinkAt<'_>) {
    let (best, candidate) = best_fixed(trace, link);
    let ours = adaptive(trace, link, Config::default());
    println!("{}: {:.3} of {candidate}", trace.name, ours.total / best);
    ours.chooser.log().for_each(|entry| println!("  {:>8.2} s  {entry}", entry.at.as_nanos() as f64 / 1e9));
    assert!(ours.total < best, "{}: {} of {best} with {candidate}", trace.name, ours.total);
}

#[test]
fn link_fast_then_slow_then_fast() {
    let updates = traces::football(5, 5000);
    let (before, updates) = updates.split_at(2000);
    let trace = Trace::new("football, link 5 GB/s, 2 MB/s, 5 GB/s", before, updates);
    let link = |n| Link {
        drain: Some(if (1400..1500).contains(&n) { 2_000_000 } else { 5_000_000_000 }),
        unsent: 0,
    };
    beats_every_fixed_choice(&trace, &link);

    let updates = traces::telemetry(3, 420, 300);
    let trace = Trace::new("telemetry, link 5 GB/s, 20 MB/s, 5 GB/s", &updates[..20], &updates[20..]);
    let link =
        |n| Link { drain: Some(if (190..210).contains(&n) { 20_000_000 } else { 5_000_000_000 }), unsent: 0 };
    beats_every_fixed_choice(&trace, &link);
}

#[test]
fn content_compressible_then_random_then_compressible() {
    let (text, noise) = (traces::telemetry(3, 220, 300), traces::base64(9, 200, 6_000));
    let text = Trace::new("telemetry", &text[..20], &text[20..]);
    let noise = Trace::new("base64", &[], &noise);
    let trace = text.clone().then("half", &noise).then("telemetry, base64, telemetry at 150 MB/s", &text);
    let link = |_| Link { drain: Some(150_000_000), unsent: 0 };
    beats_every_fixed_choice(&trace, &link);
}

#[test]
fn few_changes_then_many_then_few() {
    let few = traces::game_world(1, 220, 60, 3, false);
    let many = traces::game_world(2, 200, 60, 100, false);
    let trace = Trace::new("few", &few[..100], &few[100..]);
    let trace = trace
        .clone()
        .then("many", &Trace::new("many", &[], &many))
        .then("3 % change, 100 %, 3 %, at 500 MB/s", &trace);
    let link = |_| Link { drain: Some(500_000_000), unsent: 0 };
    beats_every_fixed_choice(&trace, &link);
}

#[test]
fn reacts_to_another_link_with_the_first_item() {
    let updates = traces::telemetry(3, 120, 300);
    let trace = Trace::new("telemetry", &updates[..20], &updates[20..]);
    let link = |n| Link { drain: Some(if n < 50 { 10_000_000_000 } else { 500_000 }), unsent: 0 };
    let ours = adaptive(&trace, &link, Config::default());
    assert_eq!(ours.chosen[49], candidates()[0]);
    assert_ne!(ours.chosen[50], candidates()[0]);
}

#[test]
fn reacts_to_other_content_within_a_few_items() {
    let (noise, text) = (traces::noise(9, 300, 6_000), traces::game_world(3, 100, 30, 3, false));
    let trace = Trace::new("noise", &[], &noise).then("noise, then a game", &Trace::new("game", &[], &text));
    let link = |_| Link { drain: Some(500_000), unsent: 0 };
    let ours = adaptive(&trace, &link, Config::default());
    let after = ours.chosen[300..].iter().position(|candidate| candidate.form == Form::Delta);
    assert!(after.is_some_and(|items| items <= 8), "{after:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the candidates do, and whatever the link: regimes of some thousand items each, in which each
    /// candidate has to be seen once, and sizes, speeds and ratios that no content has.
    #[test]
    fn never_far_from_the_best_fixed_choice_on_any_mixture(
        speeds in prop::collection::vec((500f64..4_000.0, 0.5f64..8.0), 6),
        regimes in prop::collection::vec(
            (prop::collection::vec(0.02f64..1.0, 6), 400_000u64..200_000_000, 2_000usize..20_000),
            1..4,
        ),
    ) {
        let mut items = Vec::new();
        let mut links = Vec::new();
        for (ratios, drain, bytes) in &regimes {
            let raw = Some(outcome(*bytes, 1.0, 60.0));
            let encode = |(ratio, (nanos, per_byte)): (&f64, &(f64, f64))| {
                outcome(*bytes, *ratio, nanos + per_byte * *bytes as f64)
            };
            let encoded = ratios.iter().zip(&speeds).map(encode).map(Some);
            let outcomes: Vec<_> = std::iter::once(raw).chain(encoded).collect();
            // Of the eight, two are raw.
            let outcomes = [&outcomes[..5], &[raw], &outcomes[5..]].concat();
            let item = Item { bytes: *bytes, delta: Some(*bytes), outcomes };
            items.extend(std::iter::repeat_n(item, REGIME));
            links.extend([Link { drain: Some(*drain), unsent: 0 }; REGIME]);
        }
        let trace = Trace { name: "mixture", items };
        let (best, _) = best_fixed(&trace, &|n| links[n]);
        let ours = adaptive(&trace, &|n| links[n], Config::default());
        let seen_once: f64 = (0..trace.items.len()).step_by(REGIME).map(|n| everything_once(&trace.items[n], &links[n])).sum();
        prop_assert!(ours.total <= best * 1.08 + seen_once, "{:.3}", ours.total / best);
    }
}

fn everything_once(item: &Item, link: &Link) -> f64 {
    item.outcomes.iter().flatten().map(|outcome| delivery(*outcome, link)).sum()
}

fn outcome(bytes: usize, ratio: f64, nanos: f64) -> nyx_protocol::choose::Outcome {
    nyx_protocol::choose::Outcome {
        bytes: (bytes as f64 * ratio) as usize,
        cpu: std::time::Duration::from_nanos(nanos as u64),
    }
}

/// Items of a regime.
const REGIME: usize = 8000;
