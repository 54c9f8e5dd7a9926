//! Nyx: events of which each one's result is awaited.

use std::net::SocketAddr;

use bytes::Bytes;
use nyx_client::publish::{Acknowledged, Options};
use nyx_client::{Client, Config, Name};

use super::Error;
use super::measure::Contender;

/// A connection that publishes records.
#[derive(Clone)]
pub(super) struct Records {
    records: Acknowledged,
    payload: Bytes,
}

impl Records {
    pub(super) async fn connect(address: SocketAddr, bytes: usize) -> Result<Self, Error> {
        let client = Client::connect(address.into(), Config::default()).await;
        let client = client.map_err(Error::client("connect to Nyx"))?;
        let name = Name::new("bench/requests").map_err(Error::client("name a topic"))?;
        let records = client.acknowledged(name, Options::default()).await;
        Ok(Self {
            records: records.map_err(Error::client("advertise to Nyx"))?,
            payload: vec![b'x'; bytes].into(),
        })
    }
}

impl Contender for Records {
    async fn round(&self, _sender: usize, count: usize) -> Result<(), Error> {
        let receipts = self.records.publish_batch(std::iter::repeat_n(&self.payload, count)).await;
        for result in receipts.await {
            std::hint::black_box(result.map_err(Error::client("publish to Nyx"))?);
        }
        Ok(())
    }
}
