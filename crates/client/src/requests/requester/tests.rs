//! Deadlines, in virtual time.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use nyx_core::Instant;
use nyx_protocol::control::{self, Body, Cancel, Reply, Request, Status};
use nyx_protocol::wire::{self, Scan};
use nyx_transport::Address;

use super::*;
use crate::Config;
use crate::requests::Calls;
use crate::shared::Shared;

/// A client without a task: what that does, a test does.
struct Rig {
    shared: Arc<Shared>,
    requests: Requests,
}

impl Rig {
    fn new(cap: usize, waiting: usize) -> Self {
        let shared = Arc::new(Shared::new(Address::default(), Config::default()));
        let open = Arc::new(Open { shared: shared.clone() });
        let options = Options { cap: Cap::fixed(cap), waiting };
        Self { shared, requests: Requests::new(open, Name::new("svc").unwrap(), options) }
    }

    fn connected(cap: usize, waiting: usize) -> Self {
        let rig = Self::new(cap, waiting);
        rig.connect(1, Instant::ZERO);
        rig
    }

    fn connect(&self, session: u64, now: Instant) {
        self.shared.outgoing.begin(session, Vec::new(), usize::MAX);
        self.calls().unblock(&self.shared.outgoing, now);
    }

    fn disconnect(&self, now: Instant) {
        self.shared.outgoing.end(Vec::new(), |_| true);
        self.calls().fail_all(&RequestError::Disconnected, &self.shared.outgoing, now);
    }

    fn calls(&self) -> &Calls {
        &self.shared.calls
    }

    fn ask<const N: usize>(&self, bodies: [&str; N], deadline: Option<Duration>, now: Instant) -> Batch {
        let options = SendOptions { deadline, ..SendOptions::default() };
        self.requests.ask(bodies.map(str::to_owned).to_vec(), options, now)
    }

    /// What was put to be sent since.
    fn sent(&self) -> Vec<Body> {
        let (mut segments, mut bytes) = (Vec::new(), BytesMut::new());
        self.shared.outgoing.take(true, &mut segments);
        for segment in segments {
            bytes.extend_from_slice(&segment.head);
            bytes.extend_from_slice(&segment.body);
        }
        let mut sent = Vec::new();
        while let Scan::Control { len } = wire::scan(&bytes, usize::MAX).unwrap() {
            sent.push(control::parse(&bytes.split_to(len)).unwrap().unwrap());
        }
        sent
    }

    fn requests(&self) -> Vec<Request> {
        let request = |body| match body {
            Body::Request(request) => request,
            other => panic!("a request is due, not {other:?}"),
        };
        self.sent().into_iter().map(request).collect()
    }

    fn reply(&self, id: u64, status: Status, now: Instant) {
        let mut replies = vec![Reply { id, status: status.into(), ..Reply::default() }];
        self.calls().replies(&mut replies, &self.shared.outgoing, now);
    }

    fn expire(&self, now: Instant) {
        self.calls().expire(now, &self.shared.outgoing);
    }
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn ms(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// The next answer, if it is there.
fn next(batch: &mut Batch) -> Poll<Option<(usize, Result<Bytes, RequestError>)>> {
    poll(&mut pin!(batch.next()))
}

const LATE: Result<Bytes, RequestError> = Err(RequestError::Deadline);

#[test]
fn of_fifteen_requests_twelve_answers_and_three_errors_are_there_in_order_soon_after_the_deadline_of_one_that_hangs()
 {
    let rig = Rig::connected(15, 15);
    let mut batch = rig.ask([""; 15], ms(500), at(0));
    let requests = rig.requests();
    assert_eq!(requests.len(), 15);
    for (n, request) in requests.iter().enumerate().filter(|(n, _)| *n != 11) {
        let status = match n {
            3 => Status::Failed,
            7 => Status::ServerGone,
            _ => Status::Ok,
        };
        rig.reply(request.id, status, at(20));
    }
    let mut now = at(20);
    let results = loop {
        if let Poll::Ready(results) = poll(&mut batch) {
            break results;
        }
        now = rig.calls().next_deadline().expect("one hangs, and has a deadline");
        rig.expire(now);
    };
    assert!(now <= at(600), "all is there at {now:?}");
    let expected = |n| match n {
        3 => Err(RequestError::Failed(String::new())),
        7 => Err(RequestError::ServerGone),
        11 => LATE,
        _ => Ok(Bytes::new()),
    };
    assert_eq!(results, (0..15).map(expected).collect::<Vec<_>>());
    assert_eq!(rig.sent(), [Body::Cancel(Cancel { id: requests[11].id })]);
}

#[test]
fn what_waits_behind_a_full_cap_for_too_long_is_given_up_unsent_and_makes_room() {
    let rig = Rig::connected(1, 2);
    let mut hangs = rig.ask(["hangs"], None, at(0));
    let hanging = rig.requests();
    let mut late = rig.ask(["late", "late too"], ms(50), at(0));
    assert_eq!(next(&mut rig.ask(["full"], None, at(0))), Poll::Ready(Some((0, Err(RequestError::Full)))));
    assert_eq!(rig.calls().next_deadline(), Some(at(50)));
    rig.expire(at(49));
    assert!(next(&mut late).is_pending());
    rig.expire(at(50));
    assert_eq!(poll(&mut late), Poll::Ready(vec![LATE, LATE]));
    let mut after = rig.ask(["after", "after too"], None, at(50));
    assert!(next(&mut after).is_pending() && next(&mut hangs).is_pending());
    assert_eq!(rig.sent(), []);
    rig.reply(hanging[0].id, Status::Ok, at(60));
    assert_eq!(rig.requests()[0].body, "after");
}

#[test]
fn what_waits_without_a_connection_for_too_long_is_given_up_unsent() {
    let rig = Rig::new(10, 10);
    let mut late = rig.ask(["late"], ms(50), at(0));
    let mut kept = rig.ask(["kept"], ms(80), at(0));
    rig.expire(rig.calls().next_deadline().unwrap());
    assert_eq!(next(&mut late), Poll::Ready(Some((0, LATE))));
    assert!(next(&mut kept).is_pending());
    rig.connect(1, at(60));
    let sent = rig.requests();
    assert_eq!((sent.len(), &sent[0].body[..], sent[0].deadline_ms), (1, &b"kept"[..], 20));
}

#[test]
fn what_was_sent_has_the_deadline_that_is_left() {
    let rig = Rig::connected(1, 10);
    let mut first = rig.ask(["first"], ms(50), at(0));
    let mut second = rig.ask(["second"], ms(50), at(0));
    rig.reply(rig.requests()[0].id, Status::Ok, at(20) + Duration::from_nanos(1));
    assert!(next(&mut first).is_ready());
    let sent = rig.requests();
    assert_eq!((&sent[0].body[..], sent[0].deadline_ms), (&b"second"[..], 30));
    rig.expire(at(49));
    assert!(next(&mut second).is_pending());
    rig.expire(at(50));
    assert_eq!(next(&mut second), Poll::Ready(Some((0, LATE))));
    assert_eq!(rig.sent(), [Body::Cancel(Cancel { id: sent[0].id })]);
    assert_eq!(rig.calls().next_deadline(), None);
}

#[test]
fn a_deadline_goes_on_while_a_connection_is_replaced() {
    let rig = Rig::connected(1, 10);
    let mut batch = rig.ask(["lost", "kept", "late"], ms(100), at(0));
    let mut soon = rig.ask(["soon"], ms(50), at(0));
    rig.requests();
    rig.disconnect(at(30));
    rig.expire(at(60));
    assert_eq!(next(&mut soon), Poll::Ready(Some((0, LATE))));
    rig.connect(2, at(70));
    let sent = rig.requests();
    assert_eq!((sent.len(), &sent[0].body[..], sent[0].deadline_ms), (1, &b"kept"[..], 30));
    // The one that was sent is late at the same time, and the one behind it does not take its place.
    rig.expire(at(100));
    assert_eq!(poll(&mut batch), Poll::Ready(vec![Err(RequestError::Disconnected), LATE, LATE]));
    assert_eq!(rig.sent(), [Body::Cancel(Cancel { id: sent[0].id })]);
}

#[test]
fn what_is_late_when_there_is_room_for_it_is_not_sent() {
    let rig = Rig::connected(1, 10);
    let _first = rig.ask(["first"], None, at(0));
    let mut late = rig.ask(["late"], ms(50), at(0));
    // Nobody has looked at the time before the answer came.
    rig.reply(rig.requests()[0].id, Status::Ok, at(51));
    assert_eq!(next(&mut late), Poll::Ready(Some((0, LATE))));
    assert_eq!(next(&mut rig.ask(["at once"], ms(0), at(51))), Poll::Ready(Some((0, LATE))));
    assert_eq!(rig.sent(), []);
}

#[test]
fn a_request_that_waits_and_is_cancelled_leaves_nothing() {
    let rig = Rig::connected(1, 1);
    let _hangs = rig.ask(["hangs"], None, at(0));
    rig.requests();
    for _ in 0..1_000 {
        drop(rig.ask(["cancelled"], ms(50), at(0)));
    }
    let mut last = rig.ask(["last"], ms(70), at(0));
    rig.expire(at(50));
    assert!(next(&mut last).is_pending());
    assert_eq!(rig.calls().next_deadline(), Some(at(70)));
    assert_eq!(rig.sent(), []);
}

#[test]
fn the_task_is_woken_for_a_deadline_that_is_earlier_than_that_for_which_it_sleeps() {
    let rig = Rig::connected(1, 10);
    let parks = || rig.shared.outgoing.park(Waker::noop(), true).is_some();
    let _hangs = rig.ask(["hangs"], ms(1_000), at(0));
    rig.requests();
    assert!(parks());
    let _later = rig.ask(["later"], ms(2_000), at(0));
    assert!(parks(), "there is time");
    let _earlier = rig.ask(["earlier"], ms(500), at(0));
    assert!(!parks(), "it would come too late");
    let other = Requests::new(rig.requests.open.clone(), Name::new("other").unwrap(), Options::default());
    rig.disconnect(at(0));
    assert!(parks());
    let _of_another =
        other.ask(vec!["of another"], SendOptions { deadline: ms(400), ..SendOptions::default() }, at(0));
    assert!(!parks(), "another line has to be looked at before");
}
