//! What the system dropped because it came faster than it was read.
//!
//! Linux counts it for each socket, and tells it in the last column of `/proc/net/udp`. Who has no such file is told nothing.

use std::collections::HashSet;

use parking_lot::Mutex;
use tokio::net::UdpSocket;

/// Sockets that are open, and what was dropped for those that are not any more.
#[derive(Debug, Default)]
pub(super) struct Unread(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    open: HashSet<Inode>,
    closed: u64,
}

/// A socket's number, which no other ever has.
type Inode = u64;

impl Unread {
    /// Begins to count for a socket. Give back what this returns to [`close`](Self::close).
    pub(super) fn open(&self, socket: &UdpSocket) -> Option<Inode> {
        let inode = inode(socket)?;
        self.0.lock().open.insert(inode);
        Some(inode)
    }

    /// Keeps what was dropped for a socket that is about to be closed.
    pub(super) fn close(&self, inode: Option<Inode>) {
        let Some(inode) = inode else { return };
        let dropped = dropped(&HashSet::from([inode]));
        let mut state = self.0.lock();
        state.open.remove(&inode);
        state.closed += dropped;
    }

    /// Datagrams that were dropped for all of them.
    pub(super) fn total(&self) -> u64 {
        let state = self.0.lock();
        state.closed + dropped(&state.open)
    }
}

#[cfg(target_os = "linux")]
fn inode(socket: &UdpSocket) -> Option<Inode> {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::MetadataExt as _;

    let link = format!("/proc/self/fd/{}", socket.as_raw_fd());
    std::fs::metadata(link).ok().map(|metadata| metadata.ino())
}

#[cfg(not(target_os = "linux"))]
const fn inode(_: &UdpSocket) -> Option<Inode> {
    None
}

fn dropped(sockets: &HashSet<Inode>) -> u64 {
    if sockets.is_empty() {
        return 0;
    }
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(std::fs::read_to_string);
    tables.iter().flatten().map(|table| sum(table, sockets)).sum()
}

/// The last column, `drops`, of the sockets' lines; the tenth has the inode.
fn sum(table: &str, sockets: &HashSet<Inode>) -> u64 {
    let drops = |line: &str| {
        let mut columns = line.split_ascii_whitespace().skip(9);
        let inode = columns.next()?.parse().ok()?;
        sockets.contains(&inode).then(|| columns.last()?.parse().ok()).flatten()
    };
    table.lines().filter_map(drops).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sockets_drops_are_found_by_its_inode() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
             52: 0100007F:1B58 00000000:0000 07 00000000:00034B00 00:00000000 00000000     0        0 4711 2 0000000000000000 904\n\
             53: 00000000:1B59 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000000000000000 7\n\
             54: cut short\n";
        assert_eq!(sum(table, &HashSet::from([4711])), 904);
        assert_eq!(sum(table, &HashSet::from([4711, 4712, 1])), 911);
        assert_eq!(sum(table, &HashSet::from([904])), 0);
    }
}
