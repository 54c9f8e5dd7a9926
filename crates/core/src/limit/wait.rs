use std::time::Duration;

use thiserror::Error;

use super::grain::DEBT_MAX;
use super::{Limiter, OverBurst};
use crate::{Clock, Instant};

impl<C: Clock> Limiter<C> {
    /// Takes `n` tokens as soon as they are there. `sleep` makes a future that ends after a duration, of whatever runtime
    /// is in use: `limiter.wait(n, tokio::time::sleep).await`.
    ///
    /// The tokens are reserved by the first poll, and nobody who comes later can delay them: neither other waiters, who are served in the
    /// order of their reservations, nor [`Limiter::check`], which is denied while reservations wait. So a large request isn't
    /// starved by small ones. The quota bounds the moments that were reserved; a timer that fires late moves what it delays.
    /// After [`Limiter::set_quota`] a waiter sleeps on until the moment that it knew, and then by the new rate if it must.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before it ends gives its tokens back if nobody has reserved or taken any after it. Otherwise
    /// they lapse: those behind keep the moments that they know, and tokens given back before them would let newcomers
    /// have the same moments over again.
    ///
    /// # Complexity
    ///
    /// O(1), and no allocation: there is no queue, only the account.
    ///
    /// # Errors
    ///
    /// If `n` is over the burst, or the wait would be for years. Nothing is taken then.
    ///
    /// ```
    /// use nyx_core::clock::Manual;
    /// use nyx_core::limit::{Limiter, Quota};
    ///
    /// let clock = Manual::new();
    /// let limiter = Limiter::with_clock(&Quota::per_second(10)?.with_burst(1)?, clock.clone());
    /// let sleep = |duration| {
    ///     clock.advance(duration);
    ///     std::future::ready(())
    /// };
    /// let work = async {
    ///     for _ in 0..5 {
    ///         limiter.wait(1, sleep).await.unwrap();
    ///     }
    /// };
    /// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// # assert!(std::pin::pin!(work).poll(&mut context).is_ready());
    /// # use nyx_core::Clock;
    /// # assert_eq!(clock.now().as_nanos(), 400_000_000);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub async fn wait<S: Future<Output = ()>>(
        &self,
        n: u64,
        mut sleep: impl FnMut(Duration) -> S,
    ) -> Result<(), WaitError> {
        let mut reservation = Reservation::new(self, n)?;
        loop {
            let now = self.clock().now();
            let due = reservation.due().ok_or(WaitError::Never)?;
            if due <= now {
                reservation.used = true;
                return Ok(());
            }
            sleep(due - now).await;
        }
    }
}

/// Why nobody can wait for these tokens. None were taken.
///
/// ```
/// use nyx_core::clock::Manual;
/// use nyx_core::limit::{Limiter, OverBurst, Quota, WaitError};
///
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// let limiter = Limiter::with_clock(&Quota::per_second(10)?, Manual::new());
/// let refused = std::pin::pin!(limiter.wait(11, |_| std::future::ready(()))).poll(&mut context);
/// let over_burst = OverBurst { asked: 11, burst: 10 };
/// assert_eq!(refused, std::task::Poll::Ready(Err(WaitError::OverBurst(over_burst))));
/// # Ok::<(), nyx_core::limit::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WaitError {
    /// More than the burst. Wait for parts, or give the quota a larger burst.
    #[error(transparent)]
    OverBurst(#[from] OverBurst),
    /// The reservations before it, or the age of the limiter, put it years away. Make a new limiter, or do without.
    #[error("so many tokens are reserved that these would come in years; bound the number of waiters")]
    Never,
}

/// Tokens that were spent ahead of time, and go back unless they are used.
#[derive(Debug)]
struct Reservation<'a, C: Clock> {
    limiter: &'a Limiter<C>,
    /// The tokens in grains.
    cost: u64,
    /// What is spent with these tokens included: their place in the order.
    place: u64,
    used: bool,
}

impl<'a, C: Clock> Reservation<'a, C> {
    fn new(limiter: &'a Limiter<C>, tokens: u64) -> Result<Self, WaitError> {
        let (meter, now) = (limiter.meter(), limiter.clock().now());
        loop {
            let flow = meter.flow();
            let cost = flow.cost(meter.grain(), tokens)?;
            let (spent, level) = (meter.spent(), flow.level(now));
            if spent.saturating_sub(level) > DEBT_MAX {
                return Err(WaitError::Never);
            }
            let place = spent.max(level) + cost;
            if meter.replace_spent(spent, place).is_ok() {
                return Ok(Self { limiter, cost, place, used: false });
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let flow = self.limiter.meter().flow();
        flow.reaches(self.place.saturating_sub(flow.burst))
    }
}

impl<C: Clock> Drop for Reservation<'_, C> {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        // Only the last in the order can leave without a gap. Once the level has passed the place, this changes nothing: what
        // is spent counts from the level then.
        let meter = self.limiter.meter();
        let mut spent = meter.spent();
        while spent == self.place
            && let Err(changed) = meter.replace_spent(spent, self.place - self.cost)
        {
            spent = changed;
        }
    }
}
