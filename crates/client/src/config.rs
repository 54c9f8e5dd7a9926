//! How a client connects.

use std::time::Duration;

use nyx_protocol::batch;
use nyx_transport::{tcp, tls};

use crate::Token;

/// How a client connects, and comes back.
///
/// ```
/// let mut config = nyx_client::Config::default();
/// config.name = "camera 3".to_owned();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Shown in the hub's console, cut to 64 bytes. Default empty.
    pub name: String,
    /// How long one attempt may take, until the hub has answered. Default 5 s.
    pub connect_timeout: Duration,
    /// The longest wait before the first new attempt; each further one may wait twice as long. The wait is drawn at
    /// random from zero to this, so that a thousand clients do not return to a restarted hub at once. Default 100 ms, at least 1 ms.
    pub backoff_min: Duration,
    /// Where the doubling ends. Default 5 s.
    pub backoff_max: Duration,
    /// Whether [`Client::connect`](crate::Client::connect) goes on trying when the first attempt fails. Default false: then it
    /// fails, and says what to do.
    pub wait_for_server: bool,
    /// Who this is, for a hub that asks. Default: nobody.
    pub token: Option<Token>,
    /// Whether the token is sent to another machine where all on the way can read it, and use it: over `nyx://` instead of
    /// `nyxs://`. To this machine it is always sent. Default false.
    pub send_token_in_clear: bool,
    /// Whom to trust at `nyxs://`, and the certificate to show there. Files are read with each connection, so they may be renewed.
    /// Default: whom the system trusts, and none.
    pub tls: tls::client::Config,
    /// When what was sent is written. Default [`NATURAL`](batch::Policy::NATURAL): as soon as the connection takes it, all that has
    /// gathered meanwhile. A policy that lingers holds events back to fill a batch; frames, sound, state and flushing send it off.
    pub batch: batch::Policy,
    /// How the socket is set up.
    pub tcp: tcp::Options,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: String::new(),
            connect_timeout: Duration::from_secs(5),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            wait_for_server: false,
            token: None,
            send_token_in_clear: false,
            tls: tls::client::Config::default(),
            batch: batch::Policy::default(),
            tcp: tcp::Options::default(),
        }
    }
}
