//! A stream that runs.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use cpal::traits::{DeviceTrait as _, StreamTrait as _};
use cpal::{
    BufferSize, Error, ErrorKind, FromSample, InputCallbackInfo, SampleFormat, SizedSample, StreamConfig,
    SupportedBufferSize, SupportedStreamConfig,
};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::capture::Feed;
use crate::format::Format;
use crate::input::READ_MAX;

/// The stream, and what its callback leaves.
pub(super) struct Open {
    samples: Consumer<f32>,
    shared: Arc<Shared>,
    format: Format,
    /// The least that a packet has been on its way.
    latency: Duration,
    /// Dropped first, so that nobody calls back any more.
    _stream: cpal::Stream,
}

/// What callbacks and the thread that captures share.
#[derive(Debug, Default)]
struct Shared {
    /// The thread that captures, once it has read.
    reader: OnceLock<Thread>,
    /// Frames for which there was no room.
    lost_frames: AtomicU64,
    /// The device has lost some itself.
    has_lost: AtomicBool,
    /// How long the last packet had been on its way.
    latency_nanos: AtomicU64,
    has_failed: AtomicBool,
    failure: Mutex<Option<Error>>,
}

impl Open {
    pub(super) fn start(
        device: &cpal::Device,
        supported: &SupportedStreamConfig,
        format: Format,
        chunk_frames: usize,
    ) -> Result<Self, Error> {
        let channels = usize::from(format.channels());
        let (producer, samples) = RingBuffer::new(format.frames_in(ROOM) as usize * channels);
        let shared = Arc::<Shared>::default();
        let mut config = supported.config();
        config.buffer_size = buffer_size(supported.buffer_size(), chunk_frames);
        let callback = Callback { producer, channels, shared: shared.clone() };
        let stream = build(device, config, supported.sample_format(), callback, shared.clone())?;
        stream.play()?;
        Ok(Self { samples, shared, format, latency: Duration::MAX, _stream: stream })
    }

    /// Waits for samples, and hands them on.
    pub(super) fn read(&mut self, feed: &mut Feed) -> Result<(), Error> {
        self.shared.reader.get_or_init(thread::current);
        if self.samples.is_empty() {
            // The callback unparks this thread, and so does who stops the capture.
            thread::park_timeout(READ_MAX);
        }
        self.hand_on(feed);
        let lost = self.shared.lost_frames.swap(0, Ordering::Relaxed);
        if lost > 0 {
            feed.discontinuity(Some(self.format.duration_of(lost)));
        }
        if self.shared.has_lost.swap(false, Ordering::Relaxed) {
            feed.discontinuity(None);
        }
        if self.shared.has_failed.load(Ordering::Acquire) {
            let failure = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            return Err(failure.unwrap_or_else(|| ErrorKind::Other.into()));
        }
        Ok(())
    }

    fn hand_on(&mut self, feed: &mut Feed) {
        let channels = usize::from(self.format.channels());
        let count = self.samples.slots() / channels * channels;
        let Ok(chunk) = self.samples.read_chunk(count) else { return };
        if count > 0 {
            let latency = Duration::from_nanos(self.shared.latency_nanos.load(Ordering::Relaxed));
            if latency < self.latency {
                self.latency = latency;
                feed.set_latency(latency);
            }
        }
        // Whole frames: the ring holds a whole number of them.
        let (first, second) = chunk.as_slices();
        feed.push(first);
        feed.push(second);
        chunk.commit_all();
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("format", &self.format).finish_non_exhaustive()
    }
}

/// A packet for each chunk, where the device can.
fn buffer_size(supported: &SupportedBufferSize, chunk_frames: usize) -> BufferSize {
    let wanted = u32::try_from(chunk_frames).unwrap_or(u32::MAX);
    match supported {
        SupportedBufferSize::Range { min, max } if (*min..=*max).contains(&wanted) => {
            BufferSize::Fixed(wanted)
        }
        _ => BufferSize::Default,
    }
}

fn build(
    device: &cpal::Device,
    config: StreamConfig,
    samples: SampleFormat,
    callback: Callback,
    shared: Arc<Shared>,
) -> Result<cpal::Stream, Error> {
    match samples {
        SampleFormat::I8 => input::<i8>(device, config, callback, shared),
        SampleFormat::I16 => input::<i16>(device, config, callback, shared),
        SampleFormat::I24 => input::<cpal::I24>(device, config, callback, shared),
        SampleFormat::I32 => input::<i32>(device, config, callback, shared),
        SampleFormat::I64 => input::<i64>(device, config, callback, shared),
        SampleFormat::U8 => input::<u8>(device, config, callback, shared),
        SampleFormat::U16 => input::<u16>(device, config, callback, shared),
        SampleFormat::U24 => input::<cpal::U24>(device, config, callback, shared),
        SampleFormat::U32 => input::<u32>(device, config, callback, shared),
        SampleFormat::U64 => input::<u64>(device, config, callback, shared),
        SampleFormat::F32 => input::<f32>(device, config, callback, shared),
        SampleFormat::F64 => input::<f64>(device, config, callback, shared),
        _ => Err(ErrorKind::UnsupportedConfig.into()),
    }
}

fn input<T>(
    device: &cpal::Device,
    config: StreamConfig,
    mut callback: Callback,
    shared: Arc<Shared>,
) -> Result<cpal::Stream, Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    device.build_input_stream(
        config,
        move |samples: &[T], info: &InputCallbackInfo| callback.take(samples, info),
        move |error| shared.fail(error),
        None,
    )
}

/// What the system calls, on a thread that must not wait.
struct Callback {
    producer: Producer<f32>,
    channels: usize,
    shared: Arc<Shared>,
}

impl Callback {
    fn take<T: Copy>(&mut self, samples: &[T], info: &InputCallbackInfo)
    where
        f32: FromSample<T>,
    {
        let stamp = info.timestamp();
        let age = stamp.callback.duration_since(stamp.capture);
        self.shared.latency_nanos.store(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let room = self.producer.slots() / self.channels * self.channels;
        let count = samples.len().min(room);
        if let Ok(chunk) = self.producer.write_chunk_uninit(count) {
            chunk.fill_from_iter(samples[..count].iter().map(|sample| f32::from_sample_(*sample)));
        }
        let lost = (samples.len() - count) / self.channels;
        if lost > 0 {
            self.shared.lost_frames.fetch_add(lost as u64, Ordering::Relaxed);
        }
        self.shared.wake();
    }
}

impl Shared {
    fn wake(&self) {
        if let Some(reader) = self.reader.get() {
            reader.unpark();
        }
    }

    fn fail(&self, error: Error) {
        match error.kind() {
            // It goes on.
            ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => return,
            ErrorKind::Xrun => self.has_lost.store(true, Ordering::Relaxed),
            _ => {
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                self.has_failed.store(true, Ordering::Release);
            }
        }
        self.wake();
    }
}

/// What the thread that captures may be late by.
const ROOM: Duration = Duration::from_secs(2);
