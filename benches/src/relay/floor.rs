//! The floor: a relay that copies bytes and knows nothing of messages.
//!
//! It is what a good engineer would write if relaying were all: large reads into reused buffers, each chunk stored
//! once and shared, a cursor per subscriber, vectored writes, and a publisher that is read no further while the
//! slowest subscriber lags by [`LAG_BYTES`]. Its clients know messages of one fixed size.

mod client;
mod log;
mod server;

use std::net::SocketAddr;

use super::contender::{Contender, Error, Name, Pending, Subscription};
use super::options::Args;
use super::payload::Tally;
use super::process::{Report, Server, say};
use super::worker::Feed;

pub use log::LAG_BYTES;

/// The protocol-free relay.
#[derive(Clone, Copy, Debug)]
pub struct Floor;

impl Contender for Floor {
    fn serve<'a>(&'a self, _args: &'a Args) -> Pending<'a, Server> {
        Box::pin(Server::hosted(Name::Floor))
    }

    fn host(&self) -> Pending<'_, ()> {
        Box::pin(async {
            let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
            say(&Report::Listening(listener.local_addr()?))?;
            server::run(listener).await
        })
    }

    fn publish<'a>(&'a self, address: SocketAddr, feed: Feed) -> Pending<'a, ()> {
        Box::pin(async move { feed.drive(client::Publisher::connect(address).await?).await })
    }

    fn subscribe(&self, address: SocketAddr, size: usize, tally: Tally) -> Pending<'_, Subscription> {
        Box::pin(async move {
            let subscription: Subscription = Box::new(client::subscribe(address, size, tally).await?);
            Ok::<_, Error>(subscription)
        })
    }
}
