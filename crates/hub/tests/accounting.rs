//! Whatever peers do and however they are connected: in the end everyone has, or was told that he has not, all that was sent.

mod sim;

use nyx_core::Instant;
use nyx_hub::{Config, Hub, PublishError};
use nyx_protocol::control::{Resume, Subscribe, Unsubscribe};
use nyx_protocol::state::{Patch, Value};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::{Flags, Header, Kind};
use nyx_stream::ring::ENTRY_OVERHEAD;
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
    /// A subscriber unsubscribes and subscribes again at once.
    Again(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..4, 1usize..60, 8usize..6000).prop_map(|(kind, count, len)| Step::Publish(kind, count, len)),
        4 => (0u64..400).prop_map(Step::Wait),
        1 => (0usize..4).prop_map(Step::Toggle),
        1 => (0usize..4).prop_map(Step::Replace),
        1 => (0usize..4).prop_map(Step::Again),
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

/// What the hub keeps of a topic, and how far behind its readers and its output may be.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    lag: u64,
    ring: usize,
    entries: usize,
    window: usize,
}

/// The least of each, where most is lost and most have to wait, about as often as anything else.
fn bounds() -> impl Strategy<Value = Bounds> {
    let lag = prop_oneof![Just(1_000u64), 1_000u64..200_000];
    let ring = prop_oneof![20_000usize..60_000, 20_000usize..1_000_000];
    let entries = prop_oneof![2usize..8, 2usize..500];
    let window = prop_oneof![Just(0usize), 0usize..400_000];
    (lag, ring, entries, window).prop_map(|(lag, ring, entries, window)| Bounds {
        lag,
        ring,
        entries,
        window,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn what_was_sent_was_delivered_or_told_as_lost_and_nobody_waits_for_ever(
        steps in steps(),
        readers in prop::collection::vec((prop_oneof![Just(0u64), 20u64..2000], 2u64..64, any::<bool>(), 0usize..4), 4),
        bounds in bounds(),
    ) {
        let mut scene = Scene::new(&readers, bounds);
        for step in steps {
            scene.take(step);
            scene.check_memory()?;
        }
        scene.run_to_the_end();
        scene.check_accounts()?;
    }
}

/// Some seconds' worth; whoever looks for what is rare asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(60)
}

#[test]
fn a_backlog_that_a_slow_link_carries_for_longer_than_twenty_seconds_is_accounted_for() {
    let readers = [(0, 2, false, 0), (20, 2, false, 0), (0, 2, false, 0), (0, 2, false, 0)];
    let mut scene = Scene::new(&readers, Bounds { lag: 1_000, ring: 537_122, entries: 6, window: 0 });
    for step in [Step::Publish(3, 3, 3_158), Step::Publish(3, 53, 4_546), Step::Publish(3, 50, 4_538)] {
        scene.take(step);
    }
    scene.run_to_the_end();
    scene.check_accounts().unwrap();
}

/// A hub, a publisher of each kind, and four readers.
struct Scene {
    sim: Sim,
    publisher: usize,
    terms: Vec<Reader>,
    present: Vec<usize>,
    sent: [u64; 4],
    /// The most that a topic may hold.
    most: usize,
}

impl Scene {
    fn new(readers: &[Reader], bounds: Bounds) -> Self {
        let mut config = Config::default();
        (config.lag_bytes, config.window_bytes) = (bounds.lag, bounds.window);
        (config.topic_bytes, config.topic_entries) = (bounds.ring, bounds.entries);
        let mut sim = Sim::new(config);
        let publisher = sim.peer(fast(), true);
        for (alias, kind) in Kind::ALL.into_iter().enumerate() {
            sim[publisher].advertise(alias as u32, &format!("t/{kind}"), kind);
        }
        sim.settle();
        let present = readers.iter().map(|reader| join(&mut sim, *reader)).collect();
        // The newest run is kept whatever it pins: at most four times what was read at once, two buffers here.
        let most = bounds.ring.max(4 * 128 * 1024 + ENTRY_OVERHEAD);
        Self { sim, publisher, terms: readers.to_vec(), present, sent: [0; 4], most }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Publish(kind, count, len) => (0..count).for_each(|i| self.publish(kind, i, len)),
            Step::Wait(millis) => self.sim.run_for(ms(millis)),
            Step::Toggle(which) => {
                let reader = &mut self.sim[self.present[which]];
                reader.reads = !reader.reads;
            }
            Step::Again(which) => {
                let (reader, pattern) = (self.present[which], PATTERNS[self.terms[which].3].to_owned());
                self.sim[reader].send(Unsubscribe { id: 1 });
                self.sim[reader].send(Subscribe { id: 1, pattern, ..Default::default() });
            }
            Step::Replace(which) => {
                self.sim.cut(self.present[which]);
                self.present[which] = join(&mut self.sim, self.terms[which]);
            }
        }
    }

    fn publish(&mut self, kind: usize, i: usize, len: usize) {
        let (now, alias) = (self.sim.now, kind as u32);
        let publisher = &mut self.sim[self.publisher];
        match Kind::ALL[kind] {
            Kind::State => {
                let number = (self.sent[kind] * 64 + i as u64) as i64;
                publisher.patch(alias, &Patch::merge(Value::map([(format!("k{}", len % 10), number)])));
            }
            kind => {
                let flags = if i.is_multiple_of(3) { Flags::KEYFRAME } else { Flags::NONE };
                publisher.publish_stamped(now, alias, Header { flags, ..Header::data(kind) }, len);
            }
        }
        self.sent[kind] += 1;
    }

    fn check_memory(&self) -> Result<(), TestCaseError> {
        for kind in Kind::ALL {
            let held = self.sim.retained(&format!("t/{kind}"));
            prop_assert!(held <= self.most, "{} bytes of {}", held, kind);
        }
        Ok(())
    }

    /// Everybody reads until there is nothing more to come: time for the publisher's patience with each, and for all that there ever was
    /// to cross the slowest link.
    fn run_to_the_end(&mut self) {
        for id in &self.present {
            self.sim[*id].reads = true;
        }
        let all = self.sim.hub.stats(self.sim.now).topics.iter().map(|topic| topic.bytes).sum::<u64>()
            + self.sim[self.publisher].outgoing.len() as u64;
        let slowest = self.terms.iter().map(|(rate, ..)| *rate).filter(|rate| *rate > 0).min();
        self.sim.run_for(ms(20_000) + ms(slowest.map_or(0, |rate| all / rate)));
    }

    fn check_accounts(&self) -> Result<(), TestCaseError> {
        let Self { sim, publisher, .. } = self;
        prop_assert!(sim[*publisher].outgoing.is_empty(), "the publisher waits for ever");
        prop_assert!(sim[*publisher].errors().is_empty());
        let truth = sim.hub.latest(&Name::new("t/state").unwrap());
        let stats = sim.hub.stats(sim.now);
        for id in &self.present {
            prop_assert_eq!(sim[*id].errors(), [], "reader {}", id);
            let mut delivered = 0;
            for (kind, sent) in Kind::ALL.into_iter().zip(self.sent) {
                let Some(known) = sim[*id].topics.get(&format!("t/{kind}")) else { continue };
                delivered += known.earlier;
                if kind == Kind::State {
                    delivered += known.snapshots + known.deltas;
                    if let Some(nyx_hub::Latest::Document(value)) = &truth {
                        prop_assert_eq!(&known.document.value(), value);
                    }
                    continue;
                }
                delivered += known.delivered;
                prop_assert_eq!(known.next, sent, "{} of reader {}", kind, id);
                prop_assert_eq!(known.announce.position + known.delivered + known.dropped, sent);
            }
            // What the hub has counted is what has come.
            let session = stats.sessions.iter().find(|session| session.id == sim.session_id(*id));
            prop_assert_eq!(session.map(|session| session.delivered), Some(delivered), "reader {}", id);
        }
        Ok(())
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
