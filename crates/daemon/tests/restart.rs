//! The daemon ends, by force or by request, and comes back: so do its clients, and what is lost is not lost silently.

mod common {
    pub(crate) mod command;
    pub(crate) mod daemon;
    pub(crate) mod ledger;
    pub(crate) mod slow_link;
    pub(crate) mod wait;
}

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::command::Running;
use common::daemon::{Daemon, NYX, PATIENCE, connect};
use common::ledger::Ledger;
use common::slow_link::SlowLink;
use common::wait::{eventually, within};
use nyx_client::publish::{Events, Options};
use nyx_client::subscribe::Event;
use nyx_client::{Client, Item, Name, Pattern, Subscription, Value, subscribe};
use tokio::sync::watch;
use tokio::time::{Instant, interval};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_clients_come_back_and_documents_converge() {
    let mut daemon = Daemon::start();
    let publisher = daemon.client("publisher").await;
    let world = publisher.state(name("world"), Options::default()).await.expect("the topic is accepted");
    let subscriber = daemon.client("subscriber").await;
    let seen = follow(subscribe_to(&subscriber, "world").await);
    for round in 0..3 {
        world.set(scene(3 * round)).await.expect("a value is taken");
        agree(&seen, &scene(3 * round)).await;

        daemon.kill();
        // What is said while nobody listens counts, too.
        world.set(scene(3 * round + 1)).await.expect("a value is taken without a connection");
        daemon.restart();
        agree(&seen, &scene(3 * round + 1)).await;

        world.set(scene(3 * round + 2)).await.expect("a value is taken");
        agree(&seen, &scene(3 * round + 2)).await;
        // Whoever comes now gets the same as those who were there before.
        let late = daemon.client("late").await;
        agree(&follow(subscribe_to(&late, "world").await), &scene(3 * round + 2)).await;
    }
    assert_eq!(publisher.stats().reconnects, 3);
    assert_eq!(subscriber.stats().reconnects, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_the_programs_come_back() {
    let mut daemon = Daemon::start();
    let options = ["world", "--kind", "state"];
    let mut publisher = Running::nyx("pub", daemon.native, &options, Stdio::piped());
    let subscriber = Running::nyx("sub", daemon.native, &["world"], Stdio::null());
    for round in 0..2 {
        for step in 0..2 {
            let number = 2 * round + step;
            publisher.tell(&format!("{{\"number\": {number}}}"));
            subscriber.prints("the new document", |line| line["value"]["number"] == number).await;
        }
        daemon.kill();
        daemon.restart();
        // Nothing new was said: the publisher says again what it said last.
        let number = 2 * round + 1;
        let late = Running::nyx("sub", daemon.native, &["world"], Stdio::null());
        late.prints("the document before the restart", |line| line["value"]["number"] == number).await;
    }
    subscriber.prints("that it was away", |line| !line["reconnected"].is_null()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_events_go_on_and_no_hole_is_silent() {
    let mut daemon = Daemon::start();
    let publisher = daemon.client("publisher").await;
    let log = publisher.events(name("log"), Options::default()).await.expect("the topic is accepted");
    let subscriber = daemon.client("subscriber").await;
    let mut subscription = subscribe_to(&subscriber, "log").await;

    let (end, mut ended) = watch::channel(false);
    let sending = tokio::spawn(async move {
        let mut ticks = interval(Duration::from_millis(1));
        let mut sent = 0_u64;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = ended.changed() => return sent,
            }
            log.send_text(sent.to_string()).await.expect("an event is taken");
            sent += 1;
        }
    });
    let mut numbers = Numbers::default();
    for round in 1..=3_u64 {
        let end = numbers.next + 300;
        numbers.receive(&mut subscription, end).await;
        daemon.kill();
        daemon.restart();
        let end = numbers.next + 300;
        numbers.receive(&mut subscription, end).await;
        assert_eq!(subscriber.stats().reconnects, round);
    }
    end.send_replace(true);
    let sent = sending.await.expect("the publisher did not fail");
    publisher.flush().await.expect("the hub took in what came after the restart");
    numbers.receive(&mut subscription, sent).await;
    println!(
        "{sent} events over 3 restarts: {numbers:?}, {} maybe lost by the publisher",
        publisher.stats().maybe_lost
    );
    assert_eq!(numbers.next, sent);
    assert!(numbers.received > sent / 2, "most of them came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_resume_where_a_cut_connection_stopped() {
    const CUTS: u64 = 5;
    const EVENTS_PER_CUT: u64 = 2_000;
    let daemon = Daemon::start();
    let link = SlowLink::to(daemon.native, None);
    let publisher = daemon.client("publisher").await;
    let log = publisher.events(name("log"), Options::default()).await.expect("the topic is accepted");
    let subscriber = connect(link.address, "subscriber").await;
    let mut subscription = subscribe_to(&subscriber, "log").await;
    let mut ledger = Ledger::default();
    for round in 1..=CUTS {
        send_numbers(&log, (round - 1) * EVENTS_PER_CUT..round * EVENTS_PER_CUT).await;
        link.handle.cut();
        while ledger.next < round * EVENTS_PER_CUT {
            match within(PATIENCE, "the next event", subscription.recv())
                .await
                .expect("the subscription goes on")
            {
                Item::Event(event) => {
                    assert_eq!(number(&event), event.sequence);
                    ledger.deliver(event.sequence);
                }
                Item::Gap(gap) => ledger.miss(&gap),
                _ => {}
            }
        }
        let again = async || (subscriber.stats().reconnects == round).then_some(());
        eventually(PATIENCE, "the subscriber is back", again).await;
    }
    assert_eq!(ledger.missing_total(), 0, "the hub still had them all: {ledger:?}");
    assert_eq!(ledger.delivered, CUTS * EVENTS_PER_CUT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_asked_to_end_delivers_what_it_has() {
    // Four times what may be under way to a subscriber at once, and less than a topic holds.
    const EVENTS: u64 = 20_000;
    const LENGTH: usize = 200;
    let mut daemon = Daemon::start();
    let publisher = daemon.client("publisher").await;
    let log = publisher.events(name("log"), Options::default()).await.expect("the topic is accepted");
    let subscriber = daemon.client("subscriber").await;
    let mut subscription = subscribe_to(&subscriber, "log").await;
    log.send_batch((0..EVENTS).map(|number| format!("{number:0LENGTH$}"))).await.expect("events are taken");
    publisher.flush().await.expect("the hub took all in");

    let asked = Instant::now();
    daemon.terminate();
    let mut ledger = Ledger::default();
    while ledger.next < EVENTS {
        match within(PATIENCE, "the next event", subscription.recv()).await.expect("the subscription goes on")
        {
            Item::Event(event) => {
                assert_eq!(number(&event), event.sequence);
                ledger.deliver(event.sequence);
            }
            Item::Gap(gap) => ledger.miss(&gap),
            other => panic!("the daemon left before it had delivered all: {other:?}, {ledger:?}"),
        }
    }
    let status = daemon.ended().await;
    println!("ended {:.1?} after the signal, {ledger:?}", asked.elapsed());
    assert_eq!(ledger.missing_total(), 0, "nothing had to be given up: {ledger:?}");
    assert_eq!(status.code(), Some(0), "{}", daemon.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_asked_to_end_does_not_wait_for_a_subscriber_that_stands_still() {
    let mut daemon = Daemon::start();
    let link = SlowLink::to(daemon.native, None);
    let publisher = daemon.client("publisher").await;
    let log = publisher.events(name("log"), Options::default()).await.expect("the topic is accepted");
    let stalled = connect(link.address, "stalled").await;
    let _subscription = subscribe_to(&stalled, "log").await;
    link.handle.stall(true);
    log.send_batch((0..20_000).map(|number| format!("{number:0200}"))).await.expect("events are taken");
    publisher.flush().await.expect("the hub took all in");

    let asked = Instant::now();
    daemon.terminate();
    let status = daemon.ended().await;
    println!("ended {:.1?} after the signal", asked.elapsed());
    assert_eq!(status.code(), Some(0), "{}", daemon.said());
}

#[tokio::test]
async fn a_second_start_on_a_busy_port_says_so() {
    let daemon = Daemon::start();
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    for (native, http, busy) in [(daemon.native, free, daemon.native), (free, daemon.http, daemon.http)] {
        let second = Command::new(NYX)
            .args(["serve", "--native", &native.to_string(), "--http", &http.to_string()])
            .output()
            .expect("the program starts");
        let said = String::from_utf8_lossy(&second.stderr);
        println!("{said}");
        assert_eq!(second.status.code(), Some(3), "{said}");
        assert!(said.contains(&busy.to_string()), "names the address: {said}");
        assert!(said.contains("in use"), "names the cause: {said}");
        assert_eq!(said.lines().count(), 1, "one line: {said}");
    }
    daemon.client("the first one is as it was").await;
}

/// Events by the numbers in them, since after a restart the hub counts from 0 again.
#[derive(Debug, Default)]
struct Numbers {
    next: u64,
    received: u64,
    /// Events that a lost connection or a gap explains.
    missing: u64,
}

impl Numbers {
    /// Receives until the number `end` would be next.
    async fn receive(&mut self, subscription: &mut Subscription, end: u64) {
        let mut explained = false;
        while self.next < end {
            match within(PATIENCE, "the next event", subscription.recv())
                .await
                .expect("the subscription goes on")
            {
                Item::Event(event) => {
                    let number = number(&event);
                    assert!(number >= self.next, "{number} came twice or late: {self:?}");
                    assert!(number == self.next || explained, "a silent hole before {number}: {self:?}");
                    self.missing += number - self.next;
                    self.next = number + 1;
                    self.received += 1;
                    explained = false;
                }
                Item::Gap(_) | Item::Reconnected(_) => explained = true,
                other => panic!("only events were published: {other:?}"),
            }
        }
    }
}

async fn send_numbers(log: &Events, numbers: std::ops::Range<u64>) {
    for number in numbers {
        log.send_text(number.to_string()).await.expect("an event is taken");
    }
}

fn number(event: &Event) -> u64 {
    std::str::from_utf8(&event.payload).expect("text").parse().expect("a number")
}

/// A document of which entries come, change and go from one to the next.
fn scene(number: i64) -> Value {
    let entity = |id: i64| (format!("entity {id}"), Value::map([("x", id), ("seen", number)]));
    Value::map((20 * number..20 * number + 50).map(entity))
}

/// The document of a subscription as it changes.
fn follow(mut subscription: Subscription) -> watch::Receiver<Value> {
    let (seen, follow) = watch::channel(Value::Null);
    tokio::spawn(async move {
        while let Ok(item) = subscription.recv().await {
            if let Item::State(state) = item {
                let document = subscription.document(&state.topic.name).expect("a document");
                seen.send_replace(document.value());
            }
        }
    });
    follow
}

async fn agree(seen: &watch::Receiver<Value>, value: &Value) {
    let mut seen = seen.clone();
    within(PATIENCE, "the documents converge", seen.wait_for(|seen| seen == value))
        .await
        .expect("a subscription");
}

fn name(name: &str) -> Name {
    Name::new(name).expect("a topic")
}

async fn subscribe_to(client: &Client, pattern: &str) -> Subscription {
    let pattern = Pattern::new(pattern).expect("a pattern");
    client.subscribe(pattern, subscribe::Options::default()).await.expect("the subscription is accepted")
}
