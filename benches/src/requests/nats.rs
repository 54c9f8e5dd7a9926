//! NATS: requests through nats-server to a service, with async-nats and its defaults.

use std::net::SocketAddr;

use async_nats::Client;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;

use super::Error;
use super::measure::Contender;
use crate::relay::nats::connect;
use crate::relay::process::{Report, say};

/// A connection that asks a service.
#[derive(Clone)]
pub(super) struct Asks {
    client: Client,
    payload: Bytes,
}

impl Asks {
    pub(super) async fn connect(address: SocketAddr, bytes: usize) -> Result<Self, Error> {
        Ok(Self { client: connect(address).await?, payload: vec![b'x'; bytes].into() })
    }
}

impl Contender for Asks {
    async fn round(&self, _sender: usize, count: usize) -> Result<(), Error> {
        let ask = |_| self.client.request(SUBJECT, self.payload.clone());
        for answer in try_join_all((0..count).map(ask)).await.map_err(Error::client("ask through NATS"))? {
            if answer.payload.len() != self.payload.len() {
                let line = format!("{} bytes", answer.payload.len());
                return Err(Error::OutOfTurn { who: "service", line });
            }
            std::hint::black_box(answer);
        }
        Ok(())
    }
}

/// Is the service: answers each request with its own bytes.
pub(super) async fn reply(address: SocketAddr) -> Result<(), Error> {
    let client = connect(address).await?;
    let mut requests = client.subscribe(SUBJECT).await.map_err(Error::client("subscribe to NATS"))?;
    client.flush().await.map_err(Error::client("subscribe to NATS"))?;
    say(&Report::Connected)?;
    // Unconstrained, as in the relay bench: otherwise the consumer starves beside its own connection's task.
    tokio::task::unconstrained(async {
        while let Some(request) = requests.next().await {
            if let Some(to) = request.reply {
                client.publish(to, request.payload).await.map_err(Error::client("answer through NATS"))?;
            }
        }
        Ok(())
    })
    .await
}

const SUBJECT: &str = "bench.echo";
