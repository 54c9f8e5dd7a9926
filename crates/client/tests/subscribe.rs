//! Subscribing, against a scripted hub.

mod peer;

use bytes::BytesMut;
use nyx_client::subscribe::{self, Missing, Reason};
use nyx_client::{Batch, Client, Item, Pattern, RecvError, SubscribeError, Subscription, Value};
use nyx_protocol::control::{self, Ack, Announce, Body, ErrorCode, Gap, Resume, Resync};
use nyx_protocol::state::{Document, Limits, Patch};
use nyx_protocol::wire::{Flags, Header, Kind, codec};
use peer::{Link, Peer, announce, event};

async fn subscribe(client: &Client, link: &mut Link, pattern: &str, topics: &[Announce]) -> Subscription {
    let pattern = Pattern::new(pattern).unwrap();
    let (made, _) =
        tokio::join!(client.subscribe(pattern, subscribe::Options::default()), link.subscribed(topics));
    made.unwrap()
}

/// Asks for the next item without waiting for one, which consumes the last.
async fn ask(subscription: &mut Subscription) {
    std::future::poll_fn(|cx| {
        assert!(subscription.poll_recv(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
}

async fn next_event(subscription: &mut Subscription) -> (u64, bytes::Bytes) {
    match subscription.recv().await.unwrap() {
        Item::Event(event) => (event.sequence, event.payload),
        other => panic!("an event is due, not {other:?}"),
    }
}

#[tokio::test]
async fn items_of_each_kind_come_with_their_topic() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let mut audio = announce(3, "a", Kind::Audio);
    audio.audio = Some(control::AudioFormat { sample_rate: 48_000, channels: 1 });
    audio.max_age_ms = 200;
    let topics = [announce(1, "e", Kind::Event), announce(2, "f", Kind::Frame), audio];
    let mut all = subscribe(&client, &mut link, "**", &topics).await;

    link.message(Header { codec: codec::EVENT_TEXT, ..event(1, 0) }, b"hello").await;
    let frame =
        Header { topic: 2, codec: codec::FRAME_PNG, flags: Flags::KEYFRAME, ..Header::data(Kind::Frame) };
    link.message(frame, b"png").await;
    link.message(Header { topic: 3, codec: codec::AUDIO_F32LE, ..Header::data(Kind::Audio) }, &[0; 8]).await;

    let Item::Event(event) = all.recv().await.unwrap() else { panic!() };
    assert_eq!((event.topic.name.as_str(), event.sequence, &event.payload[..]), ("e", 0, &b"hello"[..]));
    assert_eq!(event.codec, nyx_client::EventCodec::Text);
    let Item::Frame(frame) = all.recv().await.unwrap() else { panic!() };
    assert_eq!((frame.keyframe, frame.codec), (true, nyx_client::FrameCodec::Png));
    let Item::Audio(audio) = all.recv().await.unwrap() else { panic!() };
    assert_eq!(audio.samples, nyx_client::Samples::F32Le);
    assert_eq!(audio.topic.audio.unwrap().sample_rate, 48_000);
    assert_eq!(audio.topic.max_age, Some(std::time::Duration::from_millis(200)));
}

#[tokio::test]
async fn an_item_is_acknowledged_when_the_next_is_asked_for() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let prompt = Announce { prompt: true, ..announce(1, "f", Kind::Frame) };
    let mut frames = subscribe(&client, &mut link, "f", &[prompt]).await;
    for sequence in 0..2 {
        link.message(Header { topic: 1, sequence, ..Header::data(Kind::Frame) }, &[0; 100]).await;
    }
    frames.recv().await.unwrap();
    frames.recv().await.unwrap();
    assert_eq!(link.control().await, Body::Ack(Ack { bytes: 116 }));
    ask(&mut frames).await;
    assert_eq!(link.control().await, Body::Ack(Ack { bytes: 232 }));

    link.message(Header { topic: 1, sequence: 2, ..Header::data(Kind::Frame) }, &[0; 100]).await;
    frames.recv().await.unwrap();
    drop(frames);
    let (one, two) = (link.control().await, link.control().await);
    assert!([&one, &two].contains(&&Body::Ack(Ack { bytes: 348 })), "{one:?} {two:?}");
}

#[tokio::test]
async fn a_run_comes_as_one_batch() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let mut events = subscribe(&client, &mut link, "e", &[announce(1, "e", Kind::Event)]).await;
    let mut run = BytesMut::new();
    for sequence in 0..1000 {
        nyx_protocol::wire::put_message(&mut run, event(1, sequence), &[7; 200]);
    }
    link.raw(&run).await;
    let mut next = 0;
    while next < 1000 {
        let Batch::Messages(messages) = events.recv_batch().await.unwrap() else { panic!() };
        assert_eq!(messages.first_sequence(), next);
        next += messages.iter().count() as u64;
    }
    ask(&mut events).await;
    let acknowledged = loop {
        let Body::Ack(ack) = link.control().await else { panic!() };
        // What is under the threshold follows with the next tick.
        if ack.bytes == run.len() as u64 {
            break ack.bytes;
        }
    };
    assert_eq!(acknowledged, 216_000);
}

#[tokio::test]
async fn overlapping_subscriptions_get_it_both_and_the_slower_one_counts() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let prompt = Announce { prompt: true, ..announce(1, "e", Kind::Event) };
    let mut one = subscribe(&client, &mut link, "e", &[prompt]).await;
    let mut two = subscribe(&client, &mut link, "*", &[]).await;
    link.message(event(1, 0), b"x").await;
    assert_eq!(next_event(&mut one).await.1, "x");
    ask(&mut one).await;
    assert_eq!(next_event(&mut two).await.1, "x");
    link.answers_pings = false;
    ask(&mut two).await;
    assert_eq!(link.control().await, Body::Ack(Ack { bytes: 17 }));
}

#[tokio::test]
async fn gaps_are_told_with_their_reasons() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let mut events = subscribe(&client, &mut link, "e", &[announce(1, "e", Kind::Event)]).await;
    let drop = |reason: control::Reason, count| control::Drop { reason: reason as i32, count };
    for (first_sequence, count) in [(0, 2), (2, 3)] {
        let drops = vec![drop(control::Reason::Overrun, count)];
        link.send(Gap { topic_id: 1, first_sequence, drops }).await;
    }
    link.message(event(1, 5), b"x").await;
    let mut total = 0;
    loop {
        match events.recv().await.unwrap() {
            Item::Gap(gap) => {
                assert!(gap.missing.iter().all(|missing| missing.reason == Reason::Overrun));
                total += gap.total();
            }
            Item::Event(event) => break assert_eq!(event.sequence, 5),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(total, 5);
}

fn delta(document: &Document, base: u64) -> (BytesMut, Flags) {
    let mut out = BytesMut::new();
    match document.delta_since(base, &mut out) {
        nyx_protocol::state::Encoded::Snapshot => (out, Flags::SNAPSHOT),
        _ => (out, Flags::NONE),
    }
}

fn set(document: &mut Document, n: i64) {
    let filler = "filler".repeat(50);
    document.patch(&Patch::Set(Value::map([("n", Value::from(n)), ("filler", filler.into())]))).unwrap();
}

async fn send_state(link: &mut Link, document: &Document, base: u64) {
    let (payload, flags) = delta(document, base);
    let sequence = document.version() as u32;
    link.message(
        Header { topic: 1, sequence, flags, codec: codec::STATE_DELTA, ..Header::data(Kind::State) },
        &payload,
    )
    .await;
}

async fn next_state(subscription: &mut Subscription) -> u64 {
    match subscription.recv().await.unwrap() {
        Item::State(state) => state.version,
        other => panic!("state is due, not {other:?}"),
    }
}

#[tokio::test]
async fn a_document_follows_and_asks_for_a_snapshot_when_it_can_not() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let mut states = subscribe(&client, &mut link, "s", &[announce(1, "s", Kind::State)]).await;
    let name = nyx_client::Name::new("s").unwrap();
    let mut hub = Document::new(77, Limits::default());
    set(&mut hub, 1);
    send_state(&mut link, &hub, 0).await;
    assert_eq!(next_state(&mut states).await, 1);
    set(&mut hub, 2);
    set(&mut hub, 3);
    send_state(&mut link, &hub, 1).await;
    assert_eq!(next_state(&mut states).await, 3);
    assert_eq!(states.document(&name).unwrap().value(), hub.value());

    set(&mut hub, 4);
    set(&mut hub, 5);
    send_state(&mut link, &hub, 4).await; // the receiver has 3
    let hub_side = async {
        let resync = loop {
            match link.control().await {
                Body::Ack(_) => {}
                other => break other,
            }
        };
        assert_eq!(resync, Body::Resync(Resync { topic_id: 1 }));
        send_state(&mut link, &hub, 0).await;
    };
    let (version, ()) = tokio::join!(next_state(&mut states), hub_side);
    assert_eq!(version, 5);
    assert_eq!(states.document(&name).unwrap().value(), hub.value());
}

#[tokio::test]
async fn after_a_reconnect_state_and_events_go_on_where_they_stopped() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let mut hub = Document::new(5, Limits::default());
    let topics = [announce(1, "s", Kind::State), announce(2, "e", Kind::Event)];
    let mut all = subscribe(&client, &mut link, "**", &topics).await;
    set(&mut hub, 1);
    send_state(&mut link, &hub, 0).await;
    link.message(event(2, 0), b"x").await;
    assert_eq!(next_state(&mut all).await, 1);
    assert_eq!(next_event(&mut all).await.0, 0);

    drop(link);
    let mut link = peer.accept().await;
    // The ids are another connection's.
    let topics = [
        Announce { position: 1, ..announce(1, "s", Kind::State) },
        Announce { position: 4, ..announce(9, "e", Kind::Event) },
    ];
    let mut resumed = link.subscribed(&topics).await.resume;
    resumed.sort_by(|a, b| a.topic.cmp(&b.topic));
    let resume = |topic: &str, position| Resume { topic: topic.to_owned(), epoch: 5, position };
    assert_eq!(resumed, [resume("e", 1), resume("s", 1)]);
    assert!(matches!(all.recv().await.unwrap(), Item::Reconnected(_)));

    set(&mut hub, 2);
    send_state(&mut link, &hub, 1).await;
    assert_eq!(next_state(&mut all).await, 2);
    // Events 1 to 3 are gone, and the hub forgot to say so.
    link.message(event(9, 4), b"y").await;
    let Item::Gap(gap) = all.recv().await.unwrap() else { panic!("a gap is due") };
    assert_eq!(
        (gap.first_sequence, &gap.missing[..]),
        (1, &[Missing { reason: Reason::Unknown, count: 3 }][..])
    );
    assert_eq!(next_event(&mut all).await.0, 4);
    assert_eq!(client.stats().reconnects, 1);
}

#[tokio::test]
async fn a_refused_subscription_says_so() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let pattern = Pattern::new("**").unwrap();
    let (made, ()) = tokio::join!(client.subscribe(pattern, subscribe::Options::default()), async {
        let Body::Subscribe(subscribe) = link.control().await else { panic!() };
        link.send(control::Error {
            code: ErrorCode::Limit as i32,
            message: "too many".to_owned(),
            subscription: Some(subscribe.id),
            ..Default::default()
        })
        .await;
    });
    assert!(matches!(made, Err(SubscribeError::Refused(refusal)) if refusal.code == ErrorCode::Limit));
}

#[tokio::test]
async fn reading_stops_while_nothing_is_consumed() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let mut events = subscribe(&client, &mut link, "e", &[announce(1, "e", Kind::Event)]).await;
    let payload = vec![7; 100_000];
    let total = 1000;
    let writer = tokio::spawn(async move {
        for sequence in 0..total {
            link.message(event(1, sequence), &payload).await;
        }
        link
    });
    // 100 MB do not fit into the sockets and the 4 MiB that are read ahead: nothing moves any more long before.
    for _ in 0..2000 {
        tokio::task::yield_now().await;
    }
    assert!(!writer.is_finished());
    for sequence in 0..total {
        assert_eq!(next_event(&mut events).await.0, u64::from(sequence));
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn a_closed_client_ends_its_subscriptions() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let mut events = subscribe(&client, &mut link, "e", &[announce(1, "e", Kind::Event)]).await;
    link.message(event(1, 0), b"last").await;
    let (closed, ()) = tokio::join!(client.close(), async {
        link.ended().await;
        drop(link);
    });
    assert_eq!(closed, Ok(()));
    assert_eq!(next_event(&mut events).await.1, "last");
    assert_eq!(events.recv().await.unwrap_err(), RecvError::Closed);
}

#[tokio::test]
async fn a_session_that_the_hub_ends_is_told_once_and_so_is_that_it_is_back() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let mut events = subscribe(&client, &mut link, "**", &[announce(1, "e", Kind::Event)]).await;
    let revoked = control::Error {
        code: ErrorCode::Unauthorized as i32,
        message: "the token was revoked".to_owned(),
        fatal: true,
        ..Default::default()
    };
    link.send(revoked.clone()).await;
    drop(link);
    told(&mut events, "the token was revoked").await;
    // It is not let in again, for the same reason and then for another.
    let expired = control::Error { message: "it has expired".to_owned(), ..revoked.clone() };
    for error in [revoked.clone(), revoked, expired] {
        let mut link = peer.accept_raw().await;
        link.control().await;
        link.send(error).await;
        link.ended().await;
    }
    told(&mut events, "it has expired").await;
    assert_eq!(client.stats().refusal.map(|refusal| refusal.code), Some(ErrorCode::Unauthorized));
    let mut link = peer.accept().await;
    link.subscribed(&[announce(1, "e", Kind::Event)]).await;
    assert!(matches!(events.recv().await.unwrap(), Item::Reconnected(_)));
    assert_eq!(client.stats().refusal, None);
}

/// The next item is a refusal in these words.
async fn told(events: &mut Subscription, words: &str) {
    let Item::Refused(refusal) = events.recv().await.unwrap() else { panic!("a refusal is due") };
    assert_eq!((refusal.code, &refusal.message[..]), (ErrorCode::Unauthorized, words));
}

#[tokio::test]
async fn a_document_over_the_limits_of_its_subscription_is_told_as_missing() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let mut options = subscribe::Options::default();
    options.limits.bytes = 100;
    let topics = [announce(1, "s", Kind::State)];
    let pattern = Pattern::new("s").unwrap();
    let (made, _) = tokio::join!(client.subscribe(pattern, options), link.subscribed(&topics));
    let mut state = made.unwrap();
    let mut document = Document::new(5, Limits::default());
    for (text, fits) in [("small".to_owned(), true), ("large".repeat(100), false), ("small".to_owned(), true)]
    {
        document.patch(&Patch::Set(Value::map([("text", text)]))).unwrap();
        let mut snapshot = BytesMut::new();
        document.snapshot(&mut snapshot);
        let sequence = document.version() as u32;
        let header = Header { topic: 1, codec: codec::STATE_DELTA, sequence, ..Header::data(Kind::State) };
        link.message(Header { flags: Flags::SNAPSHOT, ..header }, &snapshot).await;
        match state.recv().await.unwrap() {
            Item::State(state) => assert!(fits && state.version == document.version()),
            Item::Gap(gap) => {
                assert!(!fits);
                assert_eq!((&*gap.topic.name.to_string(), gap.first_sequence), ("s", document.version()));
                assert_eq!(gap.missing, [Missing { reason: Reason::OverLimits, count: 1 }]);
            }
            other => panic!("{other:?}"),
        }
    }
}
