//! The thread that captures allocates nothing once it runs, be its reader quick, slow or gone to sleep.

mod script;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use nyx_audio_capture::capture::{Config, Feed};
use nyx_audio_capture::input::{OpenError, Opened, Progress, ReadError, Request};
#[cfg(all(target_os = "linux", feature = "pulse"))]
use nyx_audio_capture::pulse::inbox::{Inbox, Packet};
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
struct Watched {
    script: Script,
    samples: Vec<f32>,
    reads: u32,
    #[cfg(all(target_os = "linux", feature = "pulse"))]
    inbox: Inbox,
}

impl Watched {
    /// Samples as the sound server sends them.
    #[cfg(all(target_os = "linux", feature = "pulse"))]
    fn packets(&mut self, feed: &mut Feed) {
        const PACKET: [u8; 20] = [0, 0, 14, 16, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for _ in 0..3 {
            let room = self.inbox.room();
            let bytes = room.len().min(PACKET.len() + 3_600);
            room[..PACKET.len()].copy_from_slice(&PACKET);
            room[PACKET.len()..bytes].fill(0);
            self.inbox.filled(bytes);
            while let Ok(Some(Packet::Samples { bytes, .. })) = self.inbox.next_packet() {
                feed.push_pcm(nyx_audio_capture::Encoding::F32Le, bytes);
            }
        }
    }

    #[cfg(not(all(target_os = "linux", feature = "pulse")))]
    fn packets(&mut self, _: &mut Feed) {}
}

impl Input for Watched {
    fn open(&mut self, request: &Request) -> Result<Opened, OpenError> {
        self.script.open(request)
    }

    fn read(&mut self, feed: &mut Feed) -> Result<Progress, ReadError> {
        WATCHED.set(false);
        let progress = self.script.read(feed)?;
        self.reads += 1;
        if self.reads > 1 {
            WATCHED.set(true);
            // Fragments that fit no chunk, bytes and samples, and silence by word.
            feed.push(&self.samples);
            feed.push_pcm(nyx_audio_capture::Encoding::S16Le, &[1; 4 * 333]);
            feed.push_silence(100);
            self.packets(feed);
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
        let input = Watched {
            script: input,
            samples: vec![0.25; 2 * 700],
            reads: 0,
            #[cfg(all(target_os = "linux", feature = "pulse"))]
            inbox: Inbox::new(),
        };
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
