//! Nyx: the `nyx serve` binary with its default configuration, and nyx-client with its defaults.
//!
//! Messages are events, published one at a time; subscribers take them by the run, as a consumer in a hurry does.

use std::env::consts::EXE_SUFFIX;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use nyx_client::publish::{self, Events};
use nyx_client::{Batch, Client, Config, Name, Pattern, RecvError, Subscription as Subscribed, subscribe};
use tokio::process::Command;

use super::contender::{self, Contender, Error, Pending, Subscription};
use super::options::Args;
use super::payload::Tally;
use super::process::{Server, free_address};
use super::worker::Feed;

/// The Nyx daemon and client.
#[derive(Clone, Copy, Debug)]
pub struct Nyx;

impl Contender for Nyx {
    fn serve<'a>(&'a self, args: &'a Args) -> Pending<'a, Server> {
        Box::pin(serve(args.nyx.clone()))
    }

    fn publish<'a>(&'a self, address: SocketAddr, feed: Feed) -> Pending<'a, ()> {
        Box::pin(async move {
            let client = connect(address).await?;
            let name = Name::new(TOPIC).map_err(Error::client("name a topic"))?;
            let events = client.events(name, publish::Options::default()).await;
            let events = events.map_err(Error::client("advertise to Nyx"))?;
            feed.drive(Publisher { client, events }).await
        })
    }

    fn subscribe(&self, address: SocketAddr, _size: usize, tally: Tally) -> Pending<'_, Subscription> {
        Box::pin(async move {
            let client = connect(address).await?;
            let pattern = Pattern::new(TOPIC).map_err(Error::client("name a topic"))?;
            let messages = client.subscribe(pattern, subscribe::Options::default()).await;
            let messages = messages.map_err(Error::client("subscribe to Nyx"))?;
            let subscription: Subscription = Box::new((client, tokio::spawn(receive(messages, tally))));
            Ok(subscription)
        })
    }
}

/// Starts `nyx serve` with its defaults: this binary, or the one beside this program.
pub(crate) async fn serve(nyx: Option<PathBuf>) -> Result<Server, Error> {
    Ok(serve_with_pages(nyx).await?.0)
}

/// The same, and where it serves HTTP.
pub(crate) async fn serve_with_pages(nyx: Option<PathBuf>) -> Result<(Server, SocketAddr), Error> {
    let (native, http) = (free_address()?, free_address()?);
    let mut command = Command::new(nyx.map_or_else(beside_this_program, Ok)?);
    command.args(["serve", "--native", &native.to_string(), "--http", &http.to_string()]);
    Ok((Server::program(command, native, "cargo build --release -p nyx-daemon").await?, http))
}

struct Publisher {
    client: Client,
    events: Events,
}

impl contender::Publisher for Publisher {
    async fn publish(&mut self, payload: &[u8]) -> Result<(), Error> {
        match self.events.send(payload).await {
            Ok(()) => Ok(()),
            Err(error) => Err(Error::client("publish to Nyx")(error.cause)),
        }
    }

    async fn finish(&mut self) -> Result<(), Error> {
        self.client.flush().await.map_err(Error::client("publish to Nyx"))
    }
}

/// Gaps need no look: what is missing shows in the sequences.
async fn receive(mut messages: Subscribed, tally: Tally) -> Result<(), RecvError> {
    loop {
        if let Batch::Messages(run) = messages.recv_batch().await? {
            run.iter().for_each(|message| tally.record(message.payload.len(), message.payload));
        }
    }
}

async fn connect(address: SocketAddr) -> Result<Client, Error> {
    Client::connect(address.into(), Config::default()).await.map_err(Error::client("connect to Nyx"))
}

fn beside_this_program() -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(format!("nyx{EXE_SUFFIX}")))
}

const TOPIC: &str = "bench/relay";
