//! The bounds that the lanes' documentation states.

use nyx_stream::lanes::{Lane, Lanes, QUANTUM};
use proptest::prelude::*;

/// What each lane sent in every turn, where `High` and one other always wait and the rest come and go.
struct Trace {
    turns: Vec<(Lane, i64)>,
    largest: [i64; 3],
}

impl Trace {
    /// `steps`: the size of what is sent next, as a share of the lane's largest, and whether the lane that may rest does.
    fn run(largest: [i64; 3], resting: Option<Lane>, steps: &[(u8, bool)]) -> Self {
        let mut lanes = Lanes::new();
        let mut waits = [true; 3];
        Lane::ALL.into_iter().for_each(|lane| lanes.push(lane, ()));
        let turns = steps.iter().map(|(share, rests)| {
            if let Some(lane) = resting.filter(|lane| !rests && !waits[*lane as usize]) {
                lanes.push(lane, ());
                waits[lane as usize] = true;
            }
            let (lane, ()) = lanes.pop().expect("two lanes always wait");
            let bytes = 1 + (largest[lane as usize] - 1) * i64::from(*share) / 255;
            lanes.charge(lane, bytes as usize);
            waits[lane as usize] = resting != Some(lane) || !rests;
            if waits[lane as usize] {
                lanes.push(lane, ());
            }
            (lane, bytes)
        });
        Self { turns: turns.collect(), largest }
    }

    /// The largest difference of what two lanes sent, divided by their weights, over any window.
    fn largest_difference(&self, one: Lane, other: Lane) -> f64 {
        // The difference over a window is that of two sums from the start.
        let (mut sum, mut low, mut high) = (0.0_f64, 0.0_f64, 0.0_f64);
        for (lane, bytes) in &self.turns {
            let normalised = *bytes as f64 / lane.weight() as f64;
            sum +=
                if *lane == one { normalised } else { 0.0 } - if *lane == other { normalised } else { 0.0 };
            (low, high) = (low.min(sum), high.max(sum));
        }
        high - low
    }

    fn item(&self, lane: Lane) -> f64 {
        self.largest[lane as usize] as f64 / lane.weight() as f64
    }
}

fn pairs() -> impl Strategy<Value = (Lane, Lane, Lane)> {
    prop_oneof![
        Just((Lane::High, Lane::Medium, Lane::Low)),
        Just((Lane::Medium, Lane::Low, Lane::High)),
        Just((Lane::High, Lane::Low, Lane::Medium)),
    ]
}

fn sizes() -> impl Strategy<Value = [i64; 3]> {
    let size = || prop_oneof![1i64..100, 1i64..20_000, 1i64..400_000];
    [size(), size(), size()]
}

fn steps() -> impl Strategy<Value = Vec<(u8, bool)>> {
    prop::collection::vec((any::<u8>(), any::<bool>()), 100..1_500)
}

proptest! {
    /// Two lanes that always wait, a third that comes and goes.
    #[test]
    fn lanes_that_always_wait_share_by_weight(
        (one, other, third) in pairs(),
        largest in sizes(),
        steps in steps(),
    ) {
        let trace = Trace::run(largest, Some(third), &steps);
        let apart = trace.largest_difference(one, other);
        let bound = QUANTUM as f64 + trace.item(one) + trace.item(other);
        prop_assert!(apart <= bound, "{apart} of {bound}");
    }

    /// However large the items of others are.
    #[test]
    fn none_that_waits_starves(
        largest in sizes(),
        resting in prop::option::of(prop_oneof![Just(Lane::High), Just(Lane::Medium), Just(Lane::Low)]),
        steps in steps(),
    ) {
        let trace = Trace::run(largest, resting, &steps);
        for lane in Lane::ALL.into_iter().filter(|lane| Some(*lane) != resting) {
            let share = lane.weight() * QUANTUM;
            let rounds = largest[lane as usize] / share + 2;
            let others = Lane::ALL.into_iter().filter(|other| *other != lane);
            let bound: i64 = others.map(|other| rounds * other.weight() * QUANTUM + largest[other as usize]).sum();
            let mut since = 0;
            for (served, bytes) in &trace.turns {
                since = if *served == lane { 0 } else { since + bytes };
                prop_assert!(since <= bound, "{lane:?} waits since {since} bytes, not {bound}");
            }
        }
    }

    /// A lane that rests in between has sent no more than its share of a round ahead of one that does not.
    #[test]
    fn a_lane_that_rests_saves_nothing_up(
        (one, other, third) in pairs(),
        largest in sizes(),
        steps in steps(),
    ) {
        for resting in [one, other] {
            let busy = if resting == one { other } else { one };
            let trace = Trace::run(largest, Some(resting), &steps);
            // Only what the one that rests is ahead in a window counts: the busy one may have all that the other leaves.
            let (mut sum, mut low, mut ahead) = (0.0_f64, 0.0_f64, 0.0_f64);
            for (lane, bytes) in &trace.turns {
                let normalised = *bytes as f64 / lane.weight() as f64;
                sum += if *lane == resting { normalised } else { 0.0 } - if *lane == busy { normalised } else { 0.0 };
                low = low.min(sum);
                ahead = ahead.max(sum - low);
            }
            let bound = 2.0 * QUANTUM as f64 + trace.item(one) + trace.item(other);
            prop_assert!(ahead <= bound, "{resting:?} is {ahead} ahead, not {bound}; {third:?}");
        }
    }
}
