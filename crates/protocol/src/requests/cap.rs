//! How many requests may be under way.

/// A bound on requests under way.
///
/// The adaptive one is additive increase and multiplicative decrease (Chiu and Jain, *Analysis of the Increase and Decrease Algorithms
/// for Congestion Avoidance in Computer Networks*, 1989) with TCP's slow start (RFC 5681) at the beginning: it doubles each
/// round trip until the first request is refused or late, and halves then. Later it grows by one after as many answers as it is, but at
/// least 128, and shrinks by a tenth when a request is refused: once for all that were under way at that time, as they
/// tell of the same excess. So where the other side has a fixed bound, under one request in a hundred finds it. It
/// grows only while it is used up.
///
/// ```
/// use nyx_protocol::requests::Cap;
///
/// let mut cap = Cap::adaptive(1_000);
/// let start = cap.limit();
/// for _ in 0..start {
///     cap.handle_answer(cap.limit()); // all that may be under way were
/// }
/// assert_eq!(cap.limit(), 2 * start);
/// cap.handle_refusal(0, 1);
/// assert_eq!(cap.limit(), start);
/// ```
#[derive(Clone, Debug)]
pub struct Cap {
    limit: f64,
    max: f64,
    adapts: bool,
    slow_start: bool,
    /// Answers since it last changed.
    answers: u64,
    /// The number of the first request that was sent after the last decrease.
    renewed_at: u64,
}

impl Cap {
    /// Always so many, at least 1.
    pub fn fixed(limit: usize) -> Self {
        let limit = limit.max(1) as f64;
        Self { limit, max: limit, adapts: false, slow_start: false, answers: 0, renewed_at: 0 }
    }

    /// As many as the other side takes, up to `max`.
    pub fn adaptive(max: usize) -> Self {
        let max = max.max(1) as f64;
        Self { limit: START.min(max), max, adapts: true, slow_start: true, answers: 0, renewed_at: 0 }
    }

    /// How many may be under way.
    pub const fn limit(&self) -> usize {
        self.limit as usize
    }

    /// A request was answered while, with it, `under_way` were.
    pub fn handle_answer(&mut self, under_way: usize) {
        if !self.adapts || under_way < self.limit() {
            return;
        }
        self.answers += 1;
        if self.slow_start || self.answers as f64 >= self.limit.max(PROBE) {
            self.limit = (self.limit + 1.0).min(self.max);
            self.answers = 0;
        }
    }

    /// Request number `number` was refused because there are too many, or was not answered in time. `next` is the number
    /// of the next that will be sent.
    pub fn handle_refusal(&mut self, number: u64, next: u64) {
        if !self.adapts || number < self.renewed_at {
            return;
        }
        let factor = if self.slow_start { OVERSHOT } else { DECREASE };
        self.limit = (self.limit * factor).max(1.0);
        (self.slow_start, self.answers, self.renewed_at) = (false, 0, next);
    }
}

/// Requests under way at first.
const START: f64 = 8.0;

/// Answers before one more is tried, at least.
const PROBE: f64 = 128.0;

/// What is left where one too many was tried.
const DECREASE: f64 = 0.9;

/// What is left after slow start, which may have gone to twice what there is room for.
const OVERSHOT: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_cap_is_not_moved() {
        let mut cap = Cap::fixed(0);
        cap.handle_answer(1);
        cap.handle_refusal(0, 1);
        assert_eq!(cap.limit(), 1);
    }

    #[test]
    fn refusals_of_one_round_count_once() {
        let mut cap = Cap::adaptive(100);
        (0..12).for_each(|_| cap.handle_answer(100));
        assert_eq!(cap.limit(), 20);
        (0..10).for_each(|number| cap.handle_refusal(number, 20));
        assert_eq!(cap.limit(), 10);
        cap.handle_refusal(20, 30);
        assert_eq!(cap.limit(), 9);
    }

    #[test]
    fn what_is_not_used_up_does_not_grow() {
        let mut cap = Cap::adaptive(100);
        (0..1_000).for_each(|_| cap.handle_answer(3));
        assert_eq!(cap.limit(), START as usize);
    }
}
