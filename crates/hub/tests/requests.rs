//! Requests find a server, and each is answered once, in virtual time.

mod sim;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Wake, Waker};
use std::time::Duration;

use bytes::BytesMut;
use nyx_core::Instant;
use nyx_hub::{Config, Hub, Ingest, Peer, Session, Transport};
use nyx_protocol::control::{
    self, Body, Cancel, ErrorCode, Hello, Lane, Reply, Request, Serve, Status, Unserve,
};
use nyx_protocol::wire::{self, Scan};
use sim::{Sim, fast, ms};

fn serve(sim: &mut Sim, concurrency: u32) -> usize {
    let server = sim.peer(fast(), true);
    sim[server].send(Serve { id: 1, service: "svc".to_owned(), concurrency });
    sim.settle();
    assert!(
        matches!(&sim[server].control.last(), Some(Body::Served(served)) if served.code() == ErrorCode::Unspecified)
    );
    server
}

fn request(id: u64, deadline_ms: u32, lane: Lane) -> Request {
    let body = format!("{id}").into_bytes().into();
    Request { id, service: "svc".to_owned(), body, deadline_ms, lane: lane.into(), serve_id: 0 }
}

fn ask(sim: &mut Sim, requester: usize, ids: impl IntoIterator<Item = u64>) {
    ids.into_iter().for_each(|id| sim[requester].send(request(id, 0, Lane::Default)));
    sim.settle();
}

fn answer(sim: &mut Sim, server: usize, id: u64, status: Status) {
    sim[server].send(Reply { id, status: status.into(), body: format!("re {id}").into_bytes().into() });
}

fn number(request: &Request) -> u64 {
    String::from_utf8_lossy(&request.body).parse().unwrap()
}

#[test]
fn of_fifteen_requests_one_error_one_reset_and_one_hang_are_three_errors_and_twelve_results() {
    let mut sim = Sim::new(Config::default());
    let (doomed, server, requester) = (serve(&mut sim, 1), serve(&mut sim, 14), sim.peer(fast(), true));
    let start = sim.now;
    (0..15).for_each(|id| sim[requester].send(request(id, 500, Lane::Default)));
    sim.settle();
    assert_eq!(sim[doomed].requests().len(), 1);
    let reset = number(&sim[doomed].requests()[0]);
    let requests = sim[server].requests();
    assert_eq!(requests.len(), 14);
    sim.cut(doomed);
    for (place, request) in requests.iter().enumerate() {
        match place {
            4 => answer(&mut sim, server, request.id, Status::Failed),
            9 => {}
            _ => answer(&mut sim, server, request.id, Status::Ok),
        }
    }
    sim.run_for(ms(600));
    let replies = sim[requester].replies();
    assert_eq!(replies.len(), 15);
    let count = |status| replies.values().filter(|(found, _)| *found == status).count();
    assert_eq!((count(Status::Ok), count(Status::Failed)), (12, 1));
    assert_eq!(replies[&reset].0, Status::ServerGone);
    let hung = &requests[9];
    assert_eq!(replies[&number(hung)].0, Status::Deadline);
    // The server is told that nobody waits, and keeps its place until it has answered.
    assert!(sim[server].control.contains(&Body::Cancel(Cancel { id: hung.id })));
    assert!(sim.now >= start + Duration::from_millis(500));
    for (id, (status, body)) in &replies {
        if *status == Status::Ok {
            let sent = requests.iter().find(|request| number(request) == *id).unwrap();
            assert_eq!(*body, format!("re {}", sent.id).into_bytes());
        }
    }
}

#[test]
fn a_thousand_requests_are_never_more_at_a_server_than_it_takes() {
    let mut sim = Sim::new(Config::default());
    let (server, requester) = (serve(&mut sim, 10), sim.peer(fast(), true));
    ask(&mut sim, requester, 0..1_000);
    let mut answered = std::collections::HashSet::new();
    while answered.len() < 1_000 {
        let requests = sim[server].requests();
        let under_way: Vec<_> = requests.iter().filter(|request| !answered.contains(&request.id)).collect();
        assert!((1..=10).contains(&under_way.len()), "{}", under_way.len());
        // Some at a time, in an order of the server's own.
        for request in under_way.iter().rev().take(7) {
            answered.insert(request.id);
            answer(&mut sim, server, request.id, Status::Ok);
        }
        sim.settle();
    }
    assert_eq!(sim[requester].replies().len(), 1_000);
}

#[test]
fn urgent_requests_go_first_and_every_other_one_too() {
    let mut sim = Sim::new(Config::default());
    let (server, requester) = (serve(&mut sim, 2), sim.peer(fast(), true));
    (0..50).for_each(|id| sim[requester].send(request(id, 0, Lane::Low)));
    sim.settle();
    (100..105).for_each(|id| sim[requester].send(request(id, 0, Lane::High)));
    sim.settle();
    for place in 0..55 {
        let id = sim[server].requests()[place].id;
        answer(&mut sim, server, id, Status::Ok);
        sim.settle();
    }
    let order: Vec<_> = sim[server].requests().iter().map(number).collect();
    assert_eq!(order[..9], [0, 1, 100, 101, 102, 103, 104, 2, 3]);
    assert_eq!(sim[requester].replies().len(), 55);
}

#[test]
fn of_what_comes_together_the_urgent_goes_first_whatever_stands_before_it() {
    let mut sim = Sim::new(Config::default());
    let (server, requester) = (serve(&mut sim, 2), sim.peer(fast(), true));
    (0..3).for_each(|id| sim[requester].send(request(id, 0, Lane::Low)));
    sim[requester].send(request(100, 0, Lane::High));
    sim.settle();
    let order: Vec<_> = sim[server].requests().iter().map(number).collect();
    assert_eq!(order, [100, 0]);
}

#[test]
fn the_server_with_the_fewest_under_way_is_next() {
    let mut sim = Sim::new(Config::default());
    let (one, two, requester) = (serve(&mut sim, 100), serve(&mut sim, 100), sim.peer(fast(), true));
    ask(&mut sim, requester, 0..6);
    assert_eq!((sim[one].requests().len(), sim[two].requests().len()), (3, 3));
    for request in sim[two].requests() {
        answer(&mut sim, two, request.id, Status::Ok);
    }
    sim.settle();
    ask(&mut sim, requester, 6..9);
    assert_eq!((sim[one].requests().len(), sim[two].requests().len()), (3, 6));
}

#[test]
fn what_can_not_be_served_is_told_why() {
    let mut config = Config::default();
    config.waiting_requests = 2;
    let mut sim = Sim::new(config);
    let requester = sim.peer(fast(), true);
    ask(&mut sim, requester, [1]);
    assert_eq!(sim[requester].replies()[&1].0, Status::NoServer);
    let server = serve(&mut sim, 1);
    ask(&mut sim, requester, 2..6);
    assert_eq!(sim[requester].replies()[&5].0, Status::Overloaded);
    let large = vec![0; 61 * 1024].into();
    sim[requester].send(Request { body: large, ..request(6, 0, Lane::Default) });
    ask(&mut sim, requester, [2]);
    assert_eq!(sim[requester].replies()[&6].0, Status::BadRequest);
    assert_eq!(sim[requester].errors(), [ErrorCode::Unexpected]);
    // What waits when the last server goes has none; what it has it may still answer.
    sim[server].send(Unserve { id: 1 });
    sim.settle();
    let replies = sim[requester].replies();
    assert_eq!(
        (replies[&3].0, replies[&4].0, replies.contains_key(&2)),
        (Status::NoServer, Status::NoServer, false)
    );
    let id = sim[server].requests()[0].id;
    answer(&mut sim, server, id, Status::Ok);
    sim.settle();
    assert_eq!(sim[requester].replies()[&2].0, Status::Ok);
}

#[test]
fn a_name_is_served_once_by_a_session_and_reserved_names_by_none() {
    let mut sim = Sim::new(Config::default());
    let server = serve(&mut sim, 1);
    for (id, service) in [(2, "svc"), (1, "other"), (3, "$nyx/x"), (4, "a//b")] {
        sim[server].send(Serve { id, service: service.to_owned(), concurrency: 1 });
    }
    sim.settle();
    let codes: Vec<_> = sim[server]
        .control
        .iter()
        .filter_map(|body| match body {
            Body::Served(served) => Some(served.code()),
            _ => None,
        })
        .collect();
    use ErrorCode::{BadTopic, Unexpected, Unspecified};
    assert_eq!(codes, [Unspecified, Unexpected, Unexpected, BadTopic, BadTopic]);
}

#[test]
fn who_cancels_or_leaves_is_not_worked_for() {
    let mut sim = Sim::new(Config::default());
    let (server, requester) = (serve(&mut sim, 1), sim.peer(fast(), true));
    let leaver = sim.peer(fast(), true);
    ask(&mut sim, requester, [1, 2]);
    ask(&mut sim, leaver, [1]);
    // The one at the server, and one that waits.
    sim[requester].send(Cancel { id: 1 });
    sim[requester].send(Cancel { id: 2 });
    sim.settle();
    let first = sim[server].requests()[0].id;
    assert!(sim[server].control.contains(&Body::Cancel(Cancel { id: first })));
    assert!(sim[requester].replies().values().all(|(status, _)| *status == Status::Cancelled));
    // The place is free when the server has answered.
    assert_eq!(sim[server].requests().len(), 1);
    sim.cut(leaver);
    ask(&mut sim, requester, [7]);
    answer(&mut sim, server, first, Status::Cancelled);
    sim.settle();
    let requests = sim[server].requests();
    assert_eq!(requests.iter().map(number).collect::<Vec<_>>(), [1, 7]);
    answer(&mut sim, server, requests[1].id, Status::Ok);
    // Answers to nothing are passed over.
    answer(&mut sim, server, requests[1].id, Status::Ok);
    answer(&mut sim, server, 999, Status::Ok);
    sim.settle();
    assert_eq!(sim[requester].replies()[&7].0, Status::Ok);
}

#[test]
fn a_server_can_not_answer_for_another() {
    let mut sim = Sim::new(Config::default());
    let (server, requester, stranger) = (serve(&mut sim, 1), sim.peer(fast(), true), sim.peer(fast(), true));
    ask(&mut sim, requester, [1]);
    let id = sim[server].requests()[0].id;
    answer(&mut sim, stranger, id, Status::Ok);
    sim.settle();
    assert!(sim[requester].replies().is_empty());
}

#[test]
fn a_requester_that_does_not_read_fills_no_memory_and_delays_nobody() {
    let mut sim = Sim::new(Config::default());
    let (server, greedy, modest) = (serve(&mut sim, 4_000), sim.peer(fast(), true), sim.peer(fast(), true));
    sim[greedy].reads = false;
    ask(&mut sim, greedy, 0..2_000);
    for request in sim[server].requests() {
        sim[server].send(Reply { id: request.id, status: 0, body: vec![0; 50_000].into() });
    }
    sim.settle();
    ask(&mut sim, modest, [1]);
    let last = sim[server].requests().last().unwrap().id;
    answer(&mut sim, server, last, Status::Ok);
    sim.settle();
    assert_eq!(sim[modest].replies()[&1].0, Status::Ok);
    assert!(sim.node(greedy).waiting_bytes() < 8 << 20);
    sim[greedy].reads = true;
    sim.run_for(ms(1_000));
    let replies = sim[greedy].replies();
    assert_eq!(replies.len(), 2_000);
    assert!(replies.values().any(|(status, _)| *status == Status::AnswerLost));
}

#[test]
fn a_server_that_reads_again_gets_what_waited_for_another_of_its_services() {
    let mut sim = Sim::new(Config::default());
    let (server, requester) = (serve(&mut sim, 4_000), sim.peer(fast(), true));
    sim[server].send(Serve { id: 2, service: "other".to_owned(), concurrency: 4_000 });
    sim.settle();
    sim[server].reads = false;
    for id in 0..100 {
        sim[requester].send(Request { body: vec![0; 60_000].into(), ..request(id, 0, Lane::Default) });
    }
    sim[requester].send(Request { service: "other".to_owned(), ..request(1_000, 0, Lane::Default) });
    sim.settle();
    assert!(sim[server].requests().iter().all(|request| request.serve_id == 1));
    sim[server].reads = true;
    sim.run_for(ms(1_000));
    // It has answered nothing, so nothing else has made room.
    assert!(sim[server].requests().iter().any(|request| request.serve_id == 2));
    assert_eq!(sim[server].requests().len(), 101);
}

#[test]
fn what_became_of_requests_is_counted_by_service() {
    let mut sim = Sim::new(Config::default());
    let requester = sim.peer(fast(), true);
    // Before anybody serves it, it is one of many names that peers may choose.
    ask(&mut sim, requester, 0..2);
    let server = serve(&mut sim, 3);
    ask(&mut sim, requester, 10..14);
    sim[requester].send(request(20, 50, Lane::Default));
    sim.settle();
    let service = |sim: &Sim| {
        let stats = sim.hub.stats(sim.now);
        stats.services.into_iter().find(|service| service.name.is_some()).unwrap()
    };
    let busy = service(&sim);
    assert_eq!((busy.servers, busy.requests, busy.in_flight, busy.waiting), (1, 5, 3, 2));
    let requests = sim[server].requests();
    sim.run_for(ms(100));
    answer(&mut sim, server, requests[0].id, Status::Ok);
    answer(&mut sim, server, requests[1].id, Status::Failed);
    sim[requester].send(Cancel { id: 12 });
    sim.settle();
    sim.cut(server);
    sim.settle();

    let over = service(&sim);
    let count = |of: &nyx_hub::stats::Service, status| {
        of.outcomes.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count)
    };
    for (status, expected) in [
        (Status::Ok, 1),
        (Status::Failed, 1),
        (Status::Cancelled, 1),
        (Status::Deadline, 1),
        (Status::ServerGone, 1),
        (Status::NoServer, 0),
    ] {
        assert_eq!(count(&over, status), expected, "{status:?}");
    }
    assert_eq!((over.servers, over.in_flight, over.waiting, over.times.count()), (0, 0, 0, 2));
    let others = &sim.hub.stats(sim.now).services[0];
    assert_eq!((&others.name, others.requests, count(others, Status::NoServer)), (&None, 2, 2));
}

/// Counts how often a session asks to be driven.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn session(hub: &Hub) -> (Session, Arc<Calls>) {
    let calls = Arc::new(Calls::default());
    let session = hub.session(Instant::ZERO, Peer::new("x", Transport::Tcp)).unwrap();
    session.register(&Waker::from(calls.clone()));
    (session, calls)
}

/// What the session says now.
fn said(session: &mut Session) -> Vec<Body> {
    let (mut out, mut said) = (Vec::new(), Vec::new());
    session.poll_transmit(Instant::ZERO, &mut out);
    let mut stream = BytesMut::from(&out.concat()[..]);
    while let Ok(Scan::Control { len }) = wire::scan(&stream, usize::MAX) {
        said.extend(control::parse_shared(stream.split_to(len).freeze()).unwrap());
    }
    said
}

#[test]
fn what_the_first_of_many_requests_cause_is_sent_before_the_last_are_handled() {
    let hub = Hub::new(Config::default());
    let (mut server, server_calls) = session(&hub);
    let (mut requester, requester_calls) = session(&hub);
    let mut input = BytesMut::new();
    control::put(&mut input, Hello { version: 1, acknowledges: true, ..Default::default() });
    control::put(&mut input, Serve { id: 1, service: "svc".to_owned(), concurrency: 4096 });
    server.handle_input(Instant::ZERO, &mut input).unwrap();
    said(&mut server);

    control::put(&mut input, Hello { version: 1, acknowledges: true, ..Default::default() });
    (0..500).for_each(|id| control::put(&mut input, request(id, 0, Lane::Default)));
    let mut rounds = Vec::new();
    loop {
        let woken = [&server_calls, &requester_calls].map(|calls| calls.0.load(Relaxed));
        let outcome = requester.handle_input(Instant::ZERO, &mut input).unwrap();
        let woken_since = [&server_calls, &requester_calls].map(|calls| calls.0.load(Relaxed));
        assert!(woken_since[0] > woken[0], "the server is woken for each round");
        rounds.push(said(&mut server));
        if let Ingest::Needs(_) = outcome {
            break;
        }
        assert!(woken_since[1] > woken[1], "nobody else would have the requester driven again");
    }
    assert!(input.is_empty() && rounds.len() >= 500 / 64, "{} rounds", rounds.len());
    let asked = rounds.iter().flatten().filter_map(|body| match body {
        Body::Request(request) => Some(number(request)),
        _ => None,
    });
    assert!(asked.eq(0..500), "all of them, in their order");
}
