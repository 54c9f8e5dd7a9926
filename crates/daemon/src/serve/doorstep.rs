//! Peers that have connected and not yet said who they are.
//!
//! They cost memory and nobody knows whether they mean well, so there are only so many of them. Where one more comes, one has to go: the
//! oldest of the address that has the most, since who means well is through in milliseconds and comes once. So an
//! address that opens thousands of connections and says nothing only shuts out itself.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use nyx_stream::metrics::Counter;
use parking_lot::Mutex;

use super::gate::network;

/// Where peers stand until they have said who they are.
#[derive(Debug)]
pub(crate) struct Doorstep {
    limit: usize,
    standing: Mutex<Standing>,
    /// Those who had to go for others.
    pub(crate) displaced: Counter,
}

#[derive(Debug, Default)]
struct Standing {
    count: usize,
    next: u64,
    by_address: HashMap<IpAddr, VecDeque<Place>>,
}

/// A visitor's number, and where it is told.
type Place = (u64, Arc<Mutex<Sign>>);

/// What a visitor is told.
#[derive(Debug, Default)]
struct Sign {
    must_go: bool,
    waker: Option<Waker>,
}

/// One that stands there, until it is dropped or let in.
#[derive(Debug)]
pub(crate) struct Visit {
    doorstep: Arc<Doorstep>,
    address: IpAddr,
    number: u64,
    sign: Arc<Mutex<Sign>>,
}

impl Doorstep {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        // None at all would let nobody in.
        Arc::new(Self { limit: limit.max(1), standing: Mutex::default(), displaced: Counter::new() })
    }

    /// One more comes, and perhaps another has to go for it.
    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr) -> Visit {
        let address = network(peer);
        let sign = Arc::<Mutex<Sign>>::default();
        let mut standing = self.standing.lock();
        if standing.count >= self.limit && standing.displace() {
            self.displaced.inc();
        }
        let number = standing.next;
        standing.next += 1;
        standing.count += 1;
        standing.by_address.entry(address).or_default().push_back((number, sign.clone()));
        Visit { doorstep: self.clone(), address, number, sign }
    }

    /// How many stand there.
    pub(crate) fn len(&self) -> usize {
        self.standing.lock().count
    }
}

impl Standing {
    /// Sends the oldest of the address that has the most away. O(addresses).
    fn displace(&mut self) -> bool {
        let crowd = self.by_address.iter().max_by_key(|(_, visits)| visits.len());
        let Some((&address, _)) = crowd else { return false };
        let oldest = self.by_address.get_mut(&address).and_then(VecDeque::pop_front);
        self.tidy(address);
        let Some((_, sign)) = oldest else { return false };
        self.count -= 1;
        let mut sign = sign.lock();
        sign.must_go = true;
        if let Some(waker) = sign.waker.take() {
            waker.wake();
        }
        true
    }

    fn remove(&mut self, address: IpAddr, number: u64) {
        let Some(visits) = self.by_address.get_mut(&address) else { return };
        let before = visits.len();
        visits.retain(|(other, _)| *other != number);
        self.count -= before - visits.len();
        self.tidy(address);
    }

    fn tidy(&mut self, address: IpAddr) {
        if self.by_address.get(&address).is_some_and(VecDeque::is_empty) {
            self.by_address.remove(&address);
        }
    }
}

impl Visit {
    /// Ready when it has to go.
    pub(crate) fn poll_displaced(&self, cx: &Context<'_>) -> Poll<()> {
        let mut sign = self.sign.lock();
        if sign.must_go {
            return Poll::Ready(());
        }
        sign.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Resolves when it has to go.
    pub(crate) async fn displaced(&self) {
        std::future::poll_fn(|cx| self.poll_displaced(cx)).await;
    }

    /// It has said who it is: it stands there no more, and never has to go.
    pub(crate) fn settle(&self) {
        self.doorstep.standing.lock().remove(self.address, self.number);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([198, 51, 100, last])
    }

    fn must_go(visit: &Visit) -> bool {
        visit.poll_displaced(&Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_crowd_of_one_address_displaces_itself() {
        let doorstep = Doorstep::new(10);
        let modest = doorstep.enter(peer(1));
        let crowd: Vec<_> = (0..100).map(|_| doorstep.enter(peer(2))).collect();
        assert!(!must_go(&modest));
        assert_eq!(doorstep.len(), 10);
        assert_eq!(crowd.iter().filter(|visit| must_go(visit)).count(), 91);
        assert!(crowd[..91].iter().all(must_go), "the oldest go first");
        assert_eq!(doorstep.displaced.get(), 91);
    }

    #[test]
    fn who_is_let_in_makes_room_and_stays() {
        let doorstep = Doorstep::new(2);
        let first = doorstep.enter(peer(1));
        first.settle();
        let others: Vec<_> = (2..5).map(|last| doorstep.enter(peer(last))).collect();
        assert!(!must_go(&first));
        assert_eq!((doorstep.len(), doorstep.displaced.get()), (2, 1));
        drop((first, others));
        assert_eq!(doorstep.len(), 0);
        assert!(doorstep.standing.lock().by_address.is_empty());
    }
}
