//! Datagrams over loopback, sent and received by one thread: ours beside std, tokio and quinn-udp as it comes.
//!
//! Every contender has sockets of its own, and counts what it received: a datagram that was lost would stop the bench. Everybody is given
//! the payloads one by one, as producers have them. quinn-udp takes several only where they lie in one piece, so they are put there.

use std::hint::black_box;
use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nyx_transport::udp::{Batch, Inbox, Options, Socket};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::runtime::{Builder, Runtime};

/// One datagram there.
fn send_recv(c: &mut Criterion) {
    for (name, size) in [("64B", 64), ("1200B", 1200), ("8KiB", 8192)] {
        let mut group = c.benchmark_group(format!("udp/send_recv/{name}"));
        contenders(&mut group, &vec![7; size], 1);
        group.finish();
    }
}

/// A batch there.
fn bulk(c: &mut Criterion) {
    for (name, size) in [("64B", 64), ("1200B", 1200)] {
        let mut group = c.benchmark_group(format!("udp/bulk/{name}/batch32"));
        group.throughput(Throughput::Elements(BATCH as u64));
        contenders(&mut group, &vec![7; size], BATCH);
        group.finish();
    }
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn contenders(group: &mut Group<'_>, payload: &[u8], count: usize) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("the system has threads");
    nyx(group, &runtime, payload, count, "nyx", true);
    if count == 1 {
        nyx(group, &runtime, payload, count, "nyx, one at a time", false);
    }
    std(group, payload, count);
    tokio(group, &runtime, payload, count);
    quinn(group, payload, count);
}

/// As it comes, or as who knows that one comes at a time has it: a plain call for each, and room for one.
fn nyx(group: &mut Group<'_>, runtime: &Runtime, payload: &[u8], count: usize, name: &str, batched: bool) {
    let _entered = runtime.enter();
    let mut options = Options::default();
    options.batched = batched;
    let bind = || Socket::bind(ANY, &options).expect("loopback");
    let (from, to) = (bind(), bind());
    let addr = to.local_addr().expect("it is bound");
    let mut inbox = if batched { Inbox::new() } else { Inbox::with_buffers(1) };
    let mut batch = Batch::default();
    group.bench_function(name, |b| {
        b.iter_custom(|times| {
            runtime.block_on(async {
                let start = now();
                for _ in 0..times {
                    for _ in 0..count {
                        batch.push(addr, payload).expect("there is room");
                    }
                    let sent = from.send(&mut batch).await.expect("loopback");
                    assert_eq!(sent.datagrams, count);
                    let mut received = 0;
                    while received < count {
                        received += to.recv(&mut inbox).await.expect("loopback");
                        for datagram in inbox.iter() {
                            black_box(datagram.payload.len());
                        }
                    }
                }
                start.elapsed()
            })
        });
    });
}

fn std(group: &mut Group<'_>, payload: &[u8], count: usize) {
    let (from, to, addr) = pair();
    let mut buffer = vec![0; 64 * 1024];
    group.bench_function("std", |b| {
        b.iter(|| {
            for _ in 0..count {
                from.send_to(payload, addr).expect("loopback");
            }
            for _ in 0..count {
                black_box(to.recv_from(&mut buffer).expect("loopback"));
            }
        });
    });
}

fn tokio(group: &mut Group<'_>, runtime: &Runtime, payload: &[u8], count: usize) {
    let _entered = runtime.enter();
    let (from, to, addr) = pair();
    let [from, to] = [from, to].map(|socket| {
        socket.set_nonblocking(true).expect("a socket");
        tokio::net::UdpSocket::from_std(socket).expect("a socket")
    });
    let mut buffer = vec![0; 64 * 1024];
    group.bench_function("tokio", |b| {
        b.iter_custom(|times| {
            runtime.block_on(async {
                let start = now();
                for _ in 0..times {
                    for _ in 0..count {
                        from.send_to(payload, addr).await.expect("loopback");
                    }
                    for _ in 0..count {
                        black_box(to.recv_from(&mut buffer).await.expect("loopback"));
                    }
                }
                start.elapsed()
            })
        });
    });
}

/// Blocking by spinning: the datagrams are there when they have been sent.
fn quinn(group: &mut Group<'_>, payload: &[u8], count: usize) {
    let (from, to, addr) = pair();
    let state = |socket: &UdpSocket| UdpSocketState::new(UdpSockRef::from(socket)).expect("a socket");
    let (sender, receiver) = (state(&from), state(&to));
    let mut train = Vec::with_capacity(payload.len() * count);
    let per_call = if count == 1 { 1 } else { (65_507 / payload.len()).min(sender.max_gso_segments()) };
    let mut buffers = vec![vec![0; 64 * 1024]; if count == 1 { 1 } else { BATCH_SIZE }];
    let mut metas = vec![RecvMeta::default(); buffers.len()];
    group.bench_function("quinn-udp", |b| {
        b.iter(|| {
            train.clear();
            (0..count).for_each(|_| train.extend_from_slice(payload));
            for contents in train.chunks(payload.len() * per_call) {
                let segment_size = (contents.len() > payload.len()).then_some(payload.len());
                let transmit =
                    Transmit { destination: addr, ecn: None, contents, segment_size, src_ip: None };
                sender.try_send(UdpSockRef::from(&from), &transmit).expect("loopback");
            }
            let mut received = 0;
            while received < count {
                let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
                let filled =
                    receiver.recv(UdpSockRef::from(&to), &mut slices, &mut metas).expect("it is there");
                received += metas[..filled].iter().map(|meta| meta.len.div_ceil(meta.stride)).sum::<usize>();
                black_box(&buffers);
            }
        });
    });
}

fn pair() -> (UdpSocket, UdpSocket, SocketAddr) {
    let bind = || UdpSocket::bind(ANY).expect("loopback");
    let (from, to) = (bind(), bind());
    let addr = to.local_addr().expect("it is bound");
    (from, to, addr)
}

#[expect(clippy::disallowed_methods, reason = "a bench measures wall time")]
fn now() -> Instant {
    Instant::now()
}

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

const BATCH: usize = 32;

criterion_group!(benches, send_recv, bulk);
criterion_main!(benches);
