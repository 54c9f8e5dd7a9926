//! A timer for a deadline that moves.

use std::pin::Pin;
use std::task::{Context, Poll};

use nyx_core::Instant;
use tokio::time::Sleep;

/// Wakes the task at a deadline. Deadlines mostly move back while a connection is in use; the timer is not touched then, and
/// wakes once too early instead.
#[derive(Debug, Default)]
pub struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    at: Instant,
}

impl Alarm {
    /// Ready when `deadline` has passed; otherwise the task is woken then, or before. Must be called within a tokio runtime that has
    /// time enabled.
    pub fn poll(&mut self, cx: &mut Context<'_>, now: Instant, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        if deadline <= now {
            return Poll::Ready(());
        }
        loop {
            match &mut self.sleep {
                Some(sleep) if self.at <= deadline => match sleep.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => self.sleep = None,
                },
                _ => {
                    self.at = deadline;
                    self.sleep = Some(Box::pin(tokio::time::sleep(deadline.since(now))));
                }
            }
        }
    }
}
