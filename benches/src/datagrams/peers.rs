//! Who publishes and who watches.

use std::time::Duration;

use nyx_client::publish::Options;
use nyx_client::{Address, Client, Config, Item, Name, Pattern, Value, subscribe};
use nyx_core::clock::unix_micros;
use serde::{Deserialize, Serialize};

use super::Error;

/// How old updates were when they came, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Ages {
    pub(super) updates: usize,
    pub(super) p50: u64,
    pub(super) p99: u64,
    pub(super) max: u64,
}

const TOPIC: &str = "bench/world";

/// Things in the document: about 64 bytes each as JSON.
const THINGS: i64 = 1000;

/// Things that move in each update.
const MOVES: i64 = 40;

const EVERY: Duration = Duration::from_micros(33_333);

/// What a subscriber ignores at first: the snapshot, and what a path takes to be measured.
const WARMUP: Duration = Duration::from_secs(1);

/// Publishes until it is killed.
pub(super) async fn publish(hub: Address) -> Result<(), Error> {
    let client = connect(hub).await?;
    let name = Name::new(TOPIC).map_err(Error::client("name a topic"))?;
    let state = client.state(name, Options::default()).await.map_err(Error::client("advertise"))?;
    let mut ticks = tokio::time::interval(EVERY);
    for tick in 0.. {
        ticks.tick().await;
        state.set(document(tick)).await.map_err(|error| Error::client("publish")(error.cause))?;
    }
    Ok(())
}

fn document(tick: i64) -> Value {
    let thing = |number: i64| {
        // Each has its turn to move once in a while, and stays where it is meanwhile.
        let moved = tick - (tick - number / MOVES).rem_euclid(THINGS / MOVES);
        let place = (moved * 37 + number * 101).rem_euclid(20_000);
        let thing = Value::map([
            ("name", Value::from(format!("thing {number:04} of the world"))),
            ("x", Value::F64(place as f64 / 10.0)),
            ("y", Value::F64((20_000 - place) as f64 / 10.0)),
        ]);
        (format!("{number:04}"), thing)
    };
    let things: Vec<(String, Value)> = (0..THINGS).map(thing).collect();
    let things = Value::map(things.iter().map(|(name, thing)| (name.as_str(), thing.clone())));
    Value::map([("at", Value::from(unix_micros() as i64)), ("things", things)])
}

/// Watches for `window`, and prints what it saw as a line of JSON.
pub(super) async fn subscribe(hub: Address, window: Duration) -> Result<(), Error> {
    let client = connect(hub).await?;
    let pattern = Pattern::new(TOPIC).map_err(Error::client("name a topic"))?;
    let subscribed = client.subscribe(pattern, subscribe::Options::default()).await;
    let mut world = subscribed.map_err(Error::client("subscribe"))?;
    let mut ages = Vec::new();
    let begins = tokio::time::Instant::now() + WARMUP;
    loop {
        let item = tokio::time::timeout_at(begins + window, world.recv()).await;
        let Ok(item) = item else { break };
        let Item::State(state) = item.map_err(Error::client("receive"))? else { continue };
        let at =
            world.document(&state.topic.name).and_then(|document| document.get(&["at"])?.leaf()?.as_i64());
        if let Some(at) = at.filter(|_| tokio::time::Instant::now() >= begins) {
            ages.push(unix_micros().saturating_sub(at as u64));
        }
    }
    ages.sort_unstable();
    let quantile = |share: usize| ages.get(ages.len().saturating_sub(1) * share / 100).copied().unwrap_or(0);
    let (p50, p99, max) = (quantile(50), quantile(99), quantile(100));
    let text = serde_json::to_string(&Ages { updates: ages.len(), p50, p99, max });
    println!("{}", text.map_err(|error| Error::from(std::io::Error::from(error)))?);
    Ok(())
}

const FLOOD: &str = "bench/flood";

/// Bytes of an event of the flood.
const EVENT: usize = 1000;

/// Events at a time, and how often: 3 MB/s.
const EVENTS: usize = 30;
const EVERY_FLOOD: Duration = Duration::from_millis(10);

/// Publishes events until it is killed. They can't be compressed, so that all who receive them receive as many bytes.
pub(super) async fn flood(hub: Address) -> Result<(), Error> {
    let client = connect(hub).await?;
    let name = Name::new(FLOOD).map_err(Error::client("name a topic"))?;
    let events = client.events(name, Options::default()).await.map_err(Error::client("advertise"))?;
    let mut random = fastrand::Rng::with_seed(7);
    let mut ticks = tokio::time::interval(EVERY_FLOOD);
    loop {
        ticks.tick().await;
        for _ in 0..EVENTS {
            let mut event = vec![0; EVENT];
            random.fill(&mut event);
            events.send(event).await.map_err(|error| Error::client("publish")(error.cause))?;
        }
    }
}

/// Bytes a second that a subscriber of the flood has received.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rate {
    pub(super) bytes_per_second: f64,
}

/// Counts for `window`, after as long as it takes to share a line, and prints the rate as a line of JSON.
pub(super) async fn count(hub: Address, window: Duration) -> Result<(), Error> {
    let client = connect(hub).await?;
    let pattern = Pattern::new(FLOOD).map_err(Error::client("name a topic"))?;
    let subscribed = client.subscribe(pattern, subscribe::Options::default()).await;
    let mut flood = subscribed.map_err(Error::client("subscribe"))?;
    let begins = tokio::time::Instant::now() + (window / 2).min(SETTLING);
    let mut bytes = 0;
    loop {
        let item = tokio::time::timeout_at(begins + window, flood.recv()).await;
        let Ok(item) = item else { break };
        if let Item::Event(event) = item.map_err(Error::client("receive"))?
            && tokio::time::Instant::now() >= begins
        {
            bytes += event.payload.len();
        }
    }
    let text = serde_json::to_string(&Rate { bytes_per_second: bytes as f64 / window.as_secs_f64() });
    println!("{}", text.map_err(|error| Error::from(std::io::Error::from(error)))?);
    Ok(())
}

/// How long those who share a line may take until what they have counts.
const SETTLING: Duration = Duration::from_secs(5);

async fn connect(hub: Address) -> Result<Client, Error> {
    let mut config = Config::default();
    config.wait_for_server = true;
    Client::connect(hub, config).await.map_err(Error::client("connect to Nyx"))
}
