//! The hub that a command talks to.

use std::time::Duration;

use nyx_client::batch::Policy;
use nyx_client::{Address, Client, Config, ConnectError};

use crate::exit::{Failure, Outcome};
use crate::tell;

/// Where the hub is.
#[derive(clap::Args)]
pub(crate) struct Server {
    /// The hub's address
    #[arg(
        long = "server",
        value_name = "ADDRESS",
        env = "NYX_SERVER",
        default_value = "nyx://127.0.0.1:6990"
    )]
    address: Address,
}

impl Server {
    /// Connects; the console shows `name`.
    pub(crate) async fn connect(&self, name: String) -> Outcome<Client> {
        connect(self.address.clone(), name).await
    }

    /// The same, with what is sent batched as `batch` says.
    pub(crate) async fn connect_batching(&self, name: String, batch: Policy) -> Outcome<Client> {
        let mut config = Config::default();
        (config.name, config.batch) = (name, batch);
        connect_with(self.address.clone(), config).await
    }
}

/// Connects to the hub at `address`; the console shows `name`.
pub(crate) async fn connect(address: Address, name: String) -> Outcome<Client> {
    let mut config = Config::default();
    config.name = name;
    connect_with(address, config).await
}

async fn connect_with(address: Address, config: Config) -> Outcome<Client> {
    Client::connect(address, config).await.map_err(|error| match error {
        ConnectError::Refused(refusal) => refusal.into(),
        error => Failure::unreachable(error),
    })
}

/// Says on stderr when the connection is lost, and when it is there again. Runs until dropped.
pub(crate) async fn watch(client: Client) {
    let (mut was_connected, mut reconnects) = (true, 0);
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        let stats = client.stats();
        if was_connected && (!stats.connected || stats.reconnects > reconnects) {
            let why = stats.last_error.as_deref().unwrap_or("it was closed");
            tell::note(format_args!("lost the connection to {}, trying again: {why}", client.address()));
            was_connected = false;
        }
        if !was_connected && stats.connected {
            tell::note(format_args!("connected to {} again", client.address()));
            was_connected = true;
        }
        reconnects = stats.reconnects;
    }
}

/// Soon enough for a person.
const WATCH_EVERY: Duration = Duration::from_millis(200);
