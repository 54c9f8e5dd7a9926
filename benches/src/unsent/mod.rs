//! How many bytes should wait in the kernel: a fixed bound, one that follows the drain rate, and the kernel's own, on a slow and on a fast link.
//!
//! A writer hands the newest frame to a socket whenever the last is written, as a session of the hub does for a subscriber that can't acknowledge.
//! nyx-netem makes the link, with segments as on Ethernet, on a thread of its own; the writer has another. The age is that of a whole frame at the reader, by the clock of this one process.
//! Without a link the reader takes what it can, which shows what waking up costs.

mod frames;
mod table;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use nyx_core::clock::{Clock as _, Monotonic};
use nyx_core::{Bitrate, ByteSize};
use nyx_netem::proxy::{self, Proxy};
use nyx_transport::tcp;
use nyx_transport::unsent::{self, Socket};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use frames::{Seen, read, write};

/// What to measure.
#[derive(Clone, Copy, Debug, clap::Parser)]
pub struct Args {
    /// Seconds for each cell.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Only long enough to see that it works.
    #[arg(long)]
    smoke: bool,
}

/// A link and what crosses it.
#[derive(Clone, Copy)]
struct Path {
    name: &'static str,
    /// `None`: no link, and frames without pause.
    bytes_per_second: Option<u64>,
    frame_bytes: usize,
    frames_per_second: u32,
    /// Tasks beside the writer that take turns of a millisecond, as sessions do that have much to encode.
    others: usize,
    /// Buffers of the link, and of each of its sockets: some milliseconds.
    buffer: u64,
}

const PATHS: [Path; 4] = [
    Path {
        name: "500 kB/s",
        bytes_per_second: Some(500_000),
        frame_bytes: 46_000,
        frames_per_second: 60,
        others: 0,
        buffer: 16 * 1024,
    },
    Path {
        name: "50 MB/s",
        bytes_per_second: Some(50_000_000),
        frame_bytes: 46_000,
        frames_per_second: 10_000,
        others: 0,
        buffer: 256 * 1024,
    },
    Path {
        name: "the same, busy",
        bytes_per_second: Some(50_000_000),
        frame_bytes: 46_000,
        frames_per_second: 10_000,
        others: 1,
        buffer: 256 * 1024,
    },
    Path {
        name: "loopback",
        bytes_per_second: None,
        frame_bytes: 46_000,
        frames_per_second: 1_000_000,
        others: 0,
        buffer: 0,
    },
];

/// What bounds the unsent bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Fixed,
    Adaptive,
    Wide,
    Kernel,
}

impl Bound {
    const ALL: [Self; 4] = [Self::Fixed, Self::Adaptive, Self::Wide, Self::Kernel];

    const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed, 16 KiB",
            Self::Adaptive => "adaptive",
            Self::Wide => "to 128 KiB",
            Self::Kernel => "the kernel's own",
        }
    }
}

/// One cell.
struct Cell {
    path: Path,
    bound: Bound,
    seconds: f64,
    seen: Seen,
    /// The bound at the end.
    target: Option<u32>,
    /// CPU time of the process over wall time.
    cpu: f64,
}

/// Measures everything and prints the table.
///
/// # Errors
/// When a socket fails.
pub async fn run(args: &Args) -> anyhow::Result<()> {
    let time = Duration::from_secs_f64(if args.smoke { 0.3 } else { args.seconds });
    let mut cells = Vec::new();
    for path in PATHS {
        for bound in Bound::ALL {
            cells.push(measure(path, bound, time).await?);
        }
    }
    Ok(table::print(&cells)?)
}

async fn measure(path: Path, bound: Bound, time: Duration) -> anyhow::Result<Cell> {
    let writers = thread()?;
    let links = thread()?;
    let listener = writers.spawn(async { listen() }).await??;
    let upstream = listener.local_addr()?;
    let addr = match path.bytes_per_second {
        Some(rate) => {
            let proxy = links.spawn(async move { proxy(upstream, rate, path.buffer) }).await??;
            let addr = proxy.local_addr();
            links.spawn(proxy.run());
            addr
        }
        None => upstream,
    };
    let clock = Monotonic::new();
    let accepting = writers.spawn(async move { listener.accept().await });
    let reader = TcpStream::connect(addr).await?;
    let writer = set_up(accepting.await??.0, bound, &clock)?;
    let gauge = writer.gauge();
    for _ in 0..path.others {
        writers.spawn(hog(clock.clone()));
    }
    writers.spawn(write(writer, path.frame_bytes, path.frames_per_second, clock.clone()));
    let begun = clock.now();
    let reading = tokio::spawn(read(reader, path.frame_bytes, clock.clone(), time));
    let before = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let (seen, seconds) = reading.await??;
    let after = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let wall = clock.now().since(begun).as_secs_f64();
    writers.shutdown_background();
    links.shutdown_background();
    let spent = (after.tv_sec - before.tv_sec) as f64 + (after.tv_nsec - before.tv_nsec) as f64 / 1e9;
    Ok(Cell { path, bound, seconds, seen, target: gauge.target(), cpu: spent / wall })
}

fn thread() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

/// Takes turns of a millisecond.
async fn hog(clock: Monotonic) {
    loop {
        let begin = clock.now();
        while clock.now().since(begin) < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
        tokio::task::yield_now().await;
    }
}

/// Segments of accepted connections are as on Ethernet: on loopback one has 64 KiB, and the kernel fills it whatever the bound is.
fn listen() -> anyhow::Result<TcpListener> {
    let listener = tcp::listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    SockRef::from(&listener).set_tcp_mss(SEGMENT).context("can't set the segment size")?;
    Ok(listener)
}

const SEGMENT: u32 = 1448;

fn proxy(upstream: SocketAddr, bytes_per_second: u64, buffer: u64) -> anyhow::Result<Proxy> {
    let mut config = proxy::Config::default();
    config.impairment.rate = Some(Bitrate::from_bytes_per_second(bytes_per_second));
    config.impairment.buffer = ByteSize::new(2 * buffer);
    config.socket_buffer = ByteSize::new(buffer);
    Ok(Proxy::bind(SocketAddr::from(([127, 0, 0, 1], 0)), upstream, config)?)
}

fn set_up(stream: TcpStream, bound: Bound, clock: &Monotonic) -> anyhow::Result<Socket> {
    let mut options = tcp::Options::default();
    let fixed = options.unsent_bytes.filter(|_| bound == Bound::Fixed);
    options.unsent_bytes = fixed;
    tcp::apply(&stream, &options)?;
    Ok(match bound {
        Bound::Adaptive => Socket::adaptive(stream, unsent::Config::default(), clock.clone())?,
        Bound::Wide => {
            let mut config = unsent::Config::default();
            config.bytes_max = 128 * 1024;
            Socket::adaptive(stream, config, clock.clone())?
        }
        Bound::Fixed | Bound::Kernel => Socket::fixed(stream, fixed, clock.clone()),
    })
}
