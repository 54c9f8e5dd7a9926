//! The choice itself.

use std::time::Duration;

use nyx_core::Instant;

use super::bucket::Bucket;
use super::config::CANDIDATES_MAX;
use super::estimate::{Cost, Estimate};
use super::item::{Choice, Link, Offer, Outcome, Way, nanos};
use super::log::Log;
use super::{Candidate, Codec, Config, ConfigError, Entry, Pin, Reason};

struct Arm {
    candidate: Candidate,
    /// What an item waits for its batch, on average.
    gathering_nanos: f64,
    estimate: Estimate,
    /// The item after which it may be tried again, and in how many items after that.
    trial_after: u64,
    trial_spacing: u64,
}

impl Arm {
    fn predict(&self, offer: &Offer) -> Cost {
        self.estimate.predict(offer.size(self.candidate.form))
    }

    /// Whether trials tell something: what raw ones take is known, and batches can't be tried on an item.
    fn is_uncertain(&self) -> bool {
        self.candidate.codec != Codec::Raw && self.candidate.window.is_zero()
    }
}

/// Chooses how a topic's items are sent in one direction. See the [module](super) for what it minimises and how.
///
/// A choice with its record takes time linear in the candidates, some 20 ns each: make one per batch where items are tiny. Memory is bounded by the candidates and the log.
pub struct Chooser {
    config: Config,
    arms: Vec<Arm>,
    current: usize,
    pin: Pin,
    is_killed: bool,
    /// CPU that may be spent, filled by time.
    cpu: Bucket,
    /// CPU that trials may spend, filled by what deliveries take.
    trials: Bucket,
    filled_at: Option<Instant>,
    items: u64,
    /// Consecutive items for which the current candidate could not be had.
    unavailable: u32,
    over_budget: u64,
    budget_logged_at: Option<Instant>,
    log: Log,
}

impl Chooser {
    /// A chooser among `candidates`, of which the first is [`Candidate::PLAIN`].
    ///
    /// # Errors
    /// When it is not, when there are more than 32, or when a share in `config` is out of range.
    pub fn new(candidates: impl IntoIterator<Item = Candidate>, config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let arm = |candidate: Candidate| Arm {
            candidate,
            gathering_nanos: nanos(candidate.window) / 2.0,
            estimate: Estimate::new(candidate.prior()),
            trial_after: 0,
            trial_spacing: TRIAL_SPACING_MIN,
        };
        let arms: Vec<Arm> = candidates.into_iter().map(arm).collect();
        if arms.first().map(|arm| arm.candidate) != Some(Candidate::PLAIN) {
            return Err(ConfigError::NoPlain);
        }
        if arms.len() > CANDIDATES_MAX {
            return Err(ConfigError::TooMany(arms.len()));
        }
        let burst = nanos(config.cpu_burst);
        Ok(Self {
            arms,
            current: 0,
            pin: Pin::Auto,
            is_killed: false,
            cpu: Bucket::new(burst, config.cpu_share, burst),
            trials: Bucket::new(0.0, config.trial_share, burst),
            filled_at: None,
            items: 0,
            unavailable: 0,
            over_budget: 0,
            budget_logged_at: None,
            log: Log::new(config.log_entries),
            config,
        })
    }

    /// How the next item is to be sent. Tell what came of it to [`record`](Self::record).
    pub fn choose(&mut self, now: Instant, offer: &Offer, link: &Link) -> Choice {
        self.fill(now);
        self.forget_batches(now);
        let way = Way::new(link, self.config.drain_assumed);
        if self.is_killed {
            return self.choice(0, now, offer, way);
        }
        let best = self.best(offer, way);
        if self.can_be_had(self.current, offer) {
            self.unavailable = 0;
            if self.is_better(best, self.current, offer, way) {
                self.switch(now, best, offer, link, way);
            }
        } else {
            self.unavailable += 1;
            let is_forbidden = !self.pin.allows(&self.arms[self.current].candidate);
            if is_forbidden || self.unavailable >= UNAVAILABLE_MAX {
                let reason = if is_forbidden { Reason::Pinned(self.pin) } else { Reason::Unavailable };
                self.enter(now, best, reason, offer, link);
            } else {
                return self.choice(best, now, offer, way);
            }
        }
        if !self.cpu.is_open() && matches!(self.pin, Pin::Auto) {
            return self.choose_over_budget(now, offer, link, way);
        }
        self.choice(self.current, now, offer, way)
    }

    /// What came of a choice.
    pub fn record(&mut self, choice: &Choice, outcome: Outcome) {
        let cost = outcome.cost();
        self.items += 1;
        self.cpu.spend(cost.cpu_nanos);
        let gathering_nanos = self.arms.get(choice.index).map_or(0.0, |arm| arm.gathering_nanos);
        self.trials.fill(choice.way.delivery(cost, gathering_nanos));
        self.observe(choice, cost, 0.0);
    }

    /// A candidate to be tried on the item that has just been sent, if that is worthwhile: encode it, throw the result away, and tell
    /// [`record_trial`](Self::record_trial) what came of it. Not doing it is fine as well.
    pub fn trial(&mut self, now: Instant, offer: &Offer, link: &Link) -> Option<Choice> {
        if self.is_killed || self.pin != Pin::Auto || !self.cpu.is_open() {
            return None;
        }
        let way = Way::new(link, self.config.drain_assumed);
        let to_beat = self.delivery(self.current, offer, way) * (1.0 - self.config.margin);
        let could_win = |arm: &Arm| {
            let cpu_nanos = arm.estimate.cpu_nanos_hoped(offer.size(arm.candidate.form));
            way.delivery(Cost { bytes: 0.0, cpu_nanos }, 0.0) < to_beat
        };
        let is_due = |(index, arm): &(usize, &Arm)| {
            *index != self.current
                && arm.is_uncertain()
                && arm.trial_after <= self.items
                && offer.has(&arm.candidate)
                && could_win(arm)
        };
        let due = self.arms.iter().enumerate().filter(is_due);
        let keyed = due
            .map(|(index, arm)| (arm.estimate.is_measured(), self.delivery(index, offer, way), index, arm));
        let first = keyed.min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let (_, _, index, arm) = first?;
        // What is next is saved up for: else the cheap ones would leave nothing for the dear.
        let delay = way.trial_delay(arm.predict(offer));
        self.trials.covers(delay).then(|| self.choice(index, now, offer, way))
    }

    /// What came of a trial.
    pub fn record_trial(&mut self, trial: &Choice, outcome: Outcome) {
        let cost = outcome.cost();
        self.cpu.spend(cost.cpu_nanos);
        self.trials.spend(trial.way.trial_delay(cost));
        let is_far_off = trial.way.delivery(cost, 0.0) > HOPELESS * trial.to_beat;
        if let Some(arm) = self.arms.get_mut(trial.index) {
            arm.trial_after = self.items + arm.trial_spacing;
            let (factor, most) = if is_far_off { (4, 4 * TRIAL_SPACING_MAX) } else { (2, TRIAL_SPACING_MAX) };
            arm.trial_spacing = (arm.trial_spacing * factor).min(most);
        }
        self.observe(trial, cost, TRIAL_WEIGHT);
    }

    /// Limits what is chosen from now on.
    pub const fn set_pin(&mut self, pin: Pin) {
        self.pin = pin;
    }

    /// The limit.
    pub const fn pin(&self) -> Pin {
        self.pin
    }

    /// The kill switch: while it is on, items go plainly, whatever else was said.
    pub fn set_killed(&mut self, now: Instant, killed: bool) {
        if self.is_killed == killed {
            return;
        }
        self.is_killed = killed;
        let (at, to) = (now, Candidate::PLAIN);
        let from = self.arms[self.current].candidate;
        let (from, to) = if killed { (from, to) } else { (to, from) };
        let reason = Reason::Killed(killed);
        self.log.push(Entry { at, from, to, reason, item_bytes: 0, link: Link::default() });
    }

    /// What is chosen at present, where it can be had.
    pub fn current(&self) -> Candidate {
        if self.is_killed { Candidate::PLAIN } else { self.arms[self.current].candidate }
    }

    /// The latest changes of the choice, the oldest first.
    pub fn log(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.log.iter()
    }

    /// How often the choice changed, by the reasons of [`Reason::NAMES`].
    pub const fn changes(&self) -> [u64; Reason::NAMES.len()] {
        self.log.counts()
    }

    /// Items that went more plainly than they should have, because the CPU budget was used up.
    pub const fn over_budget(&self) -> u64 {
        self.over_budget
    }

    fn fill(&mut self, now: Instant) {
        let last = self.filled_at.replace(now).unwrap_or(now);
        self.cpu.fill(nanos(now.since(last)));
    }

    fn forget_batches(&mut self, now: Instant) {
        for arm in self.arms.iter_mut().filter(|arm| !arm.candidate.window.is_zero()) {
            if arm.estimate.is_measured() && now.since(arm.estimate.last()) >= self.config.batch_forget {
                arm.estimate.forget();
            }
        }
    }

    fn can_be_had(&self, index: usize, offer: &Offer) -> bool {
        let candidate = &self.arms[index].candidate;
        self.pin.allows(candidate) && offer.has(candidate)
    }

    /// The best of what can be had. Where a pin leaves nothing, the best without compression.
    fn best(&self, offer: &Offer, way: Way) -> usize {
        let fastest = |is_open: &dyn Fn(usize) -> bool| {
            let open = (0..self.arms.len()).filter(|&index| is_open(index));
            let timed = open.map(|index| (self.delivery(index, offer, way), index));
            timed.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, index)| index)
        };
        let is_plain = |index: usize| {
            let candidate = &self.arms[index].candidate;
            candidate.codec == Codec::Raw && offer.has(candidate)
        };
        fastest(&|index| self.can_be_had(index, offer)).or_else(|| fastest(&is_plain)).unwrap_or(0)
    }

    fn is_better(&self, this: usize, than: usize, offer: &Offer, way: Way) -> bool {
        let bound = self.delivery(than, offer, way) * (1.0 - self.config.margin);
        this != than && self.delivery(this, offer, way) < bound
    }

    fn delivery(&self, index: usize, offer: &Offer, way: Way) -> f64 {
        let arm = &self.arms[index];
        way.delivery(arm.predict(offer), arm.gathering_nanos)
    }

    fn switch(&mut self, now: Instant, to: usize, offer: &Offer, link: &Link, way: Way) {
        let time = |index| Duration::from_nanos(self.delivery(index, offer, way) as u64);
        let cost = self.arms[to].predict(offer);
        let saved = offer.bytes as f64 - cost.bytes;
        let reason = Reason::Faster {
            before: time(self.current),
            after: time(to),
            saved_per_micro: saved / (cost.cpu_nanos / 1e3),
        };
        self.enter(now, to, reason, offer, link);
    }

    fn enter(&mut self, now: Instant, to: usize, reason: Reason, offer: &Offer, link: &Link) {
        self.unavailable = 0;
        if to != self.current {
            let (from, item_bytes) = (self.arms[self.current].candidate, offer.bytes);
            let to = self.arms[to].candidate;
            self.log.push(Entry { at: now, from, to, reason, item_bytes, link: *link });
            // Was that right? What was left behind is asked again soon.
            let left = &mut self.arms[self.current];
            (left.trial_after, left.trial_spacing) = (self.items + 1, TRIAL_SPACING_MIN);
        }
        self.current = to;
    }

    /// The item goes by what takes the least CPU. The choice stays what it is.
    fn choose_over_budget(&mut self, now: Instant, offer: &Offer, link: &Link, way: Way) -> Choice {
        let cpu = |index: usize| self.arms[index].predict(offer).cpu_nanos;
        let open = (0..self.arms.len()).filter(|&index| self.can_be_had(index, offer));
        let cheapest = open.min_by(|&a, &b| cpu(a).total_cmp(&cpu(b))).unwrap_or(0);
        if cheapest != self.current {
            self.over_budget += 1;
            if self.budget_logged_at.is_none_or(|at| now.since(at) >= BUDGET_LOG_EVERY) {
                self.budget_logged_at = Some(now);
                let (from, to) = (self.arms[self.current].candidate, self.arms[cheapest].candidate);
                let reason = Reason::Budget { share: self.config.cpu_share };
                self.log.push(Entry { at: now, from, to, reason, item_bytes: offer.bytes, link: *link });
            }
        }
        self.choice(cheapest, now, offer, way)
    }

    fn choice(&self, index: usize, at: Instant, offer: &Offer, way: Way) -> Choice {
        let candidate = self.arms[index].candidate;
        Choice {
            index,
            candidate,
            at,
            size: offer.size(candidate.form),
            way,
            to_beat: self.delivery(self.current, offer, way),
        }
    }

    fn observe(&mut self, choice: &Choice, cost: Cost, weight_min: f64) {
        // A choice of another chooser is its caller's mistake, and teaches nothing.
        let Some(arm) = self.arms.get_mut(choice.index) else { return };
        let was_surprising = arm.estimate.observe(choice.at, choice.size, cost, weight_min);
        if was_surprising {
            // The content is another now: what is known of the others is old.
            for arm in &mut self.arms {
                (arm.trial_after, arm.trial_spacing) = (self.items, TRIAL_SPACING_MIN);
            }
        }
    }
}

impl std::fmt::Debug for Chooser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chooser")
            .field("current", &self.current())
            .field("pin", &self.pin)
            .field("items", &self.items)
            .finish_non_exhaustive()
    }
}

/// Items between two trials of a candidate: few after its content was seen to change, then twice as many each time.
const TRIAL_SPACING_MIN: u64 = 4;
const TRIAL_SPACING_MAX: u64 = 64;

/// Trials are far between: each counts for so much at least, whatever was measured long before.
const TRIAL_WEIGHT: f64 = 0.25;

/// A candidate that takes so many times as long as the current one is tried a quarter as often.
const HOPELESS: f64 = 1.5;

/// After so many items in a row for which the choice can't be had, another is made. Single ones, such as a snapshot among deltas, are passed over.
const UNAVAILABLE_MAX: u32 = 8;

/// A budget that is used up closes and opens with every few items; the log says so only now and then.
const BUDGET_LOG_EVERY: Duration = Duration::from_secs(10);
