//! WASAPI as Windows has it, or Wine: it needs an output, which plays a tone meanwhile, and an input. CONTRIBUTING says how it is run under Wine.
#![cfg(windows)]

mod player;

use std::fs::File;
use std::os::windows::io::AsRawHandle as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nyx_audio_capture::capture::{Config, StartError};
use nyx_audio_capture::host::{Device, DeviceKind};
use nyx_audio_capture::input::OpenError;
use nyx_audio_capture::queue::Reader;
use nyx_audio_capture::wasapi::{self, Stream, Target};
use nyx_audio_capture::{Capture, Format};
use player::Player;
use windows::Win32::System::Threading::{GetCurrentProcess, GetProcessHandleCount};

/// One test plays at a time.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    // A test that failed leaves nothing behind that the next would mind.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

const PATIENCE: Duration = Duration::from_secs(20);

fn start(target: Target) -> (Capture, Reader) {
    Capture::start(Stream::new(target), Config::default()).expect("a capture")
}

fn refused(target: Target) -> OpenError {
    match Capture::start(Stream::new(target), Config::default()) {
        Err(StartError::Open(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// How loud the tone of the player is in the next tenth of a second.
fn level(reader: &mut Reader, format: Format) -> f64 {
    let channels = usize::from(format.channels());
    let (mut re, mut im, mut frames) = (0.0, 0.0, 0_u32);
    while frames < format.sample_rate() / 10 {
        let chunk = reader.recv_timeout(PATIENCE).expect("it goes on");
        for frame in chunk.samples().chunks_exact(channels) {
            let turn =
                std::f64::consts::TAU * player::HERTZ * f64::from(frames) / f64::from(format.sample_rate());
            re += turn.cos() * f64::from(frame[0]);
            im += turn.sin() * f64::from(frame[0]);
            frames += 1;
        }
    }
    2.0 * f64::hypot(re, im) / f64::from(frames)
}

/// Waits until the tone is as loud as this.
fn becomes(reader: &mut Reader, format: Format, amplitude: f64) {
    // Each is a tenth of a second of sound.
    let heard: Vec<_> = (0..200)
        .map(|_| level(reader, format))
        .take_while(|heard| (heard - amplitude).abs() > 0.02 * f64::from(player::AMPLITUDE))
        .collect();
    assert!(heard.len() < 200, "{amplitude}: {heard:?}");
}

#[test]
fn what_an_output_plays_is_captured_as_loud_as_it_is_played() {
    let _turn = turn();
    let _player = Player::start();
    let (capture, mut reader) = start(Target::DefaultOutput);
    becomes(&mut reader, capture.format(), player::AMPLITUDE.into());
    // From there on it is whole: a second without a gap.
    let mut next = None;
    for _ in 0..100 {
        let chunk = reader.recv_timeout(PATIENCE).expect("it goes on");
        assert!(next.is_none_or(|next| next == chunk.first_frame) && !chunk.discontinuity && !chunk.silent);
        next = Some(chunk.end_frame());
    }
    capture.stop().expect("it runs");
}

#[test]
fn an_output_by_its_name_is_heard_and_an_output_that_is_idle_is_silence_in_time() {
    let _turn = turn();
    let devices = wasapi::devices().expect("a list");
    let output = devices.iter().find(|device| device.kind == DeviceKind::Monitor && device.is_default);
    let (capture, mut reader) = start(Target::Device(output.expect("an output").name.clone()));
    let player = Player::start();
    becomes(&mut reader, capture.format(), player::AMPLITUDE.into());
    drop(player);
    becomes(&mut reader, capture.format(), 0.0);
    let chunk = reader.recv_timeout(PATIENCE).expect("silence is data");
    assert!(chunk.samples().iter().all(|sample| *sample == 0.0));
    capture.stop().expect("it runs");
}

#[test]
fn an_input_that_is_started_and_stopped_a_hundred_times_leaves_nothing_open() {
    let _turn = turn();
    let cycle = || {
        let (capture, mut reader) = start(Target::DefaultInput);
        assert!(reader.recv_timeout(PATIENCE).is_some());
        capture.stop().expect("it runs");
    };
    (0..10).for_each(|_| cycle());
    let before = handles();
    (0..100).for_each(|_| cycle());
    let after = handles();
    assert!(after.0 <= before.0 + 5 && after.1 <= before.1 + 50, "{before:?} before, {after:?} after");
}

#[test]
fn what_is_not_there_is_an_error_that_names_what_is() {
    let devices = wasapi::devices().expect("a list");
    for kind in [DeviceKind::Input, DeviceKind::Monitor] {
        let is_it = |device: &&Device| device.kind == kind && device.is_default;
        assert_eq!(devices.iter().filter(is_it).count(), 1, "{kind:?}");
    }
    let text = refused(Target::Device("no such device".to_owned())).to_string();
    assert!(devices.iter().all(|device| text.contains(&device.name)), "{text}");
    assert!(matches!(
        refused(Target::Application("no such program".to_owned())),
        OpenError::NoApplication { .. }
    ));
    // Numbers of processes are multiples of four.
    assert!(matches!(refused(Target::Process(0x7FFF_FFFD)), OpenError::NoApplication { .. }));
}

#[test]
fn a_thread_that_shows_windows_can_list_and_start() {
    let _turn = turn();
    ::wasapi::initialize_sta().ok().expect("COM");
    assert!(!wasapi::devices().expect("a list").is_empty());
    let (capture, mut reader) = start(Target::DefaultInput);
    assert!(reader.recv_timeout(PATIENCE).is_some());
    capture.stop().expect("it runs");
}

/// How many handles this process has open, and how far their table reaches once its gaps are filled: Wine says 0 of the first, and fills the lowest gap.
fn handles() -> (u32, usize) {
    let mut count = 0;
    // SAFETY: the handle stands for this process and need not be closed; the call writes one number into the local.
    unsafe { GetProcessHandleCount(GetCurrentProcess(), &raw mut count) }.expect("a number");
    let program = std::env::current_exe().expect("a program");
    let files: Vec<_> = (0..64).map(|_| File::open(&program).expect("a file")).collect();
    (count, files.iter().map(|file| file.as_raw_handle() as usize / 4).max().unwrap_or(0))
}
