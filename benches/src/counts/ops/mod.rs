//! The operations that are counted.
//!
//! To add one: a function that sets up and then does the operation as often as it is told, and a row in [`OPS`]. Time
//! is an argument, so that no clock is counted; results and inputs go through `black_box`.

mod limiter;
mod metrics;
mod pool;
mod queue;
mod ring;
mod state;
mod wire;

/// All of them.
pub(super) const OPS: &[Op] = &[
    Op { name: "limiter/check_at", calls: 100_000, operations: 1, run: limiter::check_at },
    Op { name: "limiter/check_denied", calls: 100_000, operations: 1, run: limiter::check_denied },
    Op { name: "limiter/meter", calls: 100_000, operations: 1, run: limiter::meter },
    Op { name: "limiter/local_allowed", calls: 100_000, operations: 1, run: limiter::local_allowed },
    Op { name: "limiter/local_denied", calls: 100_000, operations: 1, run: limiter::local_denied },
    Op { name: "limiter/keyed_hit", calls: 100_000, operations: 1, run: limiter::keyed_hit },
    Op { name: "pool/get_drop/1KiB", calls: 100_000, operations: 1, run: pool::get_drop::<1024> },
    Op { name: "pool/get_drop/64KiB", calls: 100_000, operations: 1, run: pool::get_drop::<{ 64 * 1024 }> },
    Op { name: "pool/get_freeze_drop/512B", calls: 20_000, operations: 1, run: pool::get_freeze_drop },
    Op { name: "queue/push_pop", calls: 100_000, operations: 1, run: queue::push_pop },
    Op { name: "queue/push_pop_value", calls: 100_000, operations: 1, run: queue::push_pop_value },
    Op { name: "queue/push_full", calls: 100_000, operations: 1, run: queue::push_full },
    Op { name: "counter/inc", calls: 100_000, operations: 1, run: metrics::inc },
    Op { name: "histogram/record", calls: 100_000, operations: 1, run: metrics::record },
    Op { name: "snapshot/series", calls: 200, operations: metrics::SERIES, run: metrics::snapshot },
    Op { name: "ring/publish_8cursors/burst1", calls: 20_000, operations: 1, run: ring::burst::<1> },
    Op { name: "ring/publish_8cursors/burst32", calls: 2_000, operations: 32, run: ring::burst::<32> },
    Op { name: "wire/parse", calls: 100_000, operations: 1, run: wire::parse },
    Op { name: "wire/scan", calls: 100, operations: wire::MESSAGES, run: wire::scan },
    Op { name: "wire/patch", calls: 100, operations: wire::MESSAGES, run: wire::patch },
    Op { name: "state/delta", calls: 1_000, operations: 1, run: state::delta },
    Op { name: "state/patch_delta_apply", calls: 500, operations: 1, run: state::patch_delta_apply },
];

/// A hot operation.
pub(super) struct Op {
    /// The name of its row in the benches, where it has one.
    pub(super) name: &'static str,
    /// The n of the two runs: enough that what differs from run to run in the set-up is below a tenth of an instruction.
    pub(super) calls: u64,
    /// Operations in one call.
    pub(super) operations: u64,
    /// Makes so many calls.
    pub(super) run: fn(u64),
}
