//! The rule of retirement, played through: publishers retrain, a ring forgets, sessions lag and skip, and what is sent can always be read.

use std::collections::VecDeque;

use nyx_protocol::compress::dictionary::{Dictionary, Name, Shelf, Store};
use nyx_protocol::compress::{Block, Compressor, Decompressor, Method};

use crate::traces::{Random, entity};
use crate::{LIMIT, dictionary};

/// Items that the topic keeps.
const RING: u64 = 12;

/// Versions that each side holds.
const VERSIONS: usize = 3;

enum Message {
    Dictionary(Vec<u8>),
    Item(Vec<u8>),
    Retire(Name),
}

/// A session: a cursor into the ring, and the stream to its subscriber with what is under way in it.
struct Session {
    next: u64,
    stream: VecDeque<Message>,
    store: Store,
    read: usize,
}

impl Session {
    fn joins(next: u64, shelf: &Shelf) -> Self {
        let stream = shelf.iter().map(|held| Message::Dictionary(held.to_message())).collect();
        Self { next, stream, store: Store::new(VERSIONS, Dictionary::BYTES_MAX), read: 0 }
    }

    /// The subscriber takes one message.
    fn read(&mut self) {
        match self.stream.pop_front() {
            Some(Message::Dictionary(message)) => assert!(self.store.insert(&message).is_ok()),
            Some(Message::Retire(name)) => assert!(self.store.retire(name)),
            Some(Message::Item(bytes)) => {
                let block = Block::parse(&bytes, LIMIT).unwrap();
                let mut content = Vec::new();
                Decompressor::new().decompress(&block, self.store.reference(&block), &mut content).unwrap();
                assert!(content.starts_with(b"{\"id\":"));
                self.read += 1;
            }
            None => {}
        }
        assert!(self.store.len() <= VERSIONS);
    }
}

#[test]
fn an_old_version_is_readable_until_nothing_under_way_refers_to_it() {
    let trained: Vec<_> = (1..=6).map(dictionary).collect();
    for seed in 0..40 {
        let mut random = Random(seed);
        let mut compressor = Compressor::new();
        let mut shelf = Shelf::new(VERSIONS);
        let mut coming = trained.iter();
        let mut ring: VecDeque<Vec<u8>> = VecDeque::new();
        let mut published = 0;
        let mut sessions = vec![Session::joins(0, &shelf)];
        let (mut adopted, mut retired) = (0, 0);
        for _ in 0..400 {
            let first = published - ring.len() as u64;
            match random.below(20) {
                0 => {
                    if let Some(new) = coming.clone().next()
                        && shelf.adopt(new.clone()).is_ok()
                    {
                        coming.next();
                        adopted += 1;
                        sessions
                            .iter_mut()
                            .for_each(|s| s.stream.push_back(Message::Dictionary(new.to_message())));
                    }
                }
                1 => sessions.push(Session::joins(first + random.below(ring.len() as u64 + 1), &shelf)),
                2..8 => {
                    let record = entity(&mut random, published);
                    let method = shelf.current().map_or(Method::Stored, Method::Dictionary);
                    let bytes = compressor.compress(record.as_bytes(), method).to_vec();
                    if let Some(name) = shelf.current().map(Dictionary::name) {
                        assert!(shelf.note_use(name, published));
                    }
                    ring.push_back(bytes);
                    published += 1;
                    if ring.len() as u64 > RING {
                        ring.pop_front();
                    }
                }
                8..14 => {
                    let which = random.below(sessions.len() as u64) as usize;
                    let session = &mut sessions[which];
                    // Overrun: it goes on with what there is.
                    session.next = session.next.max(first);
                    if let Some(bytes) = ring.get((session.next - first) as usize) {
                        session.stream.push_back(Message::Item(bytes.clone()));
                        session.next += 1;
                    }
                }
                _ => {
                    let which = random.below(sessions.len() as u64) as usize;
                    sessions[which].read();
                }
            }
            for name in shelf.retire(published - ring.len() as u64) {
                retired += 1;
                sessions.iter_mut().for_each(|s| s.stream.push_back(Message::Retire(name)));
            }
        }
        for session in &mut sessions {
            while !session.stream.is_empty() {
                session.read();
            }
        }
        assert!(adopted >= 2 && retired >= 1 && sessions[0].read > 5, "{adopted} {retired}");
    }
}

#[test]
fn a_version_in_use_is_not_retired_and_the_current_one_never() {
    let mut shelf = Shelf::new(2);
    let (first, second) = (dictionary(1), dictionary(2));
    shelf.adopt(first.clone()).unwrap();
    assert!(shelf.note_use(first.name(), 10));
    assert!(shelf.retire(100).is_empty());
    shelf.adopt(second.clone()).unwrap();
    assert!(shelf.adopt(dictionary(3)).is_err());
    assert!(shelf.retire(10).is_empty());
    assert_eq!(shelf.retire(11), [first.name()]);
    assert!(!shelf.note_use(first.name(), 12), "it is gone");
    assert_eq!(shelf.current().map(Dictionary::name), Some(second.name()));
}
