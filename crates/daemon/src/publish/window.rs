//! What is on its way to the hub, and how much of it there may be.

use std::collections::VecDeque;
use std::time::Duration;

use nyx_client::publish::{Frame, Frames};
use nyx_client::{Client, FlushError};
use nyx_core::Instant;
use nyx_core::clock::{Clock as _, Monotonic};
use tokio::task::JoinHandle;

use crate::exit::Outcome;

/// The frames that are on their way to the hub. No more are let on it than the hub confirms without delay, so that none grows
/// old there.
pub(crate) struct Way {
    client: Client,
    clock: Monotonic,
    window: Window,
    /// In order. Each yields how long it took.
    unconfirmed: VecDeque<OnTheWay>,
    /// How long the last one took that arrived.
    took: Duration,
}

struct OnTheWay {
    since: Instant,
    arrival: JoinHandle<Result<Duration, FlushError>>,
}

impl Way {
    /// Nothing on it.
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            clock: Monotonic::new(),
            window: Window::new(),
            unconfirmed: VecDeque::new(),
            took: Duration::ZERO,
        }
    }

    /// Sends a frame. It is on its way from the beginning of this, for the client too may make it wait.
    pub(crate) async fn send(&mut self, frames: &Frames, frame: Frame) -> Outcome {
        let (client, clock) = (self.client.clone(), self.clock.clone());
        let since = clock.now();
        frames.send(frame).await.map_err(|error| error.cause)?;
        let arrival = tokio::spawn(async move {
            client.flush().await?;
            Ok(clock.now() - since)
        });
        self.unconfirmed.push_back(OnTheWay { since, arrival });
        Ok(())
    }

    /// Waits until another one may be sent.
    pub(crate) async fn clear(&mut self) -> Outcome {
        loop {
            let is_full = self.unconfirmed.len() >= self.window.size();
            let oldest = self.unconfirmed.front_mut();
            let Some(oldest) = oldest.filter(|oldest| is_full || oldest.arrival.is_finished()) else {
                return Ok(());
            };
            let confirmed = (&mut oldest.arrival).await?;
            self.unconfirmed.pop_front();
            match confirmed {
                Ok(took) => {
                    self.took = took;
                    self.window.confirm(took);
                }
                // What was lost with its connection is counted at the end; the next frame is fresher.
                Err(FlushError::Interrupted { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How much longer frames take now than the way is long: what they spend waiting for each other.
    pub(crate) fn held_up(&self) -> Duration {
        let under_way =
            self.unconfirmed.front().map_or(Duration::ZERO, |oldest| self.clock.now() - oldest.since);
        self.took.max(under_way).saturating_sub(self.window.fastest)
    }
}

/// A window that widens while confirmations come as fast as ever, and narrows when they are held up: then more on the way
/// brings nothing but age. The idea is that of TCP Vegas (Brakmo and Peterson, 1995).
#[derive(Debug)]
struct Window {
    size: usize,
    fastest: Duration,
    /// Confirmations without delay to wait for before it is widened again.
    wary: u32,
}

impl Window {
    /// One frame.
    const fn new() -> Self {
        Self { size: 1, fastest: Duration::MAX, wary: 0 }
    }

    /// Frames that may be unconfirmed.
    const fn size(&self) -> usize {
        self.size
    }

    /// A frame was confirmed `took` after it was sent.
    fn confirm(&mut self, took: Duration) {
        self.fastest = self.fastest.min(took);
        let held_up = took > self.fastest.mul_f64(1.5).max(self.fastest + JITTER);
        if held_up {
            self.wary = WARY;
            self.size = self.size.saturating_sub(1).max(1);
        } else if self.wary > 0 {
            self.wary -= 1;
        } else {
            self.size = (self.size + 1).min(SIZE_MAX);
        }
    }
}

/// Where a frame more has been too much, every eighth at most finds out whether it still is.
const WARY: u32 = 8;

/// Delays that mean nothing.
const JITTER: Duration = Duration::from_millis(20);

/// Enough for 30 fps over a round trip of half a second.
const SIZE_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn after(confirmations: impl IntoIterator<Item = u64>) -> usize {
        let mut window = Window::new();
        confirmations.into_iter().for_each(|millis| window.confirm(Duration::from_millis(millis)));
        window.size()
    }

    #[test]
    fn a_long_way_widens_it() {
        assert_eq!(after([100, 105, 99, 140, 110]), 6);
        assert_eq!(after([100; 100]), SIZE_MAX);
    }

    #[test]
    fn a_slow_link_keeps_it_narrow() {
        assert_eq!(after([300, 300, 600, 900, 800]), 1);
        assert_eq!(after([300, 600, 300, 600]), 1);
    }

    #[test]
    fn what_was_too_much_is_not_tried_again_at_once() {
        assert_eq!(after([300, 600, 300, 300, 300, 300, 300, 300, 300, 300]), 1);
        assert_eq!(after([300, 600, 300, 300, 300, 300, 300, 300, 300, 300, 300]), 2);
    }

    #[test]
    fn jitter_of_a_short_way_does_not_count() {
        assert_eq!(after([1, 15, 1, 20]), 5);
    }
}
