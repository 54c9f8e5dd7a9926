//! A capture: an input, a thread that waits for it, and a queue of chunks.

mod config;
mod device_clock;
mod driver;
mod error;
mod feed;

use std::sync::Arc;
use std::thread::{self, JoinHandle};

pub use config::Config;
pub use error::{Error, StartError};
pub use feed::Feed;

use crate::format::Format;
use crate::input::{Input, Request};
use crate::queue::{self, Metrics, Reader};
use driver::{Driver, Stop};

/// A running capture. Dropping it stops it without waiting.
///
/// ```
/// use nyx_audio_capture::{Capture, Format, capture, input, synth};
///
/// let source = synth::Tone::new(Format::new(48_000, 2)?, 440.0, 0.5);
/// let (capture, mut reader) = Capture::start(input::Paced::new(source), capture::Config::default())?;
/// let first = reader.recv().expect("it has just begun");
/// let second = reader.recv().expect("it goes on");
/// assert_eq!(second.first_frame, first.end_frame());
/// assert!(!second.silent && !second.discontinuity);
/// capture.stop()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Capture {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<Result<(), Error>>>,
    probe: queue::Probe,
    format: Format,
}

impl Capture {
    /// Opens the input, and captures it in a thread of its own.
    ///
    /// # Errors
    ///
    /// [`StartError`], which says whether the input, the request or the machine is in the way.
    pub fn start(mut input: impl Input + 'static, config: Config) -> Result<(Self, Reader), StartError> {
        let request = Request { chunk_frames: config.chunk_frames() };
        let opened = input.open(&request)?;
        let (mut feed, reader) = Feed::new(opened.format, &config)?;
        feed.set_latency(opened.latency);
        let (probe, format) = (feed.probe(), feed.format());
        let stop = Arc::new(Stop::default());
        let driver = Driver::new(input, request, feed, Arc::clone(&stop), config.reconnect);
        let thread = thread::Builder::new()
            .name("nyx capture".to_owned())
            .spawn(|| driver.run())
            .map_err(StartError::Thread)?;
        Ok((Self { stop, thread: Some(thread), probe, format }, reader))
    }

    /// Rate and channels of the chunks.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// What the queue has done so far.
    pub fn metrics(&self) -> Metrics {
        self.probe.metrics()
    }

    /// Whether it has ended by itself: the source has no more, or failed. [`Self::stop`] says why.
    pub fn is_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Captures up to this moment, which takes as long as the device's latency, and ends. What was captured can still be read.
    ///
    /// # Errors
    ///
    /// [`enum@Error`] when the capture had ended before, by a failure. Everything that was captured until then is in the queue.
    pub fn stop(mut self) -> Result<(), Error> {
        self.request_stop();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            // An input that panicked has told so on stderr.
            Some(Err(_)) => Err(Error::Panicked),
            None => Ok(()),
        }
    }

    fn request_stop(&self) {
        self.stop.request();
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.request_stop();
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("format", &self.format).field("ended", &self.is_ended()).finish()
    }
}
