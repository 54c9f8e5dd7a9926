//! From what a device delivers to chunks.

use std::time::Duration;

use nyx_core::clock::{Monotonic, unix_micros};
use nyx_core::{Clock as _, Instant};

use super::config::Config;
use super::device_clock::DeviceClock;
use crate::convert::{Converter, RequestError};
use crate::format::{Encoding, Format};
use crate::pcm;
use crate::queue::{self, Head};
use crate::silence::Detector;

/// What an [`Input`](crate::Input) hands its frames to: cuts them into chunks, says when each was captured, finds silence, and puts
/// them into the queue. Once it has run for a moment it allocates nothing and takes no lock.
pub struct Feed {
    writer: queue::Writer,
    clock: Monotonic,
    /// Microseconds of the Unix epoch at the origin of `clock`.
    origin_unix_micros: u64,
    /// What the device delivers, and what the chunks have.
    device: Format,
    format: Format,
    converter: Option<Converter>,
    device_clock: DeviceClock,
    /// How long before its arrival the quickest frame was captured.
    latency: Duration,
    chunk: Filling,
    chunk_samples: usize,
    sequence: u64,
    detector: Detector,
    skip_silence: bool,
    decoded: Vec<f32>,
    converted: Vec<f32>,
}

/// The chunk that is being filled.
#[derive(Default)]
struct Filling {
    /// `None` while nothing is in it, and where there was no memory for it.
    samples: Option<Vec<f32>>,
    len: usize,
    first_frame: u64,
    discontinuity: bool,
    /// Whether the device says so of all that is in it.
    device_silent: bool,
}

impl Feed {
    /// A feed for a device of this format, and the reader of its queue.
    pub(super) fn new(device: Format, config: &Config) -> Result<(Self, queue::Reader), RequestError> {
        let converter = Converter::new(device, config.sample_rate, config.channels)?;
        let format = converter.as_ref().map_or(device, Converter::format);
        let clock = Monotonic::new();
        let (writer, reader) =
            queue::channel(format, config.buffers(format), config.chunk_frames(), clock.clone());
        let origin_unix_micros = unix_micros().saturating_sub(clock.now().as_nanos() / 1_000);
        let feed = Self {
            writer,
            clock,
            origin_unix_micros,
            device,
            format,
            converter,
            device_clock: DeviceClock::new(format),
            latency: Duration::ZERO,
            chunk: Filling { device_silent: true, ..Filling::default() },
            chunk_samples: config.chunk_frames() * usize::from(format.channels()),
            sequence: 0,
            detector: Detector::new(config.silence, format),
            skip_silence: config.skip_silence,
            decoded: Vec::with_capacity(DECODED_MAX),
            converted: Vec::with_capacity(DECODED_MAX),
        };
        Ok((feed, reader))
    }

    /// Rate and channels of what the device delivers.
    pub const fn device_format(&self) -> Format {
        self.device
    }

    /// Takes frames that have just arrived: interleaved samples of the device's format.
    pub fn push(&mut self, samples: &[f32]) {
        let channels = usize::from(self.device.channels());
        for part in samples.chunks(DECODED_MAX / channels * channels) {
            self.take(part, false);
        }
    }

    /// The same, from bytes. What is no whole frame at the end is left out.
    pub fn push_pcm(&mut self, encoding: Encoding, bytes: &[u8]) {
        let channels = usize::from(self.device.channels());
        let mut decoded = std::mem::take(&mut self.decoded);
        for part in bytes.chunks(DECODED_MAX / channels * channels * encoding.sample_bytes()) {
            decoded.clear();
            pcm::decode(encoding, part, &mut decoded);
            self.take(&decoded[..decoded.len() / channels * channels], false);
        }
        self.decoded = decoded;
    }

    /// Takes frames of which the device says that they are silent, without writing them out.
    pub fn push_silence(&mut self, frames: u64) {
        let channels = usize::from(self.device.channels());
        let mut silence = std::mem::take(&mut self.decoded);
        let mut left = frames;
        while left > 0 {
            let frames = left.min((DECODED_MAX / channels) as u64);
            silence.clear();
            silence.resize(frames as usize * channels, 0.0);
            self.take(&silence, true);
            left -= frames;
        }
        self.decoded = silence;
    }

    /// The device delivers nothing because there is nothing to be heard, as an application that pauses does: silence up to now, from the first time on that this is said if nothing
    /// has been heard before.
    pub fn idle(&mut self) {
        let now = self.clock.now();
        if !self.device_clock.has_started() {
            self.device_clock.restart(self.end_frame(), now);
        }
        let until = now - IDLE_MARGIN;
        self.push_silence(self.device.frames_in(until - self.device_clock.time_of(self.end_frame())));
    }

    /// What comes next does not join what came before, if something did. `missing`: how much is known to lie between; `None`: as much as the clock says.
    pub fn discontinuity(&mut self, missing: Option<Duration>) {
        self.flush();
        let now = self.clock.now();
        // What came last may have come early: the timeline never goes back.
        let missing = match missing {
            // The delay of what came before is written out, and what comes begins with one.
            Some(missing) => missing.saturating_sub(self.conversion_delay()),
            None => now.since(self.device_clock.time_of(self.end_frame())),
        };
        self.jump(missing, now);
    }

    /// Nothing that comes next joins what has been put out.
    fn jump(&mut self, missing: Duration, now: Instant) {
        if !self.device_clock.has_started() {
            return;
        }
        self.chunk.discontinuity = true;
        self.chunk.first_frame += self.format.frames_in(missing);
        self.device_clock.restart(self.chunk.first_frame, now);
    }

    /// How long before it arrives here a frame is captured at least, as the device or its server says. Timestamps are earlier by that.
    pub const fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// The device failed.
    pub fn count_error(&self) {
        self.writer.count_error();
    }

    /// Puts out what is there, be it less than a chunk, and with it what the conversion has kept back.
    pub(super) fn flush(&mut self) {
        if let Some(converter) = &mut self.converter {
            let mut rest = std::mem::take(&mut self.converted);
            rest.clear();
            converter.finish(&mut rest);
            self.append(&rest, false);
            self.converted = rest;
        }
        self.put_rest();
    }

    fn put_rest(&mut self) {
        if self.chunk.len > 0 {
            self.put();
        }
    }

    /// Up to when everything was captured that was handed in.
    pub(super) fn captured_until(&self) -> Instant {
        self.device_clock.time_of(self.end_frame()) - self.latency
    }

    pub(super) const fn clock(&self) -> &Monotonic {
        &self.clock
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.writer.is_abandoned()
    }

    pub(super) fn probe(&self) -> queue::Probe {
        self.writer.probe()
    }

    pub(super) const fn format(&self) -> Format {
        self.format
    }

    /// Whether a device that came back delivers what chunks of this capture can be made of; if so, it does from now on.
    pub(super) fn accept(&mut self, device: Format) -> Result<(), RequestError> {
        if device != self.device {
            let wanted = (Some(self.format.sample_rate()), Some(self.format.channels()));
            let converter = Converter::new(device, wanted.0, wanted.1)?;
            self.flush();
            (self.converter, self.device) = (converter, device);
        }
        Ok(())
    }

    fn take(&mut self, samples: &[f32], silent: bool) {
        let mut converted = std::mem::take(&mut self.converted);
        converted.clear();
        let samples = match &mut self.converter {
            Some(converter) => {
                converter.convert(samples, &mut converted);
                &converted[..]
            }
            None => samples,
        };
        self.arrived((samples.len() / usize::from(self.format.channels())) as u64);
        self.append(samples, silent);
        self.converted = converted;
    }

    fn arrived(&mut self, frames: u64) {
        let now = self.clock.now();
        let arrival = self.device_clock.arrived(self.end_frame() + frames, frames, now);
        let chunk =
            self.format.duration_of((self.chunk_samples / usize::from(self.format.channels())) as u64);
        self.writer.count_callback(arrival.late > chunk);
        if let Some(missing) = arrival.missing {
            // What has just come is in the conversion already, and is not to be parted from what follows.
            self.put_rest();
            self.jump(missing, now);
        }
    }

    fn append(&mut self, mut samples: &[f32], silent: bool) {
        while !samples.is_empty() {
            if self.chunk.len == 0 {
                self.chunk.samples = self.writer.buffer();
            }
            let (now, rest) = samples.split_at(samples.len().min(self.chunk_samples - self.chunk.len));
            if let Some(chunk) = &mut self.chunk.samples {
                chunk.extend_from_slice(now);
            }
            self.chunk.len += now.len();
            self.chunk.device_silent &= silent;
            samples = rest;
            if self.chunk.len == self.chunk_samples {
                self.put();
            }
        }
    }

    /// Ends the chunk that is being filled, and begins the next.
    fn put(&mut self) {
        let end = self.end_frame();
        let next = Filling { first_frame: end, device_silent: true, ..Filling::default() };
        let chunk = std::mem::replace(&mut self.chunk, next);
        let Some(samples) = chunk.samples else {
            self.sequence += 1;
            self.writer.lose();
            return;
        };
        let silent = self.detector.is_silent(&samples) || chunk.device_silent;
        if silent && self.skip_silence {
            self.chunk.discontinuity = chunk.discontinuity;
            self.writer.count_skipped();
            self.writer.recycle(samples);
            return;
        }
        let head = Head {
            sequence: self.sequence,
            first_frame: chunk.first_frame,
            unix_micros: self.unix_micros(chunk.first_frame),
            silent,
            discontinuity: chunk.discontinuity,
        };
        self.sequence += 1;
        self.writer.push(head, samples);
    }

    fn unix_micros(&self, frame: u64) -> u64 {
        let captured = self.device_clock.time_of(frame) - self.latency - self.conversion_delay();
        self.origin_unix_micros + captured.as_nanos() / 1_000
    }

    fn conversion_delay(&self) -> Duration {
        self.converter.as_ref().map_or(Duration::ZERO, Converter::delay)
    }

    fn end_frame(&self) -> u64 {
        self.chunk.first_frame + (self.chunk.len / usize::from(self.format.channels())) as u64
    }
}

/// How far behind the present silence is filled in, so that what comes next never comes too early.
const IDLE_MARGIN: Duration = Duration::from_millis(20);

/// Samples that are decoded at a time; a fragment of a device is far shorter.
const DECODED_MAX: usize = 16_384;
