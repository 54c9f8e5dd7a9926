//! A topic of sound has one format at a time, and goes on in another when the sound of the last is over.

mod sim;

use std::time::Duration;

use nyx_hub::{Config, CreateError, Kept, Spec};
use nyx_protocol::control::{Advertise, AudioFormat, Body, ErrorCode, Kind as WireKind, Unadvertise};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::{Header, Kind};
use proptest::prelude::*;
use sim::{Sim, fast, ms, slow};

const MONO: AudioFormat = AudioFormat { sample_rate: 48_000, channels: 1 };
const STEREO: AudioFormat = AudioFormat { sample_rate: 44_100, channels: 2 };
const WIDE: AudioFormat = AudioFormat { sample_rate: 96_000, channels: 6 };

/// By default audio is in time for so long.
const MAX_AGE: Duration = ms(500);

fn advertise(sim: &mut Sim, publisher: usize, alias: u32, audio: Option<AudioFormat>) {
    let kind = WireKind::Audio.into();
    sim[publisher].send(Advertise { alias, topic: "radio".to_owned(), kind, audio, ..Default::default() });
    sim.settle();
}

/// A publisher that has advertised sound of this format.
fn publisher(sim: &mut Sim, audio: AudioFormat) -> usize {
    let id = sim.peer(fast(), true);
    advertise(sim, id, 0, Some(audio));
    id
}

fn send(sim: &mut Sim, publisher: usize, chunks: usize, len: usize) {
    for _ in 0..chunks {
        let now = sim.now;
        sim[publisher].publish_stamped(now, 0, Header::data(Kind::Audio), len);
    }
    sim.settle();
}

/// The formats that were announced, in order.
fn announced(sim: &Sim, reader: usize) -> Vec<Option<AudioFormat>> {
    let announced = sim[reader].control.iter().filter_map(|body| match body {
        Body::Announce(announce) => Some(announce.audio),
        _ => None,
    });
    announced.collect()
}

/// Of each item the number in its topic, and the format of the id that it came under.
fn heard(sim: &Sim, reader: usize) -> Vec<(u64, Option<AudioFormat>)> {
    let known = sim[reader].topic("radio");
    sim[reader].items.iter().map(|item| (item.sequence, known.audio[&item.topic_id])).collect()
}

fn why_not(sim: &Sim, publisher: usize) -> Option<String> {
    sim[publisher].control.iter().rev().find_map(|body| match body {
        Body::Error(error) => {
            assert_eq!(error.code(), ErrorCode::KindMismatch);
            Some(error.message.clone())
        }
        _ => None,
    })
}

#[test]
fn when_its_publisher_has_gone_a_topic_goes_on_in_the_format_of_the_next_under_another_id() {
    let mut sim = Sim::new(Config::default());
    let reader = sim.subscriber(fast(), "*");
    let first = publisher(&mut sim, MONO);
    send(&mut sim, first, 3, 100);
    sim.cut(first);
    let second = publisher(&mut sim, STEREO);
    send(&mut sim, second, 2, 100);
    assert_eq!(sim[second].errors(), []);
    assert_eq!(announced(&sim, reader), [Some(MONO), Some(STEREO)]);
    let (mono, stereo) = (Some(MONO), Some(STEREO));
    assert_eq!(heard(&sim, reader), [(0, mono), (1, mono), (2, mono), (3, stereo), (4, stereo)]);
    let known = sim[reader].topic("radio");
    assert_eq!((known.audio.len(), known.dropped), (2, 0), "each id has one format");
    let stats = sim.hub.stats(sim.now);
    assert_eq!(stats.topics.iter().map(|topic| topic.messages).collect::<Vec<_>>(), [5]);
    assert_eq!(sim.hub.topics().len(), 1);
}

#[test]
fn who_comes_later_gets_the_present_format_alone() {
    let mut sim = Sim::new(Config::default());
    let first = publisher(&mut sim, MONO);
    send(&mut sim, first, 3, 100);
    sim.cut(first);
    let second = publisher(&mut sim, STEREO);
    let late = sim.subscriber(fast(), "*");
    send(&mut sim, second, 1, 100);
    assert_eq!(announced(&sim, late), [Some(STEREO)]);
    assert_eq!(heard(&sim, late), [(3, Some(STEREO))]);
}

#[test]
fn a_topic_keeps_its_format_while_somebody_publishes_it_silent_or_not() {
    let mut sim = Sim::new(Config::default());
    let first = publisher(&mut sim, MONO);
    let second = publisher(&mut sim, STEREO);
    assert!(why_not(&sim, second).is_some_and(|text| text.contains("being published")));
    // Another publisher of the same format holds it as well.
    let third = publisher(&mut sim, MONO);
    sim.cut(first);
    advertise(&mut sim, second, 1, Some(STEREO));
    assert_eq!(sim[second].errors(), [ErrorCode::KindMismatch; 2]);
    // The session goes on, and its alias does not.
    sim[third].send(Unadvertise { alias: 0 });
    sim.settle();
    advertise(&mut sim, second, 2, Some(STEREO));
    assert_eq!(sim[second].errors().len(), 2);
    sim[third].publish(0, Kind::Audio, b"late");
    sim.settle();
    assert_eq!(sim[third].errors(), [ErrorCode::UnknownAlias]);
}

#[test]
fn sound_that_somebody_has_not_got_keeps_the_format_until_it_is_too_old() {
    let mut sim = Sim::new(Config::default());
    let stalled = sim.subscriber(slow(10_000, 1024), "*");
    sim[stalled].reads = false;
    let first = publisher(&mut sim, MONO);
    send(&mut sim, first, 20, 5_000);
    let published = sim.now;
    sim.cut(first);
    let second = publisher(&mut sim, STEREO);
    assert!(why_not(&sim, second).is_some_and(|text| text.contains("still hear")));
    sim.run_until(published + MAX_AGE);
    advertise(&mut sim, second, 0, Some(STEREO));
    assert_eq!(sim[second].errors().len(), 2, "at its age it is still in time");
    sim.run_for(ms(1));
    advertise(&mut sim, second, 0, Some(STEREO));
    assert_eq!(sim[second].errors().len(), 2, "over, it was let in");
    sim[stalled].reads = true;
    sim.run_for(ms(5_000));
    send(&mut sim, second, 1, 100);
    sim.run_for(ms(1_000));
    let known = sim[stalled].topic("radio");
    assert_eq!((known.next, known.delivered + known.dropped), (21, 21));
    assert_eq!(heard(&sim, stalled).last(), Some(&(20, Some(STEREO))));
}

#[test]
fn a_session_that_was_not_driven_while_formats_came_and_went_is_told_of_all_that_it_missed() {
    let mut sim = Sim::new(Config::default());
    let stalled = sim.subscriber(slow(10_000, 1024), "*");
    sim[stalled].reads = false;
    let now = sim.now;
    sim.node(stalled).stall(now, true);
    let mut sent = 0;
    for format in [MONO, STEREO, WIDE, MONO, STEREO] {
        let publisher = publisher(&mut sim, format);
        assert_eq!(sim[publisher].errors(), []);
        send(&mut sim, publisher, 20, 5_000);
        sent += 20;
        sim.cut(publisher);
        sim.run_for(MAX_AGE + ms(1));
        assert!(sim.retained("radio") < 8 << 20);
    }
    assert_eq!(sim.hub.topics().len(), 1);
    let now = sim.now;
    sim.node(stalled).stall(now, false);
    sim[stalled].reads = true;
    sim.run_for(ms(20_000));
    let known = sim[stalled].topic("radio");
    assert_eq!((known.next, known.delivered + known.dropped), (sent, sent));
    assert_eq!(announced(&sim, stalled).last(), Some(&Some(STEREO)));
}

#[test]
fn what_the_configuration_says_stays() {
    let mut sim = Sim::new(Config::default());
    let mut spec = Spec::new(Kind::Audio);
    (spec.audio, spec.keeps_format) = (Some(MONO), true);
    sim.hub.create(&Name::new("radio").unwrap(), &spec).unwrap();
    let other = publisher(&mut sim, STEREO);
    assert!(why_not(&sim, other).is_some_and(|text| text.contains("configured")));
    spec.audio = Some(WIDE);
    let created = sim.hub.create(&Name::new("radio").unwrap(), &spec);
    assert!(matches!(created, Err(CreateError::FormatMismatch { kept: Kept::Unadvertised, .. })));
}

#[test]
fn a_topic_without_a_format_gets_that_of_the_first_who_says_one_when_nobody_publishes_it() {
    let mut sim = Sim::new(Config::default());
    let reader = sim.subscriber(fast(), "*");
    let mute = sim.peer(fast(), true);
    advertise(&mut sim, mute, 0, None);
    send(&mut sim, mute, 1, 100);
    let beside = publisher(&mut sim, MONO);
    assert_eq!(announced(&sim, reader), [None], "it is let in, and the topic stays as it is");
    sim.cut(mute);
    sim.cut(beside);
    let next = publisher(&mut sim, MONO);
    // Who says nothing takes what there is.
    advertise(&mut sim, next, 1, None);
    send(&mut sim, next, 1, 100);
    assert_eq!(announced(&sim, reader), [None, Some(MONO)]);
    assert_eq!(heard(&sim, reader), [(0, None), (1, Some(MONO))]);
    assert_eq!(sim[next].errors(), []);
}

#[test]
fn only_sound_has_a_format() {
    let mut sim = Sim::new(Config::default());
    let first = sim.peer(fast(), true);
    for (alias, kind) in [(0, WireKind::Event), (1, WireKind::State)] {
        let (topic, kind) = (format!("t{alias}"), kind.into());
        sim[first].send(Advertise { alias, topic, kind, audio: Some(MONO), ..Default::default() });
    }
    sim.settle();
    let ids = |sim: &Sim| sim.hub.topics().iter().map(|topic| topic.name().to_string()).collect::<Vec<_>>();
    let before = ids(&sim);
    sim.cut(first);
    let second = sim.peer(fast(), true);
    for (alias, kind) in [(0, WireKind::Event), (1, WireKind::State)] {
        let (topic, kind) = (format!("t{alias}"), kind.into());
        sim[second].send(Advertise { alias, topic, kind, audio: Some(STEREO), ..Default::default() });
    }
    sim.settle();
    assert_eq!(sim[second].errors(), []);
    assert_eq!(ids(&sim), before);
}

#[derive(Clone, Debug)]
enum Step {
    /// A publisher of this format comes, if there is none.
    Come(usize),
    Go,
    Send(usize, usize),
    Wait(u64),
    /// A reader stops or begins to take what comes.
    Toggle(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0usize..3).prop_map(Step::Come),
        2 => Just(Step::Go),
        4 => (1usize..30, 8usize..4_000).prop_map(|(chunks, len)| Step::Send(chunks, len)),
        3 => (0u64..700).prop_map(Step::Wait),
        1 => (0usize..3).prop_map(Step::Toggle),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn whatever_comes_under_an_id_is_of_its_format_and_all_is_delivered_or_told_as_lost(
        steps in steps(),
        rates in prop::collection::vec(prop_oneof![Just(0u64), 5u64..500], 3),
        entries in 2usize..100,
    ) {
        let mut config = Config::default();
        config.topic_entries = entries;
        let mut sim = Sim::new(config);
        let link = |rate: u64| if rate == 0 { fast() } else { slow(rate * 1000, 4096) };
        let readers: Vec<_> = rates.iter().map(|rate| sim.subscriber(link(*rate), "*")).collect();
        let (mut present, mut sent) = (None, Vec::new());
        for step in steps {
            match (step, present) {
                (Step::Come(format), None) => {
                    let format = [MONO, STEREO, WIDE][format];
                    let id = publisher(&mut sim, format);
                    present = sim[id].errors().is_empty().then_some((id, format));
                }
                (Step::Send(chunks, len), Some((id, format))) => {
                    send(&mut sim, id, chunks, len);
                    sent.extend(std::iter::repeat_n(format, chunks));
                }
                (Step::Go, Some((id, _))) => {
                    sim.cut(id);
                    present = None;
                }
                (Step::Wait(millis), _) => sim.run_for(ms(millis)),
                (Step::Toggle(which), _) => {
                    let reader = &mut sim[readers[which]];
                    reader.reads = !reader.reads;
                }
                _ => {}
            }
        }
        readers.iter().for_each(|reader| sim[*reader].reads = true);
        sim.run_for(ms(60_000));
        for reader in readers {
            let Some(known) = sim[reader].topics.get("radio") else { continue };
            let end = sent.len() as u64;
            prop_assert_eq!((known.next, known.delivered + known.dropped), (end, end), "reader {}", reader);
            for (sequence, format) in heard(&sim, reader) {
                prop_assert_eq!(format, Some(sent[sequence as usize]));
            }
        }
    }
}
