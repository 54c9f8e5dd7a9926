//! Publishing, against a scripted hub.

mod peer;

use nyx_client::publish::{Frame, Options, SendCause};
use nyx_client::{
    AdvertiseError, AudioFormat, ErrorCode, EventCodec, FlushError, FrameCodec, Patch, Samples, Trail, Value,
};
use nyx_protocol::control::{self, Body};
use nyx_protocol::wire::{Flags, Kind, codec};
use peer::{Link, Peer, Sent, error, flush_answered, name, patch, publisher};

#[tokio::test]
async fn each_kind_goes_out_as_specified() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;

    let mut options = Options::default();
    options.codec = EventCodec::Json;
    let (events, advertise) = publisher!(link, client.events(name("e"), options));
    assert_eq!((&advertise.topic[..], advertise.kind()), ("e", control::Kind::Event));
    events.send("{}").await.unwrap();
    events.send_text("hello").await.unwrap();
    events.send_stamped(vec![7; 20_000], 99).await.unwrap();
    for (codec, unix_micros, payload) in [
        (codec::EVENT_JSON, None, b"{}".to_vec()),
        (codec::EVENT_TEXT, None, b"hello".to_vec()),
        (codec::EVENT_JSON, Some(99), vec![7; 20_000]),
    ] {
        let Some(Sent::Data { header, unix_micros: stamp, payload: sent }) = link.next().await else {
            panic!()
        };
        assert_eq!((header.topic, header.codec, stamp), (advertise.alias, codec, unix_micros));
        assert_eq!(sent, payload);
    }

    let (frames, advertise) = publisher!(link, client.frames(name("f"), Options::default()));
    frames.send(Frame { unix_micros: Some(5), ..Frame::key(FrameCodec::Jpeg, vec![1, 2]) }).await.unwrap();
    let Some(Sent::Data { header, unix_micros, payload }) = link.next().await else { panic!() };
    assert_eq!(
        (header.kind, header.topic, header.codec),
        (Some(Kind::Frame), advertise.alias, codec::FRAME_JPEG)
    );
    assert!(header.flags.contains(Flags::KEYFRAME));
    assert_eq!((unix_micros, &payload[..]), (Some(5), &[1, 2][..]));

    let format = AudioFormat { sample_rate: 48_000, channels: 2 };
    let (audio, advertise) =
        publisher!(link, client.audio(name("a"), format, Samples::S16Le, Options::default()));
    assert_eq!(advertise.audio, Some(control::AudioFormat { sample_rate: 48_000, channels: 2 }));
    audio.send([1u8, 0, 2, 0], None).await.unwrap();
    let (header, payload) = link.data().await;
    assert_eq!(
        (header.kind, header.codec, &payload[..]),
        (Some(Kind::Audio), codec::AUDIO_S16LE, &[1, 0, 2, 0][..])
    );
}

#[tokio::test]
async fn a_batch_arrives_whole_and_in_order() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (events, _) = publisher!(link, client.events(name("e"), Options::default()));
    // Small ones over several blocks, with large ones between them, more than may wait at once.
    let payload = |i: usize| vec![i as u8; if i.is_multiple_of(500) { 100_000 } else { 64 + i % 7 }];
    let reader = async {
        for i in 0..20_000 {
            assert_eq!(link.data().await.1, payload(i), "message {i}");
        }
    };
    let (sent, ()) = tokio::join!(events.send_batch((0..20_000).map(payload)), reader);
    assert_eq!(sent.unwrap(), 20_000);
    assert_eq!(client.stats().sent_messages, 20_000);
}

#[tokio::test]
async fn a_refused_topic_is_the_error_of_its_constructor() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (made, ()) = tokio::join!(client.events(name("e"), Options::default()), async {
        let Body::Advertise(advertise) = link.control().await else { panic!() };
        link.send(error(ErrorCode::KindMismatch, advertise.alias)).await;
    });
    let Err(AdvertiseError::Refused(refusal)) = made else { panic!("refused") };
    assert_eq!((refusal.code, &refusal.subject[..]), (ErrorCode::KindMismatch, "e"));
    let (flushed, _) = tokio::join!(client.flush(), flush_answered(&mut link));
    assert_eq!(flushed, Ok(()));
}

#[tokio::test]
async fn what_the_hub_refuses_later_surfaces_at_flush_and_at_the_next_send() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (events, advertise) = publisher!(link, client.events(name("e"), Options::default()));
    link.send(error(ErrorCode::Limit, advertise.alias)).await;
    let (flushed, _) = tokio::join!(client.flush(), flush_answered(&mut link));
    assert!(matches!(flushed, Err(FlushError::Refused(refusal)) if refusal.code == ErrorCode::Limit));
    let error = events.send("payload").await.unwrap_err();
    assert!(matches!(error.cause, SendCause::Refused(refusal) if refusal.code == ErrorCode::Limit));
    assert_eq!(error.payload, "payload");
    // Told once each.
    events.send("payload").await.unwrap();
    let (flushed, _) = tokio::join!(client.flush(), async {
        link.data().await;
        flush_answered(&mut link).await;
    });
    assert_eq!(flushed, Ok(()));
}

/// Answers pings until there is one, and passes over nothing else.
#[tokio::test]
async fn too_large_a_message_is_refused_here() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (events, _) = publisher!(link, client.events(name("e"), Options::default()));
    let error = events.send(vec![0; (1 << 20) + 1]).await.unwrap_err();
    assert_eq!(error.cause, SendCause::TooLarge { length: (1 << 20) + 1, limit: 1 << 20 });
    assert_eq!(error.payload.len(), (1 << 20) + 1);
    assert!(events.send_batch([vec![0; (1 << 20) + 1]]).await.is_err());
}

#[tokio::test]
async fn state_travels_as_differences_and_whole_after_a_reconnect() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (state, _) = publisher!(link, client.state(name("s"), Options::default()));
    let value = |hp: i64| Value::map([("hp", Value::from(hp)), ("name", "Ada".into())]);
    state.set(value(1)).await.unwrap();
    assert_eq!(patch(&mut link).await, Patch::Set(value(1)));
    state.set(value(1)).await.unwrap();
    state.set(value(2)).await.unwrap();
    assert_eq!(patch(&mut link).await, Patch::merge(Value::map([("hp", 2)])));
    state.patch(Patch::merge(Value::map([("hp", 3)]))).await.unwrap();
    assert_eq!(patch(&mut link).await, Patch::merge(Value::map([("hp", 3)])));

    drop(link);
    let mut link = peer.accept().await;
    assert_eq!(link.advertised().await.topic, "s");
    assert_eq!(patch(&mut link).await, Patch::Set(value(3)));
    state.set(value(4)).await.unwrap();
    assert_eq!(patch(&mut link).await, Patch::merge(Value::map([("hp", 4)])));
}

#[tokio::test]
async fn which_hubs_it_has_passed_is_told_in_front_and_what_the_hub_has_is_not_told_again() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    assert_eq!(client.hub(), None);
    let mut options = Options::default();
    options.passed = Trail::new(&[7]).unwrap();
    let (state, advertise) = publisher!(link, client.state(name("s"), options));
    assert_eq!(advertise.passed, [7]);
    state.assume(Value::map([("a", 1)]));
    state.set_passed(&Trail::new(&[7]).unwrap());
    state.set(Value::map([("a", 1), ("b", 2)])).await.unwrap();
    assert_eq!(patch(&mut link).await, Patch::merge(Value::map([("b", 2)])));
    state.set_passed(&Trail::new(&[8, 7]).unwrap());
    state.set(Value::map([("a", 1), ("b", 3)])).await.unwrap();
    let again = link.advertised().await;
    assert_eq!((again.alias, again.passed), (advertise.alias, vec![8, 7]));
    assert_eq!(patch(&mut link).await, Patch::merge(Value::map([("b", 3)])));
    drop(link);
    let mut link = peer.accept().await;
    assert_eq!(link.advertised().await.passed, [8, 7]);
    assert_eq!(patch(&mut link).await, Patch::Set(Value::map([("a", 1), ("b", 3)])));
}

#[tokio::test]
async fn state_that_the_hub_refused_goes_out_whole_next() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (state, advertise) = publisher!(link, client.state(name("s"), Options::default()));
    state.set(Value::map([("a", 1)])).await.unwrap();
    patch(&mut link).await;
    link.send(error(ErrorCode::BadDocument, advertise.alias)).await;
    let (_, ()) = tokio::join!(client.flush(), flush_answered(&mut link));
    let error = state.set(Value::map([("a", 2)])).await.unwrap_err();
    assert!(matches!(error.cause, SendCause::Refused(refusal) if refusal.code == ErrorCode::BadDocument));
    state.set(error.payload).await.unwrap();
    assert_eq!(patch(&mut link).await, Patch::Set(Value::map([("a", 2)])));
}

#[tokio::test]
async fn a_document_that_has_grown_over_what_the_hub_takes_at_once_costs_nobody_the_connection() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (state, _) = publisher!(link, client.state(name("s"), Options::default()));
    let (events, _) = publisher!(link, client.events(name("e"), Options::default()));
    let mut value = std::collections::BTreeMap::new();
    for key in ["a", "b", "c"] {
        value.insert(key.to_owned(), Value::from(key.repeat(400_000)));
        state.set(Value::Map(value.clone())).await.unwrap();
        patch(&mut link).await;
    }
    drop(link);
    let mut link = peer.accept().await;
    link.advertised().await;
    link.advertised().await;
    events.send("here").await.unwrap();
    assert_eq!(link.data().await.1, "here");
    let too_large = state.set(Value::Map(value.clone())).await.unwrap_err();
    assert!(matches!(too_large.cause, SendCause::TooLarge { .. }), "{too_large:?}");
    // What was not restored is told, too.
    value.remove("a");
    let before = state.set(Value::Map(value.clone())).await.unwrap_err();
    assert!(matches!(before.cause, SendCause::Refused(refusal) if refusal.code == ErrorCode::TooLarge));
    state.set(Value::Map(value.clone())).await.unwrap();
    assert_eq!(patch(&mut link).await, Patch::Set(Value::Map(value)));
}

#[tokio::test]
async fn flush_waits_for_the_hub_and_tells_of_a_lost_connection() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (events, _) = publisher!(link, client.events(name("e"), Options::default()));
    events.send("confirmed").await.unwrap();
    link.data().await;
    let (flushed, ()) = tokio::join!(client.flush(), flush_answered(&mut link));
    assert_eq!(flushed, Ok(()));

    events.send("lost?").await.unwrap();
    link.data().await;
    let (flushed, _) = tokio::join!(client.flush(), async {
        link.answers_pings = false;
        assert!(matches!(link.control().await, Body::Ping(_)));
        drop(link);
    });
    assert_eq!(flushed, Err(FlushError::Interrupted { unconfirmed: 1 }));
    assert_eq!(client.stats().maybe_lost, 1);
}

#[tokio::test]
async fn what_waits_goes_out_on_the_next_connection() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (events, _) = publisher!(link, client.events(name("e"), Options::default()));
    link.stream.set_zero_linger().unwrap();
    drop(link);
    while client.stats().connected {
        tokio::task::yield_now().await;
    }
    events.send("one").await.unwrap();
    events.send(vec![2; 30_000]).await.unwrap();
    let mut link = peer.accept().await;
    link.advertised().await;
    assert_eq!(link.data().await.1, "one");
    assert_eq!(link.data().await.1, vec![2; 30_000]);
    let (flushed, _) = tokio::join!(client.flush(), flush_answered(&mut link));
    assert_eq!(flushed, Ok(()));
    let stats = client.stats();
    assert_eq!((stats.reconnects, stats.maybe_lost), (1, 0));
}

#[tokio::test]
async fn what_waits_and_is_too_long_for_the_hub_that_is_back_is_told_and_holds_up_nothing() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (events, _) = publisher!(link, client.events(name("e"), Options::default()));
    link.stream.set_zero_linger().unwrap();
    drop(link);
    while client.stats().connected {
        tokio::task::yield_now().await;
    }
    for payload in [vec![1; 5], vec![2; 30_000], vec![3; 1_001], vec![4; 1_000]] {
        events.send(payload).await.unwrap();
    }
    let mut link = peer.accept_taking(1_000).await;
    link.advertised().await;
    assert_eq!((link.data().await.1, link.data().await.1), (vec![1; 5].into(), vec![4; 1_000].into()));
    let (flushed, _) = tokio::join!(client.flush(), flush_answered(&mut link));
    let Err(FlushError::Refused(refusal)) = flushed else { panic!("{flushed:?}") };
    assert_eq!((refusal.code, &refusal.subject[..]), (ErrorCode::TooLarge, "e"));
    assert!(refusal.message.contains("1001 bytes") && refusal.message.contains("1000"), "{refusal}");
    // It was told.
    let (flushed, _) = tokio::join!(client.flush(), flush_answered(&mut link));
    assert_eq!((flushed, client.stats().reconnects), (Ok(()), 1));
}

#[tokio::test]
async fn a_send_waits_while_too_much_waits_and_can_be_given_up() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (events, _) = publisher!(link, client.events(name("e"), Options::default()));
    let payload = vec![1; 500_000];
    let mut sent = 0;
    let blocked = loop {
        let mut sending = std::pin::pin!(events.send(&payload));
        let mut ready = false;
        // What the socket takes is taken within a few turns of the writer.
        for _ in 0..100 {
            if std::future::poll_fn(|cx| std::task::Poll::Ready(sending.as_mut().poll(cx).is_ready())).await {
                ready = true;
                break;
            }
            tokio::task::yield_now().await;
        }
        if !ready {
            break client.stats().waiting_bytes;
        }
        sent += 1;
    };
    assert!(blocked >= 1 << 20);
    assert_eq!(client.stats().sent_messages, sent);
    events_arrive(&mut link, sent).await;
}

#[tokio::test]
async fn an_endless_batch_is_held_to_the_bound() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (events, _) = publisher!(link, client.events(name("e"), Options::default()));
    for len in [10, 20_000, 100_000] {
        let payload = vec![0; len];
        let mut sending = std::pin::pin!(events.send_batch(std::iter::repeat(&payload)));
        for _ in 0..500 {
            std::future::poll_fn(|cx| std::task::Poll::Ready(sending.as_mut().poll(cx).is_ready())).await;
            tokio::task::yield_now().await;
        }
        assert!(client.stats().waiting_bytes < (1 << 20) + 200_000, "{len}");
    }
}

async fn events_arrive(link: &mut Link, count: u64) {
    for _ in 0..count {
        link.data().await;
    }
}

#[tokio::test]
async fn close_flushes_and_then_nothing_is_accepted() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (events, _) = publisher!(link, client.events(name("e"), Options::default()));
    events.send("last").await.unwrap();
    let hub = async {
        assert_eq!(link.data().await.1, "last");
        link.ended().await;
        drop(link);
    };
    let (closed, ()) = tokio::join!(client.close(), hub);
    assert_eq!(closed, Ok(()));
    assert_eq!(events.send("more").await.unwrap_err().cause, SendCause::Closed);
    assert_eq!(events.send_batch(["more"]).await.unwrap_err().cause, SendCause::Closed);
}

#[tokio::test]
async fn dropping_every_handle_still_writes_what_waits() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (events, _) = publisher!(link, client.events(name("e"), Options::default()));
    events.send(vec![3; 300_000]).await.unwrap();
    drop((client, events));
    assert_eq!(link.data().await.1, vec![3; 300_000]);
    link.ended().await;
}

#[tokio::test]
async fn what_a_rule_keeps_back_is_sent_when_its_time_has_come() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let mut options = Options::default();
    options.rules = nyx_client::Rules::default().limit("n", std::time::Duration::from_millis(40)).unwrap();
    let (state, _) = publisher!(link, client.state(name("s"), options));
    let value = |n: i64| Value::map([("n", n)]);
    state.set(value(1)).await.unwrap();
    state.set(value(2)).await.unwrap();
    state.set(value(3)).await.unwrap();
    assert_eq!(patch(&mut link).await, Patch::Set(value(1)));
    assert_eq!(patch(&mut link).await, Patch::Map([("n".to_owned(), Patch::Set(3.into()))].into()));
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn types_are_published_by_field() {
    #[derive(serde::Serialize)]
    struct Score {
        home: u8,
        away: u8,
    }
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (state, _) = publisher!(link, client.state(name("s"), Options::default()));
    state.set_typed(&Score { home: 0, away: 0 }).await.unwrap();
    state.set_typed(&Score { home: 1, away: 0 }).await.unwrap();
    assert_eq!(patch(&mut link).await, Patch::Set(Value::map([("home", 0), ("away", 0)])));
    assert_eq!(patch(&mut link).await, Patch::Map([("home".to_owned(), Patch::Set(1.into()))].into()));
    assert!(matches!(state.set_typed(&f64::NAN).await.unwrap_err().cause, SendCause::NotADocument(_)));
}
