//! From an input to a reader: chunks, their numbers and times, what is lost and what is kept.

mod script;

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use nyx_audio_capture::capture::{Config, Error, StartError};
use nyx_audio_capture::input::{OpenError, Opened, Paced, Progress, ReadError, Request};
use nyx_audio_capture::synth::{Ramp, Tone};
use nyx_audio_capture::{Capture, Format, Input, capture, queue};
use script::{Step, drain, script};

fn mono() -> Format {
    Format::new(48_000, 1).unwrap()
}

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

fn lost() -> Step {
    Step::Fail(ReadError::Lost { reason: "the test cut it".to_owned() })
}

#[test]
fn frames_become_chunks_in_order_and_the_rest_is_the_last_chunk() {
    let (steps, input) = script(mono(), 0);
    let (capture, mut reader) = Capture::start(input, Config::default()).unwrap();
    for frames in [1, 479, 481, 100, 900, 7] {
        steps.send(Step::Frames(frames)).unwrap();
    }
    steps.send(Step::End).unwrap();
    let chunks = drain(&mut reader);
    assert_eq!(chunks.iter().map(|chunk| chunk.frames()).collect::<Vec<_>>(), [480, 480, 480, 480, 48]);
    let mut expected = 0;
    for (index, chunk) in chunks.iter().enumerate() {
        assert_eq!((chunk.sequence, chunk.first_frame), (index as u64, expected));
        assert!(!chunk.discontinuity && !chunk.silent && chunk.missed() == 0);
        for sample in chunk.samples() {
            assert_eq!(Ramp::number(*sample), expected % 32_768);
            expected += 1;
        }
    }
    assert!(reader.is_ended() && reader.recv().is_none());
    capture.stop().unwrap();
}

#[test]
fn what_is_not_heard_at_first_is_silence_from_the_start_and_joins_what_comes() {
    let (steps, input) = script(mono(), 0);
    let (capture, mut reader) = Capture::start(input, Config::default()).unwrap();
    // Silence is as long as the time that passes, so the first chunk takes some.
    let first = (0..2_000).find_map(|_| {
        steps.send(Step::Idle).unwrap();
        reader.recv_timeout(Duration::from_millis(10))
    });
    steps.send(Step::Frames(960)).unwrap();
    steps.send(Step::End).unwrap();
    let mut chunks = vec![first.unwrap()];
    chunks.extend(drain(&mut reader));
    assert!(chunks[0].first_frame == 0 && chunks[0].silent);
    assert!(chunks.windows(2).all(|pair| pair[1].first_frame == pair[0].end_frame()));
    assert!(chunks.iter().all(|chunk| !chunk.discontinuity) && !chunks.last().unwrap().silent);
    capture.stop().unwrap();
}

#[test]
fn timestamps_are_as_far_apart_as_the_frames() {
    let (capture, mut reader) = Capture::start(Paced::new(Ramp::new(mono())), Config::default()).unwrap();
    let chunks: Vec<_> = (0..20).map(|_| reader.recv().unwrap()).collect();
    let now = nyx_core::clock::unix_micros();
    for pair in chunks.windows(2) {
        assert!(pair[1].unix_micros > pair[0].unix_micros);
        assert!(pair[1].unix_micros - pair[0].unix_micros <= 12_600);
    }
    let age = now.saturating_sub(chunks[19].unix_micros);
    assert!((1..20_000_000).contains(&age), "{age}");
    capture.stop().unwrap();
}

#[test]
fn a_reader_that_stalls_loses_the_oldest_and_sees_how_many() {
    let (steps, input) = script(mono(), 0);
    let (capture, mut reader) = Capture::start(input, config(|config| config.capacity = 10)).unwrap();
    steps.send(Step::Frames(480 * 3)).unwrap();
    let first: Vec<_> = (0..3).map(|_| reader.recv().unwrap().sequence).collect();
    assert_eq!(first, [0, 1, 2]);
    // 64 buffers more than the queue holds go round.
    steps.send(Step::Frames(480 * 200)).unwrap();
    steps.send(Step::End).unwrap();
    capture_ended(&capture);
    let chunks = drain(&mut reader);
    assert_eq!(chunks.len(), 10);
    assert_eq!((chunks[0].missed(), chunks[0].sequence), (190, 193));
    assert_eq!(chunks[0].first_frame, 193 * 480);
    assert!(chunks[1..].iter().all(|chunk| chunk.missed() == 0));
    let metrics = reader.metrics();
    assert_eq!((metrics.pushed, metrics.popped, metrics.dropped, metrics.depth), (203, 13, 190, 0));
    assert_eq!(metrics.latency.count(), 13);
}

#[test]
fn a_reader_that_keeps_all_memory_loses_the_newest_and_nothing_grows() {
    let (steps, input) = script(mono(), 0);
    let (capture, mut reader) = Capture::start(input, config(|config| config.capacity = 4)).unwrap();
    let mut kept = Vec::new();
    steps.send(Step::Frames(480 * 4)).unwrap();
    // Buffers beyond the queue's, and one that is being filled.
    while kept.len() < 4 + 64 {
        kept.push(reader.recv().unwrap());
        steps.send(Step::Frames(480)).unwrap();
    }
    steps.send(Step::Frames(480 * 20)).unwrap();
    steps.send(Step::End).unwrap();
    capture_ended(&capture);
    drop(kept);
    let rest = drain(&mut reader);
    let metrics = reader.metrics();
    assert_eq!(metrics.pushed, 4 + 68 + 20);
    assert_eq!(metrics.pushed, metrics.popped + metrics.dropped);
    assert!(metrics.dropped >= 20 && rest.len() <= 4, "{metrics:?}");
}

#[test]
fn a_reader_that_keeps_chunks_gets_what_there_is_and_never_waits_for_what_can_not_come() {
    let (done, is_done) = mpsc::channel();
    let reader = thread::spawn(move || {
        keep_chunks();
        done.send(()).unwrap();
    });
    if is_done.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
        panic!("it waits for what can't come");
    }
    reader.join().unwrap();
}

fn keep_chunks() {
    let (steps, input) = script(mono(), 0);
    let (_capture, mut reader) = Capture::start(input, config(|config| config.capacity = 100)).unwrap();
    let mut kept = Vec::new();
    let dropped = |reader: &queue::Reader, chunks| {
        while reader.metrics().dropped < chunks {
            thread::yield_now();
        }
    };
    steps.send(Step::Frames(480 * 70)).unwrap();
    while kept.len() < 70 {
        kept.push(reader.recv().unwrap());
    }
    // Of 164 buffers 70 are kept, so 94 are left, of which one is being filled: seven of 101 chunks find none.
    steps.send(Step::Frames(480 * 100 + 1)).unwrap();
    dropped(&reader, 7);
    assert_eq!(reader.recv_batch(100, &mut kept), 93);
    assert!(!reader.is_ended());
    assert_eq!((kept[70].missed(), kept[162].sequence), (7, 169));
    // The last buffer, of which one frame is filled.
    steps.send(Step::Frames(479)).unwrap();
    kept.push(reader.recv().unwrap());
    assert!(reader.recv().is_none() && reader.recv_batch(5, &mut kept) == 0);
    assert!(block_on(reader.next()).is_none() && !reader.is_ended());
    // What is captured now is lost, and what comes after a chunk is dropped is not.
    steps.send(Step::Frames(480 * 3)).unwrap();
    dropped(&reader, 10);
    assert!(reader.recv().is_none() && !reader.is_ended());
    kept.truncate(160);
    steps.send(Step::Frames(480)).unwrap();
    let next = reader.recv().unwrap();
    assert_eq!((next.sequence, next.missed()), (174, 3));
    steps.send(Step::End).unwrap();
    assert!(reader.recv().is_none() && reader.is_ended());
}

#[test]
fn what_is_lost_comes_back_with_a_marked_discontinuity_in_its_place_in_time() {
    let (steps, input) = script(mono(), 2);
    let (capture, mut reader) = Capture::start(input, Config::default()).unwrap();
    steps.send(Step::Frames(500)).unwrap();
    steps.send(lost()).unwrap();
    steps.send(Step::Frames(480)).unwrap();
    steps.send(Step::End).unwrap();
    let chunks = drain(&mut reader);
    let frames: Vec<_> = chunks.iter().map(|chunk| (chunk.frames(), chunk.discontinuity)).collect();
    assert_eq!(frames, [(480, false), (20, false), (480, true)]);
    // Two refusals with pauses of 50 and 100 ms lie between; frames that came faster than they sound take some of it.
    let gap = chunks[2].first_frame - chunks[1].end_frame();
    assert!(mono().duration_of(gap) >= Duration::from_millis(100), "{gap}");
    assert_eq!(chunks[2].sequence, 2);
    assert_eq!(reader.metrics().device_errors, 1);
    capture.stop().unwrap();
}

#[test]
fn what_does_not_come_back_ends_the_capture_and_keeps_what_was() {
    let (steps, input) = script(mono(), u32::MAX);
    let patient = config(|config| config.reconnect = Duration::from_millis(1));
    let (capture, mut reader) = Capture::start(input, patient).unwrap();
    steps.send(Step::Frames(500)).unwrap();
    steps.send(lost()).unwrap();
    assert_eq!(drain(&mut reader).iter().map(|chunk| chunk.frames()).sum::<usize>(), 500);
    let error = capture.stop().unwrap_err();
    assert!(matches!(error, Error::GaveUp { .. }), "{error}");
    assert!(
        error.to_string().contains("the test cut it") && error.to_string().contains("not yet"),
        "{error}"
    );
}

#[test]
fn an_application_that_ends_is_the_end() {
    let (steps, input) = script(mono(), 0);
    let (capture, mut reader) = Capture::start(input, Config::default()).unwrap();
    steps.send(Step::Frames(10)).unwrap();
    steps.send(Step::Fail(ReadError::ApplicationGone { name: "player".to_owned() })).unwrap();
    assert_eq!(drain(&mut reader).len(), 1);
    let error = capture.stop().unwrap_err();
    assert!(matches!(error, Error::Read(ReadError::ApplicationGone { .. })), "{error}");
}

#[test]
fn stopping_while_it_is_lost_does_not_wait_for_it() {
    let (steps, input) = script(mono(), u32::MAX);
    let (capture, mut reader) = Capture::start(input, Config::default()).unwrap();
    steps.send(Step::Frames(480)).unwrap();
    steps.send(lost()).unwrap();
    assert!(reader.recv().is_some());
    capture.stop().unwrap();
    assert!(reader.recv().is_none());
}

#[test]
fn silence_that_is_left_out_leaves_the_timeline_right() {
    let (steps, input) = script(mono(), 0);
    let (_capture, mut reader) = Capture::start(input, config(|config| config.skip_silence = true)).unwrap();
    steps.send(Step::Frames(480)).unwrap();
    steps.send(Step::Silence(480 * 10)).unwrap();
    steps.send(Step::Frames(480)).unwrap();
    steps.send(Step::SaidSilent(480 * 5)).unwrap();
    steps.send(Step::Frames(480)).unwrap();
    steps.send(Step::End).unwrap();
    let chunks = drain(&mut reader);
    // One chunk of hangover stays after each sound, where nobody says that it is silent.
    let firsts: Vec<_> = chunks.iter().map(|chunk| (chunk.sequence, chunk.first_frame / 480)).collect();
    assert_eq!(firsts, [(0, 0), (1, 1), (2, 11), (3, 17)]);
    assert!(chunks.iter().all(|chunk| !chunk.discontinuity && chunk.missed() == 0));
    assert_eq!(reader.metrics().skipped_silent, 9 + 5);
}

#[test]
fn stopping_keeps_all_up_to_that_moment_and_it_can_start_again() {
    for _ in 0..10 {
        let (capture, mut reader) = Capture::start(Paced::new(Ramp::new(mono())), Config::default()).unwrap();
        assert_eq!(reader.recv().unwrap().sequence, 0);
        capture.stop().unwrap();
        let chunks = drain(&mut reader);
        let mut end = 480;
        for chunk in chunks {
            assert_eq!(chunk.first_frame, end);
            end = chunk.end_frame();
        }
        assert!(reader.is_ended());
    }
}

#[test]
fn a_batch_is_one_wake_up() {
    let (capture, mut reader) = Capture::start(Paced::new(Ramp::new(mono())), Config::default()).unwrap();
    let mut batch = Vec::new();
    for _ in 0..3 {
        batch.clear();
        assert_eq!(reader.recv_batch(5, &mut batch), 5);
        assert!(batch.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
    }
    let metrics = reader.metrics();
    assert!(metrics.wakeups <= 3 && metrics.empty_wakeups == 0, "{metrics:?}");
    capture.stop().unwrap();
    batch.clear();
    while reader.recv_batch(5, &mut batch) > 0 {}
    assert!(reader.is_ended());
}

#[test]
fn a_task_is_woken_as_a_thread_is() {
    let (steps, input) = script(mono(), 0);
    let (_capture, mut reader) = Capture::start(input, Config::default()).unwrap();
    let sender = thread::spawn(move || {
        for _ in 0..50 {
            steps.send(Step::Frames(480)).unwrap();
        }
        steps.send(Step::End).unwrap();
    });
    let sequences = block_on(async {
        let mut sequences = Vec::new();
        while let Some(chunk) = reader.next().await {
            sequences.push(chunk.sequence);
        }
        sequences
    });
    assert_eq!(sequences, (0..50).collect::<Vec<_>>());
    sender.join().unwrap();
}

#[test]
fn a_reader_that_looks_now_and_then_finds_all() {
    let (steps, input) = script(mono(), 0);
    let (capture, mut reader) = Capture::start(input, Config::default()).unwrap();
    assert!(reader.try_recv().is_none() && reader.recv_timeout(Duration::from_millis(1)).is_none());
    assert!(!reader.is_ended());
    let metrics = reader.metrics();
    assert_eq!((metrics.wakeups, metrics.empty_wakeups), (0, 0), "time was up, and nobody woke it");
    steps.send(Step::Frames(480 * 3)).unwrap();
    steps.send(Step::End).unwrap();
    capture_ended(&capture);
    assert_eq!(std::iter::from_fn(|| reader.try_recv()).count(), 3);
    assert!(reader.is_ended());
}

#[test]
fn a_capture_whose_reader_is_gone_ends() {
    let (capture, reader) =
        Capture::start(Paced::new(Tone::new(mono(), 440.0, 0.5)), Config::default()).unwrap();
    drop(reader);
    capture_ended(&capture);
    capture.stop().unwrap();
}

#[test]
fn channels_are_mapped_on_request() {
    let stereo = Format::new(48_000, 2).unwrap();
    let (steps, input) = script(stereo, 0);
    let (capture, mut reader) = Capture::start(input, config(|config| config.channels = Some(1))).unwrap();
    assert_eq!(capture.format(), mono());
    steps.send(Step::Frames(960)).unwrap();
    steps.send(Step::End).unwrap();
    let numbers: Vec<_> =
        drain(&mut reader).iter().flat_map(|chunk| chunk.samples().to_vec()).map(Ramp::number).collect();
    assert_eq!(numbers, (0..960).collect::<Vec<_>>());
}

#[cfg(feature = "resample")]
#[test]
fn a_rate_is_converted_on_request() {
    let (steps, input) = script(Format::new(44_100, 2).unwrap(), 0);
    let wanted = config(|config| (config.sample_rate, config.channels) = (Some(16_000), Some(1)));
    let (capture, mut reader) = Capture::start(input, wanted).unwrap();
    assert_eq!(capture.format(), Format::new(16_000, 1).unwrap());
    steps.send(Step::Frames(44_100)).unwrap();
    steps.send(Step::End).unwrap();
    let frames: usize = drain(&mut reader).iter().map(|chunk| chunk.frames()).sum();
    // All of it, and the delay of the conversion.
    assert!((16_001..16_160).contains(&frames), "{frames}");
}

#[cfg(feature = "resample")]
#[test]
fn what_a_conversion_keeps_back_comes_before_the_gap_and_not_after_it() {
    let (steps, input) = script(Format::new(44_100, 1).unwrap(), 0);
    let (capture, mut reader) =
        Capture::start(input, config(|config| config.sample_rate = Some(48_000))).unwrap();
    steps.send(Step::Frames(4_410)).unwrap();
    steps.send(lost()).unwrap();
    steps.send(Step::Silence(4_410)).unwrap();
    steps.send(Step::End).unwrap();
    let chunks = drain(&mut reader);
    let gap = chunks.iter().position(|chunk| chunk.discontinuity).unwrap();
    let frames = |chunks: &[queue::Chunk]| chunks.iter().map(|chunk| chunk.frames()).sum::<usize>();
    assert!(frames(&chunks[..gap]) >= 4_800 && frames(&chunks[gap..]) >= 4_800);
    assert!(chunks[gap..].iter().all(|chunk| chunk.samples().iter().all(|sample| *sample == 0.0)));
    assert!(chunks[gap].first_frame >= chunks[gap - 1].end_frame());
    capture.stop().unwrap();
}

#[cfg(not(feature = "resample"))]
#[test]
fn another_rate_needs_the_feature() {
    let (_steps, input) = script(mono(), 0);
    let error = Capture::start(input, config(|config| config.sample_rate = Some(16_000))).unwrap_err();
    assert!(matches!(error, StartError::Request(_)) && error.to_string().contains("resample"), "{error}");
}

#[test]
fn a_rate_that_makes_no_sense_is_refused() {
    let (_steps, input) = script(mono(), 0);
    let error = Capture::start(input, config(|config| config.sample_rate = Some(0))).unwrap_err();
    assert!(matches!(error, StartError::Request(_)), "{error}");
}

#[test]
fn an_input_that_panics_is_told_so() {
    struct Broken;
    impl Input for Broken {
        fn open(&mut self, _: &Request) -> Result<Opened, OpenError> {
            Ok(Opened { format: mono(), latency: Duration::ZERO })
        }
        fn read(&mut self, _: &mut capture::Feed) -> Result<Progress, ReadError> {
            panic!("as the test wants it")
        }
        fn close(&mut self) {}
    }
    let (capture, mut reader) = Capture::start(Broken, Config::default()).unwrap();
    assert!(reader.recv().is_none());
    assert!(matches!(capture.stop(), Err(Error::Panicked)));
}

/// Waits until the capture's thread has ended.
fn capture_ended(capture: &Capture) {
    while !capture.is_ended() {
        thread::yield_now();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        thread::park();
    }
}
