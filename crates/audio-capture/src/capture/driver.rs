//! The thread of a capture.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nyx_core::{Clock as _, Instant};

use super::error::Error;
use super::feed::Feed;
use crate::input::{Input, OpenError, Opened, Progress, ReadError, Request};

/// Tells the thread to end.
#[derive(Debug, Default)]
pub(super) struct Stop(AtomicBool);

impl Stop {
    pub(super) fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Waits for the input, again and again, and gets it back when it is lost.
pub(super) struct Driver<I> {
    input: I,
    request: Request,
    feed: Feed,
    stop: Arc<Stop>,
    reconnect: Duration,
    /// Up to when to go on capturing, and when to end even if that has not been reached.
    end: Option<(Instant, Instant)>,
}

impl<I: Input> Driver<I> {
    pub(super) const fn new(
        input: I,
        request: Request,
        feed: Feed,
        stop: Arc<Stop>,
        reconnect: Duration,
    ) -> Self {
        Self { input, request, feed, stop, reconnect, end: None }
    }

    pub(super) fn run(mut self) -> Result<(), Error> {
        let outcome = self.capture();
        self.feed.flush();
        self.input.close();
        outcome
    }

    fn capture(&mut self) -> Result<(), Error> {
        while !self.is_over() {
            match self.input.read(&mut self.feed) {
                Ok(Progress::More) => {}
                Ok(Progress::End) => return Ok(()),
                Err(error) => {
                    self.feed.count_error();
                    if !error.may_come_back() || self.reconnect.is_zero() {
                        return Err(error.into());
                    }
                    self.recover(error)?;
                }
            }
        }
        Ok(())
    }

    /// Whether to end: when the moment has been captured at which it was told to.
    fn is_over(&mut self) -> bool {
        if self.feed.is_abandoned() {
            return true;
        }
        if self.end.is_none() && !self.stop.is_requested() {
            return false;
        }
        let now = self.feed.clock().now();
        let (until, at_latest) = *self.end.get_or_insert((now, now + DRAIN_MAX));
        self.feed.captured_until() >= until || now >= at_latest
    }

    /// Opens the input again, with pauses in between, until that succeeds, time is up, or nobody wants it any more.
    fn recover(&mut self, lost: ReadError) -> Result<(), Error> {
        let started = self.feed.clock().now();
        let mut pause = PAUSE_MIN;
        loop {
            self.input.close();
            match self.input.open(&self.request) {
                Ok(opened) => return self.resume(opened, lost),
                Err(last) => {
                    let waited = self.feed.clock().now().since(started);
                    if waited >= self.reconnect || !may_succeed_later(&last) {
                        return Err(Error::GaveUp { lost, waited, last });
                    }
                }
            }
            thread::park_timeout(pause);
            pause = (pause * 2).min(PAUSE_MAX);
            if self.stop.is_requested() || self.feed.is_abandoned() {
                // Nothing more will be captured: what was lost stays lost, and that is no failure of the stop.
                self.end = Some((Instant::ZERO, Instant::ZERO));
                return Ok(());
            }
        }
    }

    fn resume(&mut self, opened: Opened, lost: ReadError) -> Result<(), Error> {
        self.feed.accept(opened.format).map_err(|error| Error::Changed { lost, error })?;
        self.feed.set_latency(opened.latency);
        self.feed.discontinuity(None);
        Ok(())
    }
}

/// What a person or a service manager may put right meanwhile.
const fn may_succeed_later(error: &OpenError) -> bool {
    matches!(
        error,
        OpenError::NoServer { .. }
            | OpenError::NoDevice { .. }
            | OpenError::NoApplication { .. }
            | OpenError::Failed { .. }
    )
}

/// Longer than the latency of any device that is set up for capturing.
const DRAIN_MAX: Duration = Duration::from_millis(500);

/// A server that is restarted is back in a moment; one that is not need not be asked often.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
