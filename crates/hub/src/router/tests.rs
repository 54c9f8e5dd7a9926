use bytes::BytesMut;
use nyx_protocol::requests::BODY_MAX;

use super::*;
use crate::shared::{Mail, Peer, Transport};

fn session(id: u64) -> Arc<Shared> {
    Arc::new(Shared::new(id, Peer::new("here", Transport::Tcp)))
}

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn asked(router: &Router, id: u64, body: Bytes) -> Asked {
    Asked { number: router.number(), request: Request { id, body, ..Request::default() }, deadline: None }
}

/// Asks, and returns the number of the request.
fn ask(router: &Router, requester: &Arc<Shared>, name: &Name, id: u64, bytes: usize) -> u64 {
    let mut asked = [asked(router, id, vec![7; bytes].into())];
    router.request(Instant::ZERO, requester, name, &mut asked, 1024, |_, status| panic!("{status:?}"));
    asked[0].number
}

fn answer(router: &Router, server: &Arc<Shared>, number: u64, body: Bytes) {
    let reply = Reply { id: number, status: Status::Ok.into(), body };
    router.reply(Instant::ZERO, server, std::iter::once(reply));
}

/// Reads what was left for a session. Says whether it had been full.
fn read(session: &Shared) -> bool {
    let mut mail = Mail::default();
    let was_full = session.collect(&mut mail);
    mail.letters.deliver(&mut BytesMut::new(), |_| true);
    was_full
}

fn outcome(router: &Router, status: Status) -> u64 {
    let outcomes = &router.stats()[0].outcomes;
    outcomes.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| *count)
}

#[test]
fn what_is_asked_keeps_nothing_of_what_it_came_in() {
    let (router, name) = (Router::default(), name("a/service"));
    let (server, requester) = (session(1), session(2));
    router.serve(Instant::ZERO, &server, &name, 0, 1);
    let read = Bytes::from(vec![7; 4096]);
    // One goes to the server, and one waits.
    let mut both = [0, 100].map(|at| asked(&router, at as u64, read.slice(at..at + 10)));
    router.request(Instant::ZERO, &requester, &name, &mut both, 10, |_, status| panic!("{status:?}"));
    assert_eq!(router.stats()[0].waiting, 1);
    assert!(read.is_unique());
}

#[test]
fn what_waits_for_a_server_that_had_not_read_goes_to_it_when_it_has() {
    let (router, a, b) = (Router::default(), name("a"), name("b"));
    let (server, requester) = (session(1), session(2));
    router.serve(Instant::ZERO, &server, &a, 0, 256);
    router.serve(Instant::ZERO, &server, &b, 1, 256);
    for id in 0..71 {
        ask(&router, &requester, &b, id, BODY_MAX);
    }
    ask(&router, &requester, &a, 1000, 10);
    assert_eq!(router.stats()[0].waiting, 1);
    while read(&server) {
        router.resume(Instant::ZERO, [&a, &b].into_iter());
    }
    assert_eq!((router.stats()[0].waiting, router.stats()[1].waiting), (0, 0));
}

#[test]
fn an_answer_that_does_not_fit_is_said_to_be_lost_and_not_that_nothing_was_done() {
    let (router, a) = (Router::default(), name("a"));
    let (server, requester) = (session(1), session(2));
    router.serve(Instant::ZERO, &server, &a, 0, 256);
    let numbers: Vec<_> = (0..100).map(|id| ask(&router, &requester, &a, id, 0)).collect();
    numbers.into_iter().for_each(|number| answer(&router, &server, number, vec![1; BODY_MAX].into()));
    let (done, lost) = (outcome(&router, Status::Ok), outcome(&router, Status::AnswerLost));
    assert!(done + lost == 100 && lost > 0 && outcome(&router, Status::Overloaded) == 0);
}

#[test]
fn serving_anew_and_anew_keeps_nothing_of_what_nobody_waits_for() {
    let (router, a) = (Router::default(), name("a"));
    let (server, requester) = (session(1), session(2));
    for round in 0..10 {
        router.serve(Instant::ZERO, &server, &a, 0, 4096);
        let numbers: Vec<_> = (0..100).map(|id| ask(&router, &requester, &a, round * 100 + id, 0)).collect();
        let (before, after) = numbers.split_at(50);
        before.iter().for_each(|number| router.cancel(*number, Status::Cancelled));
        router.unserve(&server, &a);
        after.iter().for_each(|number| router.cancel(*number, Status::Cancelled));
        read(&server);
    }
    assert_eq!(router.inside.lock().calls.len(), 0);
}

#[test]
fn what_was_asked_before_its_server_stopped_to_serve_may_still_be_answered() {
    let (router, a) = (Router::default(), name("a"));
    let (server, requester) = (session(1), session(2));
    router.serve(Instant::ZERO, &server, &a, 0, 2);
    let number = ask(&router, &requester, &a, 1, 0);
    router.unserve(&server, &a);
    answer(&router, &server, number, Bytes::new());
    assert_eq!((outcome(&router, Status::Ok), router.inside.lock().calls.len()), (1, 0));
}
