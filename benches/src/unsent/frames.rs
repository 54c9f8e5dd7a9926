//! Frames that say when they were made.

use std::future::poll_fn;
use std::hint::black_box;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use nyx_core::Instant;
use nyx_core::clock::{Clock, Monotonic};
use nyx_transport::unsent::Socket;
use nyx_transport::write::Queue;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// What a reader got.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) frames: u64,
    /// Microseconds, in the order of arrival.
    pub(super) ages: Vec<u64>,
}

/// Ages are kept of the first so many frames, which are more than a cell has on a link.
const AGES_MAX: usize = 1 << 20;

/// Frames are told apart by when they were made.
const HEAD: usize = 8;

/// Hands out the newest frame whenever the last is written, each once, until it is aborted.
pub(super) async fn write(
    mut socket: Socket,
    bytes: usize,
    per_second: u32,
    clock: Monotonic,
) -> io::Result<()> {
    let every = Duration::from_secs(1) / per_second;
    let body = Bytes::from(vec![0x5a; bytes - HEAD]);
    let (start, mut queue) = (clock.now(), Queue::default());
    let mut next = 0;
    loop {
        let now = clock.now();
        let newest = u64::try_from(now.since(start).as_nanos() / every.as_nanos()).unwrap_or(u64::MAX);
        if newest < next {
            let due = start + every * u32::try_from(next).unwrap_or(u32::MAX);
            match due.since(now) {
                // The runtime's timer would be late by a whole one.
                wait if wait < Duration::from_millis(1) => tokio::task::yield_now().await,
                wait => tokio::time::sleep(wait).await,
            }
            continue;
        }
        next = newest + 1;
        let made = start + every * u32::try_from(newest).unwrap_or(u32::MAX);
        queue.push(Bytes::copy_from_slice(&made.as_nanos().to_be_bytes()));
        queue.push(body.clone());
        while !queue.is_empty() {
            poll_fn(|cx| queue.poll_write(cx, &mut socket)).await?;
        }
    }
}

/// Reads frames for `time`, of which the first tenth counts for nothing. Returns what it saw in how many seconds.
pub(super) async fn read(
    mut stream: TcpStream,
    bytes: usize,
    clock: Monotonic,
    time: Duration,
) -> io::Result<(Seen, f64)> {
    let mut frame = vec![0; bytes];
    let begin = clock.now() + time / 10;
    let end = clock.now() + time;
    let mut seen = Seen::default();
    loop {
        stream.read_exact(&mut frame).await?;
        let now = clock.now();
        if now >= end {
            return Ok((seen, now.since(begin).as_secs_f64()));
        }
        if now < begin {
            continue;
        }
        let (head, body) = frame.split_at(HEAD);
        black_box(body);
        let made = Instant::from_nanos(head.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
        seen.frames += 1;
        if seen.ages.len() < AGES_MAX {
            seen.ages.push(now.since(made).as_micros() as u64);
        }
    }
}
