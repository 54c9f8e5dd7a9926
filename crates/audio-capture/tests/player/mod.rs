//! A tone on the default output of Windows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use nyx_audio_capture::synth::Tone;
use nyx_audio_capture::{Format, Source as _};
use wasapi::{DeviceEnumerator, Direction, SampleType, StreamMode, WasapiError, WaveFormat};

/// A whole number of periods in a tenth of a second.
pub(crate) const HERTZ: f64 = 440.0;

pub(crate) const AMPLITUDE: f32 = 0.25;

/// Plays until it is dropped.
pub(crate) struct Player {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Player {
    /// Returns when it plays.
    pub(crate) fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, (plays, playing)) = (Arc::clone(&stop), mpsc::channel());
        let thread = thread::spawn(move || play(&stopped, &plays).expect("the output plays"));
        playing.recv().expect("the output plays");
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn play(stop: &AtomicBool, plays: &Sender<()>) -> Result<(), WasapiError> {
    wasapi::initialize_mta().ok()?;
    let mut client = DeviceEnumerator::new()?.get_default_device(&Direction::Render)?.get_iaudioclient()?;
    let mix = client.get_mixformat()?;
    let (rate, channels) = (mix.get_samplespersec(), mix.get_nchannels());
    let format = WaveFormat::new(32, 32, &SampleType::Float, rate as usize, channels.into(), None);
    let mode = StreamMode::EventsShared { autoconvert: true, buffer_duration_hns: BUFFER_100NS };
    client.initialize_client(&format, &Direction::Render, &mode)?;
    let (event, render) = (client.set_get_eventhandle()?, client.get_audiorenderclient()?);
    let mut tone = Tone::new(Format::new(rate, channels.into()).expect("a usual format"), HERTZ, AMPLITUDE);
    client.start_stream()?;
    while !stop.load(Ordering::Acquire) {
        let frames = client.get_available_space_in_frames()?;
        if frames > 0 {
            let block = tone.next_block(frames as usize).expect("a tone never fails").expect("nor ends");
            render.write_to_device(block.frames, &block.pcm, None)?;
            let _ = plays.send(());
        }
        let _ = event.wait_for_event(100);
    }
    client.stop_stream()
}

/// A fifth of a second.
const BUFFER_100NS: i64 = 2_000_000;
