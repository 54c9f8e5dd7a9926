//! The pool over real sockets. Its time is moved by hand, so that nothing here waits for a clock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nyx_core::clock::Manual;
use nyx_transport::pool::{AcquireError, Config, Pool, Reason, Target, Tcp};
use nyx_transport::{Address, tcp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longer than a connection may rest before the kernel is asked about it.
const A_MOMENT: Duration = Duration::from_millis(1);

fn listener() -> (TcpListener, Address) {
    let listener = tcp::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap().into();
    (listener, address)
}

struct World {
    clock: Manual,
    pool: Pool<Tcp, Manual>,
}

impl World {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let clock = Manual::new();
        Self { pool: Pool::with_clock(Tcp::default(), config, clock.clone()), clock }
    }

    fn target(&self, address: &Address) -> Target<Tcp, Manual> {
        self.pool.target(address).unwrap()
    }
}

/// Opens so many connections and lets them rest; the server's ends.
async fn filled(target: &Target<Tcp, Manual>, listener: &TcpListener, count: usize) -> Vec<TcpStream> {
    assert_eq!(target.warm(count).await.unwrap(), count);
    let mut ends = Vec::new();
    for _ in 0..count {
        ends.push(listener.accept().await.unwrap().0);
    }
    ends
}

async fn ping(connection: &mut TcpStream, server: &mut TcpStream) {
    connection.write_all(b"ping").await.unwrap();
    let mut buffer = [0; 4];
    server.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"ping");
}

#[tokio::test]
async fn a_hundred_of_a_hundred_checkouts_succeed_after_the_peer_closed_every_idle_connection() {
    let (listener, address) = listener();
    let world = World::new(|config| config.per_address = 100);
    let target = world.target(&address);
    drop(filled(&target, &listener, 100).await);
    world.clock.advance(A_MOMENT);
    let mut leases = Vec::new();
    for _ in 0..100 {
        let mut lease = target.acquire().await.unwrap();
        let mut server = listener.accept().await.unwrap().0;
        ping(&mut lease, &mut server).await;
        leases.push((lease, server));
    }
    let stats = target.stats();
    assert_eq!((stats.closed(Reason::Peer), stats.created, stats.reused), (100, 200, 0));
}

#[tokio::test]
async fn a_connection_that_was_reset_is_not_handed_out() {
    let (listener, address) = listener();
    let world = World::new(|_| {});
    let target = world.target(&address);
    for end in filled(&target, &listener, 3).await {
        end.set_zero_linger().unwrap();
    }
    world.clock.advance(A_MOMENT);
    let mut lease = target.acquire().await.unwrap();
    ping(&mut lease, &mut listener.accept().await.unwrap().0).await;
    assert_eq!(target.stats().closed(Reason::Peer), 3);
}

#[tokio::test]
async fn a_close_that_the_reactor_has_seen_needs_no_system_call_to_be_noticed() {
    let (listener, address) = listener();
    let world = World::new(|config| config.verify_after = Duration::MAX);
    let target = world.target(&address);
    let ends = filled(&target, &listener, 1).await;
    let lease = target.acquire().await.unwrap();
    drop(ends);
    lease.readable().await.unwrap();
    lease.release();
    let _lease = target.acquire().await.unwrap();
    assert_eq!(target.stats().closed(Reason::Peer), 1);
}

#[tokio::test]
async fn half_read_answers_never_reach_the_next_user() {
    let (listener, address) = listener();
    let world = World::new(|_| {});
    let target = world.target(&address);
    let mut ends = filled(&target, &listener, 1).await;
    let mut lease = target.acquire().await.unwrap();
    ends[0].write_all(b"a long answer").await.unwrap();
    lease.read_exact(&mut [0; 6]).await.unwrap();
    // Its user believes that it has read all.
    lease.release();
    world.clock.advance(A_MOMENT);
    let mut lease = target.acquire().await.unwrap();
    ping(&mut lease, &mut listener.accept().await.unwrap().0).await;
    assert_eq!(target.stats().closed(Reason::Unread), 1);
}

#[tokio::test]
async fn a_request_that_is_cancelled_costs_its_connection_and_no_place() {
    let (listener, address) = listener();
    let world = World::new(|config| config.per_address = 1);
    let target = world.target(&address);
    for _ in 0..20 {
        // The server accepts, and never answers.
        let mut lease = target.acquire().await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        ping(&mut lease, &mut server).await;
        let mut answer = [0; 1];
        tokio::select! {
            biased;
            _ = lease.read(&mut answer) => panic!("there is no answer"),
            () = async {} => {}
        }
        drop(lease);
        assert_eq!(server.read(&mut answer).await.unwrap(), 0);
    }
    let stats = target.stats();
    assert_eq!((stats.created, stats.closed(Reason::Abandoned), stats.in_use), (20, 20, 0));
}

#[tokio::test]
async fn an_address_that_goes_away_is_left_alone_and_found_when_it_returns() {
    let (listener, address) = listener();
    let world = World::new(|_| {});
    let target = world.target(&address);
    drop(filled(&target, &listener, 2).await);
    drop(listener);
    world.clock.advance(A_MOMENT);
    assert!(matches!(target.acquire().await, Err(AcquireError::Connect { .. })));
    let resting = target.acquire().await.unwrap_err();
    let AcquireError::Resting { failures: 1, retry_in, .. } = resting else { panic!("{resting}") };
    world.clock.advance(retry_in);
    assert!(matches!(target.acquire().await, Err(AcquireError::Connect { .. })));
    assert!(matches!(target.acquire().await, Err(AcquireError::Resting { failures: 2, .. })));

    let socket: SocketAddr = format!("{}:{}", address.host(), address.port()).parse().unwrap();
    let listener = tcp::listen(socket).unwrap();
    world.clock.advance(Duration::from_secs(1));
    let mut lease = target.acquire().await.unwrap();
    ping(&mut lease, &mut listener.accept().await.unwrap().0).await;
    let stats = target.stats();
    assert_eq!((stats.failed, stats.refused), (2, 2));
}

#[tokio::test]
async fn what_rests_for_too_long_is_closed() {
    let (listener, address) = listener();
    let world = World::new(|config| {
        config.idle = Duration::from_secs(10);
    });
    let target = world.target(&address);
    let _ends = filled(&target, &listener, 3).await;
    world.pool.maintain();
    world.clock.advance(Duration::from_secs(9));
    target.acquire().await.unwrap().release();
    world.clock.advance(Duration::from_secs(1));
    world.pool.maintain();
    let stats = target.stats();
    assert_eq!((stats.idle, stats.closed(Reason::Idle)), (1, 2));
}

#[tokio::test]
async fn an_old_connection_is_replaced_when_it_is_asked_for() {
    let (listener, address) = listener();
    let world = World::new(|config| {
        config.lifetime = Duration::from_secs(10);
        config.idle = Duration::from_secs(100);
    });
    let target = world.target(&address);
    let _ends = filled(&target, &listener, 1).await;
    world.clock.advance(Duration::from_secs(10));
    target.acquire().await.unwrap().release();
    assert_eq!((target.stats().closed(Reason::Lifetime), target.stats().created), (1, 2));
}

#[tokio::test]
async fn an_old_connection_goes_also_where_somebody_always_waits_for_it() {
    let (_listener, address) = listener();
    let world = World::new(|config| {
        config.per_address = 1;
        config.lifetime = Duration::from_secs(10);
    });
    let target = world.target(&address);
    let lease = target.acquire().await.unwrap();
    world.clock.advance(Duration::from_secs(10));
    let waiting = tokio::spawn({
        let target = target.clone();
        async move { target.acquire().await.map(released) }
    });
    while target.stats().waiting < 1 {
        tokio::task::yield_now().await;
    }
    lease.release();
    waiting.await.unwrap().unwrap();
    assert_eq!((target.stats().closed(Reason::Lifetime), target.stats().created), (1, 2));
}

#[tokio::test]
async fn warming_takes_no_place_of_others_and_none_of_its_own() {
    let (first, first_address) = listener();
    let (_second, second_address) = listener();
    let world = World::new(|config| config.total = 3);
    let (one, two) = (world.target(&first_address), world.target(&second_address));
    let _ends = filled(&one, &first, 2).await;
    let warm = tokio::time::timeout(Duration::from_secs(20), two.warm(5));
    assert_eq!(warm.await.expect("it comes to an end").unwrap(), 1);
    let stats = world.pool.stats();
    assert_eq!((stats.idle, stats.created, stats.closed_total()), (3, 3, 0));
}

#[tokio::test]
async fn where_the_total_is_reached_the_longest_unused_connection_makes_room() {
    let (first, first_address) = listener();
    let (second, second_address) = listener();
    let world = World::new(|config| config.total = 3);
    let (one, two) = (world.target(&first_address), world.target(&second_address));
    let _ends = filled(&one, &first, 3).await;
    let lease = two.acquire().await.unwrap();
    let _end = second.accept().await.unwrap();
    assert_eq!((one.stats().idle, one.stats().closed(Reason::Evicted)), (2, 1));
    lease.release();
    assert_eq!(world.pool.stats().idle, 3);
}

#[tokio::test]
async fn where_all_of_the_total_is_in_use_the_next_that_is_given_back_makes_room() {
    let (_first, first_address) = listener();
    let (_second, second_address) = listener();
    let world = World::new(|config| config.total = 1);
    let (one, two) = (world.target(&first_address), world.target(&second_address));
    let lease = one.acquire().await.unwrap();
    let waiting = tokio::spawn(async move { two.acquire().await.map(released) });
    while world.pool.stats().in_use < 2 {
        tokio::task::yield_now().await;
    }
    // The other has a place at its own address; of the total it has none, until this one is back.
    lease.release();
    waiting.await.unwrap().unwrap();
    assert_eq!(one.stats().closed(Reason::Evicted), 1);
}

fn released(lease: nyx_transport::pool::Lease<'_, Tcp, Manual>) {
    lease.release();
}

#[tokio::test]
async fn who_waits_too_long_is_told_so_and_loses_nothing_of_others() {
    let (_listener, address) = listener();
    let world = World::new(|config| config.per_address = 1);
    let target = world.target(&address);
    let lease = target.acquire().await.unwrap();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let target = target.clone();
            tokio::spawn(async move { target.acquire().await.map(released) })
        })
        .collect();
    while target.stats().waiting < 3 {
        tokio::task::yield_now().await;
    }
    world.clock.advance(Config::default().acquire_timeout);
    world.pool.maintain();
    for task in waiting {
        let error = task.await.unwrap().unwrap_err();
        assert!(matches!(error, AcquireError::Exhausted { .. }), "{error}");
    }
    lease.release();
    target.acquire().await.unwrap().release();
    assert_eq!((target.stats().exhausted, target.stats().waited, target.stats().waiting), (3, 3, 0));
}

#[tokio::test]
async fn the_pools_own_task_tells_who_waited_too_long() {
    let (_listener, address) = listener();
    let mut config = Config::default();
    config.per_address = 1;
    config.acquire_timeout = Duration::from_millis(20);
    let pool = Pool::new(Tcp::default(), config);
    let target = pool.target(&address).unwrap();
    let _lease = target.acquire().await.unwrap();
    let error = target.acquire().await.unwrap_err();
    assert!(matches!(error, AcquireError::Exhausted { .. }), "{error}");
}

#[tokio::test]
async fn the_pools_own_task_closes_what_rests_too_long_and_keeps_some_ready() {
    let (listener, address) = listener();
    let mut config = Config::default();
    config.idle = Duration::from_millis(20);
    config.idle_min = 2;
    let pool = Pool::new(Tcp::default(), config);
    let target = pool.target(&address).unwrap();
    let accept = async {
        let mut ends = Vec::new();
        while let Ok((end, _)) = listener.accept().await {
            ends.push(end);
        }
    };
    let renewed = async {
        while target.stats().closed(Reason::Idle) < 4 || target.stats().idle < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = renewed => {}
        () = accept => {}
        () = tokio::time::sleep(Duration::from_secs(30)) => panic!("{:?}", target.stats()),
    }
}

#[tokio::test]
async fn some_are_kept_at_rest_beside_those_in_use() {
    let (_listener, address) = listener();
    let mut config = Config::default();
    // So that the pool's task looks often.
    config.idle = Duration::from_millis(40);
    config.idle_min = 1;
    let target = Pool::new(Tcp::default(), config).target(&address).unwrap();
    let _leases = (target.acquire().await.unwrap(), target.acquire().await.unwrap());
    let kept = async {
        while target.stats().idle < 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), kept).await.expect("one more is made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_few_connections_and_all_get_their_turns() {
    let (listener, address) = listener();
    let mut config = Config::default();
    config.per_address = 4;
    config.acquire_timeout = Duration::from_secs(60);
    let pool = Arc::new(Pool::new(Tcp::default(), config));
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                tokio::io::copy(&mut reader, &mut writer).await
            });
        }
    });
    let tasks: Vec<_> = (0..64u32)
        .map(|number| {
            let target = pool.target(&address).unwrap();
            tokio::spawn(async move {
                let (mut taken, mut lost) = (0, 0);
                for turn in 0..50 {
                    // Some give up where they have to wait, just when it may be their turn.
                    let lease = tokio::select! {
                        biased;
                        lease = target.acquire() => lease.unwrap(),
                        () = tokio::task::yield_now(), if turn % 5 == 2 => continue,
                    };
                    taken += 1;
                    if turn % 7 == 3 {
                        lost += 1;
                        continue;
                    }
                    let mut lease = lease;
                    let sent = (number * 1000 + turn).to_be_bytes();
                    lease.write_all(&sent).await.unwrap();
                    let mut received = [0; 4];
                    lease.read_exact(&mut received).await.unwrap();
                    assert_eq!(received, sent);
                    lease.release();
                }
                (taken, lost)
            })
        })
        .collect();
    let (mut taken, mut lost) = (0, 0);
    for task in tasks {
        let of_task = task.await.unwrap();
        (taken, lost) = (taken + of_task.0, lost + of_task.1);
    }
    server.abort();
    let stats = pool.stats();
    assert_eq!((stats.created + stats.reused, stats.closed(Reason::Abandoned)), (taken, lost));
    assert!(stats.in_use == 0 && stats.idle <= 4, "{stats:?}");
}

#[tokio::test]
async fn a_closed_pool_gives_nothing_and_keeps_nothing() {
    let (listener, address) = listener();
    let world = World::new(|_| {});
    let target = world.target(&address);
    let _ends = filled(&target, &listener, 3).await;
    let lease = target.acquire().await.unwrap();
    world.pool.close();
    assert!(matches!(target.acquire().await, Err(AcquireError::Closed)));
    lease.release();
    let stats = world.pool.stats();
    assert_eq!((stats.idle, stats.in_use, stats.closed(Reason::Shutdown)), (0, 0, 3));
}

#[tokio::test]
async fn addresses_that_nobody_uses_make_room_for_others() {
    let world = World::new(|config| config.addresses = 2);
    let (_a, first) = listener();
    let (_b, second) = listener();
    let (_c, third) = listener();
    let (one, two) = (world.target(&first), world.target(&second));
    assert!(matches!(world.pool.target(&third), Err(AcquireError::Addresses { addresses: 2 })));
    one.acquire().await.unwrap().release();
    drop(two);
    let _three = world.target(&third);
    assert!(matches!(world.pool.target(&second), Err(AcquireError::Addresses { .. })));
}
