//! Zenoh: a router in a process of its own, and client sessions over TCP.
//!
//! Shared memory is off, because it takes payloads out of the sockets that all others go through, and so is
//! scouting. Publications are reliable and block when the link is congested: that is Zenoh without loss.

use std::io::Read;
use std::net::SocketAddr;

use zenoh::bytes::ZBytes;
use zenoh::qos::CongestionControl;
use zenoh::{Config, Session};

use super::contender::{self, Contender, Error, Name, Pending, Subscription};
use super::options::{Args, Mode};
use super::payload::{STAMP_BYTES, Tally};
use super::process::{Report, Server, free_address, say};
use super::worker::Feed;

/// The Zenoh router and sessions.
#[derive(Clone, Copy, Debug)]
pub struct Zenoh;

impl Contender for Zenoh {
    fn serve<'a>(&'a self, _args: &'a Args) -> Pending<'a, Server> {
        Box::pin(Server::hosted(Name::Zenoh))
    }

    fn host(&self) -> Pending<'_, ()> {
        Box::pin(async {
            let address = free_address()?;
            let endpoints = endpoints(address);
            let router = open(&[("mode", "\"router\""), ("listen/endpoints", &endpoints)]).await?;
            say(&Report::Listening(address))?;
            std::future::pending::<()>().await;
            drop(router);
            Ok(())
        })
    }

    fn publish<'a>(&'a self, address: SocketAddr, feed: Feed) -> Pending<'a, ()> {
        Box::pin(async move {
            let session = connect(address).await?;
            let publisher = session
                .declare_publisher(KEY)
                .congestion_control(CongestionControl::Block)
                // Sends at once rather than batching: the better choice for age, the worse for throughput.
                .express(feed.mode() == Mode::Paced)
                .await
                .map_err(Error::client("publish to Zenoh"))?;
            feed.drive(Publisher(publisher)).await
        })
    }

    fn subscribe(&self, address: SocketAddr, _size: usize, tally: Tally) -> Pending<'_, Subscription> {
        Box::pin(async move {
            let session = connect(address).await?;
            let subscriber = session
                .declare_subscriber(KEY)
                .callback(move |sample| record(&tally, sample.payload()))
                .await
                .map_err(Error::client("subscribe to Zenoh"))?;
            let subscription: Subscription = Box::new((subscriber, session));
            Ok(subscription)
        })
    }
}

struct Publisher<'a>(zenoh::pubsub::Publisher<'a>);

impl contender::Publisher for Publisher<'_> {
    async fn publish(&mut self, payload: &[u8]) -> Result<(), Error> {
        // A put is ready at once, or blocks its thread: without this the runtime would never get a turn.
        tokio::task::coop::consume_budget().await;
        self.0.put(payload).await.map_err(Error::client("publish to Zenoh"))
    }
}

fn record(tally: &Tally, payload: &ZBytes) {
    let mut front = [0; STAMP_BYTES];
    let filled = payload.reader().read(&mut front).unwrap_or(0);
    tally.record(payload.len(), &front[..filled]);
}

async fn connect(address: SocketAddr) -> Result<Session, Error> {
    open(&[("mode", "\"client\""), ("connect/endpoints", &endpoints(address))]).await
}

async fn open(settings: &[(&str, &str)]) -> Result<Session, Error> {
    let mut config = Config::default();
    for (key, value) in COMMON.iter().chain(settings) {
        config.insert_json5(key, value).map_err(Error::client("configure Zenoh"))?;
    }
    zenoh::open(config).await.map_err(Error::client("open a Zenoh session"))
}

fn endpoints(address: SocketAddr) -> String {
    format!("[\"tcp/{address}\"]")
}

const COMMON: &[(&str, &str)] =
    &[("transport/shared_memory/enabled", "false"), ("scouting/multicast/enabled", "false")];

const KEY: &str = "bench/relay";
