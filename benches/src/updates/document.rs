//! One document of 20 KB of which 3 % change: what its first subscriber costs, what each further one does, and what a receiver pays.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use nyx_protocol::state::{Cache, Document, Limits, Patch, Value};

use super::measure::nanos_of;
use super::report::{Line, Report};
use crate::traces::Trace as _;
use crate::traces::world::World;

/// Measures the three, and the whole document as JSON beside them.
pub(super) fn measure(brief: bool, report: &mut Report) {
    let hub = Hub::new();
    let mut out = BytesMut::new();
    let first = nanos_of(brief, || {
        out.clear();
        black_box(hub.document.delta_since(black_box(hub.base), &mut out));
    });
    let mut cache = Cache::default();
    let further = nanos_of(brief, || {
        black_box(cache.delta_since(black_box(&hub.document), black_box(hub.base)));
    });
    let text = serde_json::to_vec(&hub.value).unwrap_or_default();
    let written = nanos_of(brief, || {
        black_box(serde_json::to_vec(black_box(&hub.value)).unwrap_or_default());
    });
    let parsed = nanos_of(brief, || {
        black_box(serde_json::from_slice::<serde_json::Value>(black_box(&text)).unwrap_or_default());
    });
    let bytes = hub.deltas.iter().map(Bytes::len).sum::<usize>() as f64 / hub.deltas.len() as f64;
    let line = |contender: &str, bytes: f64, encode: f64, apply: Option<f64>| Line {
        row: "document of 20 KB, 3 % changed".to_owned(),
        contender: contender.to_owned(),
        bytes: Some(bytes),
        percent: Some(100.0 * bytes / text.len() as f64),
        encode_ns: Some(encode),
        apply_ns: apply,
        ..Line::default()
    };
    report.push(line("whole, by serde_json", text.len() as f64, written, Some(parsed)));
    report.push(line("nyx", bytes, first, Some(hub.applied(brief))));
    report.push(line("nyx further subscribers", bytes, further, None));
}

/// A hub's document that has been going on for a while, and what its subscribers are sent.
struct Hub {
    document: Document,
    value: Value,
    /// The version before the last.
    base: u64,
    /// At the first of the deltas.
    snapshot: Bytes,
    /// One after the other.
    deltas: Vec<Bytes>,
}

impl Hub {
    fn new() -> Self {
        let mut world = World::new(1);
        let mut document = Document::new(7, Limits::default());
        let (mut snapshot, mut deltas, mut base) = (BytesMut::new(), Vec::new(), 0);
        for tick in 0..WARM_UP + DELTAS {
            if tick == WARM_UP {
                document.snapshot(&mut snapshot);
            }
            world.tick();
            base = document.version();
            let patched = document.patch(&Patch::Set(world.value()));
            assert!(patched.is_ok_and(|changed| changed), "each tick changes something, within the limits");
            if tick >= WARM_UP {
                let mut delta = BytesMut::new();
                document.delta_since(base, &mut delta);
                deltas.push(delta.freeze());
            }
        }
        Self { document, value: world.value(), base, snapshot: snapshot.freeze(), deltas }
    }

    /// The time to apply a delta, on average over all of them: a receiver can apply each but once.
    fn applied(&self, brief: bool) -> f64 {
        let mut receiver = Document::new(0, Limits::default());
        let mut next = self.deltas.len();
        let mut round = || {
            let start = super::measure::now();
            for delta in &self.deltas[next..] {
                assert!(
                    black_box(&mut receiver).apply(black_box(delta), false).is_ok(),
                    "they follow each other"
                );
            }
            let time = (super::measure::now() - start).as_nanos() as f64;
            assert!(receiver.apply(&self.snapshot, true).is_ok(), "a snapshot fits always");
            next = 0;
            time / self.deltas.len() as f64
        };
        round();
        let mut rounds: Vec<_> = (0..if brief { 1 } else { ROUNDS }).map(|_| round()).collect();
        rounds.sort_by(f64::total_cmp);
        rounds[rounds.len() / 2]
    }
}

const WARM_UP: u32 = 100;
const DELTAS: u32 = 64;
const ROUNDS: usize = 101;
