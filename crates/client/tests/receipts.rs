//! Records of which the publisher learns what became of them, against a scripted hub.

mod peer;

use nyx_client::publish::{Accepted, Acknowledged, Options, Refused};
use nyx_client::{Client, ErrorCode, Name, batch};
use nyx_protocol::control::{Advertise, Body, Outcome, Results};
use peer::{Link, Peer, Sent, quick};

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

async fn acknowledged(client: &Client, link: &mut Link) -> (Acknowledged, Advertise) {
    let (made, advertise) =
        tokio::join!(client.acknowledged(name("a"), Options::default()), link.advertised());
    (made.unwrap(), advertise)
}

fn accepted(count: u64, sequence: u64) -> Outcome {
    Outcome { count, sequence: Some(sequence), ..Outcome::default() }
}

fn refused(count: u64, code: ErrorCode) -> Outcome {
    Outcome { count, sequence: None, code: code.into(), message: "no".to_owned() }
}

async fn answer(link: &mut Link, alias: u32, outcomes: impl Into<Vec<Outcome>>) {
    link.send(Results { alias, outcomes: outcomes.into() }).await;
}

fn sequences(results: Vec<Result<Accepted, Refused>>) -> Vec<Option<u64>> {
    results.into_iter().map(|result| result.ok().map(|accepted| accepted.sequence)).collect()
}

#[tokio::test]
async fn each_receipt_becomes_the_result_of_its_own_record() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (records, advertise) = acknowledged(&client, &mut link).await;
    assert!(advertise.results);
    let first = records.publish("first").await;
    let many = records.publish_batch(["a", "b", "c"]).await;
    let last = records.publish("last").await;
    for payload in ["first", "a", "b", "c", "last"] {
        assert_eq!(link.data().await.1, payload);
    }
    let alias = advertise.alias;
    answer(&mut link, alias, [accepted(2, 40), refused(1, ErrorCode::KindMismatch)]).await;
    answer(&mut link, alias, [accepted(2, 50)]).await;
    assert_eq!(first.await, Ok(Accepted { sequence: 40 }));
    let many = many.await;
    let Err(Refused::ByHub(refusal)) = &many[1] else { panic!("refused: {many:?}") };
    assert_eq!((refusal.code, &refusal.subject[..]), (ErrorCode::KindMismatch, "a"));
    assert_eq!(sequences(many), [Some(41), None, Some(50)]);
    assert_eq!(last.await, Ok(Accepted { sequence: 51 }));
}

#[tokio::test]
async fn one_that_is_too_large_does_not_keep_the_others() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (records, advertise) = acknowledged(&client, &mut link).await;
    let large = (1 << 20) + 1;
    assert_eq!(
        records.publish(vec![0; large]).await.await,
        Err(Refused::TooLarge { length: large, limit: 1 << 20 })
    );
    // Small ones, one that is passed on uncopied, and two that can't be sent.
    let sizes = [1, large, 2, 50_000, large, 3];
    let receipts = records.publish_batch(sizes.map(|len| vec![0; len])).await;
    for len in [1, 2, 50_000, 3] {
        assert_eq!(link.data().await.1.len(), len);
    }
    answer(&mut link, advertise.alias, [accepted(4, 0)]).await;
    assert_eq!(sequences(receipts.await), [Some(0), None, Some(1), Some(2), None, Some(3)]);
}

#[tokio::test]
async fn an_empty_batch_has_no_results() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (records, _) = acknowledged(&client, &mut link).await;
    assert_eq!(records.publish_batch::<&str>([]).await.await, []);
}

#[tokio::test]
async fn what_was_written_to_a_lost_connection_is_in_doubt_and_the_rest_goes_out_on_the_next() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (records, advertise) = acknowledged(&client, &mut link).await;
    let answered = records.publish("answered").await;
    link.data().await;
    answer(&mut link, advertise.alias, [accepted(1, 7)]).await;
    assert_eq!(answered.await, Ok(Accepted { sequence: 7 }));
    let doubtful = records.publish_batch(["doubtful", "doubtful too"]).await;
    link.data().await;
    link.data().await;
    drop(link);
    assert_eq!(doubtful.await, [Err(Refused::InDoubt), Err(Refused::InDoubt)]);
    assert!(!client.stats().connected);
    let later = records.publish_batch(["x", "y"]).await;
    let mut link = peer.accept().await;
    assert!(link.advertised().await.results);
    assert_eq!((link.data().await.1, link.data().await.1), ("x".into(), "y".into()));
    answer(&mut link, advertise.alias, [accepted(2, 8)]).await;
    assert_eq!(sequences(later.await), [Some(8), Some(9)]);
}

#[tokio::test]
async fn a_record_that_is_too_long_for_the_hub_that_is_back_has_its_own_result() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (records, advertise) = acknowledged(&client, &mut link).await;
    drop(link);
    while client.stats().connected {
        tokio::task::yield_now().await;
    }
    let waiting = records.publish_batch([vec![1; 5], vec![2; 2_000], vec![3; 30_000], vec![4; 6]]).await;
    let mut link = peer.accept_taking(1_000).await;
    assert!(link.advertised().await.results);
    assert_eq!((link.data().await.1, link.data().await.1), (vec![1; 5].into(), vec![4; 6].into()));
    answer(&mut link, advertise.alias, [accepted(2, 8)]).await;
    let results = waiting.await;
    assert_eq!(results[1], Err(Refused::TooLarge { length: 2_000, limit: 1_000 }));
    assert_eq!(results[2], Err(Refused::TooLarge { length: 30_000, limit: 1_000 }));
    assert_eq!(sequences(results), [Some(8), None, None, Some(9)]);
    let next = records.publish("next").await;
    assert_eq!(link.data().await.1, "next");
    answer(&mut link, advertise.alias, [accepted(1, 10)]).await;
    assert_eq!(next.await, Ok(Accepted { sequence: 10 }));
}

#[tokio::test]
async fn a_topic_that_is_refused_after_a_reconnect_refuses_each_record() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (records, advertise) = acknowledged(&client, &mut link).await;
    link.stream.set_zero_linger().unwrap();
    drop(link);
    while client.stats().connected {
        tokio::task::yield_now().await;
    }
    let receipt = records.publish("waits").await;
    let mut link = peer.accept().await;
    assert!(matches!(link.control().await, Body::Advertise(_)));
    let error = nyx_protocol::control::Error {
        code: ErrorCode::KindMismatch.into(),
        alias: Some(advertise.alias),
        ..Default::default()
    };
    link.send(error).await;
    assert_eq!(link.data().await.1, "waits");
    answer(&mut link, advertise.alias, [refused(1, ErrorCode::KindMismatch)]).await;
    assert!(matches!(receipt.await, Err(Refused::ByHub(refusal)) if refusal.code == ErrorCode::KindMismatch));
    // From now on nothing is sent.
    assert!(matches!(records.publish("more").await.await, Err(Refused::ByHub(_))));
    assert!(matches!(records.publish_batch(["more"]).await.await[..], [Err(Refused::ByHub(_))]));
}

#[tokio::test]
async fn after_closing_nothing_is_published() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (records, _) = acknowledged(&client, &mut link).await;
    let (_, ()) = tokio::join!(client.close(), async {
        link.ended().await;
        drop(link);
    });
    assert_eq!(records.publish("late").await.await, Err(Refused::Closed));
    assert_eq!(
        records.publish_batch(["late", "later"]).await.await,
        [Err(Refused::Closed), Err(Refused::Closed)]
    );
}

#[tokio::test]
async fn a_receipt_keeps_the_connection_until_it_has_its_answer() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (records, advertise) = acknowledged(&client, &mut link).await;
    let receipt = records.publish("one").await;
    drop((records, client));
    link.data().await;
    answer(&mut link, advertise.alias, [accepted(1, 0)]).await;
    assert_eq!(receipt.await, Ok(Accepted { sequence: 0 }));
    link.ended().await;
}

#[tokio::test]
async fn a_hub_that_answers_for_more_than_it_was_sent_is_left() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (records, advertise) = acknowledged(&client, &mut link).await;
    let receipts = records.publish_batch(["one"]).await;
    link.data().await;
    answer(&mut link, advertise.alias, [accepted(2, 0)]).await;
    link.ended().await;
    peer.accept().await;
    assert_eq!(sequences(receipts.await), [Some(0)]);
    assert!(client.stats().last_error.is_some_and(|error| error.contains("results of messages")));
}

#[tokio::test]
async fn publishing_waits_while_too_many_results_are_awaited() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (records, advertise) = acknowledged(&client, &mut link).await;
    let total = 200_000;
    let mut publishing = std::pin::pin!(records.publish_batch(std::iter::repeat_n("r", total)));
    // The hub reads everything and answers nothing, until nothing more comes.
    let mut read = 0;
    while read < 65_536 {
        tokio::select! {
            biased;
            sent = link.next() => match sent {
                Some(Sent::Data { .. }) => read += 1,
                other => panic!("data is due, not {other:?}"),
            },
            _ = &mut publishing => panic!("it waits"),
        }
    }
    assert!(client.stats().sent_messages < 80_000, "{}", client.stats().sent_messages);
    answer(&mut link, advertise.alias, [accepted(read, 0)]).await;
    let hub = async {
        while read < total as u64 {
            link.data().await;
            read += 1;
            answer(&mut link, advertise.alias, [accepted(1, read - 1)]).await;
        }
    };
    let (receipts, ()) = tokio::join!(publishing, hub);
    assert_eq!(sequences(receipts.await), (0..total as u64).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn events_linger_until_a_batch_is_full_or_flushed() {
    let peer = Peer::new().await;
    let mut config = quick();
    config.batch = batch::Policy::LINGERING;
    config.batch.linger = std::time::Duration::from_secs(3_600);
    let (client, mut link) = tokio::join!(Client::connect(peer.address(), config), peer.accept());
    let client = client.unwrap();
    let (events, _) = tokio::join!(client.events(name("a"), Options::default()), link.advertised());
    let events = events.unwrap();
    for n in 0..9u8 {
        events.send([n]).await.unwrap();
    }
    // The writer has all the time that it could want.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(client.stats().waiting_bytes >= 9 * 17);
    events.send([9]).await.unwrap();
    for n in 0..10u8 {
        assert_eq!(link.data().await.1[..], [n]);
    }
    events.send("alone").await.unwrap();
    let (flushed, (_, payload)) = tokio::join!(client.flush(), async {
        let data = link.data().await;
        link.answers_pings = false;
        let Body::Ping(ping) = link.control().await else { panic!("a ping is due") };
        link.send(nyx_protocol::control::Pong { nonce: ping.nonce }).await;
        data
    });
    assert_eq!((flushed, payload), (Ok(()), "alone".into()));
    events.send("last").await.unwrap();
    drop((events, client));
    assert_eq!(link.data().await.1, "last");
}

#[tokio::test]
async fn a_batch_that_does_not_fill_up_goes_when_it_has_lingered() {
    let peer = Peer::new().await;
    let mut config = quick();
    config.batch = batch::Policy::LINGERING;
    let (client, mut link) = tokio::join!(Client::connect(peer.address(), config), peer.accept());
    let client = client.unwrap();
    let (records, advertise) = acknowledged(&client, &mut link).await;
    let receipts = records.publish_batch(["one", "two"]).await;
    assert_eq!((link.data().await.1, link.data().await.1), ("one".into(), "two".into()));
    answer(&mut link, advertise.alias, [accepted(2, 0)]).await;
    assert_eq!(sequences(receipts.await), [Some(0), Some(1)]);
}
