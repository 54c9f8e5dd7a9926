//! The reading side.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker, ready};
use std::thread::{self, Thread};
use std::time::Duration;

use nyx_core::clock::Monotonic;
use nyx_core::{Clock as _, Instant};

use super::chunk::Chunk;
use super::metrics::Metrics;
use super::shared::{Shared, Slot, count};
use crate::format::Format;

/// Takes chunks, one or many at a time: by blocking, in a task, or by looking now and then.
///
/// A blocking reader is woken when there is something for it and not otherwise, so there is no reason to poll unless a loop of
/// one's own runs anyway; [`crate::poller`] then says how often. All chunks that were captured can be read before the queue says that it has ended.
///
/// ```
/// use nyx_audio_capture::{Capture, Format, capture, input, synth};
///
/// let source = synth::Ramp::new(Format::new(48_000, 2)?);
/// let (capture, mut reader) = Capture::start(input::Paced::new(source), capture::Config::default())?;
/// let chunk = reader.recv().expect("it has just begun");
/// assert_eq!((chunk.sequence, chunk.frames()), (0, 480));
/// capture.stop()?;
/// while reader.recv().is_some() {}
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reader {
    shared: Arc<Shared>,
    format: Format,
    clock: Monotonic,
    /// The number of the chunk that comes next if none is missing.
    next_sequence: u64,
    sleeper: Sleeper,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, format: Format, clock: Monotonic) -> Self {
        Self { shared, format, clock, next_sequence: 0, sleeper: Sleeper::new() }
    }

    /// Rate and channels of all chunks.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The oldest chunk, if there is one: for readers that poll.
    pub fn try_recv(&mut self) -> Option<Chunk> {
        let Slot { head, samples, pushed } = self.shared.take()?;
        count(&self.shared.counters.popped);
        self.shared.counters.latency.0.record(self.clock.now() - pushed);
        let missed = head.sequence.saturating_sub(self.next_sequence);
        self.next_sequence = head.sequence + 1;
        Some(Chunk::new(head, samples, self.format, missed, Arc::clone(&self.shared)))
    }

    /// Whether the capture has ended and all of it was read.
    pub fn is_ended(&self) -> bool {
        // Closed first: what was put in before that is then seen.
        self.shared.is_closed() && self.shared.full.is_empty()
    }

    /// The next chunk. Blocks until there is one; `None` when the capture has ended and all of it was read.
    ///
    /// `None` too, and at once, where all memory is in [`Chunk`]s that are kept: none can come before one of them is dropped, and to wait for that would be to wait for
    /// ever where the same thread keeps them. [`Self::is_ended`] tells which it was.
    pub fn recv(&mut self) -> Option<Chunk> {
        self.recv_until(None)
    }

    /// The same, but blocks for `timeout` at most: `None` then too, and [`Self::is_ended`] tells which it was.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<Chunk> {
        self.recv_until(Some(self.clock.now() + timeout))
    }

    fn recv_until(&mut self, deadline: Option<Instant>) -> Option<Chunk> {
        loop {
            let chunks = self.possible(1);
            let in_time = self.block_until(chunks, deadline);
            let chunk = self.try_recv();
            if chunk.is_some() || !in_time || self.is_over(chunks) {
                return chunk;
            }
        }
    }

    /// Appends chunks to `batch`. Blocks until there are `chunks`, and then takes as many; fewer at the end, none after it.
    ///
    /// Each batch costs one wake-up, and each chunk in it as much more delay as the chunks take that follow it. At most as many as the queue holds, and as
    /// chunks that are kept leave memory for, those in `batch` among them; so fewer, or none where all is kept, does not mean the end: [`Self::is_ended`] tells.
    pub fn recv_batch(&mut self, chunks: usize, batch: &mut Vec<Chunk>) -> usize {
        loop {
            let chunks = self.possible(chunks);
            self.block_until(chunks, None);
            let taken = self.take(chunks, batch);
            if taken > 0 || self.is_over(chunks) {
                return taken;
            }
        }
    }

    /// The next chunk, for a task: `Ready(None)` where [`Self::recv`] returns `None`.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        loop {
            let chunks = self.possible(1);
            ready!(self.poll_depth(chunks, cx));
            let chunk = self.try_recv();
            if chunk.is_some() || self.is_over(chunks) {
                return Poll::Ready(chunk);
            }
        }
    }

    /// [`Self::recv`] for a task.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future.
    pub async fn next(&mut self) -> Option<Chunk> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`Self::recv_batch`] for a task.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future.
    pub async fn next_batch(&mut self, chunks: usize, batch: &mut Vec<Chunk>) -> usize {
        loop {
            let chunks = self.possible(chunks);
            poll_fn(|cx| self.poll_depth(chunks, cx)).await;
            let taken = self.take(chunks, batch);
            if taken > 0 || self.is_over(chunks) {
                return taken;
            }
        }
    }

    /// What the queue has done so far.
    pub fn metrics(&self) -> Metrics {
        self.shared.metrics()
    }

    fn take(&mut self, chunks: usize, batch: &mut Vec<Chunk>) -> usize {
        let before = batch.len();
        batch.extend(std::iter::from_fn(|| self.try_recv()).take(chunks));
        batch.len() - before
    }

    /// More than the queue can hold never comes. Chunks that are dropped meanwhile make it more, never less.
    fn possible(&self, chunks: usize) -> usize {
        chunks.max(1).min(self.shared.possible())
    }

    fn has(&self, chunks: usize) -> bool {
        self.shared.is_closed() || self.shared.full.len() >= chunks
    }

    /// Whether nothing will come where nothing was found, `chunks` having been possible. Otherwise what was there was taken back, for want of memory:
    /// the chunk that is being filled goes before the oldest.
    fn is_over(&self, chunks: usize) -> bool {
        chunks == 0 || self.is_ended()
    }

    fn poll_depth(&mut self, chunks: usize, cx: &Context<'_>) -> Poll<()> {
        if self.has(chunks) {
            return Poll::Ready(());
        }
        self.shared.bell.listen(chunks, cx.waker());
        if self.has(chunks) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Parks this thread until there are so many chunks, or the queue is closed; `false`: time was up before.
    fn block_until(&mut self, chunks: usize, deadline: Option<Instant>) -> bool {
        let mut found = self.has(chunks);
        while !found {
            // Each time, as what was found may be gone when it is looked for again.
            self.shared.bell.listen(chunks, self.sleeper.waker());
            if self.has(chunks) {
                break;
            }
            let Some(wait) = Wait::until(deadline, &self.clock) else { return false };
            wait.park();
            found = self.has(chunks);
            if !found && deadline.is_some_and(|deadline| self.clock.now() >= deadline) {
                return false;
            }
            count(&self.shared.counters.wakeups);
            self.shared.counters.empty_wakeups.fetch_add((!found).into(), Ordering::Relaxed);
        }
        true
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("format", &self.format)
            .field("depth", &self.shared.full.len())
            .finish()
    }
}

/// How long to park.
enum Wait {
    Forever,
    For(Duration),
}

impl Wait {
    /// `None` when the deadline is past.
    fn until(deadline: Option<Instant>, clock: &Monotonic) -> Option<Self> {
        let Some(deadline) = deadline else { return Some(Self::Forever) };
        let left = deadline - clock.now();
        (!left.is_zero()).then_some(Self::For(left))
    }

    fn park(self) {
        match self {
            Self::Forever => thread::park(),
            Self::For(time) => thread::park_timeout(time),
        }
    }
}

/// The waker of the thread that blocks, kept from one time to the next.
struct Sleeper {
    thread: Thread,
    waker: Waker,
}

impl Sleeper {
    fn new() -> Self {
        Self::of(thread::current())
    }

    fn of(thread: Thread) -> Self {
        let waker = Waker::from(Arc::new(Unpark(thread.clone())));
        Self { thread, waker }
    }

    /// The waker of this thread: a reader may move to another one.
    fn waker(&mut self) -> &Waker {
        let current = thread::current();
        if self.thread.id() != current.id() {
            *self = Self::of(current);
        }
        &self.waker
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}
