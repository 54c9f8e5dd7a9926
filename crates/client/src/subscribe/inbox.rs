//! What has arrived for one subscription and waits for it.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::{Gap, Reconnected, RecvError, Run};
use crate::Refusal;

/// One thing on its way to a subscription.
#[derive(Debug)]
pub(crate) enum Delivery {
    Run(Run),
    Gap(Gap),
    Reconnected(Reconnected),
    Refused(Refusal),
}

/// A queue with one consumer. Runs are bounded by the hub's window and by what the reader reads ahead; notices in between
/// are merged.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Delivery>,
    waker: Option<Waker>,
    closed: Option<RecvError>,
}

impl Inbox {
    /// Appends, unless the subscription is gone or ended: then it is dropped.
    pub(crate) fn push(&self, delivery: Delivery) {
        let waker = {
            let mut state = self.0.lock();
            if state.closed.is_some() {
                None
            } else {
                state.push(delivery);
                state.waker.take()
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Nothing comes after what is here. What is here is still delivered.
    pub(crate) fn close(&self, error: RecvError) {
        let mut state = self.0.lock();
        state.closed.get_or_insert(error);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The subscription is gone: what waits here is dropped, and so counted as consumed.
    pub(crate) fn abandon(&self) {
        let mut state = self.0.lock();
        state.closed.get_or_insert(RecvError::Closed);
        let rest = std::mem::take(&mut state.queue);
        drop(state);
        drop(rest);
    }

    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Result<Delivery, RecvError>> {
        let mut state = self.0.lock();
        if let Some(delivery) = state.queue.pop_front() {
            return Poll::Ready(Ok(delivery));
        }
        if let Some(error) = &state.closed {
            return Poll::Ready(Err(error.clone()));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl State {
    /// Notices merge with those that no run separates them from, so that a stream of notices takes no memory.
    fn push(&mut self, delivery: Delivery) {
        let mut notices =
            self.queue.iter_mut().rev().take_while(|delivery| !matches!(delivery, Delivery::Run(_)));
        match delivery {
            Delivery::Gap(gap) => {
                let earlier = notices.find_map(|delivery| match delivery {
                    Delivery::Gap(earlier) if earlier.topic.name == gap.topic.name => Some(earlier),
                    _ => None,
                });
                match earlier {
                    Some(earlier) => earlier.merge(gap),
                    None => self.queue.push_back(Delivery::Gap(gap)),
                }
            }
            Delivery::Reconnected(reconnected) => {
                let earlier = notices.find_map(|delivery| match delivery {
                    Delivery::Reconnected(earlier) => Some(earlier),
                    _ => None,
                });
                match earlier {
                    Some(earlier) => earlier.downtime += reconnected.downtime,
                    None => self.queue.push_back(Delivery::Reconnected(reconnected)),
                }
            }
            Delivery::Refused(refusal) => {
                let earlier = notices.find_map(|delivery| match delivery {
                    Delivery::Refused(earlier) => Some(earlier),
                    _ => None,
                });
                match earlier {
                    Some(earlier) => *earlier = refusal,
                    None => self.queue.push_back(Delivery::Refused(refusal)),
                }
            }
            Delivery::Run(run) => self.queue.push_back(Delivery::Run(run)),
        }
    }
}
