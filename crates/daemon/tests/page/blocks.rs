//! A page behind a slow link: the hub sends it blocks, which it reads by itself.

use std::cell::Cell;
use std::net::SocketAddr;

use nyx_client::publish::{Options, State};
use nyx_client::{EventCodec, Item, Value};

use super::common::cdp::Page;
use super::common::daemon::{Daemon, PATIENCE, at, connect};
use super::common::slow_link::SlowLink;
use super::common::wait::{alone, within};
use super::{CONNECTED, name, no_errors, subscribe_to};

const LINK: &str = "100kB/s";

/// Deltas that the hub has to see before it trains a dictionary, and some more.
const RECORDS: i64 = 2_050;

/// Walkers after `tick` ticks, of whom each tick moves a tenth.
fn world(walkers: i64, tick: i64) -> Value {
    let walker = |n: i64| {
        let moved = (tick + n) / 10;
        let (x, y) = ((n * 37 + moved * 13) % 1000, (n * 91 + moved * 7) % 1000);
        let state = ["idle", "walking", "running"][(moved % 3) as usize];
        Value::map([
            ("name", format!("walker number {n}").into()),
            ("x", Value::from(x)),
            ("y", y.into()),
            ("state", format!("{state} towards the gate at {x}/{y}").into()),
        ])
    };
    Value::map([("tick", Value::from(tick)), ("walkers", Value::List((0..walkers).map(walker).collect()))])
}

/// What the page shows of a document when all of it is open: the text of each leaf by its path.
fn leaves(value: &Value) -> serde_json::Value {
    let mut found = serde_json::Map::new();
    let mut rest = vec![(String::new(), value)];
    while let Some((path, value)) = rest.pop() {
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}/{key}") };
        if let Some(map) = value.as_map() {
            rest.extend(map.iter().map(|(key, value)| (below(key), value)));
        } else if let Some(list) = value.as_list() {
            rest.extend(list.iter().enumerate().map(|(index, value)| (below(&index.to_string()), value)));
        } else {
            let number = value.as_i64().map(|number| number.to_string());
            let text = value.as_str().map(|text| format!("\"{text}\""));
            found.insert(path, number.or(text).expect("a number or a text").into());
        }
    }
    found.into()
}

const SHOWN: &str = "Object.fromEntries([...document.querySelectorAll('[data-path]:not([aria-expanded])')]
    .map((leaf) => [leaf.dataset.path, leaf.querySelector('[data-value]').textContent]))";

/// Opens the page with one topic, and all of its document.
async fn open(http: SocketAddr, topic: &str) -> Page {
    let mut page = Page::open(&format!("http://{http}/#topic/{topic}")).await;
    page.until(CONNECTED, "the page is connected").await;
    let expand =
        "[...document.querySelectorAll('button')].find((button) => button.innerText === 'Expand all')";
    page.until(expand, "the document's view").await;
    page.eval(&format!("{expand}.click()")).await;
    page
}

/// Waits until the page shows this document, all of it.
async fn shows(page: &mut Page, value: &Value) {
    let tick = value.get("tick").and_then(Value::as_i64).expect("a tick");
    let shown = "document.querySelector('[data-path=\"tick\"] [data-value]')?.textContent";
    page.until(&format!("{shown} === '{tick}'"), "the page follows").await;
    assert_eq!(page.eval(SHOWN).await, leaves(value), "the page shows what was published");
}

async fn publish(daemon: &Daemon, topic: &str) -> State {
    let publisher = daemon.client("publisher").await;
    publisher.state(name(topic), Options::default()).await.expect("the topic is accepted")
}

/// A number of a topic's compression in the statistics.
fn number(stats: &Value, topic: &str, path: &[&str]) -> i64 {
    let path = [&["topics", topic, "compression"], path].concat();
    at(stats, &path).and_then(Value::as_i64).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_slow_link_the_hub_chooses_blocks_and_the_page_shows_the_whole_document() {
    let _alone = alone().await;
    let daemon = Daemon::start();
    let link = SlowLink::to(daemon.http, Some(LINK));
    let state = publish(&daemon, "game/world").await;
    state.set(world(60, 0)).await.expect("a value is taken");
    let mut page = open(link.address, "game/world").await;
    for tick in 1..=40 {
        let value = world(60, tick);
        state.set(value.clone()).await.expect("a value is taken");
        shows(&mut page, &value).await;
    }
    let of = |stats: &Value, field| number(stats, "game/world", &[field]);
    let saved = |stats: &Value| of(stats, "after_bytes") * 10 < of(stats, "before_bytes") * 9;
    let stats = daemon.stats("that blocks were used", saved).await;
    println!("{} bytes plainly, {} as sent", of(&stats, "before_bytes"), of(&stats, "after_bytes"));
    let chosen = "[...document.querySelectorAll('.compression dt')].find((dt) => dt.innerText === 'chosen')";
    page.until(&format!("/level|dictionary/.test({chosen}?.nextSibling.innerText)"), "the page says so")
        .await;
    no_errors(&mut page);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_sent_a_dictionary_and_reads_with_it() {
    let _alone = alone().await;
    let topics = "topics = [{ pattern = \"packed/**\", compression = \"dictionary\" }]";
    let daemon = Daemon::with_config(&format!("[compression]\n{topics}\n"));
    let state = publish(&daemon, "packed/world").await;
    // A subscriber that is not slow, to whose deltas the dictionary is trained.
    let reader = daemon.client("reader").await;
    let mut held = subscribe_to(&reader, "packed/world").await;
    let mut tick = 0;
    while tick < RECORDS {
        tick += 1;
        state.set(world(10, tick)).await.expect("a value is taken");
        let arrival = async {
            loop {
                let Item::State(state) = held.recv().await.expect("the subscription goes on") else {
                    continue;
                };
                let document = held.document(&state.topic.name).expect("a document");
                if document.value().get("tick").and_then(Value::as_i64) == Some(tick) {
                    return;
                }
            }
        };
        within(PATIENCE, "the reader has it", arrival).await;
    }
    drop((held, reader));
    let trained = |stats: &Value| {
        number(stats, "packed/world", &["dictionary_bytes"]) > 0
            && at(stats, &["topics", "packed/world", "subscribers"]) == Some(&Value::from(0))
    };
    let stats = daemon.stats("a dictionary, and that nobody else is there", trained).await;
    let before = number(&stats, "packed/world", &["choices", "dictionary"]);

    let link = SlowLink::to(daemon.http, Some(LINK));
    let mut page = open(link.address, "packed/world").await;
    for _ in 0..20 {
        tick += 1;
        let value = world(10, tick);
        state.set(value.clone()).await.expect("a value is taken");
        shows(&mut page, &value).await;
    }
    let used = |stats: &Value| number(stats, "packed/world", &["choices", "dictionary"]) >= before + 20;
    daemon.stats("that the page was sent blocks with the dictionary", used).await;
    no_errors(&mut page);
}

/// What the event view says, such as how many were received.
fn counted(what: &str) -> String {
    let note = "document.querySelector('#events .note')?.textContent ?? ''";
    format!("Number(({note}).match(/([\\d,]+) {what}/)?.[1].replaceAll(',', '') ?? 0)")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_reads_events_by_the_ones_that_it_has_and_in_a_publisher_s_batches() {
    // More than what lies between the publisher and the hub can hold.
    const EVENTS: u64 = 30_000;
    let _alone = alone().await;
    let topics = "topics = [{ pattern = \"blobs\", compression = \"prefix\" }]";
    let daemon = Daemon::with_config(&format!("[compression]\n{topics}\n"));
    let link = SlowLink::to(daemon.http, Some(LINK));
    let mut page = Page::open(&format!("http://{}/#topic/blobs", link.address)).await;
    page.until(CONNECTED, "the page is connected").await;

    // Large ones that are alike, one after the other.
    let publisher = daemon.client("publisher").await;
    let mut options = Options::default();
    options.codec = EventCodec::Text;
    let blobs = publisher.events(name("blobs"), options.clone()).await.expect("the topic is accepted");
    let letters: String = (0_u32..1_500).map(|n| char::from(b'a' + (n * n % 251 % 26) as u8)).collect();
    let by_prefix = |stats: &Value| number(stats, "blobs", &["choices", "prefix"]) >= 5;
    let used = Cell::new(false);
    let publish = async {
        for n in 0.. {
            let text = format!("number {n} of {letters}");
            blobs.send(text.clone()).await.expect("it is sent");
            let shown = format!(
                "document.querySelector('#events [data-sequence=\"{n}\"] code')?.textContent === '{text}'"
            );
            page.until(&shown, "the page shows the event").await;
            // How many that takes depends on when the page acknowledges.
            if used.get() {
                break;
            }
        }
    };
    let watch = async {
        daemon.stats("that prefixes were used", by_prefix).await;
        used.set(true);
    };
    tokio::join!(publish, watch);

    // Many small ones, which a publisher behind a slow link sends as batches.
    page.navigate(&format!("http://{}/#topic/match", daemon.http)).await;
    // The hub answers a ping behind what came before it, which is the subscription.
    let answered = "/\\d/.test(document.querySelector('[data-reading=rtt]')?.innerText)";
    page.until(answered, "the hub has the page's subscription").await;
    let uplink = SlowLink::to(daemon.native, Some("500kB/s"));
    let slow = connect(uplink.address, "slow").await;
    let passes = slow.events(name("match"), options).await.expect("the topic is accepted");
    let pass =
        |n: u64| format!("{{\"seq\":{n},\"event\":\"pass\",\"team\":\"north\",\"player\":{}}}", n * 7 % 11);
    let sent = passes.send_batch((0..EVENTS).map(pass)).await;
    assert_eq!(sent.map_err(|error| error.cause), Ok(EVENTS));
    page.until(&format!("{} > 0", counted("received")), "the first events").await;
    let all = format!("{} + {} === {EVENTS}", counted("received"), counted("missed"));
    page.until(&all, "every event is there or told as missing").await;
    let last = format!(
        "document.querySelector('#events li:last-child code').textContent === '{}'",
        pass(EVENTS - 1)
    );
    page.until(&last, "the last event").await;
    assert_eq!(
        page.eval("document.querySelector('.losses').textContent.includes('unreadable')").await,
        false
    );
    let packed = |stats: &Value| {
        at(stats, &["topics", "match", "blocks", "messages"])
            .and_then(Value::as_i64)
            .is_some_and(|count| count > 0)
    };
    daemon.stats("the publisher's blocks", packed).await;
    no_errors(&mut page);
}
