//! One connection: two sockets and a link in each direction.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use nyx_core::{ByteSize, Instant};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::alarm::Alarm;
use crate::counters::{FlowTally, Tally, add};
use crate::handle::Control;
use crate::link::Link;
use crate::proxy::small_socket;

/// What all connections of a proxy share.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) upstream: SocketAddr,
    pub(crate) socket_buffer: ByteSize,
    pub(crate) alarm: Alarm,
    pub(crate) tally: Arc<Tally>,
}

/// Relays `client`, the `number`th connection, until both directions have ended.
pub(crate) async fn run(
    client: TcpStream,
    number: u64,
    control: watch::Receiver<Control>,
    surroundings: Arc<Surroundings>,
) {
    let tally = &surroundings.tally;
    let _closed = Closed(tally);
    let cuts = control.borrow().cuts;
    let Some(connected) = unless_cut(cuts, control.clone(), connect(&surroundings)).await else {
        add(&tally.cut, 1);
        return reset(client);
    };
    let upstream = match connected {
        Ok(upstream) => upstream,
        Err(error) => {
            tracing::debug!(upstream = %surroundings.upstream, %error, "cannot connect upstream");
            add(&tally.unreachable, 1);
            return reset(client);
        }
    };
    let pump = |from, to, direction, flow| {
        Pump::new(from, to, number * 2 + direction, control.clone(), &surroundings.alarm, flow).run()
    };
    let both = async {
        tokio::try_join!(
            pump(&client, &upstream, 0, &tally.to_upstream),
            pump(&upstream, &client, 1, &tally.to_client)
        )
    };
    let ended = unless_cut(cuts, control.clone(), both).await;
    if !matches!(ended, Some(Ok(_))) {
        add(if ended.is_none() { &tally.cut } else { &tally.reset }, 1);
        reset(client);
        reset(upstream);
    }
}

/// Closes a connection so that its peer sees a reset, not an end.
pub(crate) fn reset(stream: TcpStream) {
    // Fails only where the peer was faster.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

async fn connect(surroundings: &Surroundings) -> io::Result<TcpStream> {
    let socket = small_socket(surroundings.upstream, surroundings.socket_buffer)?;
    // A cut may drop the socket when upstream has already accepted it: that must be a reset, too.
    SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
    let upstream = tokio::time::timeout(CONNECT_TIMEOUT, socket.connect(surroundings.upstream)).await??;
    SockRef::from(&upstream).set_linger(None)?;
    Ok(upstream)
}

/// The output of `work`, or `None` when a cut came first.
async fn unless_cut<T>(
    cuts: u64,
    mut control: watch::Receiver<Control>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        output = work => Some(output),
        Ok(_) = control.wait_for(|control| control.cuts != cuts) => None,
    }
}

/// Counts the connection as closed when its task ends, however it does.
struct Closed<'a>(&'a Tally);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        add(&self.0.closed, 1);
    }
}

/// One direction: reads what the link has room for, writes what has arrived.
struct Pump<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    link: Link,
    control: watch::Receiver<Control>,
    stalled: bool,
    alarm: &'a Alarm,
    flow: &'a FlowTally,
    /// Off the link and not yet written; still counted against the link's room.
    staged: VecDeque<Bytes>,
    staged_bytes: usize,
    scratch: Box<[u8]>,
}

/// What a turn found to do.
#[derive(PartialEq, Eq)]
enum Turn {
    Progress,
    Idle { reading: bool },
    Ended,
}

impl<'a> Pump<'a> {
    fn new(
        from: &'a TcpStream,
        to: &'a TcpStream,
        stream: u64,
        mut control: watch::Receiver<Control>,
        alarm: &'a Alarm,
        flow: &'a FlowTally,
    ) -> Self {
        control.mark_changed();
        let mut impairment = control.borrow().impairment.clone();
        impairment.seed = fastrand::Rng::with_seed(impairment.seed).u64(..) ^ stream;
        Self {
            from,
            to,
            link: Link::new(impairment),
            control,
            stalled: false,
            alarm,
            flow,
            staged: VecDeque::with_capacity(WRITE_SEGMENTS),
            staged_bytes: 0,
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
        }
    }

    async fn run(mut self) -> io::Result<()> {
        // What arrives together was sent together: only the link may add delay.
        self.to.set_nodelay(true)?;
        loop {
            match self.turn()? {
                Turn::Progress => tokio::task::consume_budget().await,
                Turn::Idle { reading } => self.wait(reading).await?,
                Turn::Ended => return Ok(()),
            }
        }
    }

    /// At most one read and one write, so that no connection keeps the thread.
    fn turn(&mut self) -> io::Result<Turn> {
        let now = self.alarm.now();
        self.follow_control(now);
        if self.stalled {
            return Ok(Turn::Idle { reading: false });
        }
        let wrote = self.write(now)?;
        if self.staged.front().is_some_and(Bytes::is_empty) {
            SockRef::from(self.to).shutdown(Shutdown::Write)?;
            return Ok(Turn::Ended);
        }
        let room = self.link.room(now).saturating_sub(self.staged_bytes);
        let read = room > 0 && self.read(now, room)?;
        Ok(if wrote || read { Turn::Progress } else { Turn::Idle { reading: room > 0 } })
    }

    fn follow_control(&mut self, now: Instant) {
        if self.control.has_changed().unwrap_or(false) {
            let control = self.control.borrow_and_update();
            self.stalled = control.stalled;
            self.link.set(now, control.impairment.clone());
            self.link.stall(now, control.stalled);
        }
    }

    fn write(&mut self, now: Instant) -> io::Result<bool> {
        while self.staged.len() < WRITE_SEGMENTS {
            let Some(segment) = self.link.poll_output(now) else { break };
            self.staged_bytes += segment.len();
            self.staged.push_back(segment);
        }
        if self.staged_bytes == 0 {
            return Ok(false);
        }
        let mut slices = [IoSlice::new(&[]); WRITE_SEGMENTS];
        for (slice, segment) in slices.iter_mut().zip(&self.staged) {
            *slice = IoSlice::new(segment);
        }
        match self.to.try_write_vectored(&slices[..self.staged.len()]) {
            Ok(written) => {
                self.unstage(written);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn unstage(&mut self, written: usize) {
        add(&self.flow.delivered, written as u64);
        self.staged_bytes -= written;
        let mut left = written;
        while left > 0 {
            let Some(front) = self.staged.front_mut() else { break };
            let gone = left.min(front.len());
            front.advance(gone);
            left -= gone;
            if front.is_empty() {
                self.staged.pop_front();
            }
        }
    }

    fn read(&mut self, now: Instant, room: usize) -> io::Result<bool> {
        let length = room.min(self.scratch.len());
        match self.from.try_read(&mut self.scratch[..length]) {
            Ok(read) => {
                add(&self.flow.received, read as u64);
                // Zero bytes end the stream, to the link as to the socket. `read` is within the room.
                let taken = self.link.handle_input(now, Bytes::copy_from_slice(&self.scratch[..read]));
                debug_assert!(taken.is_ok());
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn wait(&mut self, reading: bool) -> io::Result<()> {
        let timeout = self.link.poll_timeout();
        let writing = self.staged_bytes > 0 && !self.stalled;
        tokio::select! {
            Ok(()) = self.control.changed() => {
                // The next turn looks for it.
                self.control.mark_changed();
                Ok(())
            }
            ready = self.to.writable(), if writing => ready,
            ready = self.from.readable(), if reading => ready,
            // Where its direction has ended, or the link towards it is full, nobody reads from the receiver and would be told that it is gone.
            _ = self.to.ready(Interest::ERROR), if !self.stalled => {
                Err(self.to.take_error()?.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()))
            }
            () = self.alarm.sleep_until(timeout.unwrap_or_default()), if timeout.is_some() => Ok(()),
            else => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

/// Segments per write: 23 kB, as much as the small socket buffer takes.
const WRITE_SEGMENTS: usize = 16;

/// Bytes per read, twice what the small socket buffer holds.
const READ_BYTES: usize = 32 * 1024;

/// Upstream is a machine nearby; the kernel alone would try for two minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
