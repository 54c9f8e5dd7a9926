//! NATS: nats-server as Debian packages it, with async-nats and its defaults.
//!
//! Core NATS holds no publisher back: what a subscriber can't take is dropped by the server or by its client, and is
//! counted here as lost.

use std::net::SocketAddr;

use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::process::Command;

use super::contender::{self, Contender, Error, Pending, Subscription};
use super::options::Args;
use super::payload::Tally;
use super::process::{Server, free_address};
use super::worker::Feed;

/// The NATS server and client.
#[derive(Clone, Copy, Debug)]
pub struct Nats;

impl Contender for Nats {
    fn serve<'a>(&'a self, _args: &'a Args) -> Pending<'a, Server> {
        Box::pin(serve())
    }

    fn publish<'a>(&'a self, address: SocketAddr, feed: Feed) -> Pending<'a, ()> {
        Box::pin(async move { feed.drive(Publisher(connect(address).await?)).await })
    }

    fn subscribe(&self, address: SocketAddr, _size: usize, tally: Tally) -> Pending<'_, Subscription> {
        Box::pin(async move {
            let client = connect(address).await?;
            let mut messages = client.subscribe(SUBJECT).await.map_err(Error::client("subscribe to NATS"))?;
            client.flush().await.map_err(Error::client("subscribe to NATS"))?;
            // Unconstrained: with tokio's budget of 128 messages per turn the consumer starves beside its own
            // connection's task, and receives a tenth.
            let task = tokio::spawn(tokio::task::unconstrained(async move {
                while let Some(message) = messages.next().await {
                    tally.record(message.payload.len(), &message.payload);
                }
            }));
            let subscription: Subscription = Box::new((client, task));
            Ok(subscription)
        })
    }
}

struct Publisher(Client);

impl contender::Publisher for Publisher {
    async fn publish(&mut self, payload: &[u8]) -> Result<(), Error> {
        let payload = Bytes::copy_from_slice(payload);
        self.0.publish(SUBJECT, payload).await.map_err(Error::client("publish to NATS"))
    }

    async fn push(&mut self) -> Result<(), Error> {
        self.0.flush().await.map_err(Error::client("publish to NATS"))
    }
}

/// Starts nats-server.
pub(crate) async fn serve() -> Result<Server, Error> {
    let address = free_address()?;
    let mut command = Command::new(PROGRAM);
    command.args(["--addr", "127.0.0.1", "--port"]).arg(address.port().to_string());
    command.args(["--log", "/dev/null"]);
    Server::program(command, address, "apt-get install nats-server").await
}

/// Connects to it.
pub(crate) async fn connect(address: SocketAddr) -> Result<Client, Error> {
    let url = format!("nats://{address}");
    ConnectOptions::new().connect(url).await.map_err(Error::client("connect to NATS"))
}

const PROGRAM: &str = "nats-server";

const SUBJECT: &str = "bench.relay";
