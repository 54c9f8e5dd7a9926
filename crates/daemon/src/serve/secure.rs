//! TLS of the listeners: handshakes within their time, and certificates that are read again.

use std::net::SocketAddr;
use std::sync::Arc;

use nyx_stream::metrics::Counter;
use nyx_transport::tls::server::Acceptor;
use nyx_transport::tls::{HandshakeError, Stream};
use nyx_transport::unsent::Socket;
use tokio::time::timeout;

use super::App;
use super::doorstep::Visit;
use crate::config::Tls;
use crate::exit::{Failure, Outcome};

/// The certificates of both listeners. It is one, but what is spoken inside differs.
pub(crate) struct Secure {
    native: Acceptor,
    http: Acceptor,
    failed: [Counter; HandshakeError::NAMES.len()],
    pub(crate) slow: Counter,
    pub(crate) reloaded: Counter,
    pub(crate) not_reloaded: Counter,
}

/// Which listener.
#[derive(Clone, Copy)]
pub(crate) enum Listener {
    Native,
    Http,
}

impl Secure {
    /// Reads the certificates, if there are any.
    pub(crate) fn load(tls: &Tls) -> Outcome<Option<Self>> {
        let Some(files) = tls.files()? else { return Ok(None) };
        if crate::token::store::is_open_to_others(&files.key, 4) {
            tracing::warn!(
                "others can read {}, and pass for this hub with it: chmod 600",
                files.key.display()
            );
        }
        let native = Acceptor::load(files.clone(), b"nyx/1").map_err(Failure::usage)?;
        let http = Acceptor::load(files, b"http/1.1").map_err(Failure::usage)?;
        Ok(Some(Self {
            native,
            http,
            failed: HandshakeError::NAMES.map(|_| Counter::new()),
            slow: Counter::new(),
            reloaded: Counter::new(),
            not_reloaded: Counter::new(),
        }))
    }

    /// Handshakes that failed, by reason.
    pub(crate) fn failed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        HandshakeError::NAMES.into_iter().zip(self.failed.iter().map(Counter::get))
    }

    fn reload(&self) {
        match Acceptor::reload_all([&self.native, &self.http]) {
            Ok(()) => {
                self.reloaded.inc();
                tracing::info!("read {} again", self.native.certificate().display());
            }
            Err(error) => {
                self.not_reloaded.inc();
                tracing::error!("the certificate stays as it was: {error}");
            }
        }
    }
}

impl App {
    /// The handshake, where there is one, within its time and while nobody else needs the place more. `None`: there is no
    /// connection any more.
    pub(crate) async fn secure(
        &self,
        listener: Listener,
        stream: Socket,
        peer: SocketAddr,
        visit: &Visit,
    ) -> Option<Stream<Socket>> {
        let Some(secure) = &self.secure else { return Some(Stream::plain(stream)) };
        let acceptor = match listener {
            Listener::Native => &secure.native,
            Listener::Http => &secure.http,
        };
        let handshake = timeout(self.hub.config().handshake, acceptor.accept(stream));
        let outcome = tokio::select! {
            outcome = handshake => outcome,
            () = visit.displaced() => return None,
            () = self.stopped() => return None,
        };
        match outcome {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                let name = error.name();
                if let Some(place) = HandshakeError::NAMES.iter().position(|known| *known == name) {
                    secure.failed[place].inc();
                }
                self.audit.refuse(peer.ip(), "", format_args!("TLS: {error}"));
                None
            }
            Err(_) => {
                secure.slow.inc();
                self.audit.refuse(peer.ip(), "", "TLS: the handshake took too long (limits.handshake)");
                None
            }
        }
    }
}

/// Reads certificates again at each SIGHUP, until it is aborted.
pub(super) async fn reload_on_hangup(app: Arc<App>) {
    let Some(secure) = &app.secure else { return };
    let mut hangups = app.hangups.clone();
    loop {
        hangups.next().await;
        secure.reload();
    }
}
