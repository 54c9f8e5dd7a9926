//! A stream that runs.

use wasapi::{
    AudioCaptureClient, AudioClient, Direction, Handle, SampleType, StreamMode, WasapiError, WaveFormat,
};

use super::mmcss::ProAudio;
use super::{Found, failed};
use crate::capture::Feed;
use crate::format::{Encoding, Format};
use crate::input::{OpenError, READ_MAX};

/// Belongs to the thread that made it.
pub(super) struct Open {
    client: AudioClient,
    packets: AudioCaptureClient,
    event: Handle,
    frame_bytes: usize,
    buffer: Vec<u8>,
    is_loopback: bool,
    has_begun: bool,
    /// Leaves the scheduler's class when it is dropped; `None` where the system does not let us in.
    _class: Option<ProAudio>,
}

impl Open {
    /// Starts what was found. Samples are converted to floats by the system.
    pub(super) fn start(found: Found) -> Result<Self, OpenError> {
        Self::try_start(found).map_err(|error| failed("the stream was started", &error))
    }

    fn try_start(found: Found) -> Result<Self, WasapiError> {
        let Found { mut client, format, period: _, is_loopback } = found;
        let mode = StreamMode::EventsShared { autoconvert: true, buffer_duration_hns: BUFFER_100NS };
        client.initialize_client(&wave_format(format), &Direction::Capture, &mode)?;
        let event = client.set_get_eventhandle()?;
        let packets = client.get_audiocaptureclient()?;
        let frame_bytes = format.frame_bytes(Encoding::F32Le);
        // A packet is a period of some milliseconds; it grows where one is longer.
        let buffer = vec![0; format.frames_in(READ_MAX) as usize * frame_bytes];
        let class = ProAudio::join();
        client.start_stream()?;
        Ok(Self { client, packets, event, frame_bytes, buffer, is_loopback, has_begun: false, _class: class })
    }

    /// Waits for the event, and hands on all packets.
    pub(super) fn read(&mut self, feed: &mut Feed) -> Result<(), WasapiError> {
        let waited = self.event.wait_for_event(READ_MAX.as_millis() as u32);
        let mut any = false;
        while let Some(frames) = self.packets.get_next_packet_size()?.filter(|frames| *frames > 0) {
            self.packet(frames as usize, feed)?;
            any = true;
        }
        match waited {
            Err(WasapiError::EventTimeout) if self.is_loopback && !any => feed.idle(),
            Err(WasapiError::EventTimeout) | Ok(()) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn packet(&mut self, frames: usize, feed: &mut Feed) -> Result<(), WasapiError> {
        let bytes = frames * self.frame_bytes;
        if self.buffer.len() < bytes {
            self.buffer.resize(bytes, 0);
        }
        let (frames, info) = self.packets.read_from_device(&mut self.buffer)?;
        // The first packet is always said not to join what came before.
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
