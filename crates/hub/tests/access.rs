//! Peers that have to say who they are: what each may publish and read, until when, and from what quota.

mod sim;

use std::sync::Arc;
use std::time::Duration;

use nyx_core::Instant;
use nyx_core::limit::{Capacity, CheckError, Keyed, Quota};
use nyx_hub::access::{Entry, Forbidden, Gatekeeper, Permissions, Permit, Rejected, Supplies, Supply};
use nyx_hub::{Config, Peer, Transport};
use nyx_protocol::control::{Body, ErrorCode, Hello, Reply, Request, Serve, Status};
use nyx_protocol::topic::{Name, Pattern};
use nyx_protocol::wire::Kind;
use parking_lot::Mutex;
use sim::{Sim, fast, ms};

/// Lets in who says one of these, and remembers what was forbidden.
#[derive(Default)]
struct Book {
    permits: Vec<(&'static str, Permit)>,
    forbidden: Mutex<Vec<String>>,
}

impl Gatekeeper for Book {
    fn admit(&self, _: Instant, token: &str) -> Result<Permit, Rejected> {
        let permit = self.permits.iter().find(|(known, _)| *known == token).map(|(_, permit)| permit.clone());
        permit.ok_or(Rejected { code: ErrorCode::Unauthorized, message: "no such token".to_owned() })
    }

    fn forbade(&self, subject: &str, what: Forbidden<'_>) {
        self.forbidden.lock().push(format!("{subject}: {what:?}"));
    }
}

fn patterns<const N: usize>(texts: [&str; N]) -> [Pattern; N] {
    texts.map(|text| Pattern::new(text).unwrap())
}

fn book() -> Book {
    let camera = Permissions::new(patterns(["camera/**"]), []);
    let viewer = Permissions::new([], patterns(["camera/*", "chat"]));
    let permits = vec![
        ("c", Permit::new("camera", camera)),
        ("v", Permit::new("viewer", viewer)),
        ("a", Permit::new("admin", Permissions::everything())),
    ];
    Book { permits, ..Book::default() }
}

fn join(sim: &mut Sim, book: &Arc<Book>, token: &str) -> usize {
    let mut entry = Entry::default();
    entry.gatekeeper = Some(book.clone());
    let session = sim.hub.session_with(sim.now, Peer::new(token, Transport::Tcp), entry).expect("admitted");
    let id = sim.attach(session, fast());
    sim[id].send(Hello { version: 1, acknowledges: true, token: token.to_owned(), ..Default::default() });
    sim.settle();
    id
}

fn refusal(sim: &Sim, id: usize) -> Option<&nyx_protocol::control::Error> {
    sim[id].control.iter().rev().find_map(|body| match body {
        Body::Error(error) => Some(error),
        _ => None,
    })
}

#[test]
fn without_a_good_token_nobody_gets_further_than_hello() {
    let (mut sim, book) = (Sim::new(Config::default()), Arc::new(book()));
    for token in ["", "x", "cc"] {
        let id = join(&mut sim, &book, token);
        sim[id].subscribe("**", 0);
        sim.settle();
        let error = refusal(&sim, id).expect("an error");
        assert_eq!((error.code(), error.fatal), (ErrorCode::Unauthorized, true), "{token}");
        assert!(sim.node(id).is_closed());
        assert!(!sim[id].control.iter().any(|body| matches!(body, Body::Welcome(_) | Body::Subscribed(_))));
    }
    assert_eq!(sim.refused(ErrorCode::Unauthorized), 3);
}

#[test]
fn a_topic_that_may_not_be_published_does_not_come_into_being() {
    let (mut sim, book) = (Sim::new(Config::default()), Arc::new(book()));
    let camera = join(&mut sim, &book, "c");
    sim[camera].advertise(1, "camera/1", Kind::Event);
    sim[camera].advertise(2, "chat", Kind::Event);
    sim[camera].publish_numbered(1, Kind::Event, 8);
    sim[camera].publish_numbered(2, Kind::Event, 8);
    sim.settle();
    let error = refusal(&sim, camera).expect("an error");
    assert_eq!((error.code(), error.fatal, error.alias), (ErrorCode::Forbidden, false, Some(2)));
    let stats = sim.hub.stats(sim.now);
    let names: Vec<_> = stats.topics.iter().map(|topic| (topic.name.as_str(), topic.messages)).collect();
    assert_eq!(names, [("camera/1", 1)]);
    // The refusal, and what came on the alias.
    assert_eq!(sim.refused(ErrorCode::Forbidden), 2);
    assert_eq!(*book.forbidden.lock(), [r#"camera: Publish("chat")"#]);
}

#[test]
fn who_serves_may_publish_and_read_the_service_and_who_asks_may_publish_it() {
    let (mut sim, book) = (Sim::new(Config::default()), Arc::new(book()));
    let [admin, camera, viewer] = ["a", "c", "v"].map(|token| join(&mut sim, &book, token));
    let serve = |service: &str| Serve { id: 1, service: service.to_owned(), concurrency: 1 };
    let request = |id, service: &str| Request {
        id,
        service: service.to_owned(),
        body: "hi".into(),
        ..Default::default()
    };
    // One may publish the name and not read it, the other the other way round.
    for id in [camera, viewer] {
        sim[id].send(serve("camera/1"));
        sim.settle();
        let Some(Body::Served(served)) = sim[id].control.last() else { panic!("an answer") };
        assert_eq!(served.code(), ErrorCode::Forbidden);
    }
    sim[admin].send(serve("camera/1"));
    sim[viewer].send(request(1, "camera/1"));
    sim[viewer].send(request(2, "camera/none"));
    sim[camera].send(request(3, "camera/1"));
    sim.settle();
    let status = |sim: &Sim, peer: usize, id| sim[peer].replies().get(&id).map(|(status, _)| *status);
    // Whether there is such a service is not for everybody.
    assert_eq!(status(&sim, viewer, 1), Some(Status::Forbidden));
    assert_eq!(status(&sim, viewer, 2), Some(Status::Forbidden));
    let asked = sim[admin].requests();
    assert_eq!(asked.len(), 1);
    sim[admin].send(Reply { id: asked[0].id, status: Status::Ok.into(), body: "ho".into() });
    sim.settle();
    assert_eq!(status(&sim, camera, 3), Some(Status::Ok));
}

#[test]
fn a_wildcard_brings_what_may_be_read_and_names_nothing_else() {
    let (mut sim, book) = (Sim::new(Config::default()), Arc::new(book()));
    let own = nyx_hub::Spec::new(Kind::Event);
    sim.hub.create_own(&Name::new("$nyx/log").unwrap(), &own).unwrap();
    let admin = join(&mut sim, &book, "a");
    for (alias, topic) in ["camera/1", "secret/1"].into_iter().enumerate() {
        sim[admin].advertise(alias as u32, topic, Kind::Event);
    }
    sim.settle();
    let viewer = join(&mut sim, &book, "v");
    sim[viewer].subscribe("**", 0);
    sim[viewer].subscribe("$nyx/*", 0);
    sim.settle();
    for (alias, topic) in ["camera/2", "camera/2/deep", "secret/2", "chat"].into_iter().enumerate() {
        sim[admin].advertise(alias as u32 + 2, topic, Kind::Event);
    }
    (0..6).for_each(|alias| sim[admin].publish_numbered(alias, Kind::Event, 8));
    sim.settle();
    let mut seen: Vec<_> = sim[viewer].topics.keys().map(String::as_str).collect();
    seen.sort_unstable();
    assert_eq!(seen, ["camera/1", "camera/2", "chat"]);
    assert_eq!(sim[viewer].items.len(), 3);
    assert_eq!(sim[viewer].errors(), [ErrorCode::Forbidden], "the hub's own is asked for by name");
}

#[test]
fn what_may_not_be_read_looks_the_same_whether_it_is_there_or_not() {
    let (mut sim, book) = (Sim::new(Config::default()), Arc::new(book()));
    let admin = join(&mut sim, &book, "a");
    sim[admin].advertise(1, "secret/there", Kind::State);
    sim.settle();
    let viewer = join(&mut sim, &book, "v");
    let camera = join(&mut sim, &book, "c");
    for topic in ["secret/there", "secret/not"] {
        sim[viewer].subscribe(topic, 0);
        sim[camera].advertise(7, topic, Kind::Event);
    }
    sim.settle();
    for id in [viewer, camera] {
        let answers: Vec<_> = sim[id]
            .control
            .iter()
            .filter_map(|body| match body {
                Body::Error(error) => Some((error.code(), error.message.clone())),
                _ => None,
            })
            .collect();
        assert_eq!(answers.len(), 2);
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0].0, ErrorCode::Forbidden);
    }
}

#[test]
fn a_revoked_token_ends_its_sessions_and_no_other() {
    let (mut sim, book) = (Sim::new(Config::default()), Arc::new(book()));
    let admin = join(&mut sim, &book, "a");
    let (camera, stalled, viewer) =
        (join(&mut sim, &book, "c"), join(&mut sim, &book, "c"), join(&mut sim, &book, "v"));
    sim[camera].advertise(1, "camera/1", Kind::Event);
    sim[viewer].subscribe("camera/1", 0);
    sim.settle();
    sim[camera].publish_numbered(1, Kind::Event, 8);
    sim[stalled].reads = false;
    sim.settle();
    assert_eq!(sim[viewer].items.len(), 1);

    assert_eq!(sim.hub.expel("the token was revoked", |subject| subject == "camera"), 2);
    // What is under way is not taken any more.
    sim[camera].publish_numbered(1, Kind::Event, 8);
    sim.settle();
    let error = refusal(&sim, camera).expect("an error");
    assert_eq!((error.code(), error.fatal), (ErrorCode::Unauthorized, true));
    assert!(error.message.contains("revoked"));
    assert!(sim.node(camera).is_closed());
    assert_eq!(sim[viewer].items.len(), 1);
    for id in [admin, viewer] {
        assert!(!sim.node(id).is_closed());
    }
    sim[stalled].reads = true;
    sim.settle();
    assert!(sim.node(stalled).is_closed());
}

#[test]
fn a_permit_ends_at_its_time_while_the_session_goes_on() {
    let mut book = book();
    let mut permit = Permit::new("guest", Permissions::everything());
    permit.expires = Some(Instant::ZERO + Duration::from_secs(60));
    book.permits.push(("g", permit));
    let (mut sim, book) = (Sim::new(Config::default()), Arc::new(book));
    let guest = join(&mut sim, &book, "g");
    sim[guest].subscribe("**", 0);
    sim.run_for(Duration::from_secs(59));
    assert!(!sim.node(guest).is_closed());
    sim.run_for(Duration::from_secs(1));
    assert_eq!(refusal(&sim, guest).map(nyx_protocol::control::Error::code), Some(ErrorCode::Unauthorized));
    assert!(sim.node(guest).is_closed());
}

#[test]
fn a_permit_that_is_known_beforehand_needs_no_token() {
    let (mut sim, book) = (Sim::new(Config::default()), Arc::new(book()));
    let mut entry = Entry::default();
    entry.gatekeeper = Some(book.clone());
    entry.permit = Some(book.permits[1].1.clone());
    let session = sim.hub.session_with(sim.now, Peer::new("x", Transport::WebSocket), entry).unwrap();
    let id = sim.attach(session, fast());
    sim[id].hello(true);
    sim[id].advertise(1, "chat", Kind::Event);
    sim.settle();
    assert_eq!(sim[id].errors(), [ErrorCode::Forbidden]);
}

/// As the daemon has it: a quota for each key.
struct Share(Arc<Keyed>, &'static str, u64);

impl Supply for Share {
    fn burst(&self) -> u64 {
        self.2
    }

    fn take(&self, now: Instant, n: u64) -> Result<(), Instant> {
        self.0.check_n_at(now, self.1, n).map_err(|error| match error {
            CheckError::Denied(denied) => denied.at(),
            _ => panic!("a session asks for no more than the burst"),
        })
    }

    fn give_back(&self, n: u64) {
        self.0.refund(self.1, n);
    }
}

/// A book whose tokens may publish anything, so many messages a second: the camera by itself, and all others together.
fn rationed(per_second: u64) -> (Arc<Book>, Arc<Keyed>) {
    let quota = Quota::per_second(per_second).unwrap();
    let keyed = Arc::new(Keyed::new(&quota, Capacity::keys(100).unwrap()).unwrap());
    let mut book = book();
    for (_, permit) in &mut book.permits {
        permit.permissions = Permissions::everything();
        let key = if &*permit.subject == "camera" { "camera" } else { "others" };
        permit.supplies = Supplies::new(Some(Arc::new(Share(keyed.clone(), key, quota.burst()))), None);
    }
    (Arc::new(book), keyed)
}

#[test]
fn a_token_in_the_hello_pays_in_place_of_the_one_that_the_connection_came_with() {
    let (book, keyed) = rationed(10);
    let mut sim = Sim::new(Config::default());
    let reader = join(&mut sim, &book, "v");
    sim[reader].subscribe("**", 0);
    for (cookie, token, topic) in [(1, "c", "one"), (0, "c", "two"), (0, "", "three")] {
        let mut entry = Entry::default();
        entry.gatekeeper = Some(book.clone());
        entry.permit = Some(book.permits[cookie].1.clone());
        let session = sim.hub.session_with(sim.now, Peer::new("x", Transport::WebSocket), entry).unwrap();
        let id = sim.attach(session, fast());
        sim[id].send(Hello { version: 1, acknowledges: true, token: token.to_owned(), ..Default::default() });
        sim[id].advertise(1, topic, Kind::Event);
        (0..100).for_each(|_| sim[id].publish_numbered(1, Kind::Event, 8));
        sim.settle();
        let received = sim[reader].items.iter().filter(|item| item.topic == topic).count();
        assert_eq!(received, 10, "{topic}");
        assert!(keyed.check_n_at(sim.now, "others", 10).is_ok(), "nothing of it is taken");
        keyed.refund("others", 10);
        sim.cut(id);
        sim.run_for(Duration::from_secs(2));
    }
}

#[test]
fn sessions_of_one_token_publish_from_one_quota_and_reconnecting_gains_nothing() {
    let (book, _) = rationed(100);
    let mut sim = Sim::new(Config::default());
    let reader = join(&mut sim, &book, "v");
    sim[reader].subscribe("**", 0);
    sim.settle();
    let flood = |sim: &mut Sim, topic: &str| {
        let id = join(sim, &book, "c");
        sim[id].advertise(1, topic, Kind::Event);
        (0..1_000).for_each(|_| sim[id].publish_numbered(1, Kind::Event, 8));
        sim.settle();
        id
    };
    let first = flood(&mut sim, "one");
    let second = flood(&mut sim, "two");
    assert_eq!(sim[reader].items.len(), 100, "the burst, once");
    sim.cut(first);
    flood(&mut sim, "three");
    assert_eq!(sim[reader].items.len(), 100);
    sim.run_for(Duration::from_secs(2));
    let received = sim[reader].items.len();
    assert!((298..=300).contains(&received), "{received}");
    // Another token's quota is untouched.
    let other = join(&mut sim, &book, "a");
    sim[other].advertise(1, "other", Kind::Event);
    (0..50).for_each(|_| sim[other].publish_numbered(1, Kind::Event, 8));
    sim.run_for(ms(1));
    assert_eq!(sim[reader].items.iter().filter(|item| item.topic == "other").count(), 50);
    assert!(!sim.node(second).is_closed());
}
