//! The relay's process.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use nyx_core::pool::read::{Config, ReadPool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::log::Log;
use crate::relay::contender::Error;

/// First byte of a publisher's connection.
pub(super) const PUBLISHER: u8 = b'P';

/// First byte of a subscriber's connection; it comes back when the subscriber is in.
pub(super) const SUBSCRIBER: u8 = b'S';

/// Serves until the process ends.
pub(super) async fn run(listener: TcpListener) -> Result<(), Error> {
    let log = Arc::new(Log::default());
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(serve(socket, Arc::clone(&log)));
    }
}

/// Connections end by being cut, which is no news here.
async fn serve(mut socket: TcpStream, log: Arc<Log>) -> io::Result<()> {
    match socket.read_u8().await? {
        PUBLISHER => read(socket, &log).await,
        _ => {
            let id = log.join();
            let result = write(socket, &log, id).await;
            log.leave(id);
            result
        }
    }
}

async fn read(mut socket: TcpStream, log: &Log) -> io::Result<()> {
    let mut pool = ReadPool::new(Config::default());
    let mut wakers = Vec::new();
    let mut buffer = pool.take();
    loop {
        poll_fn(|context| log.poll_room(context)).await;
        if buffer.capacity() < LEAST_READ_BYTES {
            let full = std::mem::replace(&mut buffer, pool.take());
            pool.put(full);
        }
        if socket.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        log.append(buffer.split().freeze(), &mut wakers);
    }
}

async fn write(mut socket: TcpStream, log: &Log, id: usize) -> io::Result<()> {
    socket.write_u8(SUBSCRIBER).await?;
    let mut chunks = VecDeque::with_capacity(SLICES);
    loop {
        poll_fn(|context| log.poll_take(id, SLICES, &mut chunks, context)).await;
        while !chunks.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            slices.iter_mut().zip(&chunks).for_each(|(slice, chunk)| *slice = IoSlice::new(chunk));
            let written = socket.write_vectored(&slices[..chunks.len()]).await?;
            advance(&mut chunks, written);
        }
    }
}

fn advance(chunks: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(chunk) = chunks.front_mut() {
        if chunk.len() > written {
            chunk.advance(written);
            return;
        }
        written -= chunk.len();
        chunks.pop_front();
    }
}

/// A read into less room than this is not worth its system call.
const LEAST_READ_BYTES: usize = 64 * 1024;

/// Slices of one vectored write. With full buffers one is enough to fill the socket.
const SLICES: usize = 32;
