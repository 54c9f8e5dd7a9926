//! Where batches go.

use std::sync::Arc;
use std::time::Duration;

use nyx_transport::pool::{self, Pool, Secure, Target, Tcp};

use super::http::Http;
use super::hub::Hub;
use super::lines::{self, OneWay};
use super::parcel::Parcel;
use super::settings::{Destination, Forward};
use crate::exit::Outcome;
use crate::serve::Hangups;

/// A way out. Clones are the same one.
#[derive(Clone)]
pub(super) struct Outlet {
    way: Way,
    timeout: Duration,
}

#[derive(Clone)]
enum Way {
    Http(Arc<Http>, Target<Secure>),
    Lines(Target<OneWay>),
    Hub(Arc<Hub>),
}

/// Why a batch was not delivered.
#[derive(Debug)]
pub(super) enum Failed {
    /// It may work later.
    Later(anyhow::Error),
    /// The sink has said how long it can't take anything.
    Busy(anyhow::Error, Duration),
    /// It will not.
    Rejected(anyhow::Error),
    /// Some items of the batch will not, and the others were.
    Partly(LeftOut),
    /// The sink has had it already.
    Home,
}

/// Items of a batch.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Those that the sink refused for good, and why the first of them.
    pub(super) rejected: usize,
    pub(super) why: Option<anyhow::Error>,
    /// Those that it has had already.
    pub(super) home: usize,
}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Later(error.into())
    }
}

impl Outlet {
    pub(super) fn new(settings: &Forward, hangups: &Hangups) -> Outcome<Self> {
        let bearer = settings.bearer(hangups.clone())?;
        let mut config = pool::Config::default();
        config.connect_timeout = config.connect_timeout.min(settings.timeout());
        // The spool has its own pauses, and is the only one who asks.
        config.backoff.max = Duration::ZERO;
        // Closed before a server with the usual five seconds does it, which might cross a request.
        config.idle = Duration::from_secs(4);
        let address = settings.to.0.address();
        let secure = |protocol| -> Outcome<Secure> {
            Ok(Secure::new(Tcp::default(), settings.tls.connector(&settings.to.0, protocol)?))
        };
        let way = match &settings.to.0 {
            Destination::Http { host, path, .. } => {
                let http = Http::new(host, path, settings.is_batched(), bearer)?;
                Way::Http(Arc::new(http), Pool::new(secure(b"http/1.1")?, config).target(address)?)
            }
            Destination::Lines(_) => Way::Lines(Pool::new(OneWay(secure(b"")?), config).target(address)?),
            Destination::Hub(address) => {
                // Read to see that they are good; the client reads them with each connection.
                settings.tls.connector(&settings.to.0, b"nyx/1")?;
                Way::Hub(Arc::new(Hub::new(address.clone(), settings.tls.client(), bearer)))
            }
        };
        Ok(Self { way, timeout: settings.timeout() })
    }

    /// Delivers a batch, and gives it back with what became of it.
    pub(super) async fn deliver(self, batch: Vec<Parcel>) -> (Vec<Parcel>, Result<(), Failed>) {
        // Its deadline, which is far away where the sum can't be told.
        let deadline = tokio::time::sleep(self.timeout).deadline();
        let exchange = async {
            match &self.way {
                Way::Http(http, target) => http.post(target, &batch, deadline).await,
                Way::Lines(target) => lines::write(target, &batch).await,
                Way::Hub(hub) => hub.publish(&batch).await,
            }
        };
        let result = match tokio::time::timeout_at(deadline, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Failed::Later(anyhow::anyhow!("no answer within {:?}", self.timeout))),
        };
        (batch, result)
    }
}
