//! A connection taken and given back: the pool beside deadpool and bb8 as they come, and beside connecting anew.
//!
//! Everybody's connections are real, and a server holds the other ends. deadpool and bb8 look at nothing when they hand one
//! out; "deadpool, checked" does what ours does by default for a connection that was used just now, and "nyx, kernel" asks the kernel
//! each time, as ours does for one that has rested.

use std::future::Future;
use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use hdrhistogram::Histogram;
use nyx_transport::pool::{Check, Config, Connection as _, Liveness, Pool, Target, Tcp};
use nyx_transport::{Address, tcp};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

/// One task, one connection.
fn acquire_release(c: &mut Criterion) {
    let runtime = runtime(1);
    let server = Server::start(&runtime);
    let mut group = c.benchmark_group("tcp_pool/acquire_release");
    for (name, verify_after) in [("nyx", Config::default().verify_after), ("nyx, kernel", Duration::ZERO)] {
        let target = runtime.block_on(server.nyx(1, verify_after));
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                runtime.block_on(timed(times, async || {
                    let lease = target.acquire().await.expect("the server is there");
                    black_box(&*lease);
                    lease.release();
                }))
            });
        });
        // Where a filter left it out, none was needed.
        assert!(target.stats().created <= 1, "{:?}", target.stats());
    }
    for (name, checks) in [("deadpool", false), ("deadpool, checked", true)] {
        let pool = server.deadpool(1, checks);
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                runtime.block_on(timed(times, async || {
                    black_box(&*pool.get().await.expect("the server is there"));
                }))
            });
        });
        assert!(pool.status().size <= 1);
    }
    let pool = runtime.block_on(server.bb8(1));
    group.bench_function("bb8", |b| {
        b.iter_custom(|times| {
            runtime.block_on(timed(times, async || {
                black_box(&*pool.get().await.expect("the server is there"));
            }))
        });
    });
    group.bench_function("connect", |b| {
        b.iter_custom(|times| {
            runtime.block_on(timed(times, async || {
                let stream = TcpStream::connect(server.socket).await.expect("the server is there");
                // Otherwise the system runs out of ports.
                stream.set_zero_linger().expect("a socket");
                black_box(stream);
            }))
        });
    });
    group.finish();
}

/// How long the unluckiest of a hundred waits, where 64 tasks share 16 connections and each keeps one while others run.
fn wait_p99(c: &mut Criterion) {
    let runtime = runtime(2);
    let server = Server::start(&runtime);
    let mut group = c.benchmark_group("tcp_pool/wait_p99/64tasks_16connections");
    group.sample_size(20);
    let target = runtime.block_on(server.nyx(CONNECTIONS, Config::default().verify_after));
    let target = waits(&mut group, &runtime, "nyx", target, |target, start| async move {
        let lease = target.acquire().await.expect("the server is there");
        let waited = start.elapsed();
        tokio::task::yield_now().await;
        lease.release();
        waited
    });
    let stats = target.stats();
    // Where a filter left it out, nobody waited.
    assert!(stats.created <= CONNECTIONS as u64 && (stats.reused == 0 || stats.waited > 0), "{stats:?}");
    let pool = server.deadpool(CONNECTIONS, false);
    waits(&mut group, &runtime, "deadpool", pool, |pool, start| async move {
        let _connection = pool.get().await.expect("the server is there");
        let waited = start.elapsed();
        tokio::task::yield_now().await;
        waited
    });
    // No pool at all: what taking turns costs those who do it in order.
    let turns = Semaphore::new(CONNECTIONS);
    waits(&mut group, &runtime, "semaphore", turns, |turns, start| async move {
        let _turn = turns.acquire().await.expect("it is never closed");
        let waited = start.elapsed();
        tokio::task::yield_now().await;
        waited
    });
    let pool = runtime.block_on(server.bb8(CONNECTIONS));
    waits(&mut group, &runtime, "bb8", pool, |pool, start| async move {
        let _connection = pool.get().await.expect("the server is there");
        let waited = start.elapsed();
        tokio::task::yield_now().await;
        waited
    });
    group.finish();
}

#[expect(clippy::disallowed_methods, reason = "a bench measures wall time")]
fn now() -> Instant {
    Instant::now()
}

async fn timed(times: u64, mut operation: impl AsyncFnMut()) -> Duration {
    operation().await;
    let start = now();
    for _ in 0..times {
        operation().await;
    }
    start.elapsed()
}

/// Measures what tasks wait that share something; a turn is told when it began. What is shared lives as long as the process: to count
/// who refers to it, once a turn and from both threads, would cost as much as the turn.
fn waits<S, T, F>(group: &mut Group<'_>, runtime: &Runtime, name: &str, shared: S, turn: T) -> &'static S
where
    S: Send + Sync + 'static,
    T: Fn(&'static S, Instant) -> F + Copy + Send + 'static,
    F: Future<Output = Duration> + Send,
{
    let shared: &S = Box::leak(Box::new(shared));
    group.bench_function(name, |b| b.iter_custom(|times| p99(runtime, times, move || turn(shared, now()))));
    shared
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// The 99th percentile of what the turns of all tasks return in `times` rounds, as if each round had taken it.
fn p99<T, F>(runtime: &Runtime, times: u64, turn: T) -> Duration
where
    T: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Duration> + Send,
{
    let task = |turn: T| async move {
        let mut waits = histogram();
        for _ in 0..times.saturating_mul(TURNS) {
            waits.saturating_record(u64::try_from(turn().await.as_nanos()).unwrap_or(u64::MAX));
        }
        waits
    };
    let tasks: Vec<_> = (0..TASKS).map(|_| runtime.spawn(task(turn.clone()))).collect();
    let mut all = histogram();
    for task in tasks {
        all.add(runtime.block_on(task).expect("no task panics")).expect("they have the same bounds");
    }
    let p99 = Duration::from_nanos(all.value_at_quantile(0.99));
    p99.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX))
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("the bounds are in order")
}

fn runtime(threads: usize) -> Runtime {
    let mut builder = if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.worker_threads(threads).enable_all().build().expect("the system has threads")
}

/// Keeps the other end of each connection, as long as it is there.
struct Server {
    socket: std::net::SocketAddr,
    address: Address,
}

impl Server {
    fn start(runtime: &Runtime) -> Self {
        let _entered = runtime.enter();
        let listener = tcp::listen(([127, 0, 0, 1], 0).into()).expect("loopback");
        let socket = listener.local_addr().expect("it is bound");
        runtime.spawn(hold(listener));
        Self { socket, address: socket.into() }
    }

    async fn nyx(&self, connections: usize, verify_after: Duration) -> Target {
        let mut config = Config::default();
        config.per_address = connections;
        config.verify_after = verify_after;
        let pool = Pool::new(Tcp::default(), config);
        let target = pool.target(&self.address).expect("it is the first");
        assert_eq!(target.warm(connections).await.expect("the server is there"), connections);
        target
    }

    fn deadpool(&self, connections: usize, checks: bool) -> deadpool::managed::Pool<Manager> {
        let manager = Manager { socket: self.socket, checks };
        deadpool::managed::Pool::builder(manager).max_size(connections).build().expect("it needs no runtime")
    }

    async fn bb8(&self, connections: usize) -> bb8::Pool<Manager> {
        let size = u32::try_from(connections).unwrap_or(u32::MAX);
        let builder = bb8::Pool::builder().max_size(size).min_idle(size).test_on_check_out(false);
        builder.build(Manager { socket: self.socket, checks: false }).await.expect("the server is there")
    }
}

async fn hold(listener: TcpListener) {
    let mut ends = Vec::new();
    while let Ok((end, _)) = listener.accept().await {
        // Those that are reset are not worth keeping.
        ends.retain_mut(|end: &mut TcpStream| end.liveness(Check::Readiness) == Liveness::Alive);
        ends.push(end);
    }
}

/// Connects for deadpool and bb8.
struct Manager {
    socket: std::net::SocketAddr,
    checks: bool,
}

impl deadpool::managed::Manager for Manager {
    type Type = TcpStream;
    type Error = io::Error;

    async fn create(&self) -> io::Result<TcpStream> {
        TcpStream::connect(self.socket).await
    }

    async fn recycle(
        &self,
        stream: &mut TcpStream,
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<io::Error> {
        if self.checks && stream.liveness(Check::Readiness) != Liveness::Alive {
            return Err(deadpool::managed::RecycleError::message("the peer closed it"));
        }
        Ok(())
    }
}

impl bb8::ManageConnection for Manager {
    type Connection = TcpStream;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect(self.socket).await
    }

    async fn is_valid(&self, _: &mut TcpStream) -> io::Result<()> {
        Ok(())
    }

    fn has_broken(&self, _: &mut TcpStream) -> bool {
        false
    }
}

/// Connections that the tasks share.
const CONNECTIONS: usize = 16;

const TASKS: usize = 64;

/// Connections that each task takes in one round.
const TURNS: u64 = 200;

criterion_group!(benches, acquire_release, wait_p99);
criterion_main!(benches);
