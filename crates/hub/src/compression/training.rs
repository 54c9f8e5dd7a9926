//! Trainings, which take some ten milliseconds each and so are left to whoever drives the hub.

use std::sync::Arc;
use std::task::{Poll, Waker};

use nyx_protocol::compress::dictionary::{Job, TrainError, Trained};

use crate::hub::Hub;
use crate::topic::Topic;

/// A dictionary to be trained for a topic, on its own deltas. Dropping it puts the training off.
pub struct Training {
    topic: Arc<Topic>,
    job: Option<Job>,
}

impl Training {
    /// Trains, which takes about 30 ms and 10 MiB: not on a thread that serves sessions. The topic uses what comes of it, if that pays.
    pub fn run(mut self) {
        if let Some(job) = self.job.take() {
            self.topic.handle_trained(job.run().map_err(Some));
        }
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        if self.job.is_some() {
            self.topic.handle_trained(Err(None));
        }
    }
}

impl std::fmt::Debug for Training {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Training").field("topic", self.topic.name()).finish_non_exhaustive()
    }
}

/// What came of a training; `None`: it was not done.
pub(crate) type Outcome = Result<Trained, Option<TrainError>>;

impl Hub {
    /// The next training. A driver runs it where it disturbs nobody; one that never asks has a hub without dictionaries. When there is
    /// none, `waker` is woken once there is.
    pub fn poll_training(&self, waker: &Waker) -> Poll<Training> {
        while let Some(id) = self.inner.engine.next_training(waker) {
            let Some(topic) = self.topic_by_id(id) else { continue };
            if let Some(job) = topic.take_training() {
                return Poll::Ready(Training { topic, job: Some(job) });
            }
        }
        Poll::Pending
    }
}
