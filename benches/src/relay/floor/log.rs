//! The chunks that some subscriber still wants, and how far each has come.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use slab::Slab;

/// The publisher is read no further while this many bytes wait for the slowest subscriber. Large enough that both
/// sides of the relay run in turns of many reads, small enough to stay in the processor's cache.
pub const LAG_BYTES: usize = 2 * 1024 * 1024;

/// Chunks of one publisher, stored once, with a cursor per subscriber.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// Number of the first chunk held.
    first: u64,
    held_bytes: usize,
    cursors: Slab<Cursor>,
    publisher: Option<Waker>,
}

#[derive(Debug)]
struct Cursor {
    next: u64,
    waker: Option<Waker>,
}

impl Log {
    /// A new subscriber, which gets what is appended from now on.
    pub(super) fn join(&self) -> usize {
        let state = &mut *self.0.lock();
        let next = state.end();
        state.cursors.insert(Cursor { next, waker: None })
    }

    /// A subscriber has gone and holds nobody back any more.
    pub(super) fn leave(&self, id: usize) {
        let publisher = {
            let state = &mut *self.0.lock();
            state.cursors.remove(id);
            state.trim()
        };
        wake(publisher);
    }

    /// Appends a chunk. `wakers` is room for those to wake, kept by the caller so that it is allocated once.
    pub(super) fn append(&self, chunk: Bytes, wakers: &mut Vec<Waker>) {
        {
            let state = &mut *self.0.lock();
            if state.cursors.is_empty() {
                return;
            }
            state.held_bytes += chunk.len();
            state.chunks.push_back(chunk);
            wakers.extend(state.cursors.iter_mut().filter_map(|(_, cursor)| cursor.waker.take()));
        }
        wakers.drain(..).for_each(Waker::wake);
    }

    /// Ready when no subscriber lags too far.
    pub(super) fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        let state = &mut *self.0.lock();
        if state.held_bytes < LAG_BYTES {
            return Poll::Ready(());
        }
        state.publisher = Some(context.waker().clone());
        Poll::Pending
    }

    /// Fills `out`, which is empty, with the subscriber's next chunks, at most `limit` of them.
    pub(super) fn poll_take(
        &self,
        id: usize,
        limit: usize,
        out: &mut VecDeque<Bytes>,
        context: &Context<'_>,
    ) -> Poll<()> {
        let publisher = {
            let state = &mut *self.0.lock();
            let cursor = &mut state.cursors[id];
            let from = (cursor.next - state.first) as usize;
            out.extend(state.chunks.iter().skip(from).take(limit).cloned());
            if out.is_empty() {
                cursor.waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            cursor.next += out.len() as u64;
            if from == 0 { state.trim() } else { None }
        };
        wake(publisher);
        Poll::Ready(())
    }
}

impl State {
    fn end(&self) -> u64 {
        self.first + self.chunks.len() as u64
    }

    /// Forgets what everyone has taken. Returns the publisher if it may go on.
    fn trim(&mut self) -> Option<Waker> {
        let end = self.end();
        let keep = self.cursors.iter().map(|(_, cursor)| cursor.next).min().unwrap_or(end);
        while self.first < keep
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.first += 1;
            self.held_bytes -= chunk.len();
        }
        if self.held_bytes < LAG_BYTES { self.publisher.take() } else { None }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(log: &Log, id: usize) -> Poll<Vec<Bytes>> {
        let mut out = VecDeque::new();
        log.poll_take(id, 64, &mut out, &Context::from_waker(Waker::noop())).map(|()| out.into())
    }

    #[test]
    fn each_subscriber_gets_every_chunk_once() {
        let log = Log::default();
        let (one, other) = (log.join(), log.join());
        for chunk in ["a", "b"] {
            log.append(Bytes::from_static(chunk.as_bytes()), &mut Vec::new());
        }
        assert_eq!(take(&log, one), Poll::Ready(vec!["a".into(), "b".into()]));
        assert_eq!(take(&log, one), Poll::Pending);
        assert_eq!(take(&log, other), Poll::Ready(vec!["a".into(), "b".into()]));
        assert_eq!(log.0.lock().held_bytes, 0);
    }

    #[test]
    fn the_slowest_holds_the_publisher_until_it_has_taken_or_left() {
        let log = Log::default();
        let context = Context::from_waker(Waker::noop());
        let (fast, slow) = (log.join(), log.join());
        log.append(Bytes::from(vec![0; LAG_BYTES]), &mut Vec::new());
        assert!(take(&log, fast).is_ready());
        assert_eq!(log.poll_room(&context), Poll::Pending);
        log.leave(slow);
        assert_eq!(log.poll_room(&context), Poll::Ready(()));
    }
}
