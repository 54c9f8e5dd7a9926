//! The bound of unsent bytes follows the drain rate: as a value in virtual time, and over real sockets.

use std::time::Duration;

use nyx_core::Instant;
use nyx_transport::unsent::{Config, Control};
use proptest::prelude::*;

const KIB: u32 = 1024;

/// A path in virtual time, and a writer that always has more.
struct Path {
    control: Control,
    now: Instant,
    /// What the kernel holds.
    unsent: u64,
    /// How often the kernel was told something else.
    changes: u32,
}

impl Path {
    fn new() -> Self {
        // More than by default, so that fast paths differ as well.
        let mut config = Config::default();
        config.bytes_max = 128 * KIB;
        let control = Control::new(config);
        let mut path = Self { control, now: Instant::ZERO, unsent: 0, changes: 0 };
        path.fill();
        path
    }

    /// Writes until the kernel holds the target.
    fn fill(&mut self) {
        let room = u64::from(self.control.target()).saturating_sub(self.unsent);
        if room > 0 {
            self.unsent += room;
            self.control.handle_written(self.now, room);
        }
        if self.control.wants_sample(self.now) && self.control.handle_blocked(self.now, self.unsent).is_some()
        {
            self.changes += 1;
        }
    }

    /// Drains at a rate. The writer is woken when half has gone.
    fn drain(&mut self, bytes_per_second: u64, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let target = u64::from(self.control.target());
            let step = self.unsent.saturating_sub(target / 2).max(1);
            self.now = self.now + Duration::from_secs_f64(step as f64 / bytes_per_second as f64);
            self.unsent = self.unsent.saturating_sub(step);
            self.fill();
        }
    }

    /// The path drains what it has, and the writer has nothing.
    fn rest(&mut self, time: Duration) {
        self.now = self.now + time;
        self.unsent = 0;
    }
}

#[test]
fn ten_milliseconds_of_the_rate_may_wait() {
    for (rate, target) in [(500_000, 5_000), (2_000_000, 20_000), (10_000_000, 100_000)] {
        let mut path = Path::new();
        path.drain(rate, Duration::from_secs(3));
        let error = f64::from(path.control.target()) / f64::from(target);
        assert!((0.75..1.25).contains(&error), "{} at {rate}", path.control.target());
    }
}

#[test]
fn the_bounds_hold_at_both_ends() {
    let mut path = Path::new();
    path.drain(10_000, Duration::from_secs(30));
    assert_eq!(path.control.target(), 4 * KIB);
    path.drain(500_000_000, Duration::from_secs(3));
    assert_eq!(path.control.target(), 128 * KIB);
}

#[test]
fn a_path_that_becomes_a_hundred_times_slower_is_known_within_a_second() {
    let mut path = Path::new();
    path.drain(50_000_000, Duration::from_secs(3));
    assert_eq!(path.control.target(), 128 * KIB);
    // What the kernel holds already takes half a second.
    path.drain(500_000, Duration::from_millis(1500));
    assert!(path.control.target() < 8 * KIB, "{}", path.control.target());
}

#[test]
fn a_steady_path_changes_nothing_after_the_first_second() {
    let mut path = Path::new();
    path.drain(3_000_000, Duration::from_secs(1));
    let before = path.changes;
    path.drain(3_000_000, Duration::from_secs(60));
    assert_eq!(path.changes, before);
}

#[test]
fn a_wild_path_changes_five_times_a_second_at_most() {
    let mut path = Path::new();
    for _ in 0..50 {
        path.drain(50_000_000, Duration::from_millis(100));
        path.drain(1_000_000, Duration::from_millis(100));
    }
    // What is held when the rate falls drains for longer than 0.1 s.
    let seconds = path.now.since(Instant::ZERO).as_secs_f64();
    assert!(f64::from(path.changes) <= seconds * 5.0 + 1.0, "{} in {seconds} s", path.changes);
}

#[test]
fn a_writer_that_pauses_does_not_make_the_path_look_slow() {
    let mut path = Path::new();
    path.drain(5_000_000, Duration::from_secs(1));
    let before = path.control.target();
    for _ in 0..100 {
        // A burst of 100 kB, and nothing for 80 ms.
        path.drain(5_000_000, Duration::from_millis(20));
        path.control.handle_written(path.now, 1);
        path.rest(Duration::from_millis(80));
        path.fill();
    }
    let ratio = f64::from(path.control.target()) / f64::from(before);
    assert!((0.8..1.25).contains(&ratio), "{before} became {}", path.control.target());
}

#[test]
fn a_connection_that_is_never_full_costs_no_clock() {
    let control = Control::new(Config::default());
    assert!(!control.is_measuring());
    assert_eq!((control.target(), control.bytes_per_second()), (16 * KIB, None));
}

#[derive(Clone, Debug)]
enum Step {
    Written(u64),
    Blocked(u64),
    Back,
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        any::<u32>().prop_map(|bytes| Step::Written(bytes.into())),
        any::<u64>().prop_map(|bytes| Step::Blocked(bytes >> 8)),
        Just(Step::Back),
    ];
    proptest::collection::vec((0..3_000_000_000u64, step), 0..200)
}

proptest! {
    #[test]
    fn whatever_happens_the_target_is_within_its_bounds_and_rests(steps in steps()) {
        let config = Config::default();
        let mut control = Control::new(config);
        let (mut now, mut changed) = (Instant::ZERO, None::<Instant>);
        for (nanos, step) in steps {
            now = now + Duration::from_nanos(nanos);
            match step {
                Step::Written(bytes) => control.handle_written(now, bytes),
                Step::Blocked(unsent) => {
                    let before = control.target();
                    control.wants_sample(now);
                    let told = control.handle_blocked(now, unsent);
                    prop_assert_eq!(told.unwrap_or(before), control.target());
                    if told.is_some() {
                        prop_assert!(control.target() != before);
                        prop_assert!(changed.is_none_or(|at| now < at || now.since(at) >= Duration::from_millis(200)));
                        changed = Some(now);
                    }
                }
                Step::Back => (now, changed) = (Instant::from_nanos(now.as_nanos() / 2), None),
            }
            prop_assert!((config.bytes_min..=config.bytes_max).contains(&control.target()));
        }
    }
}

#[cfg(target_os = "linux")]
mod sockets {
    use std::net::SocketAddr;

    use nyx_core::Bitrate;
    use nyx_core::clock::Monotonic;
    use nyx_netem::{Handle, Impairment, Proxy};
    use nyx_transport::tcp;
    use nyx_transport::unsent::{Socket, kernel};
    use socket2::SockRef;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    /// For machines that have much else to do.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A writer and a reader on the two ends of a link.
    async fn linked(rate: Option<u64>) -> (Socket, TcpStream, Handle) {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = tcp::listen(loopback).unwrap();
        // As on Ethernet; the kernel fills a segment whatever the bound is, and on loopback one has 64 KiB.
        SockRef::from(&listener).set_tcp_mss(1448).unwrap();
        let mut impairment = Impairment::default();
        impairment.rate = rate.map(Bitrate::from_bytes_per_second);
        let proxy = Proxy::bind(loopback, listener.local_addr().unwrap(), impairment.into()).unwrap();
        let (addr, handle) = (proxy.local_addr(), proxy.handle());
        tokio::spawn(proxy.run());
        let (reader, accepted) = tokio::join!(TcpStream::connect(addr), listener.accept());
        let writer = accepted.unwrap().0;
        let writer = Socket::adaptive(writer, Config::default(), Monotonic::new()).unwrap();
        (writer, reader.unwrap(), handle)
    }

    /// What the kernel was told last.
    fn told(socket: &Socket) -> u32 {
        SockRef::from(socket.stream()).tcp_notsent_lowat().unwrap()
    }

    /// Writes and reads until the target is right.
    async fn run_until(writer: &mut Socket, reader: &mut TcpStream, is_right: impl Fn(u32) -> bool) -> bool {
        let (gauge, chunk, mut sink) = (writer.gauge(), vec![0; 64 * 1024], vec![0; 64 * 1024]);
        let write = async {
            while !gauge.target().is_some_and(&is_right) {
                writer.write_all(&chunk).await.unwrap();
            }
        };
        let read = async {
            loop {
                assert!(reader.read(&mut sink).await.unwrap() > 0, "the writer is there");
            }
        };
        timeout(PATIENCE, async {
            tokio::select! {
                () = write => {}
                () = read => {}
            }
        })
        .await
        .is_ok()
    }

    #[tokio::test]
    async fn a_slow_reader_lowers_the_kernel_s_bound_and_a_faster_one_raises_it() {
        let (mut writer, mut reader, link) = linked(Some(300_000)).await;
        assert_eq!(told(&writer), 16 * KIB);
        // What is within a quarter of the last target leaves it as it is, so it need not be the least that there is.
        assert!(run_until(&mut writer, &mut reader, |target| target <= 8 * KIB).await, "{}", told(&writer));
        assert_eq!(Some(told(&writer)), writer.gauge().target());
        link.update(|link| link.rate = None);
        assert!(run_until(&mut writer, &mut reader, |target| target >= 16 * KIB).await, "{}", told(&writer));
        assert_eq!(Some(told(&writer)), writer.gauge().target());
    }

    #[tokio::test]
    async fn a_reader_that_stalls_is_held_no_more_than_the_bound_and_a_segment() {
        let (mut writer, _reader, _link) = linked(Some(300_000)).await;
        let chunk = vec![0; 16 * 1024];
        // A write that can't end is what a stall looks like.
        let stalled = async {
            loop {
                writer.write_all(&chunk).await.unwrap();
            }
        };
        assert!(timeout(Duration::from_millis(500), stalled).await.is_err());
        let unsent = kernel::unsent(writer.stream()).unwrap();
        assert!((1..=16 * 1024 + 64 * 1024).contains(&unsent), "{unsent}");
    }

    #[tokio::test]
    async fn an_idle_connection_has_nothing_unsent() {
        let (mut writer, mut reader, _link) = linked(None).await;
        writer.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        reader.read_exact(&mut heard).await.unwrap();
        assert_eq!(kernel::unsent(writer.stream()).unwrap(), 0);
    }

    #[tokio::test]
    async fn a_listener_has_no_queue_and_says_so() {
        let listener = tcp::listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        assert!(kernel::unsent(&listener).is_err());
    }
}
