//! What the hub and its topics see of a session: where to knock, and what to count.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use nyx_stream::{Drops, Lane, Reason};
use parking_lot::Mutex;

use crate::letters::Letters;
use crate::topic::Topic;

/// How a peer is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// The native protocol over TCP.
    Tcp,
    /// The native protocol, or plain images, over WebSocket.
    WebSocket,
    /// A stream of HTTP.
    Http,
    /// The native protocol in datagrams: state, frames and audio leave as parcels.
    Udp,
}

impl Transport {
    /// The transport's name in metrics and in the console.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::WebSocket => "ws",
            Self::Http => "http",
            Self::Udp => "udp",
        }
    }
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address, as people read it.
    pub address: String,
    /// How it is connected.
    pub transport: Transport,
    /// How many bytes the transport lets the kernel hold unsent, 0 where that is not bounded. The transport keeps it; the hub only tells of it.
    pub unsent_target: Arc<AtomicU32>,
}

impl Peer {
    /// A peer at `address`.
    pub fn new(address: impl fmt::Display, transport: Transport) -> Self {
        Self { address: address.to_string(), transport, unsent_target: Arc::default() }
    }

    /// The same, whose transport keeps its bound of unsent bytes in `cell`.
    pub fn with_unsent_target(self, cell: Arc<AtomicU32>) -> Self {
        Self { unsent_target: cell, ..self }
    }
}

/// The part of a session that others reach.
pub(crate) struct Shared {
    pub(crate) id: u64,
    pub(crate) peer: Peer,
    pub(crate) name: Mutex<String>,
    pub(crate) counters: Counters,
    mail: Mutex<Mail>,
    /// Bytes of the letters in there, so that they can be asked for without the lock.
    letter_bytes: AtomicUsize,
    standing: Mutex<Standing>,
    /// Whether `standing` says that the session is to end.
    is_expelled: AtomicBool,
}

/// Whose permit the session has, and why it is to end.
#[derive(Default)]
struct Standing {
    subject: Option<Arc<str>>,
    expelled: Option<String>,
}

/// What others have left for a session.
#[derive(Default)]
pub(crate) struct Mail {
    /// Slots whose topic has something new.
    pub(crate) ready: Vec<u32>,
    /// Topics that were created and match one of its patterns.
    pub(crate) created: Vec<Arc<Topic>>,
    /// Requests, answers and cancellations.
    pub(crate) letters: Letters,
    waker: Option<Waker>,
}

impl Shared {
    pub(crate) fn new(id: u64, peer: Peer) -> Self {
        Self {
            id,
            peer,
            name: Mutex::default(),
            counters: Counters::default(),
            mail: Mutex::default(),
            letter_bytes: AtomicUsize::new(0),
            standing: Mutex::default(),
            is_expelled: AtomicBool::new(false),
        }
    }

    /// The session has a permit of this subject.
    pub(crate) fn admit(&self, subject: Arc<str>) {
        self.standing.lock().subject = Some(subject);
    }

    /// Has the session end, if it has a permit of a subject that is meant.
    pub(crate) fn expel_if(&self, message: &str, is_meant: impl Fn(&str) -> bool) -> bool {
        {
            let mut standing = self.standing.lock();
            if !standing.subject.as_deref().is_some_and(is_meant) {
                return false;
            }
            standing.expelled = Some(message.to_owned());
            self.is_expelled.store(true, Ordering::Release);
        }
        self.wake();
        true
    }

    /// Why the session is to end, if it is.
    pub(crate) fn expelled(&self) -> Option<String> {
        if !self.is_expelled.load(Ordering::Acquire) {
            return None;
        }
        self.standing.lock().expelled.clone()
    }

    pub(crate) fn register(&self, waker: &Waker) {
        let mut mail = self.mail.lock();
        match &mut mail.waker {
            Some(present) => present.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Moves what was left into `mail`, whose letters have been delivered; what else was in it is discarded. Both keep their memory. Says whether
    /// there had been no [room](Self::has_room_for_letters) for more letters.
    pub(crate) fn collect(&self, mail: &mut Mail) -> bool {
        let mut left = self.mail.lock();
        mail.ready.clear();
        mail.created.clear();
        let was_full = !self.has_room_for_letters();
        self.letter_bytes.store(0, Ordering::Relaxed);
        std::mem::swap(&mut left.ready, &mut mail.ready);
        std::mem::swap(&mut left.created, &mut mail.created);
        std::mem::swap(&mut left.letters, &mut mail.letters);
        was_full
    }

    /// The topics that it was invited to and has not looked at.
    pub(crate) fn take_invitations(&self) -> Vec<Arc<Topic>> {
        std::mem::take(&mut self.mail.lock().created)
    }

    pub(crate) fn wake(&self) {
        let mail = self.mail.lock();
        if let Some(waker) = &mail.waker {
            waker.wake_by_ref();
        }
    }

    /// The topic of `slot` has something new. One wake-up is enough until the session has looked.
    pub(crate) fn notify(&self, slot: u32) {
        let mut mail = self.mail.lock();
        mail.ready.push(slot);
        if mail.ready.len() == 1
            && let Some(waker) = &mail.waker
        {
            waker.wake_by_ref();
        }
    }

    /// What concerns requests. The letters are empty then.
    pub(crate) fn post(&self, letters: &mut Letters) {
        let mut mail = self.mail.lock();
        let was_empty = mail.letters.is_empty();
        mail.letters.append(letters);
        self.letter_bytes.store(mail.letters.bytes(), Ordering::Relaxed);
        if was_empty && let Some(waker) = &mail.waker {
            waker.wake_by_ref();
        }
    }

    /// Whether it has taken enough of the requests and answers that were left for it.
    pub(crate) fn has_room_for_letters(&self) -> bool {
        self.letter_bytes.load(Ordering::Relaxed) < LETTER_BYTES
    }

    /// A topic was created that matches a pattern. Said once for all patterns, one after the other.
    pub(crate) fn invite(&self, topic: Arc<Topic>) {
        let mut mail = self.mail.lock();
        if mail.created.last().is_some_and(|last| Arc::ptr_eq(last, &topic)) {
            return;
        }
        // A name may go on again and again while the session is not driven. The last says what went before it.
        let is_former = |created: &Arc<Topic>| created.name == topic.name;
        let former = topic.begins.and_then(|_| mail.created.iter().position(is_former));
        match former {
            Some(former) => mail.created[former] = topic,
            None => mail.created.push(topic),
        }
        if let Some(waker) = &mail.waker {
            waker.wake_by_ref();
        }
    }
}

/// Bytes of requests and answers that may wait for a session to take them.
const LETTER_BYTES: usize = 4 << 20;

/// What a session counts for others to read. Only the session itself writes, so a load and a store make an addition.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) topics: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    /// In nanoseconds, plus one; zero: not known.
    pub(crate) round_trip: AtomicU64,
    drops: [[AtomicU64; Reason::ALL.len()]; Lane::ALL.len()],
}

pub(crate) fn add(counter: &AtomicU64, value: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(value), Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn add_drops(&self, lane: Lane, drops: &Drops) {
        for (reason, count) in drops.iter() {
            add(&self.drops[lane as usize][reason as usize], count);
        }
    }

    pub(crate) fn drops(&self) -> [Drops; Lane::ALL.len()] {
        self.drops.each_ref().map(|lane| {
            let mut drops = Drops::default();
            for (reason, count) in Reason::ALL.into_iter().zip(lane) {
                drops.add(reason, count.load(Ordering::Relaxed));
            }
            drops
        })
    }
}
