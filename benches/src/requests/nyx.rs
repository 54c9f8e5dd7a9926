//! Nyx: events of which each one's result is awaited, and requests that another client answers.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use nyx_client::publish::{Acknowledged, Options};
use nyx_client::requests::{self, Requests};
use nyx_client::{Client, Config, Name};

use super::Error;
use super::measure::Contender;
use crate::relay::process::{Report, say};

/// A connection that publishes records.
#[derive(Clone)]
pub(super) struct Records {
    records: Acknowledged,
    payload: Bytes,
}

impl Records {
    pub(super) async fn connect(address: SocketAddr, bytes: usize) -> Result<Self, Error> {
        let client = connect(address).await?;
        let name = Name::new("bench/requests").map_err(Error::client("name a topic"))?;
        let records = client.acknowledged(name, Options::default()).await;
        Ok(Self {
            records: records.map_err(Error::client("advertise to Nyx"))?,
            payload: vec![b'x'; bytes].into(),
        })
    }
}

/// A connection that asks a service.
#[derive(Clone)]
pub(super) struct Asks {
    requests: Requests,
    payload: Bytes,
}

impl Asks {
    pub(super) async fn connect(address: SocketAddr, bytes: usize) -> Result<Self, Error> {
        let client = connect(address).await?;
        let requests = client.requests(service()?, requests::Options::default());
        Ok(Self { requests, payload: vec![b'x'; bytes].into() })
    }
}

impl Contender for Asks {
    async fn round(&self, _sender: usize, count: usize) -> Result<(), Error> {
        let answers = self.requests.send_batch(std::iter::repeat_n(self.payload.clone(), count)).await;
        for answer in answers {
            let answer = answer.map_err(Error::client("ask through Nyx"))?;
            if answer.len() != self.payload.len() {
                return Err(Error::OutOfTurn { who: "service", line: format!("{} bytes", answer.len()) });
            }
            std::hint::black_box(answer);
        }
        Ok(())
    }
}

/// Is the service: answers each request with its own bytes.
pub(super) async fn reply(address: SocketAddr) -> Result<(), Error> {
    let client = connect(address).await?;
    let mut options = requests::ServeOptions::default();
    options.concurrency = 4_096;
    let echo = |request: requests::Incoming| async move { Ok::<_, String>(request.body) };
    let serving = client.serve(service()?, options, echo).await;
    let _echo = serving.map_err(Error::client("serve on Nyx"))?;
    let slow = |request: requests::Incoming| async move {
        let millis = std::str::from_utf8(&request.body).ok().and_then(|text| text.parse().ok());
        tokio::time::sleep(Duration::from_millis(millis.ok_or("no number of milliseconds")?)).await;
        Ok::<_, &str>(request.body)
    };
    let serving = client.serve(slow_service()?, requests::ServeOptions::default(), slow).await;
    let _slow = serving.map_err(Error::client("serve on Nyx"))?;
    say(&Report::Connected)?;
    // Until the bench ends this process.
    std::future::pending().await
}

fn service() -> Result<Name, Error> {
    Name::new("bench/echo").map_err(Error::client("name a service"))
}

/// A service that takes as many milliseconds as it is told.
pub(super) fn slow_service() -> Result<Name, Error> {
    Name::new("bench/slow").map_err(Error::client("name a service"))
}

pub(super) async fn connect(address: SocketAddr) -> Result<Client, Error> {
    Client::connect(address.into(), Config::default()).await.map_err(Error::client("connect to Nyx"))
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
