//! Who reads a topic, how far each has come, and whom publishers wait for.
//!
//! Publishers of events are slowed while a *live* reader is more than `lag_bytes` behind. A reader stops being live when it
//! has not come half-way within `patience`, or when it has kept others waiting for that long in all without once catching up.
//! It is then overrun like any slow reader, and becomes live again when it has caught up.

use std::sync::Arc;
use std::time::Duration;

use nyx_core::Instant;
use nyx_stream::Cursor;
use slab::Slab;

use crate::shared::Shared;
use crate::topic::Baseline;

/// Where a reader stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// In a ring.
    Ring(Cursor),
    /// At a version of a document; `None`: it has nothing yet.
    Document(Option<u64>),
    /// The same of one that says what has arrived.
    Baseline(Baseline),
}

pub(crate) struct Reader {
    pub(crate) session: Arc<Shared>,
    slot: u32,
    pub(crate) place: Place,
    /// Whether its items leave as parcels, of which it is known later what became of them.
    pub(crate) gets_parcels: bool,
    /// Waits to be told of news.
    armed: bool,
    live: bool,
    /// Whether it is to miss nothing, so that publishers wait for it while it is live.
    lossless: bool,
    /// For how long it has held publishers back while others had nothing to read, since it last caught up.
    held: Duration,
}

impl Reader {
    /// Of a document it has nothing that a delta could start from.
    pub(crate) const fn forget_base(&mut self) {
        match &mut self.place {
            Place::Document(base) => *base = None,
            Place::Baseline(baseline) => baseline.forget(),
            Place::Ring(_) => {}
        }
    }

    fn offset(&self) -> u64 {
        match &self.place {
            Place::Ring(cursor) => cursor.offset(),
            Place::Document(_) | Place::Baseline(_) => u64::MAX,
        }
    }
}

#[derive(Default)]
pub(crate) struct Audience {
    readers: Slab<Reader>,
    armed: Vec<usize>,
    /// Publishers that wait.
    blocked: Vec<Arc<Shared>>,
    waiting: Option<Waiting>,
    /// No live reader is behind this offset. Readers only move forward, so it stays true while it is not renewed.
    slowest: u64,
}

/// The time for which publishers wait.
#[derive(Clone, Copy)]
struct Waiting {
    since: Instant,
    /// As they were told. Nobody waits for longer, though nobody may have said so.
    until: Instant,
}

/// What publishers wait for, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) lag_bytes: u64,
    pub(crate) patience: Duration,
}

impl Audience {
    pub(crate) fn len(&self) -> usize {
        self.readers.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Reader> {
        self.readers.iter().map(|(_, reader)| reader)
    }

    pub(crate) fn get_mut(&mut self, key: usize) -> Option<&mut Reader> {
        self.readers.get_mut(key)
    }

    pub(crate) fn join(
        &mut self,
        session: Arc<Shared>,
        slot: u32,
        place: Place,
        lossless: bool,
        gets_parcels: bool,
    ) -> usize {
        let (armed, live, held) = (false, lossless, Duration::ZERO);
        let reader = Reader { session, slot, place, gets_parcels, armed, live, lossless, held };
        if lossless {
            self.slowest = self.slowest.min(reader.offset());
        }
        self.readers.insert(reader)
    }

    /// Removes a reader, and lets publishers go on if they waited for it alone: their patience with others runs on.
    pub(crate) fn leave(&mut self, key: usize, appended: u64, terms: Patience) {
        self.readers.try_remove(key);
        self.armed.retain(|armed| *armed != key);
        if self.waiting.is_some() {
            self.renew_slowest(appended);
            if appended - self.slowest <= terms.lag_bytes / 2 {
                self.release();
            }
        }
    }

    /// No reader has a version any more that a delta could start from.
    pub(crate) fn forget_bases(&mut self) {
        for (_, reader) in &mut self.readers {
            reader.forget_base();
        }
    }

    /// There is nothing more for this reader: it is told when there is. It has caught up, unless there is nothing more only because
    /// publishers were `kept_waiting` for it.
    pub(crate) fn arm(&mut self, key: usize, kept_waiting: bool) {
        let Some(reader) = self.readers.get_mut(key) else { return };
        reader.live = reader.lossless;
        if !kept_waiting {
            reader.held = Duration::ZERO;
        }
        if !reader.armed {
            reader.armed = true;
            self.armed.push(key);
        }
    }

    /// Tells those who wait that there is news. Those who are busy will look by themselves.
    pub(crate) fn notify(&mut self) {
        for key in self.armed.drain(..) {
            if let Some(reader) = self.readers.get_mut(key) {
                reader.armed = false;
                reader.session.notify(reader.slot);
            }
        }
    }

    /// May a publisher append, `appended` bytes having been appended so far? If not: until when it should wait at most.
    /// It is woken, if there is someone to wake, when it may try again.
    pub(crate) fn admit(
        &mut self,
        now: Instant,
        appended: u64,
        terms: Patience,
        publisher: Option<&Arc<Shared>>,
    ) -> Result<(), Instant> {
        if appended - self.slowest.min(appended) <= terms.lag_bytes {
            return Ok(());
        }
        self.renew_slowest(appended);
        if appended - self.slowest <= terms.lag_bytes {
            return Ok(());
        }
        let since = self.waiting.map_or(now, |waiting| waiting.since);
        let waited = now.since(since);
        let behind =
            |reader: &Reader| reader.live && appended - reader.offset().min(appended) > terms.lag_bytes / 2;
        let mut deadline = None;
        for (_, reader) in &mut self.readers {
            if !behind(reader) {
                continue;
            }
            let left = terms.patience.saturating_sub(reader.held + waited);
            if left.is_zero() {
                reader.live = false;
            } else {
                deadline = Some(deadline.map_or(now + left, |at: Instant| at.min(now + left)));
            }
        }
        self.renew_slowest(appended);
        match deadline {
            Some(until) if appended - self.slowest > terms.lag_bytes => {
                self.waiting = Some(Waiting { since, until });
                if let Some(publisher) = publisher
                    && !self.blocked.iter().any(|waiting| Arc::ptr_eq(waiting, publisher))
                {
                    self.blocked.push(publisher.clone());
                }
                Err(until)
            }
            _ => {
                self.release();
                Ok(())
            }
        }
    }

    /// Reader `key`, which stood at `from`, has moved on. Lets publishers go on when the slowest has come half-way; says whether
    /// it was this one that they waited for.
    pub(crate) fn handle_progress(
        &mut self,
        now: Instant,
        key: usize,
        from: u64,
        appended: u64,
        terms: Patience,
    ) -> bool {
        let Some(waiting) = self.waiting.filter(|_| from <= self.slowest) else { return false };
        self.renew_slowest(appended);
        if appended - self.slowest > terms.lag_bytes / 2 {
            return false;
        }
        let kept_waiting = now.min(waiting.until).since(waiting.since);
        let others_idle = self.armed.iter().any(|armed| *armed != key);
        if let Some(reader) = self.readers.get_mut(key)
            && others_idle
        {
            reader.held += kept_waiting;
        }
        self.release();
        true
    }

    fn renew_slowest(&mut self, appended: u64) {
        let live = self.readers.iter().filter(|(_, reader)| reader.live);
        self.slowest = live.map(|(_, reader)| reader.offset()).min().unwrap_or(appended).min(appended);
    }

    fn release(&mut self) {
        self.waiting = None;
        for publisher in self.blocked.drain(..) {
            publisher.wake();
        }
    }
}

#[cfg(test)]
mod tests;
