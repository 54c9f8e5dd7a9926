//! Who is let in: whoever receives at the address that it sends from (RFC 9000, section 8.1).
//!
//! What comes first is answered with a cookie, and nothing is remembered. The cookie is a keyed hash of the address, the connection and the
//! time. Who echoes it receives what is sent to that address, so no flood of forged addresses takes memory, and none is
//! reflected: an answer is always smaller than what asked for it.

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nyx_core::Instant;
use ring::hmac;

use super::DATAGRAM_MIN;
use super::packet::{Frame, Packet};

/// Judges datagrams that belong to no connection.
#[derive(Debug)]
pub struct Door {
    key: hmac::Key,
    /// Connections that were let in lately, so that nobody lets them in again by replaying how they began.
    entered: VecDeque<(Instant, SocketAddr, u64)>,
    known: HashSet<(SocketAddr, u64)>,
}

/// What is to be done about a datagram that belongs to no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// Send this back, and remember nothing.
    Answer(Vec<u8>),
    /// It begins a connection: see [`Connection::server`](super::Connection::server). It will not be let in again, unless it is
    /// [turned away](Door::turn_away).
    Open {
        /// The connection.
        id: u64,
    },
    /// Nothing.
    Refused(Refused),
}

/// Why a datagram came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// It can't be read.
    Malformed,
    /// Its cookie is not one of this hub for this address, or has expired, and it is too small to be answered.
    Cookie,
    /// It began a connection that has been let in before.
    Replayed,
    /// It is not what a client sends.
    Unexpected,
}

impl Refused {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::Malformed, Self::Cookie, Self::Replayed, Self::Unexpected];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Cookie => "cookie",
            Self::Replayed => "replayed",
            Self::Unexpected => "unexpected",
        }
    }
}

/// How long a cookie counts: enough for a handshake on the worst of paths.
const LIFETIME: Duration = Duration::from_secs(10);

/// Connections that are remembered as let in. Where more come within the life of a cookie, the oldest are forgotten, and what they could be
/// replayed for is one session that says hello as they did.
const ENTERED: usize = 16 * 1024;

/// The most that is around the bytes of a datagram that turns away.
const TURN_AWAY_HEAD: usize = 32;

/// Bytes of the time in a cookie.
const TIME: usize = 8;

impl Door {
    /// One that makes cookies by `secret`, which should be drawn at random when the hub starts.
    pub fn new(secret: [u8; 32]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        Self { key, entered: VecDeque::new(), known: HashSet::new() }
    }

    /// Judges a datagram from an address that has no connection of this number.
    pub fn handle(&mut self, now: Instant, peer: SocketAddr, datagram: &[u8]) -> Entrance {
        match Packet::decode(datagram) {
            Ok(Packet::Open { id, cookie, .. }) => self.judge(now, peer, id, cookie, datagram.len()),
            Ok(Packet::Data { id, .. }) => {
                let mut answer = Vec::new();
                Packet::Gone { id }.encode(&mut answer);
                // A datagram of no frames is no larger than this.
                if answer.len() < datagram.len() {
                    Entrance::Answer(answer)
                } else {
                    Entrance::Refused(Refused::Malformed)
                }
            }
            Ok(Packet::Cookie { .. } | Packet::Gone { .. }) => Entrance::Refused(Refused::Unexpected),
            Err(_) => Entrance::Refused(Refused::Malformed),
        }
    }

    /// Who was just let in is not wanted after all. Replaces `answer` by the datagram that says so: `bytes` is all of its stream, and it is over.
    /// Nothing is remembered, so where that datagram is lost the client asks again, and is judged again.
    ///
    /// Of `bytes` only so many are sent as fit into the least datagram, some 1,170.
    pub fn turn_away(&mut self, peer: SocketAddr, id: u64, bytes: &[u8], answer: &mut Vec<u8>) {
        self.known.remove(&(peer, id));
        if self.entered.back().is_some_and(|(_, last, of)| (*last, *of) == (peer, id)) {
            self.entered.pop_back();
        }
        let bytes = &bytes[..bytes.len().min(DATAGRAM_MIN - TURN_AWAY_HEAD)];
        answer.clear();
        Packet::Data { id, number: 0, frames: &[] }.encode(answer);
        Frame::Stream { offset: 0, bytes }.encode(answer);
        Frame::Close.encode(answer);
    }

    fn judge(&mut self, now: Instant, peer: SocketAddr, id: u64, cookie: &[u8], length: usize) -> Entrance {
        self.forget(now);
        if self.is_good(now, peer, id, cookie) {
            if !self.known.insert((peer, id)) {
                return Entrance::Refused(Refused::Replayed);
            }
            self.entered.push_back((now, peer, id));
            return Entrance::Open { id };
        }
        if length < DATAGRAM_MIN {
            return Entrance::Refused(Refused::Cookie);
        }
        let mut answer = Vec::new();
        Packet::Cookie { id, cookie: &self.cookie(now, peer, id) }.encode(&mut answer);
        Entrance::Answer(answer)
    }

    fn cookie(&self, now: Instant, peer: SocketAddr, id: u64) -> Vec<u8> {
        let time = now.as_nanos().to_be_bytes();
        let tag = hmac::sign(&self.key, &sealed(&time, peer, id));
        [&time, tag.as_ref()].concat()
    }

    fn is_good(&self, now: Instant, peer: SocketAddr, id: u64, cookie: &[u8]) -> bool {
        let Some((time, tag)) = cookie.split_first_chunk::<TIME>() else { return false };
        let made = Instant::from_nanos(u64::from_be_bytes(*time));
        // The comparison takes the same time wherever they differ.
        let is_ours = hmac::verify(&self.key, &sealed(time, peer, id), tag).is_ok();
        is_ours && made <= now && now.since(made) < LIFETIME
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, peer, id)) = self.entered.front()
            && (now.since(*at) >= LIFETIME || self.entered.len() >= ENTERED)
        {
            self.known.remove(&(*peer, *id));
            self.entered.pop_front();
        }
    }
}

/// What a cookie is made of, each part of a fixed length.
fn sealed(time: &[u8; TIME], peer: SocketAddr, id: u64) -> Vec<u8> {
    let address = match peer.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    [&time[..], &address, &peer.port().to_be_bytes(), &id.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::{Config, Connection, Event, Reason};
    use super::*;

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, 7], port))
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn open(id: u64, cookie: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::new();
        Packet::Open { id, cookie, number: 0, frames: &[] }.encode(&mut datagram);
        datagram.resize(DATAGRAM_MIN, 0);
        datagram
    }

    fn cookie_of(entrance: Entrance) -> Vec<u8> {
        let Entrance::Answer(answer) = entrance else { panic!("{entrance:?}") };
        assert!(answer.len() < 100);
        let Ok(Packet::Cookie { cookie, .. }) = Packet::decode(&answer) else { panic!() };
        cookie.to_vec()
    }

    #[test]
    fn a_cookie_lets_its_address_in_once_while_it_is_fresh() {
        let mut door = Door::new([1; 32]);
        let cookie = cookie_of(door.handle(at(5), peer(1), &open(7, &[])));
        assert_eq!(door.handle(at(6), peer(1), &open(7, &cookie)), Entrance::Open { id: 7 });
        assert_eq!(door.handle(at(7), peer(1), &open(7, &cookie)), Entrance::Refused(Refused::Replayed));
        for (when, from, id) in [(6, 2, 7), (6, 1, 8), (15, 1, 7), (4, 1, 7)] {
            let entrance = door.handle(at(when), peer(from), &open(id, &cookie));
            assert!(matches!(entrance, Entrance::Answer(_)), "{when} {from} {id}: {entrance:?}");
        }
        let mut other = Door::new([2; 32]);
        assert!(matches!(other.handle(at(6), peer(1), &open(7, &cookie)), Entrance::Answer(_)));
    }

    #[test]
    fn nothing_is_answered_that_is_smaller_than_the_answer_and_a_flood_leaves_nothing_behind() {
        let mut door = Door::new([1; 32]);
        let knock = open(7, &[]);
        for length in 0..DATAGRAM_MIN {
            assert!(matches!(door.handle(at(1), peer(1), &knock[..length]), Entrance::Refused(_)));
        }
        for port in 0..10_000 {
            cookie_of(door.handle(at(1), peer(port), &knock));
        }
        assert!(door.entered.is_empty() && door.known.is_empty());
        let mut data = Vec::new();
        Packet::Data { id: 7, number: 0, frames: &[] }.encode(&mut data);
        data.push(1);
        let Entrance::Answer(answer) = door.handle(at(1), peer(1), &data) else { panic!() };
        assert!(answer.len() < data.len());
    }

    #[test]
    fn who_is_turned_away_hears_why_and_may_ask_again() {
        let mut door = Door::new([1; 32]);
        let mut client = Connection::client(at(5), 7, Config::default());
        let (mut datagram, mut answer, mut told) = (Vec::new(), Vec::new(), BytesMut::new());
        client.poll_transmit(at(5), &mut datagram);
        let Entrance::Answer(cookie) = door.handle(at(5), peer(1), &datagram) else { panic!() };
        client.handle_datagram(at(5), &cookie).unwrap();
        client.poll_transmit(at(5), &mut datagram);
        for _ in 0..3 {
            assert_eq!(door.handle(at(6), peer(1), &datagram), Entrance::Open { id: 7 });
            door.turn_away(peer(1), 7, b"come back later", &mut answer);
            assert!(answer.len() < datagram.len());
            assert!(door.entered.is_empty() && door.known.is_empty());
        }
        client.handle_datagram(at(6), &answer).unwrap();
        client.take_stream(&mut told);
        assert_eq!(&told[..], b"come back later");
        assert_eq!(client.poll_event(), Some(Event::Closed(Reason::There)));
        door.turn_away(peer(1), 7, &[1; 9_000], &mut answer);
        assert!(answer.len() <= DATAGRAM_MIN);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut door = Door::new([1; 32]);
        for id in 0..2 * ENTERED as u64 {
            let cookie = door.cookie(at(1), peer(1), id);
            assert_eq!(door.handle(at(1), peer(1), &open(id, &cookie)), Entrance::Open { id });
        }
        assert!(door.entered.len() <= ENTERED && door.known.len() <= ENTERED);
        door.forget(at(60));
        assert!(door.entered.is_empty() && door.known.is_empty());
    }
}
