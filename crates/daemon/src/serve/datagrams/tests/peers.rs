//! Who comes, who goes, and who only pretends.

use super::*;

#[test]
fn a_flood_of_forged_addresses_takes_no_memory_and_disturbs_nobody() {
    let mut sim = Sim::new();
    sim.publish_state("world", 0, "x");
    let place = sim.subscriber("world", |_| {});
    sim.run(Duration::from_secs(1), |_, _| {});
    let mut knock = Vec::new();
    Connection::client(sim.now, 9, Config::default()).poll_transmit(sim.now, &mut knock);
    let mut cookie = knock.clone();
    Packet::Open { id: 9, cookie: &[7; 40], number: 0, frames: &[1] }.encode(&mut cookie);
    let mut published = 0;
    sim.run(Duration::from_secs(2), |sim, millis| {
        let mut batch = Batch::default();
        for port in 0..200u16 {
            let forged = SocketAddr::from(([203, 0, 113, millis as u8], port));
            for datagram in [&knock[..], &cookie[1200..], &knock[..20], &[3; 30], b""] {
                sim.host.handle_datagram(sim.now, forged, None, datagram, &mut batch);
                while let Some((_, answer)) = batch.pop() {
                    assert!(answer.len() < datagram.len());
                }
            }
        }
        if millis % 20 == 0 {
            published += 1;
            sim.publish_state("world", published, "x");
        }
    });
    assert_eq!(sim.host.len(), 1);
    assert!(sim.host.reception.answered > 100_000);
    assert!(sim.host.reception.refused[&Refused::Cookie] > 100_000);
    assert!(sim.host.reception.refused[&Refused::Malformed] > 100_000);
    sim.run(Duration::from_secs(1), |_, _| {});
    let topic = only(&sim, place);
    assert!(topic.latest() == final_value(&sim));
    assert!(topic.updates.len() as i64 > published * 9 / 10, "others are not affected");
}

#[test]
fn a_handshake_that_was_recorded_lets_nobody_in_again() {
    let mut sim = Sim::new();
    let place = sim.join(|_| {});
    let client = &mut sim.clients[place];
    let (now, address, mut datagram, mut batch) = (sim.now, client.address, Vec::new(), Batch::default());
    client.connection.poll_transmit(now, &mut datagram);
    sim.host.handle_datagram(now, address, None, &datagram, &mut batch);
    client.connection.handle_datagram(now, &batch.pop().unwrap().1).unwrap();
    client.connection.poll_transmit(now, &mut datagram);
    for _ in 0..100 {
        sim.host.handle_datagram(now, address, None, &datagram, &mut batch);
    }
    assert_eq!(sim.host.len(), 1);
    sim.run(Duration::from_secs(1), |_, _| {});
    assert!(sim.clients[place].is_welcome);
    sim.clients[place].connection.close();
    sim.run(Duration::from_secs(1), |_, _| {});
    let repeated: u64 = sim.host.reception.counts.iter().map(|stats| stats.repeated).sum();
    assert_eq!((sim.host.len(), sim.host.reception.left, repeated), (0, 1, 99));
    sim.host.handle_datagram(sim.now, address, None, &datagram, &mut batch);
    assert_eq!((sim.host.len(), sim.host.reception.refused[&Refused::Replayed]), (0, 1));
}

#[test]
fn who_says_no_hello_is_told_and_gone_and_who_is_silent_too() {
    let mut sim = Sim::new();
    let place = sim.join(|_| {});
    // A client that never gets as far as its hello: its stream says something else.
    let mut stranger = Connection::client(sim.now, 99, Config::default());
    let mut ping = BytesMut::new();
    control::put(&mut ping, control::Ping { nonce: 1 });
    stranger.write(&ping);
    sim.clients[place].connection = stranger;
    sim.run(Duration::from_secs(4), |_, _| {});
    assert_eq!(sim.clients[place].errors.len(), 1, "{:?}", sim.clients[place].errors);
    assert!(sim.clients[place].connection.is_closed());
    assert_eq!(sim.host.len(), 0);

    let silent = sim.subscriber("*", |_| {});
    sim.run(Duration::from_secs(1), |_, _| {});
    assert_eq!(sim.host.len(), 1);
    let now = sim.now;
    sim.clients[silent].up.cut(now, true);
    sim.run(Duration::from_secs(35), |_, _| {});
    assert_eq!(sim.host.len(), 0);
}

#[test]
fn who_has_not_said_hello_gets_no_room_for_large_items() {
    let mut sim = Sim::new();
    let place = sim.join(|_| {});
    let mut stranger = Connection::client(sim.now, 99, Config::default());
    let mut pings = BytesMut::new();
    (0..10_000).for_each(|nonce| control::put(&mut pings, control::Ping { nonce }));
    let bytes = pings.freeze();
    let large = bytes.len() as u64;
    assert!(large > 100_000);
    stranger.send(Item { flow: 0, bytes, order: Order::InOrder, deadline: None });
    sim.clients[place].connection = stranger;
    sim.run(Duration::from_secs(2), |_, _| {});
    let counted =
        |sim: &Sim, what: fn(&Stats) -> u64| sim.host.reception.counts.iter().map(what).sum::<u64>();
    assert_eq!(sim.clients[place].connection.unsettled_bytes(), large);
    assert!(counted(&sim, |stats| stats.refused) > 0);

    // Once it has, what was refused comes again.
    let mut hello = BytesMut::new();
    control::put(&mut hello, Hello { version: 1, name: "x".into(), acknowledges: true, ..Hello::default() });
    sim.clients[place].connection.write(&hello);
    sim.run(Duration::from_secs(10), |_, _| {});
    assert_eq!(sim.clients[place].connection.unsettled_bytes(), 0);
}

#[test]
fn at_the_end_peers_get_what_is_there_and_a_goodbye() {
    let mut sim = Sim::new();
    sim.publish_state("world", 1, "x");
    let place = sim.subscriber("world", |path| path.loss = "20%".parse().unwrap());
    sim.run(Duration::from_secs(5), |_, _| {});
    sim.publish_state("world", 2, "x");
    sim.hub.drain();
    sim.run(Duration::from_secs(4), |_, _| {});
    assert!(sim.clients[place].goodbye);
    assert!(only(&sim, place).latest() == final_value(&sim));
    assert_eq!(sim.host.len(), 0);
}

#[test]
fn who_comes_back_from_its_address_takes_the_place_of_what_was_there() {
    let mut sim = Sim::new();
    sim.publish_state("world", 1, "x");
    let place = sim.subscriber("world", |_| {});
    sim.run(Duration::from_secs(1), |_, _| {});
    let address = sim.clients[place].address;
    let again = sim.subscriber("world", |_| {});
    sim.clients.swap_remove(place);
    sim.clients[again - 1].address = address;
    sim.run(Duration::from_secs(1), |_, _| {});
    assert_eq!((sim.host.len(), sim.host.reception.left), (1, 1));
    assert!(only(&sim, 0).latest() == final_value(&sim));
}

#[test]
fn who_is_turned_away_is_told_why_though_much_is_lost_and_is_let_in_once_there_is_room() {
    let mut sim = Sim::new();
    sim.host.reception.is_full = true;
    let turned_away: Vec<usize> =
        (0..20).map(|_| sim.join(|path| path.loss = "20%".parse().unwrap())).collect();
    sim.run(Duration::from_secs(8), |_, _| {});
    for place in turned_away {
        let client = &sim.clients[place];
        assert_eq!(client.errors, ["no place"]);
        assert!(client.connection.is_closed() && !client.is_welcome);
    }
    assert_eq!((sim.host.len(), sim.host.reception.left), (0, 0));

    // One that has its cookie after a round trip of 50 ms, is turned away after another half, and does not hear it.
    let place = sim.join(|_| {});
    for (millis, is_cut) in [(60, true), (30, false)] {
        sim.run(Duration::from_millis(millis), |_, _| {});
        let now = sim.now;
        sim.clients[place].down.cut(now, is_cut);
    }
    assert!(!sim.clients[place].connection.is_closed());
    sim.host.reception.is_full = false;
    sim.run(Duration::from_secs(3), |_, _| {});
    assert!(sim.clients[place].is_welcome);
}

#[test]
fn what_connections_count_is_told_while_they_last() {
    let mut sim = Sim::new();
    sim.publish_state("world", 0, "x");
    sim.subscriber("world", |path| path.loss = "20%".parse().unwrap());
    let mut n = 0;
    sim.run(Duration::from_secs(5), |sim, millis| {
        if millis % 10 == 0 {
            n += 1;
            sim.publish_state("world", n, "x");
        }
    });
    let counted = |what: fn(&Stats) -> u64| sim.host.reception.counts.iter().map(what).sum::<u64>();
    assert!(counted(|stats| stats.lost) > 50);
    assert!(counted(|stats| stats.sent) > 300 && counted(|stats| stats.received) > 100);
    assert_eq!((sim.host.len(), sim.host.reception.left), (1, 0));
}

/// A batch of which the socket has taken nothing yet: as many bytes as a turn gathers, or as many datagrams.
fn full_batches() -> [Batch; 2] {
    [(400, 1400), (2048, 1)].map(|(datagrams, bytes)| {
        let mut batch = Batch::default();
        for _ in 0..datagrams {
            batch.push(SocketAddr::from(([203, 0, 113, 9], 1)), &vec![1; bytes]).unwrap();
        }
        batch
    })
}

#[test]
fn who_is_silent_is_gone_though_its_goodbye_finds_the_batch_full() {
    for mut batch in full_batches() {
        let mut sim = Sim::new();
        let place = sim.join(|_| {});
        sim.run(Duration::from_secs(1), |_, _| {});
        assert!(sim.clients[place].is_welcome);
        for _ in 0..40 {
            sim.now = sim.now + Duration::from_secs(1);
            sim.host.turn(sim.now, &mut batch);
        }
        assert_eq!((sim.host.len(), sim.host.reception.left), (0, 1));
    }
}

#[test]
fn a_turn_ends_though_the_last_goodbye_finds_the_batch_full() {
    let (tell, told) = std::sync::mpsc::channel();
    // A turn without an end would otherwise be a test without one.
    std::thread::spawn(move || {
        for mut batch in full_batches() {
            let mut sim = Sim::new();
            let place = sim.join(|_| {});
            sim.run(Duration::from_secs(1), |_, _| {});
            assert!(sim.clients[place].is_welcome);
            sim.hub.drain();
            for _ in 0..80 {
                sim.now = sim.now + Duration::from_millis(100);
                sim.host.turn(sim.now, &mut batch);
            }
            tell.send(sim.host.len()).unwrap();
        }
    });
    for _ in full_batches() {
        assert_eq!(told.recv_timeout(Duration::from_secs(30)), Ok(0));
    }
}
