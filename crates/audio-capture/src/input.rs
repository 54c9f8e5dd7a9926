//! What can be captured.

use std::io;
use std::thread;
use std::time::Duration;

use nyx_core::clock::Monotonic;
use nyx_core::{Clock as _, Instant};
use thiserror::Error;

use crate::capture::Feed;
use crate::format::Format;
use crate::source::{self, Block, Source};

/// Something that is captured as it happens: a device, what one application plays, or a source that is played in real time.
///
/// It is driven by a thread of its own: opened once, then read until it ends or the capture is stopped, then closed. When it was lost it is closed and
/// opened again.
pub trait Input: Send {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    fn open(&mut self, request: &Request) -> Result<Opened, OpenError>;

    /// Waits until something has been captured, and hands it to `feed`. Returns at the latest after [`READ_MAX`], so that a capture can be stopped;
    /// allocates nothing and takes no lock in the steady state.
    ///
    /// # Errors
    ///
    /// [`ReadError`], after everything that was captured before.
    fn read(&mut self, feed: &mut Feed) -> Result<Progress, ReadError>;

    /// Lets go of what it has opened.
    fn close(&mut self);
}

impl<I: Input + ?Sized> Input for Box<I> {
    fn open(&mut self, request: &Request) -> Result<Opened, OpenError> {
        (**self).open(request)
    }

    fn read(&mut self, feed: &mut Feed) -> Result<Progress, ReadError> {
        (**self).read(feed)
    }

    fn close(&mut self) {
        (**self).close();
    }
}

/// How an input should deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Frames of a chunk: delivering less at a time only costs wake-ups, delivering more costs delay.
    pub chunk_frames: usize,
}

/// What an input delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Rate and channels.
    pub format: Format,
    /// How long before its arrival a frame is captured at least.
    pub latency: Duration,
}

/// Whether there is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Read again.
    More,
    /// The input has come to its end.
    End,
}

/// Why an input can't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// No sound server answers. Start one.
    #[error(
        "no sound server answers at {address}: {error}. Start one (`systemctl --user start pipewire-pulse`, or `pulseaudio --start`), or say by PULSE_SERVER where it is"
    )]
    NoServer {
        /// Where it was looked for.
        address: String,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// The server does not let us in. Let it be asked as the user that it runs for.
    #[error(
        "the sound server refuses us: {reason}. Ask it as the user that it runs for, or say by PULSE_COOKIE where its cookie is"
    )]
    Refused {
        /// What it said.
        reason: String,
    },
    /// There is no such device. Choose one that there is, or plug it in.
    #[error("there is no device `{wanted}`. There are: {known}")]
    NoDevice {
        /// What was asked for.
        wanted: String,
        /// The names of those that there are, with commas between.
        known: String,
    },
    /// No such application plays. Let it play, and try again.
    #[error("no application plays as {wanted}. Let it play something first. These play: {known}")]
    NoApplication {
        /// What was asked for.
        wanted: String,
        /// The names of those that play, with commas between.
        known: String,
    },
    /// The device delivers samples that can't be read. Choose another device or format.
    #[error(
        "the device delivers {what}, which can't be captured: choose another device, or another format in its settings"
    )]
    Unsupported {
        /// What it delivers.
        what: String,
    },
    /// The server or the operating system failed.
    #[error("the sound system failed while {doing}: {reason}. Try again; if that does not help, restart it")]
    Failed {
        /// During what.
        doing: &'static str,
        /// What it said.
        reason: String,
    },
}

/// Why there is no more from an input.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The server went away. It is tried again.
    #[error("the connection to the sound server is lost: {reason}")]
    Lost {
        /// What the operating system or the server said.
        reason: String,
    },
    /// The device was unplugged or switched off. Plug it in.
    #[error("the device `{name}` is gone: plug it in, or choose another one")]
    DeviceGone {
        /// Its name.
        name: String,
    },
    /// The application whose sound was captured has ended or closed its stream. That is the end of it; capture again when it plays again.
    #[error(
        "the application {name} has stopped playing and closed its stream: what it played is complete. Capture again when it plays again"
    )]
    ApplicationGone {
        /// Its name.
        name: String,
    },
    /// The source that was played in real time failed.
    #[error(transparent)]
    Source(#[from] source::Error),
}

impl ReadError {
    /// Whether opening the input again may help.
    pub const fn may_come_back(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::DeviceGone { .. })
    }
}

/// The longest time that an [`Input`] may wait for something to capture.
pub const READ_MAX: Duration = Duration::from_millis(100);

/// A [`Source`] that is played in real time, as if it were a device: a WAV file, a melody, a test tone.
///
/// What is late is caught up with, so nothing is ever missing. See [`Capture`](crate::Capture) for an example.
#[derive(Debug)]
pub struct Paced<S> {
    source: S,
    frames: usize,
    clock: Monotonic,
    start: Option<Instant>,
    played: u64,
}

impl<S: Source + Send> Paced<S> {
    /// Plays `source` from where it is.
    pub fn new(source: S) -> Self {
        Self { source, frames: 0, clock: Monotonic::new(), start: None, played: 0 }
    }

    /// Waits until `due`, and says whether that is reached.
    fn wait_until(&self, due: Instant) -> bool {
        let wait = due - self.clock.now();
        if !wait.is_zero() {
            // A capture that is stopped unparks the thread.
            thread::park_timeout(wait.min(READ_MAX));
        }
        self.clock.now() >= due
    }
}

impl<S: Source + Send> Input for Paced<S> {
    fn open(&mut self, request: &Request) -> Result<Opened, OpenError> {
        self.frames = request.chunk_frames;
        Ok(Opened { format: self.source.format(), latency: Duration::ZERO })
    }

    fn read(&mut self, feed: &mut Feed) -> Result<Progress, ReadError> {
        let format = self.source.format();
        let start = *self.start.get_or_insert_with(|| self.clock.now());
        // A block has been captured when its last frame has.
        if !self.wait_until(start + format.duration_of(self.played + self.frames as u64)) {
            return Ok(Progress::More);
        }
        let Some(Block { frames, pcm, .. }) = self.source.next_block(self.frames)? else {
            return Ok(Progress::End);
        };
        self.played += frames as u64;
        feed.push_pcm(self.source.encoding(), &pcm);
        Ok(Progress::More)
    }

    fn close(&mut self) {}
}
