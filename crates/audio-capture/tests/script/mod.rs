//! An input that does what a test tells it to.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use nyx_audio_capture::capture::Feed;
use nyx_audio_capture::input::{OpenError, Opened, Progress, READ_MAX, ReadError, Request};
use nyx_audio_capture::synth::Ramp;
use nyx_audio_capture::{Chunk, Format, Input, queue};

/// What happens next.
#[allow(dead_code, reason = "each test file uses some")]
pub(crate) enum Step {
    /// So many frames arrive, numbered on from the last.
    Frames(u64),
    /// So many silent frames arrive.
    Silence(u64),
    /// The device says that so many frames are silent.
    SaidSilent(u64),
    /// It has nothing to deliver, as there is nothing to be heard.
    Idle,
    /// It fails.
    Fail(ReadError),
    /// It comes to its end.
    End,
}

pub(crate) struct Script {
    steps: Receiver<Step>,
    format: Format,
    next_frame: u64,
    /// How often opening fails after the first time.
    refusals: u32,
    opened: bool,
}

/// A script, and what tells it its steps.
pub(crate) fn script(format: Format, refusals: u32) -> (Sender<Step>, Script) {
    let (sender, steps) = mpsc::channel();
    (sender, Script { steps, format, next_frame: 0, refusals, opened: false })
}

impl Input for Script {
    fn open(&mut self, _: &Request) -> Result<Opened, OpenError> {
        if self.opened && self.refusals > 0 {
            self.refusals -= 1;
            return Err(OpenError::Failed { doing: "a test was run", reason: "not yet".to_owned() });
        }
        self.opened = true;
        Ok(Opened { format: self.format, latency: Duration::ZERO })
    }

    fn read(&mut self, feed: &mut Feed) -> Result<Progress, ReadError> {
        match self.steps.recv_timeout(READ_MAX) {
            Ok(Step::Frames(frames)) => {
                for _ in 0..frames {
                    let sample = Ramp::sample(self.next_frame);
                    let frame = [sample; 2];
                    feed.push(&frame[..usize::from(self.format.channels())]);
                    self.next_frame += 1;
                }
                Ok(Progress::More)
            }
            Ok(Step::Silence(frames)) => {
                feed.push(&vec![0.0; frames as usize * usize::from(self.format.channels())]);
                Ok(Progress::More)
            }
            Ok(Step::SaidSilent(frames)) => {
                feed.push_silence(frames);
                Ok(Progress::More)
            }
            Ok(Step::Idle) => {
                feed.idle();
                Ok(Progress::More)
            }
            Ok(Step::Fail(error)) => Err(error),
            Ok(Step::End) | Err(RecvTimeoutError::Disconnected) => Ok(Progress::End),
            Err(RecvTimeoutError::Timeout) => Ok(Progress::More),
        }
    }

    fn close(&mut self) {}
}

/// Everything up to the end of the capture.
#[allow(dead_code, reason = "each test file uses some")]
pub(crate) fn drain(reader: &mut queue::Reader) -> Vec<Chunk> {
    std::iter::from_fn(|| reader.recv()).collect()
}
