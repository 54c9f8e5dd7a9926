//! The hub that a command talks to.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use nyx_client::batch::Policy;
use nyx_client::{Address, Client, Config, ConnectError, Token, tls};

use crate::exit::{Failure, Outcome};
use crate::serve::Signals;
use crate::tell;
use crate::token::held;

/// Where the hub is, and how it is reached.
#[derive(clap::Args)]
pub(crate) struct Server {
    /// The hub's address: nyx://, encrypted nyxs://, or udp:// for datagrams
    #[arg(
        long = "server",
        value_name = "ADDRESS",
        env = "NYX_SERVER",
        default_value = "nyx://127.0.0.1:6990"
    )]
    address: Address,
    #[command(flatten)]
    access: Access,
}

/// Who this is, and whom it trusts.
#[derive(clap::Args, Clone)]
pub(crate) struct Access {
    #[command(flatten)]
    credentials: Credentials,
    /// The roots that may have signed the hub's certificate (PEM), instead of the system's
    #[arg(long, value_name = "FILE", env = "NYX_CA")]
    ca: Option<PathBuf>,
    /// A certificate to show to the hub (PEM)
    #[arg(long, value_name = "FILE", requires = "key", env = "NYX_CERT")]
    cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert", env = "NYX_KEY")]
    key: Option<PathBuf>,
    /// Send the token to another machine in clear, where all on the way can read it
    #[arg(long = "token-in-clear")]
    in_clear: bool,
}

/// A token. In an argument other users of this machine can see it, and the shell remembers it: a file or NYX_TOKEN is better.
#[derive(clap::Args, Clone)]
pub(crate) struct Credentials {
    /// A token, which others on this machine can see in the list of processes: better set NYX_TOKEN, or say --token-file
    #[arg(long, value_name = "TOKEN", env = "NYX_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file that holds a token and nothing else; it goes before --token
    #[arg(long, value_name = "FILE", env = "NYX_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

impl Credentials {
    /// The token, if there is one.
    pub(crate) fn token(&self) -> Outcome<Option<Token>> {
        let Some(path) = &self.token_file else {
            let token = self.token.as_deref().map(str::trim).filter(|token| !token.is_empty());
            return Ok(token.map(Token::new));
        };
        held::read(path).map(Some).map_err(Failure::usage)
    }
}

impl Server {
    /// Connects; the console shows `name`.
    pub(crate) async fn connect(&self, name: String) -> Outcome<Client> {
        connect(self.address.clone(), name, &self.access).await
    }

    /// The same, with what is sent batched as `batch` says.
    pub(crate) async fn connect_batching(&self, name: String, batch: Policy) -> Outcome<Client> {
        let mut config = Config::default();
        (config.name, config.batch) = (name, batch);
        connect_with(self.address.clone(), config, &self.access).await
    }
}

/// Connects to the hub at `address`; the console shows `name`.
pub(crate) async fn connect(address: Address, name: String, access: &Access) -> Outcome<Client> {
    let mut config = Config::default();
    config.name = name;
    connect_with(address, config, access).await
}

async fn connect_with(address: Address, mut config: Config, access: &Access) -> Outcome<Client> {
    config.token = access.credentials.token()?;
    config.send_token_in_clear = access.in_clear;
    config.tls.roots.clone_from(&access.ca);
    config.tls.identity = access
        .cert
        .clone()
        .zip(access.key.clone())
        .map(|(certificate, key)| tls::client::Identity { certificate, key });
    let connected = answered(&address, Client::connect(address.clone(), config)).await?;
    connected.map_err(|error| match error {
        ConnectError::Refused(refusal) => refusal.into(),
        ConnectError::Certificates(error) => Failure::usage(error),
        error @ ConnectError::TokenInClear(_) => Failure::usage(error),
        error => Failure::unreachable(error),
    })
}

/// What the hub at `address` answers, unless a signal comes before: whoever does not answer is waited for, who asks does not have to be.
pub(crate) async fn answered<T>(address: &Address, answer: impl Future<Output = T>) -> Outcome<T> {
    let mut signals = Signals::new()?;
    tokio::select! {
        answer = answer => Ok(answer),
        () = signals.wait() => {
            Err(Failure::unreachable(anyhow!("stopped before {address} had answered")))
        }
    }
}

/// Ends the session in order, so that the hub need not find out by silence, as it must over datagrams. One that does not answer is not waited for.
pub(crate) async fn leave(client: Client) {
    if client.stats().connected {
        let _ = tokio::time::timeout(LEAVE, client.close()).await;
    }
}

/// How long a hub may take to say goodbye.
const LEAVE: Duration = Duration::from_secs(1);

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
