//! The thread that captures allocates nothing once it runs, be its reader quick, slow or gone to sleep.

mod script;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use nyx_audio_capture::capture::{Config, Feed};
use nyx_audio_capture::input::{OpenError, Opened, Progress, ReadError, Request};
use nyx_audio_capture::{Capture, Format, Input};
use script::{Script, Step, script};

/// Counts what the watched thread asks for, and hands on to the system's allocator.
struct Counting;

static ASKED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if WATCHED.with(Cell::get) {
        ASKED.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every method does what the system's allocator does, with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of this same method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller keeps the contract of this same method.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of this same method.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Watches its thread from the second read on, but for what the test's own channel does.
struct Watched(Script, Vec<f32>, u32);

impl Input for Watched {
    fn open(&mut self, request: &Request) -> Result<Opened, OpenError> {
        self.0.open(request)
    }

    fn read(&mut self, feed: &mut Feed) -> Result<Progress, ReadError> {
        WATCHED.set(false);
        let progress = self.0.read(feed)?;
        self.2 += 1;
        if self.2 > 1 {
            WATCHED.set(true);
            // Fragments that fit no chunk, bytes and samples, and silence by word.
            feed.push(&self.1[..2 * 700]);
            feed.push_pcm(nyx_audio_capture::Encoding::S16Le, &[1; 4 * 333]);
            feed.push_silence(100);
        }
        Ok(progress)
    }

    fn close(&mut self) {
        WATCHED.set(false);
    }
}

#[test]
fn nothing_is_allocated_or_freed_by_the_thread_that_captures() {
    for skip_silence in [false, true] {
        let (steps, input) = script(Format::new(48_000, 2).unwrap(), 0);
        let mut config = Config::default();
        (config.capacity, config.skip_silence) = (20, skip_silence);
        let input = Watched(input, vec![0.25; 2 * 700], 0);
        let (capture, mut reader) = Capture::start(input, config).unwrap();
        steps.send(Step::Frames(480)).unwrap();
        // First the reader keeps up and sleeps in between, then it takes batches, then it stalls until chunks are dropped.
        for round in 0..300 {
            steps.send(Step::Frames(480)).unwrap();
            match round {
                0..100 => drop(reader.recv()),
                100..200 => drop(reader.recv_batch(2, &mut Vec::new())),
                _ => {}
            }
        }
        steps.send(Step::End).unwrap();
        while !capture.is_ended() {
            std::thread::yield_now();
        }
        assert!(reader.metrics().dropped > 0);
        capture.stop().unwrap();
    }
    assert_eq!(ASKED.load(Ordering::Relaxed), 0);
}
