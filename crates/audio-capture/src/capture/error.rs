//! Why a capture does not start, and why it ends.

use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::convert::RequestError;
use crate::input::{OpenError, ReadError};

/// Why a capture does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The input can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The device can't be made into what the configuration asks for.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The machine has no thread for it. End something.
    #[error("the system has no thread for the capture: {0}. End something, or raise the limit (`ulimit -u`)")]
    Thread(#[source] io::Error),
}

/// Why a capture ended by itself. What was captured before that is in the queue.
#[derive(Debug, Error)]
pub enum Error {
    /// The input failed, in a way that trying again does not mend.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The device or its server was lost, and did not come back in time. Start it, and capture again.
    #[error("{lost}; it did not come back within {waited:.1?}: {last}")]
    GaveUp {
        /// How it was lost.
        lost: ReadError,
        /// How long it was tried again.
        waited: Duration,
        /// Why the last attempt failed.
        #[source]
        last: OpenError,
    },
    /// What came back is something else than what was lost, and can't be converted. Capture again.
    #[error("{lost}; what came back can't be captured the same way: {error}")]
    Changed {
        /// How it was lost.
        lost: ReadError,
        /// What is in the way.
        #[source]
        error: RequestError,
    },
    /// The input panicked: a defect of it.
    #[error("the input panicked: this is a defect of the input, please report it")]
    Panicked,
}
