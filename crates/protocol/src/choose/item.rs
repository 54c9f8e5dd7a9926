//! One item: what is offered, what was chosen, what came of it.

use std::time::Duration;

use nyx_core::Instant;

use super::estimate::Cost;
use super::{Candidate, Codec, Form};

/// An item that is to be sent, and what there is to send it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Bytes of the whole item, not encoded.
    pub bytes: usize,
    /// Bytes of the delta, not encoded, where the receiver has something to which there is one.
    pub delta: Option<usize>,
    /// The receiver has a dictionary.
    pub dictionary: bool,
    /// The receiver has an earlier version that can be a prefix.
    pub prefix: bool,
}

impl Offer {
    /// An item of this size, of which the receiver has nothing.
    pub const fn new(bytes: usize) -> Self {
        Self { bytes, delta: None, dictionary: false, prefix: false }
    }

    /// Bytes that a candidate would have to encode.
    pub(super) fn size(&self, form: Form) -> usize {
        match form {
            Form::Full => self.bytes,
            Form::Delta => self.delta.unwrap_or(self.bytes),
        }
    }

    pub(super) fn has(&self, candidate: &Candidate) -> bool {
        let form = candidate.form == Form::Full || self.delta.is_some();
        form && match candidate.codec {
            Codec::Raw | Codec::Level(_) => true,
            Codec::Dictionary => self.dictionary,
            Codec::Prefix => self.prefix,
        }
    }
}

/// The way to the receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Bytes per second that it carries, as far as is known.
    pub drain: Option<u64>,
    /// Bytes that wait in front of the item.
    pub unsent: u64,
}

/// What an item came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes as they are sent, or would be.
    pub bytes: usize,
    /// CPU that making them took: one reading of the clock before, one after.
    pub cpu: Duration,
}

impl Outcome {
    pub(super) fn cost(&self) -> Cost {
        Cost { bytes: self.bytes as f64, cpu_nanos: nanos(self.cpu) }
    }
}

/// What was chosen for one item, to be given back with its [`Outcome`].
#[derive(Clone, Copy, Debug)]
#[must_use = "the chooser learns from what it is told with `record` or `record_trial`"]
pub struct Choice {
    pub(super) index: usize,
    pub(super) candidate: Candidate,
    pub(super) at: Instant,
    /// Bytes to encode.
    pub(super) size: usize,
    pub(super) way: Way,
    /// What the item takes by the current candidate, in nanoseconds.
    pub(super) to_beat: f64,
}

impl Choice {
    /// How the item is to be sent.
    pub const fn candidate(&self) -> Candidate {
        self.candidate
    }
}

/// A link as times: what waits in front, and what a byte takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    wait_nanos: f64,
    nanos_per_byte: f64,
}

impl Way {
    pub(super) fn new(link: &Link, drain_assumed: u64) -> Self {
        let drain = link.drain.unwrap_or(drain_assumed).max(1);
        let nanos_per_byte = 1e9 / drain as f64;
        Self { wait_nanos: link.unsent as f64 * nanos_per_byte, nanos_per_byte }
    }

    /// The objective, in nanoseconds, for an item that waits `gathering_nanos` for its batch.
    pub(super) fn delivery(&self, cost: Cost, gathering_nanos: f64) -> f64 {
        let ready = cost.cpu_nanos + gathering_nanos;
        (ready - self.wait_nanos).max(0.0) + cost.bytes * self.nanos_per_byte
    }

    /// What a trial may delay: nothing, while the link is busy.
    pub(super) fn trial_delay(&self, cost: Cost) -> f64 {
        (cost.cpu_nanos - self.wait_nanos).max(0.0)
    }
}

/// A duration as the estimates have it, without the division of 128 bits that whole nanoseconds would cost.
pub(super) fn nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}
