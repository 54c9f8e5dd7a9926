//! A batch as lines of JSON over TCP.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use nyx_transport::Address;
use nyx_transport::pool::{Check, Connection, Connector, Liveness, Secure, SecureError, Target};
use nyx_transport::tls::Stream;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::parcel::Parcel;
use super::sink::Failed;

/// Writes a line for each item. Nobody has to answer: what the kernel has taken counts as delivered.
pub(super) async fn write(target: &Target<OneWay>, batch: &[Parcel]) -> Result<(), Failed> {
    let mut lines = String::new();
    for parcel in batch {
        lines.push_str(&parcel.to_json());
        lines.push('\n');
    }
    let mut lease = target.acquire().await?;
    lease.write_all(lines.as_bytes()).await?;
    lease.release();
    Ok(())
}

/// Makes connections to services whose answers nobody wants.
#[derive(Debug)]
pub(super) struct OneWay(pub(super) Secure);

impl Connector for OneWay {
    type Address = Address;
    type Connection = Deaf;
    type Error = SecureError;

    async fn connect(&self, address: &Address) -> Result<Deaf, SecureError> {
        self.0.connect(address).await.map(Deaf)
    }
}

/// A connection that throws away what it is told. Were that left in it, closing it would reset it, and what the service had not read yet would be lost,
/// though it counts as delivered.
#[derive(Debug)]
pub(super) struct Deaf(Stream);

/// Reads in a row: with what each takes, as much as a kernel keeps of a connection unless it is told otherwise.
const READS: usize = 512;

/// Bytes of one read.
const READ_BYTES: usize = 16 * 1024;

impl Deaf {
    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        poll_fn(|cx| {
            // A service that gets rid of no answers may read nothing more, either. That it has closed shows when it is written to.
            self.throw_away(cx);
            while !bytes.is_empty() {
                let written = ready!(Pin::new(&mut self.0).poll_write(cx, bytes))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                bytes = &bytes[written..];
            }
            // What TLS has encrypted may not have gone yet.
            Pin::new(&mut self.0).poll_flush(cx)
        })
        .await
    }

    /// Reads what there is, and wakes the task when there is more.
    fn throw_away(&mut self, cx: &mut Context<'_>) -> Liveness {
        let mut room = [0; READ_BYTES];
        for _ in 0..READS {
            let mut read = ReadBuf::new(&mut room);
            match Pin::new(&mut self.0).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
                Poll::Ready(_) => return Liveness::Closed,
                Poll::Pending => return Liveness::Alive,
            }
        }
        cx.waker().wake_by_ref();
        Liveness::Alive
    }
}

impl Connection for Deaf {
    fn liveness(&mut self, check: Check) -> Liveness {
        match self.0.liveness(check) {
            Liveness::Unread => self.throw_away(&mut Context::from_waker(Waker::noop())),
            seen => seen,
        }
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        self.throw_away(&mut Context::from_waker(Waker::noop()));
    }
}

#[cfg(test)]
mod tests {
    use nyx_transport::pool::{Config, Pool, Tcp};
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;

    use super::super::parcel::tests::event;
    use super::*;

    #[tokio::test]
    async fn a_service_that_answers_keeps_its_connection_and_gets_all_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().into();
        let pool = Pool::new(OneWay(Secure::new(Tcp::default(), None)), Config::default());
        let target = pool.target(&address).unwrap();
        write(&target, &[event("log", 0, 1)]).await.unwrap();
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        for number in 1..=3 {
            stream.read_line(&mut String::new()).await.unwrap();
            stream.write_all(b"ok\n").await.unwrap();
            let mut lease = target.acquire().await.unwrap();
            // The answer is there when the next line is written.
            lease.0.read_u8().await.unwrap();
            lease.release();
            write(&target, &[event("log", number, 1)]).await.unwrap();
        }
        assert_eq!((target.stats().created, target.stats().closed_total()), (1, 0));
        stream.write_all(b"the last one is answered, too").await.unwrap();
        let lease = target.acquire().await.unwrap();
        lease.0.socket().readable().await.unwrap();
        drop(lease);
        let mut rest = String::new();
        // A reset would be an error.
        stream.read_to_string(&mut rest).await.unwrap();
        assert!(rest.contains("\"sequence\":3"), "{rest}");
    }

    #[tokio::test]
    async fn a_service_that_says_back_what_it_hears_takes_large_items() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().into();
        let pool = Pool::new(OneWay(Secure::new(Tcp::default(), None)), Config::default());
        let target = pool.target(&address).unwrap();
        let batch = [event("log", 0, 32 << 20)];
        let echo = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await
        };
        tokio::select! {
            written = write(&target, &batch) => written.unwrap(),
            ended = echo => panic!("{ended:?}"),
            () = tokio::time::sleep(std::time::Duration::from_secs(30)) => panic!("both wait for each other"),
        }
    }
}
