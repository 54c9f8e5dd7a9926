//! Whatever peers do and however they are connected: in the end everyone has, or was told that he has not, all that was sent.

mod sim;

use nyx_core::Instant;
use nyx_hub::{Config, Hub, PublishError};
use nyx_protocol::control::{Resume, Subscribe};
use nyx_protocol::state::{Patch, Value};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::{Flags, Header, Kind};
use proptest::prelude::*;
use sim::{Sim, fast, ms, slow};

#[derive(Clone, Debug)]
enum Step {
    /// The publisher sends some items of this kind and size.
    Publish(usize, usize, usize),
    /// Time passes.
    Wait(u64),
    /// A subscriber stops or begins to read.
    Toggle(usize),
    /// A subscriber goes, and another comes.
    Replace(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..4, 1usize..60, 8usize..6000).prop_map(|(kind, count, len)| Step::Publish(kind, count, len)),
        4 => (0u64..400).prop_map(Step::Wait),
        1 => (0usize..4).prop_map(Step::Toggle),
        1 => (0usize..4).prop_map(Step::Replace),
    ];
    prop::collection::vec(step, 1..40)
}

/// Rate in kB/s (0: at once), network buffer in KiB, whether it acknowledges, and what it subscribes to.
type Reader = (u64, u64, bool, usize);

const PATTERNS: [&str; 4] = ["**", "t/event", "t/*", "t/frame"];

fn join(sim: &mut Sim, (rate, queue, acknowledges, pattern): Reader) -> usize {
    let link = if rate == 0 { fast() } else { slow(rate * 1000, queue * 1024) };
    let id = sim.peer(link, acknowledges);
    sim[id].subscribe(PATTERNS[pattern], 0);
    sim.settle();
    id
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_sent_was_delivered_or_told_as_lost_and_nobody_waits_for_ever(
        steps in steps(),
        readers in prop::collection::vec((prop_oneof![Just(0u64), 20u64..2000], 2u64..64, any::<bool>(), 0usize..4), 4),
        lag in 1_000u64..200_000,
        ring in 20_000usize..1_000_000,
        entries in 2usize..500,
        window in 0usize..400_000,
    ) {
        let mut config = Config::default();
        (config.lag_bytes, config.topic_bytes, config.topic_entries, config.window_bytes) = (lag, ring, entries, window);
        let mut sim = Sim::new(config);
        let publisher = sim.peer(fast(), true);
        for (alias, kind) in Kind::ALL.into_iter().enumerate() {
            sim[publisher].advertise(alias as u32, &format!("t/{kind}"), kind);
        }
        sim.settle();
        let mut present: Vec<_> = readers.iter().map(|reader| join(&mut sim, *reader)).collect();
        let mut gone = Vec::new();
        let mut sent = [0u64; 4];
        // The newest run is kept whatever it pins: at most four times what was read at once, two buffers here.
        let most = ring.max(4 * 128 * 1024);
        for step in steps {
            match step {
                Step::Publish(kind, count, len) => for i in 0..count {
                    let alias = kind as u32;
                    match Kind::ALL[kind] {
                        Kind::State => {
                            let value = Value::map([(format!("k{}", len % 10), (sent[kind] * 64 + i as u64) as i64)]);
                            sim[publisher].patch(alias, &Patch::merge(value));
                        }
                        kind => {
                            let flags = if i % 3 == 0 { Flags::KEYFRAME } else { Flags::NONE };
                            let header = Header { flags, ..Header::data(kind) };
                            let now = sim.now;
                            sim[publisher].publish_stamped(now, alias, header, len);
                        }
                    }
                    sent[kind] += 1;
                },
                Step::Wait(millis) => sim.run_for(ms(millis)),
                Step::Toggle(which) => {
                    let id = present[which];
                    sim[id].reads = !sim[id].reads;
                }
                Step::Replace(which) => {
                    sim.cut(present[which]);
                    gone.push(present[which]);
                    present[which] = join(&mut sim, readers[which]);
                }
            }
            for kind in Kind::ALL {
                let held = sim.retained(&format!("t/{kind}"));
                prop_assert!(held <= most, "{} bytes of {}", held, kind);
            }
        }
        for id in &present {
            sim[*id].reads = true;
        }
        sim.run_for(ms(20_000));
        // Time runs on by pings; what is late has expired, and everyone has come to the end.
        prop_assert!(sim[publisher].outgoing.is_empty(), "the publisher waits for ever");
        prop_assert!(sim[publisher].errors().is_empty());
        let truth = sim.hub.latest(&Name::new("t/state").unwrap());
        for id in present {
            for (kind, sent) in Kind::ALL.into_iter().zip(sent) {
                let Some(known) = sim[id].topics.get(&format!("t/{kind}")) else { continue };
                if kind == Kind::State {
                    if let Some(nyx_hub::Latest::Document(value)) = &truth {
                        prop_assert_eq!(&known.document.value(), value);
                    }
                    continue;
                }
                prop_assert_eq!(known.next, sent, "{} of reader {}", kind, id);
                prop_assert_eq!(known.announce.position + known.delivered + known.dropped, sent);
            }
        }
    }
}

#[test]
fn what_expired_in_the_middle_of_a_run_is_told_to_who_comes_back() {
    let mut sim = Sim::new(Config::default());
    let publisher = sim.peer(fast(), true);
    sim[publisher].advertise(1, "log", Kind::Event);
    for _ in 0..10 {
        sim[publisher].publish_numbered(1, Kind::Event, 10);
    }
    let first = sim.subscriber(fast(), "log");
    let epoch = sim[first].topic("log").announce.epoch;
    sim.run_for(ms(1000));
    let again = sim.peer(fast(), true);
    let resume = vec![Resume { topic: "log".to_owned(), epoch, position: 3 }];
    let pattern = "log".to_owned();
    sim[again].send(Subscribe { id: 1, pattern, max_age_ms: 100, resume });
    sim.settle();
    let known = sim[again].topic("log");
    assert_eq!((known.next, known.delivered, known.dropped), (10, 0, 7));
}

#[test]
fn an_adapter_s_errors_are_typed() {
    let hub = Hub::new(Config::default());
    let limit = hub.config().message_bytes;
    let (log, world) = (Name::new("log").unwrap(), Name::new("world").unwrap());
    let (log, world) =
        (hub.topic_for(&log, Kind::Event).unwrap(), hub.topic_for(&world, Kind::State).unwrap());
    let now = Instant::ZERO;
    assert!(matches!(
        hub.publish(now, &world, 0, None, b"x"),
        Err(PublishError::WrongKind { has: Kind::State, .. })
    ));
    assert!(matches!(hub.patch(&log, &Patch::Set(Value::Null)), Err(PublishError::WrongKind { .. })));
    assert_eq!(hub.publish(now, &log, 0, None, &vec![0; limit]), Ok(0));
    let stamped = hub.publish(now, &log, 0, Some(1), &vec![0; limit]);
    assert_eq!(stamped, Err(PublishError::TooLarge { length: limit + 8, limit }));
}
