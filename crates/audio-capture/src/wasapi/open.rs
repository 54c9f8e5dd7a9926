//! A stream that runs.

use std::time::Duration;

use nyx_core::clock::Monotonic;
use nyx_core::{Clock as _, Instant};
use wasapi::{
    AudioCaptureClient, AudioClient, Direction, Handle, SampleType, StreamMode, WasapiError, WaveFormat,
};

use super::failed;
use super::find::{Found, Origin};
use super::mmcss::ProAudio;
use crate::capture::Feed;
use crate::format::{Encoding, Format};
use crate::input::{OpenError, READ_MAX};

/// Why nothing more can be read.
pub(super) enum ReadFailure {
    /// As the system says.
    System(WasapiError),
    /// An input, which delivers silence too, has delivered nothing for [`STALLED`].
    Stalled,
}

impl From<WasapiError> for ReadFailure {
    fn from(error: WasapiError) -> Self {
        Self::System(error)
    }
}

/// Belongs to the thread that made it.
pub(super) struct Open {
    client: AudioClient,
    packets: AudioCaptureClient,
    event: Handle,
    frame_bytes: usize,
    buffer: Vec<u8>,
    origin: Origin,
    /// Whether a packet has come since the start or the last silence.
    has_begun: bool,
    clock: Monotonic,
    /// When the last packet came; at first, the start.
    delivered: Instant,
    /// Leaves the scheduler's class when it is dropped; `None` before the start and where the system does not let us in.
    class: Option<ProAudio>,
}

impl Open {
    /// Gets all that is needed for a start: a device that is in exclusive use by others, say, is refused here. Samples are converted to floats by the system.
    pub(super) fn prepare(found: Found) -> Result<Self, OpenError> {
        Self::try_prepare(found).map_err(|error| failed("the stream was set up", &error))
    }

    fn try_prepare(found: Found) -> Result<Self, WasapiError> {
        let Found { mut client, format, period: _, origin } = found;
        let mode = StreamMode::EventsShared { autoconvert: true, buffer_duration_hns: BUFFER_100NS };
        client.initialize_client(&wave_format(format), &Direction::Capture, &mode)?;
        let event = client.set_get_eventhandle()?;
        let packets = client.get_audiocaptureclient()?;
        let frame_bytes = format.frame_bytes(Encoding::F32Le);
        // A packet is a period of some milliseconds; it grows where one is longer.
        let buffer = vec![0; format.frames_in(READ_MAX) as usize * frame_bytes];
        let clock = Monotonic::new();
        Ok(Self {
            client,
            packets,
            event,
            frame_bytes,
            buffer,
            origin,
            has_begun: false,
            delivered: clock.now(),
            clock,
            class: None,
        })
    }

    /// Begins to capture.
    pub(super) fn start(mut self) -> Result<Self, OpenError> {
        self.class = ProAudio::join();
        self.client.start_stream().map_err(|error| failed("the stream was started", &error))?;
        self.delivered = self.clock.now();
        Ok(self)
    }

    /// Waits for the event, and hands on all packets.
    pub(super) fn read(&mut self, feed: &mut Feed) -> Result<(), ReadFailure> {
        match self.event.wait_for_event(READ_MAX.as_millis() as u32) {
            Ok(()) | Err(WasapiError::EventTimeout) => {}
            Err(error) => return Err(error.into()),
        }
        let mut any = false;
        while let Some(frames) = self.packets.get_next_packet_size()?.filter(|frames| *frames > 0) {
            self.packet(frames as usize, feed)?;
            any = true;
        }
        if any {
            self.delivered = self.clock.now();
            return Ok(());
        }
        self.without_packets(feed)
    }

    fn without_packets(&mut self, feed: &mut Feed) -> Result<(), ReadFailure> {
        // A device that is gone may have no packets rather than an error, and events all the same: Wine's is so. Of a process this can't be asked.
        if !matches!(self.origin, Origin::Process(_)) {
            self.client.get_current_padding()?;
        }
        let waited = self.clock.now().since(self.delivered);
        match self.origin {
            Origin::Input if waited >= STALLED => return Err(ReadFailure::Stalled),
            Origin::Output | Origin::Process(_) if waited >= IDLE => {
                feed.idle();
                self.has_begun = false;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the process has ended that is captured. What the system had mixed of it by then may still be to be read.
    pub(super) fn is_over(&self) -> bool {
        matches!(&self.origin, Origin::Process(Some(process)) if process.has_ended())
    }

    fn packet(&mut self, frames: usize, feed: &mut Feed) -> Result<(), WasapiError> {
        let bytes = frames * self.frame_bytes;
        if self.buffer.len() < bytes {
            self.buffer.resize(bytes, 0);
        }
        let (frames, info) = self.packets.read_from_device(&mut self.buffer)?;
        // The first packet is always said not to join what came before, and the first after silence may be: that has been filled in.
        if info.flags.data_discontinuity && self.has_begun {
            feed.discontinuity(None);
        }
        self.has_begun = true;
        if info.flags.silent {
            feed.push_silence(frames.into());
        } else {
            feed.push_pcm(Encoding::F32Le, &self.buffer[..frames as usize * self.frame_bytes]);
        }
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // A device that is gone can't be stopped, and need not be.
        let _ = self.client.stop_stream();
    }
}

fn wave_format(format: Format) -> WaveFormat {
    let channels = usize::from(format.channels());
    WaveFormat::new(32, 32, &SampleType::Float, format.sample_rate() as usize, channels, None)
}

/// A second, so that nothing is lost while this process is not scheduled; delay comes from the period alone.
const BUFFER_100NS: i64 = 10_000_000;

/// Several periods of the system's mixer.
const IDLE: Duration = Duration::from_millis(50);

/// A headset that is switched from music to calls takes up to about three seconds.
const STALLED: Duration = Duration::from_secs(5);
