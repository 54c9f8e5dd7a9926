//! The relay's clients, which know the size of a message and nothing else.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::server::{PUBLISHER, SUBSCRIBER};
use crate::relay::contender::{self, Error};
use crate::relay::payload::Tally;

/// Gathers messages and writes them together.
#[derive(Debug)]
pub(super) struct Publisher {
    socket: TcpStream,
    batch: Vec<u8>,
}

impl Publisher {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self, Error> {
        let mut socket = connect(address).await?;
        socket.write_u8(PUBLISHER).await?;
        Ok(Self { socket, batch: Vec::with_capacity(BATCH_BYTES) })
    }

    async fn write_batch(&mut self) -> Result<(), Error> {
        self.socket.write_all(&self.batch).await.map_err(Error::client("publish to the floor"))?;
        self.batch.clear();
        Ok(())
    }
}

impl contender::Publisher for Publisher {
    async fn publish(&mut self, payload: &[u8]) -> Result<(), Error> {
        if self.batch.len() + payload.len() > BATCH_BYTES {
            self.write_batch().await?;
        }
        self.batch.extend_from_slice(payload);
        Ok(())
    }

    async fn push(&mut self) -> Result<(), Error> {
        self.write_batch().await
    }
}

/// A subscriber that reads until it is aborted.
pub(super) async fn subscribe(
    address: SocketAddr,
    size: usize,
    tally: Tally,
) -> Result<JoinHandle<io::Result<()>>, Error> {
    let mut socket = connect(address).await?;
    socket.write_u8(SUBSCRIBER).await?;
    socket.read_u8().await?;
    Ok(tokio::spawn(read(socket, size, tally)))
}

async fn read(mut socket: TcpStream, size: usize, tally: Tally) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES.max(2 * size)];
    let mut filled = 0;
    loop {
        match socket.read(&mut buffer[filled..]).await? {
            0 => return Ok(()),
            count => filled += count,
        }
        let messages = buffer[..filled].chunks_exact(size);
        let rest = messages.remainder().len();
        messages.for_each(|message| tally.record(message.len(), message));
        buffer.copy_within(filled - rest..filled, 0);
        filled = rest;
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Error> {
    let socket = TcpStream::connect(address).await.map_err(Error::client("connect to the floor"))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Written at once when saturated.
const BATCH_BYTES: usize = 64 * 1024;

/// Read at once.
const READ_BYTES: usize = 256 * 1024;
