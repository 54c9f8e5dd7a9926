//! Deadlines of requests that wait, against a scripted hub.

mod peer;

use std::time::Duration;

use nyx_client::requests::{Cap, Options, Requests, SendOptions};
use nyx_client::{Client, RequestError};
use nyx_protocol::control::{Body, Reply, Request, Status};
use peer::{Link, Peer, flush_answered, name};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn one_at_a_time(client: &Client) -> Requests {
    let mut options = Options::default();
    options.cap = Cap::fixed(1);
    client.requests(name("svc"), options)
}

fn deadline(deadline: Option<Duration>) -> SendOptions {
    let mut options = SendOptions::default();
    options.deadline = deadline;
    options
}

fn soon() -> SendOptions {
    deadline(Some(Duration::from_millis(50)))
}

async fn request(link: &mut Link) -> Request {
    let Body::Request(request) = link.control().await else { panic!("a request is due") };
    request
}

async fn answer(link: &mut Link, request: Request) {
    link.send(Reply { id: request.id, status: Status::Ok.into(), body: request.body }).await;
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("nobody gave it up")
}

#[tokio::test]
async fn a_request_behind_one_that_hangs_is_given_up_when_its_time_has_passed() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let requests = one_at_a_time(&client);
    let hangs = requests.send_batch_with(["hangs"], deadline(None));
    let hanging = request(&mut link).await;
    assert_eq!(in_time(requests.send_with("late", soon())).await, Err(RequestError::Deadline));
    assert_eq!(
        in_time(requests.send_batch_with(["a", "b"], soon())).await,
        [Err(RequestError::Deadline), Err(RequestError::Deadline)]
    );
    // Of them the hub has heard nothing, and the place is free for the next.
    let (flushed, ()) = tokio::join!(client.flush(), flush_answered(&mut link));
    flushed.unwrap();
    answer(&mut link, hanging).await;
    assert_eq!(in_time(hangs).await, [Ok("hangs".into())]);
    let (answered, ()) = tokio::join!(requests.send("next"), async {
        let next = request(&mut link).await;
        answer(&mut link, next).await;
    });
    assert_eq!(answered, Ok("next".into()));
}

#[tokio::test]
async fn a_request_without_a_connection_is_given_up_when_its_time_has_passed() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let requests = one_at_a_time(&client);
    let lost = requests.send_batch_with(["sent"], deadline(None));
    request(&mut link).await;
    drop(link);
    assert_eq!(in_time(lost).await, [Err(RequestError::Disconnected)]);
    // The connection that the client makes next is not greeted, so there is none yet.
    let kept = requests.send_batch_with(["kept"], deadline(None));
    assert_eq!(in_time(requests.send_with("late", soon())).await, Err(RequestError::Deadline));
    let mut link = peer.accept().await;
    let next = request(&mut link).await;
    assert_eq!(next.body, "kept");
    answer(&mut link, next).await;
    assert_eq!(in_time(kept).await, [Ok("kept".into())]);
    let (flushed, ()) = tokio::join!(client.flush(), flush_answered(&mut link));
    flushed.unwrap();
}
