//! Sound, frames and events, and what publishers send.

use super::*;

/// Items of `kind` and size every `every` ms for five seconds. Returns the subscriber's topic.
fn watch_items(
    kind: Kind,
    bytes: usize,
    every: u64,
    change: impl Fn(&mut Conditions),
) -> (Sim, usize, HashMap<u64, Instant>) {
    let mut sim = Sim::new();
    sim.hub.topic_for(&Name::new("live").unwrap(), kind).unwrap();
    let place = sim.subscriber("live", change);
    sim.run(Duration::from_secs(8), |_, _| {});
    let mut born = HashMap::new();
    sim.run(Duration::from_secs(5), |sim, millis| {
        if millis % every == 0 {
            born.insert(born.len() as u64, sim.now);
            sim.publish("live", kind, bytes);
        }
    });
    sim.run(Duration::from_secs(3), |_, _| {});
    let topic = only(&sim, place);
    let accounted = topic.items.len() as u64 + topic.missing;
    assert_eq!(accounted, born.len() as u64, "delivered and missing make all that was published");
    (sim, place, born)
}

#[test]
fn sound_comes_in_order_and_in_time_or_is_told_as_missing() {
    // 20 ms of 48 kHz in stereo: four datagrams.
    let (sim, place, born) = watch_items(Kind::Audio, 3_840, 20, |path| path.loss = "5%".parse().unwrap());
    let topic = only(&sim, place);
    assert!(topic.items.len() >= 245, "{} came, {} are missing", topic.items.len(), topic.missing);
    let late =
        topic.items.iter().filter(|(number, came)| came.since(born[number]) > Duration::from_millis(600));
    assert_eq!(late.count(), 0);
}

#[test]
fn frames_arrive_whole_though_hardly_one_does_at_the_first_try() {
    let (sim, place, _) = watch_items(Kind::Frame, 46_000, 50, |path| path.loss = "5%".parse().unwrap());
    let topic = only(&sim, place);
    assert!(topic.items.len() >= 20, "{} came, {} are missing", topic.items.len(), topic.missing);
}

#[test]
fn events_are_all_there_at_thirty_percent_loss() {
    let mut sim = Sim::new();
    sim.hub.topic_for(&Name::new("log").unwrap(), Kind::Event).unwrap();
    let place = sim.subscriber("log", |path| path.loss = "30%".parse().unwrap());
    sim.run(Duration::from_secs(8), |_, _| {});
    sim.run(Duration::from_secs(2), |sim, _| sim.publish("log", Kind::Event, 100));
    sim.run(Duration::from_secs(30), |_, _| {});
    let topic = only(&sim, place);
    assert_eq!((topic.items.len(), topic.missing), (2_000, 0));
}

#[test]
fn publishers_patches_are_applied_in_order_and_their_frames_come_through() {
    let mut sim = Sim::new();
    let place = sim.join(|path| path.loss = "10%".parse().unwrap());
    let watcher = sim.subscriber("up/*", |_| {});
    for (alias, topic, kind) in [(1, "up/state", Kind::State), (2, "up/frames", Kind::Frame)] {
        let kind = control::Kind::from(kind).into();
        sim.clients[place].say(control::Advertise { alias, topic: topic.into(), kind, ..Default::default() });
    }
    sim.run(Duration::from_secs(8), |_, _| {});
    let mut n = 0;
    sim.run(Duration::from_secs(3), |sim, millis| {
        if millis % 30 != 0 {
            return;
        }
        n += 1;
        let now = sim.now;
        let connection = &mut sim.clients[place].connection;
        let (mut patch, mut message) = (BytesMut::new(), BytesMut::new());
        Patch::Set(Value::map([("n", Value::from(n))])).encode(&mut patch);
        let header = Header { topic: 1, codec: wire::codec::STATE_PATCH, ..Header::data(Kind::State) };
        wire::put_message(&mut message, header, &patch);
        connection.write(&message);
        let mut frame = BytesMut::new();
        let header = Header { topic: 2, flags: Flags::KEYFRAME, codec: 1, ..Header::data(Kind::Frame) };
        wire::put_message(&mut frame, header, &[7; 20_000]);
        let deadline = Some(now + Duration::from_secs(1));
        connection.send(Item { flow: 2, bytes: frame.freeze(), order: Order::Latest, deadline });
    });
    sim.run(Duration::from_secs(5), |_, _| {});
    assert_eq!(sim.clients[place].errors, Vec::<String>::new());
    let topics: Vec<&Topic> = sim.clients[watcher].topics.values().collect();
    let state = topics.iter().find(|topic| topic.kind == Some(Kind::State)).unwrap();
    assert_eq!(state.latest(), Value::map([("n", Value::from(n))]));
    assert_eq!(state.updates.last().unwrap().0, n as u64, "each patch made a version");
    let frames = topics.iter().find(|topic| topic.kind == Some(Kind::Frame)).unwrap();
    // Of 17 datagrams each; those that have to be sent again are obsolete when a later one was not.
    assert!(frames.items.len() > 25, "{} of {n} frames", frames.items.len());
}

/// A publisher of sound of this rate on `live`, unless it is refused.
fn sound(sim: &Sim, sample_rate: u32) -> Option<Session> {
    let mut session = sim.hub.session(sim.now, Peer::new("publisher", Transport::Tcp)).unwrap();
    session.open_unacknowledged("publisher");
    let mut input = BytesMut::new();
    let audio = Some(control::AudioFormat { sample_rate, channels: 2 });
    let kind = control::Kind::Audio.into();
    control::put(
        &mut input,
        control::Advertise { alias: 1, topic: "live".into(), kind, audio, ..Default::default() },
    );
    session.handle_input(sim.now, &mut input).unwrap();
    let mut out = Vec::new();
    session.poll_transmit(sim.now, &mut out);
    let answer = control::parse(&out.concat()).unwrap();
    matches!(answer, Some(Body::Advertised(_))).then_some(session)
}

#[test]
fn sound_goes_on_in_another_format_when_nothing_of_the_last_is_under_way_any_more() {
    let mut sim = Sim::new();
    let place = sim.subscriber("live", |path| path.loss = "5%".parse().unwrap());
    sim.run(Duration::from_secs(8), |_, _| {});
    for (rate, next) in [(48_000, 44_100), (44_100, 48_000)] {
        let mut publisher = sound(&sim, rate).expect("nothing is under way");
        sim.run(Duration::from_secs(1), |sim, millis| {
            if millis % 20 == 0 {
                let mut chunk = BytesMut::new();
                wire::put_message(&mut chunk, Header { topic: 1, ..Header::data(Kind::Audio) }, &[7; 3_840]);
                publisher.handle_input(sim.now, &mut chunk).unwrap();
            }
        });
        drop(publisher);
        assert!(sound(&sim, next).is_none(), "a piece of it may yet have to be sent again");
        sim.run(Duration::from_millis(501), |_, _| {});
    }
    sim.run(Duration::from_secs(3), |_, _| {});
    let mut topics: Vec<_> = sim.clients[place].topics.iter().collect();
    topics.sort_by_key(|(id, _)| **id);
    let ends: Vec<_> = topics.iter().map(|(_, topic)| topic.next).collect();
    let counts: Vec<_> = topics.iter().map(|(_, topic)| topic.items.len() as u64 + topic.missing).collect();
    assert_eq!((ends, counts), (vec![50, 100], vec![50, 50]), "each id has its own, and numbers go on");
}
