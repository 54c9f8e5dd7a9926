//! Publishers that go, and others that come: against a scripted hub.

mod peer;

use nyx_client::publish::Options;
use nyx_client::{AudioFormat, ErrorCode, FlushError, Patch, Samples, Value};
use nyx_protocol::control::{self, Body};
use nyx_protocol::wire::{Header, Kind};
use peer::{Peer, error, flush_answered, name, patch, publisher};

#[tokio::test]
async fn sound_that_nobody_publishes_any_more_is_withdrawn_before_that_of_another_format() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let format = |sample_rate| AudioFormat { sample_rate, channels: 1 };
    let audio = |rate| client.audio(name("a"), format(rate), Samples::S16Le, Options::default());
    let (first, advertise) = publisher!(link, audio(48_000));
    // While it is held it stays: the hub says which of the two it takes.
    let (second, beside) = publisher!(link, audio(44_100));
    assert_ne!(beside.alias, advertise.alias);
    drop(second);
    first.send([1u8, 0], None).await.unwrap();
    drop(first);
    link.data().await;
    let (third, order) = tokio::join!(audio(22_050), async {
        let mut order = Vec::new();
        loop {
            match link.control().await {
                Body::Unadvertise(unadvertise) => order.push(unadvertise.alias),
                Body::Advertise(advertise) => {
                    let (alias, topic_id) = (advertise.alias, 9);
                    link.send(control::Advertised { alias, topic_id, ..Default::default() }).await;
                    assert!(!order.contains(&alias));
                    return order;
                }
                body => panic!("{body:?}"),
            }
        }
    });
    assert_eq!(order, [advertise.alias, beside.alias]);
    let third = third.unwrap();
    third.send([1u8, 0], None).await.unwrap();
    link.data().await;
    // The next connection knows nothing of the others.
    drop(link);
    let mut link = peer.accept().await;
    let Body::Advertise(again) = link.control().await else { panic!() };
    assert_eq!(again.audio.map(|audio| audio.sample_rate), Some(22_050));
    third.send([1u8, 0], None).await.unwrap();
    link.data().await;
}

#[tokio::test]
async fn who_publishes_a_document_anew_has_rules_of_its_own_and_sends_the_first_value_whole() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (first, _) = publisher!(link, client.state(name("s"), Options::default()));
    first.set(Value::map([("a", 1)])).await.unwrap();
    assert_eq!(patch(&mut link).await, Patch::Set(Value::map([("a", 1)])));
    drop(first);

    // The hub knows the topic, and others may have changed it meanwhile.
    let mut options = Options::default();
    options.rules = nyx_client::Rules::default().ignore("secret").unwrap();
    let second = client.state(name("s"), options).await.unwrap();
    second.set(Value::map([("a", 1), ("secret", 2)])).await.unwrap();
    assert_eq!(patch(&mut link).await, Patch::Set(Value::map([("a", 1)])));
    drop(second);

    let third = client.state(name("s"), Options::default()).await.unwrap();
    let change = Patch::merge(Value::map([("b", 3)]));
    third.patch(change.clone()).await.unwrap();
    assert_eq!(patch(&mut link).await, change);
    drop(link);
    let mut link = peer.accept().await;
    link.advertised().await;
    third.patch(change.clone()).await.unwrap();
    assert_eq!(patch(&mut link).await, change, "what another had set is not sent again");
}

#[tokio::test]
async fn what_was_refused_of_a_publisher_that_is_gone_is_told_once_and_not_to_the_next() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (first, advertise) = publisher!(link, client.events(name("e"), Options::default()));
    first.send("one").await.unwrap();
    link.data().await;
    link.send(error(ErrorCode::Limit, advertise.alias)).await;
    let (flushed, ()) = tokio::join!(client.flush(), flush_answered(&mut link));
    assert!(matches!(flushed, Err(FlushError::Refused(_))));
    drop(first);
    let second = client.events(name("e"), Options::default()).await.unwrap();
    second.send("two").await.unwrap();
    assert_eq!(link.data().await.1, "two");
}

#[tokio::test]
async fn publishers_that_are_gone_make_room_for_others() {
    let peer = Peer::new().await;
    let (client, mut link) = peer.client().await;
    let (held, _) = publisher!(link, client.events(name("held"), Options::default()));
    let mut topics = std::collections::HashMap::new();
    for n in 0..1_000 {
        let topic = format!("topic/{n}");
        let making = client.events(name(&topic), Options::default());
        let (events, alias) = tokio::join!(making, async {
            let advertise = loop {
                match link.control().await {
                    Body::Unadvertise(ended) => assert!(topics.remove(&ended.alias).is_some()),
                    Body::Advertise(advertise) => break advertise,
                    other => panic!("nothing else is due: {other:?}"),
                }
            };
            let alias = advertise.alias;
            assert_eq!(topics.insert(alias, advertise.topic), None, "the alias was ended before");
            link.send(control::Advertised { alias, ..Default::default() }).await;
            alias
        });
        let events = events.unwrap();
        events.send(topic.clone()).await.unwrap();
        let (header, payload) = link.data().await;
        assert_eq!((header.topic, &payload[..]), (alias, topic.as_bytes()));
        // Of the last few it is not known yet that what they published was taken in.
        assert!(topics.len() <= 256 + 50, "{} topics after {n}", topics.len());
    }
    held.send("held").await.unwrap();
    assert_eq!(link.data().await, (Header { length: 4, ..Header::data(Kind::Event) }, "held".into()));
}
