//! Requests and services, against a scripted hub.

mod peer;

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use nyx_client::requests::{Cap, Incoming, Options, Requests, SendOptions, ServeOptions, Serving};
use nyx_client::{Client, ErrorCode, Name, RequestError, ServeError};
use nyx_core::Lane;
use nyx_protocol::control::{self, Body, Cancel, Reply, Request, Serve, Served, Status, Unserve};
use peer::{Link, Peer, flush_answered};

fn name() -> Name {
    Name::new("svc").unwrap()
}

fn capped(client: &Client, cap: usize) -> Requests {
    let mut options = Options::default();
    options.cap = Cap::fixed(cap);
    client.requests(name(), options)
}

fn lane(lane: Lane) -> SendOptions {
    let mut options = SendOptions::default();
    options.lane = lane;
    options
}

async fn request(link: &mut Link) -> Request {
    let Body::Request(request) = link.control().await else { panic!("a request is due") };
    request
}

async fn reply(link: &mut Link, id: u64, status: Status, body: &str) {
    link.send(Reply { id, status: status.into(), body: body.to_owned().into() }).await;
}

fn text(request: &Request) -> String {
    String::from_utf8(request.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_request_gets_the_answer_with_its_number() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let requests = client.requests(name(), Options::default());
    let (answers, ()) = tokio::join!(
        async { tokio::join!(requests.send("one"), requests.send_with("two", lane(Lane::High))) },
        async {
            let both = [request(&mut link).await, request(&mut link).await];
            for request in both.iter().rev() {
                assert_eq!((&request.service[..], request.deadline_ms), ("svc", 30_000));
                reply(&mut link, request.id, Status::Ok, &format!("re {}", text(request))).await;
            }
        }
    );
    assert_eq!(answers, (Ok("re one".into()), Ok("re two".into())));
}

#[tokio::test]
async fn of_fifteen_requests_three_fail_alone_and_twelve_are_answered_in_order() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let mut options = SendOptions::default();
    options.deadline = Some(Duration::from_millis(500));
    let batch = capped(&client, 15).send_batch_with((0..15).map(|n| n.to_string()), options);
    let hub = async {
        let mut requests = Vec::new();
        for _ in 0..15 {
            requests.push(request(&mut link).await);
        }
        for request in requests.iter().rev() {
            let (status, body) = match &text(request)[..] {
                "3" => (Status::Failed, "no".to_owned()),
                "7" => (Status::ServerGone, String::new()),
                "11" => continue,
                text => (Status::Ok, format!("re {text}")),
            };
            reply(&mut link, request.id, status, &body).await;
        }
        // The one that hangs is given up, and the hub is told.
        assert_eq!(link.control().await, Body::Cancel(Cancel { id: requests[11].id }));
    };
    let (results, ()) = tokio::join!(batch, hub);
    for (n, result) in results.iter().enumerate() {
        match n {
            3 => assert_eq!(*result, Err(RequestError::Failed("no".to_owned()))),
            7 => assert_eq!(*result, Err(RequestError::ServerGone)),
            11 => assert_eq!(*result, Err(RequestError::Deadline)),
            _ => assert_eq!(*result, Ok(format!("re {n}").into())),
        }
    }
    assert_eq!(results.len(), 15);
}

#[tokio::test]
async fn a_thousand_requests_come_in_order_and_never_more_at_a_time_than_the_cap() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let mut options = SendOptions::default();
    options.deadline = None;
    let batch = capped(&client, 10).send_batch_with((0..1_000).map(|n| n.to_string()), options);
    let hub = async {
        let mut under_way: Vec<Request> = Vec::new();
        for answered in 0..1_000usize {
            while under_way.len() < 10.min(1_000 - answered) {
                under_way.push(request(&mut link).await);
            }
            // The ping goes behind all that was sent, and is the next: no further request is under way.
            let (flushed, ()) = tokio::join!(client.flush(), flush_answered(&mut link));
            flushed.unwrap();
            let next = under_way.swap_remove(answered * 7 % under_way.len());
            reply(&mut link, next.id, Status::Ok, &text(&next)).await;
        }
    };
    let (results, ()) = tokio::join!(batch, hub);
    let expected: Vec<_> = (0..1_000).map(|n| Ok(n.to_string().into())).collect();
    assert_eq!(results, expected);
}

#[tokio::test]
async fn urgent_requests_overtake_those_that_wait_and_none_starves() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let requests = capped(&client, 2);
    let low = requests.send_batch_with((0..50).map(|n| n.to_string()), lane(Lane::Low));
    let high = requests.send_batch_with((100..105).map(|n| n.to_string()), lane(Lane::High));
    let hub = async {
        let mut order = Vec::new();
        for _ in 0..55 {
            let next = request(&mut link).await;
            order.push(text(&next));
            reply(&mut link, next.id, Status::Ok, "").await;
        }
        order
    };
    let (low, high, order) = tokio::join!(low, high, hub);
    assert!(low.iter().chain(&high).all(Result::is_ok) && low.len() == 50);
    // Two may have been sent before the urgent ones came.
    let urgent = order[..7].iter().filter(|text| text.len() == 3).collect::<Vec<_>>();
    assert_eq!(urgent, ["100", "101", "102", "103", "104"]);
}

#[tokio::test]
async fn answers_of_a_batch_can_be_had_as_they_come() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let mut batch = capped(&client, 3).send_batch(["a", "b", "c"]);
    let mut requests = Vec::new();
    for _ in 0..3 {
        requests.push(request(&mut link).await);
    }
    for place in [2, 0, 1] {
        reply(&mut link, requests[place].id, Status::Ok, &text(&requests[place])).await;
        let body = ["a", "b", "c"][place].into();
        assert_eq!(batch.next().await, Some((place, Ok(body))));
    }
    assert_eq!(batch.next().await, None);
    assert_eq!(capped(&client, 1).send_batch::<&str>([]).await, []);
}

#[tokio::test]
async fn what_nobody_waits_for_is_cancelled_or_not_sent() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let requests = capped(&client, 1);
    let batch = requests.send_batch(["sent", "waits", "waits too"]);
    let sent = request(&mut link).await;
    drop(batch);
    assert_eq!(link.control().await, Body::Cancel(Cancel { id: sent.id }));
    let (answer, ()) = tokio::join!(requests.send("next"), async {
        let next = request(&mut link).await;
        assert_eq!(text(&next), "next");
        // One that comes for what was cancelled is passed over.
        reply(&mut link, sent.id, Status::Ok, "late").await;
        reply(&mut link, next.id, Status::Ok, "answer").await;
    });
    assert_eq!(answer, Ok("answer".into()));
}

#[tokio::test]
async fn a_lost_connection_fails_what_is_under_way_and_the_rest_goes_out_on_the_next() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let requests = capped(&client, 2);
    let batch = requests.send_batch(["sent", "sent too", "waits"]);
    request(&mut link).await;
    request(&mut link).await;
    drop(link);
    let (results, ()) = tokio::join!(batch, async {
        let mut link = peer.accept().await;
        let next = request(&mut link).await;
        assert_eq!(text(&next), "waits");
        reply(&mut link, next.id, Status::Ok, "answer").await;
    });
    let lost = || Err(RequestError::Disconnected);
    assert_eq!(results, [lost(), lost(), Ok("answer".into())]);
}

#[tokio::test]
async fn what_can_not_be_sent_is_told_here() {
    let peer = Peer::new().await;
    let (client, link) = peer.client().await;
    let mut options = Options::default();
    (options.cap, options.waiting) = (Cap::fixed(1), 1);
    let requests = client.requests(name(), options);
    assert_eq!(requests.send(vec![0; 70_000]).await, Err(RequestError::TooLarge(70_000)));
    let mut batch = requests.send_batch(["waits", "one too many"]);
    assert_eq!(batch.next().await, Some((1, Err(RequestError::Full))));
    let (_, ()) = tokio::join!(client.close(), async {
        let mut link = link;
        link.ended().await;
    });
    assert_eq!(batch.next().await, Some((0, Err(RequestError::Disconnected))));
    assert_eq!(requests.send("late").await, Err(RequestError::Closed));
}

#[tokio::test]
async fn the_cap_follows_refusals() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let requests = client.requests(name(), Options::default());
    let before = requests.limit();
    let (answer, ()) = tokio::join!(requests.send("x"), async {
        let next = request(&mut link).await;
        reply(&mut link, next.id, Status::Overloaded, "").await;
    });
    assert_eq!((answer, requests.limit()), (Err(RequestError::Overloaded), before / 2));
}

async fn serve<F, Fut>(client: &Client, link: &mut Link, handler: F) -> (Serving, Serve)
where
    F: Fn(Incoming) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<String, String>> + Send + 'static,
{
    let hub = async {
        let Body::Serve(serve) = link.control().await else { panic!("a service is due") };
        link.send(Served { id: serve.id, ..Served::default() }).await;
        serve
    };
    let (serving, serve) = tokio::join!(client.serve(name(), ServeOptions::default(), handler), hub);
    (serving.unwrap(), serve)
}

async fn ask(link: &mut Link, id: u64, body: &str) {
    link.send(Request { id, body: body.to_owned().into(), deadline_ms: 70, ..Request::default() }).await;
}

async fn answer(link: &mut Link) -> (u64, Status, String) {
    let Body::Reply(reply) = link.control().await else { panic!("an answer is due") };
    (reply.id, reply.status(), String::from_utf8(reply.body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_service_answers_fails_and_survives_its_handler() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (serving, serve) = serve(&client, &mut link, |incoming| async move {
        assert_eq!(incoming.deadline, Some(Duration::from_millis(70)));
        match &incoming.body[..] {
            b"fail" => Err("because".to_owned()),
            b"large" => Ok("x".repeat(70_000)),
            b"panic" => panic!("as the test wants"),
            body => Ok(String::from_utf8_lossy(body).to_uppercase()),
        }
    })
    .await;
    assert_eq!((&serve.service[..], serve.concurrency), ("svc", 256));
    for (id, body) in ["hello", "fail", "panic", "large"].into_iter().enumerate() {
        ask(&mut link, id as u64, body).await;
        let (of, status, text) = answer(&mut link).await;
        assert_eq!(of, id as u64);
        match body {
            "hello" => assert_eq!((status, &text[..]), (Status::Ok, "HELLO")),
            "fail" => assert_eq!((status, &text[..]), (Status::Failed, "because")),
            _ => assert_eq!(status, Status::Failed, "{text}"),
        }
    }
    drop(serving);
    assert_eq!(link.control().await, Body::Unserve(Unserve { id: serve.id }));
    ask(&mut link, 9, "late").await;
    assert_eq!(answer(&mut link).await.1, Status::Overloaded);
}

#[tokio::test]
async fn a_handler_that_waits_is_overtaken_by_those_that_need_not_and_still_answers() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (go, gate) = tokio::sync::watch::channel(false);
    let (_serving, _) = serve(&client, &mut link, move |incoming: Incoming| {
        let mut gate = gate.clone();
        async move {
            if &incoming.body[..] == b"wait" {
                gate.wait_for(|open| *open).await.map_err(|_| "it never opens".to_owned())?;
            }
            Ok(String::from_utf8_lossy(&incoming.body).to_uppercase())
        }
    })
    .await;
    for (id, body) in ["wait", "one", "wait", "two"].into_iter().enumerate() {
        ask(&mut link, id as u64, body).await;
    }
    for (id, text) in [(1, "ONE"), (3, "TWO")] {
        assert_eq!(answer(&mut link).await, (id, Status::Ok, text.to_owned()));
    }
    go.send(true).unwrap();
    let mut late = [answer(&mut link).await.0, answer(&mut link).await.0];
    late.sort_unstable();
    assert_eq!(late, [0, 2]);
}

#[tokio::test]
async fn a_request_that_is_cancelled_is_dropped_and_answered_once() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (dropped, mut drops) = tokio::sync::mpsc::unbounded_channel();
    let (_serving, _) = serve(&client, &mut link, move |_| {
        let dropped = dropped.clone();
        async move {
            let _tells = Tells(dropped);
            std::future::pending().await
        }
    })
    .await;
    ask(&mut link, 5, "hang").await;
    // Once it runs it can only end by being dropped.
    link.send(Cancel { id: 5 }).await;
    assert_eq!(answer(&mut link).await.1, Status::Cancelled);
    ask(&mut link, 6, "hang").await;
    drop(link);
    let mut link = peer.accept().await;
    assert!(matches!(link.control().await, Body::Serve(_)));
    // The second may have run or not when the connection was lost; nothing hangs on.
    drop((client, _serving));
    while drops.recv().await.is_some() {}
    link.ended().await;
}

struct Tells(tokio::sync::mpsc::UnboundedSender<()>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn a_service_that_is_refused_says_so() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let handler = |_| async { Ok::<_, String>(Vec::new()) };
    let (serving, ()) = tokio::join!(client.serve(name(), ServeOptions::default(), handler), async {
        let Body::Serve(serve) = link.control().await else { panic!("a service is due") };
        let code = ErrorCode::Limit.into();
        link.send(Served { id: serve.id, code, message: "no".to_owned() }).await;
    });
    assert!(matches!(serving, Err(ServeError::Refused(refusal)) if refusal.code == ErrorCode::Limit));
}

#[tokio::test]
async fn a_service_that_is_refused_after_a_reconnect_tells_its_handle() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (serving, first) = serve(&client, &mut link, |_| async { Ok(String::new()) }).await;
    drop(link);
    let mut link = peer.accept().await;
    let Body::Serve(again) = link.control().await else { panic!("the service is due again") };
    assert_eq!(again, first);
    let code = ErrorCode::Forbidden.into();
    link.send(Served { id: again.id, code, message: "not any more".to_owned() }).await;
    for _ in 0..2 {
        let ServeError::Refused(refusal) = serving.ended().await else { panic!("a refusal is due") };
        assert_eq!((refusal.code, &refusal.subject[..]), (ErrorCode::Forbidden, "svc"));
    }
}

#[tokio::test]
async fn a_service_of_a_client_that_is_closed_is_over() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (serving, _) = serve(&client, &mut link, |_| async { Ok(String::new()) }).await;
    let (_, ()) = tokio::join!(client.close(), async { link.ended().await });
    assert_eq!(serving.ended().await, ServeError::Closed);
}

#[tokio::test]
async fn a_service_that_is_served_anew_has_its_own_room_beside_what_is_left_of_the_old_one() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let (first, _) = serve(&client, &mut link, move |_| {
        let started = started.clone();
        async move {
            let _ = started.send(());
            std::future::pending().await
        }
    })
    .await;
    for id in 0..u64::from(ServeOptions::default().concurrency) {
        link.send(Request { id, ..Request::default() }).await;
        starts.recv().await.unwrap();
    }
    drop(first);
    assert!(matches!(link.control().await, Body::Unserve(_)));
    let (_second, served) = serve(&client, &mut link, |_| async { Ok("yes".to_owned()) }).await;
    link.send(Request { id: 777, serve_id: served.id, ..Request::default() }).await;
    assert_eq!(answer(&mut link).await, (777, Status::Ok, "yes".to_owned()));
}

#[tokio::test]
async fn who_has_all_its_answers_goes_on_before_the_answers_of_others_are_handled() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let requests = capped(&client, 128);
    let mut first = requests.send_batch((0..64).map(|n| n.to_string()));
    let mut second = requests.send_batch((0..64).map(|n| n.to_string()));
    // A task like that of the connection: each has its turn when it was woken.
    let asker = tokio::spawn(async move {
        let first = (&mut first).await;
        assert!(polled(&mut second).is_pending(), "the second half was handled with the first");
        [first, second.await]
    });
    let mut answers = BytesMut::new();
    for _ in 0..128 {
        let Request { id, body, .. } = request(&mut link).await;
        control::put(&mut answers, Reply { id, status: Status::Ok.into(), body });
    }
    link.raw(&answers).await;
    for answered in asker.await.unwrap() {
        assert!(answered.into_iter().eq((0..64).map(|n| Ok(n.to_string().into()))));
    }
}

fn polled<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
