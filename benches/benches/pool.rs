//! A buffer taken and given back: the pool beside malloc and beside pools of objects that hold `Vec<u8>`s.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use lockfree_object_pool::LinearObjectPool;
use nyx_core::pool::Pool;

/// Gives out an empty buffer, which comes back by itself.
fn get_drop(c: &mut Criterion) {
    for (name, size) in SIZES {
        let mut group = c.benchmark_group(format!("pool/get_drop/{name}"));
        group.throughput(Throughput::Elements(1));
        let pools = Pools::new(size);
        group.bench_function("nyx", |b| b.iter(|| black_box(pools.nyx.get(black_box(size)))));
        group.bench_function("BytesMut", |b| b.iter(|| black_box(BytesMut::with_capacity(black_box(size)))));
        group.bench_function("opool", |b| {
            b.iter(|| {
                black_box(pools.opool.get());
            });
        });
        group.bench_function("lockfree-object-pool", |b| {
            b.iter(|| {
                black_box(pools.linear.pull());
            });
        });
        group.bench_function("object-pool", |b| {
            b.iter(|| {
                let mut buffer = pools.object.pull(|| Vec::with_capacity(size));
                buffer.clear();
                black_box(buffer);
            });
        });
        group.finish();
    }
}

/// The same, and every byte is written.
fn get_write_drop(c: &mut Criterion) {
    for (name, size) in SIZES {
        let mut group = c.benchmark_group(format!("pool/get_write_drop/{name}"));
        group.throughput(Throughput::Bytes(size as u64));
        let pools = Pools::new(size);
        group.bench_function("nyx", |b| {
            b.iter(|| {
                let Ok(mut buffer) = pools.nyx.get(black_box(size)) else { return };
                buffer.put_bytes(1, size);
                black_box(&buffer[..]);
            });
        });
        group.bench_function("BytesMut", |b| {
            b.iter(|| {
                let mut buffer = BytesMut::with_capacity(black_box(size));
                buffer.put_bytes(1, size);
                black_box(&buffer[..]);
            });
        });
        group.bench_function("opool", |b| {
            b.iter(|| {
                let mut buffer = pools.opool.get();
                buffer.resize(black_box(size), 1);
                black_box(&buffer[..]);
            });
        });
        group.bench_function("lockfree-object-pool", |b| {
            b.iter(|| {
                let mut buffer = pools.linear.pull();
                buffer.resize(black_box(size), 1);
                black_box(&buffer[..]);
            });
        });
        group.bench_function("object-pool", |b| {
            b.iter(|| {
                let mut buffer = pools.object.pull(|| Vec::with_capacity(size));
                buffer.clear();
                buffer.resize(black_box(size), 1);
                black_box(&buffer[..]);
            });
        });
        group.finish();
    }
}

/// One thread fills and freezes, another drops; pools of objects by way of `Bytes::from_owner`.
fn freeze_remote(c: &mut Criterion) {
    for (name, size) in SIZES {
        let mut group = c.benchmark_group(format!("pool/freeze_remote/{name}"));
        group.throughput(Throughput::Elements(1));
        let pools = Pools::new(size);
        remote(&mut group, "nyx", || {
            let Ok(mut buffer) = pools.nyx.get(black_box(size)) else { return Bytes::new() };
            buffer.put_bytes(1, size);
            buffer.freeze()
        });
        remote(&mut group, "BytesMut", || {
            let mut buffer = BytesMut::with_capacity(black_box(size));
            buffer.put_bytes(1, size);
            buffer.freeze()
        });
        remote(&mut group, "opool", || {
            let mut buffer = Arc::clone(&pools.opool).get_rc();
            buffer.resize(black_box(size), 1);
            Bytes::from_owner(Owner(buffer))
        });
        remote(&mut group, "lockfree-object-pool", || {
            let mut buffer = pools.linear.pull_owned();
            buffer.resize(black_box(size), 1);
            Bytes::from_owner(Owner(buffer))
        });
        remote(&mut group, "object-pool", || {
            let mut buffer = pools.object.pull_owned(|| Vec::with_capacity(size));
            buffer.clear();
            buffer.resize(black_box(size), 1);
            Bytes::from_owner(Owner(buffer))
        });
        group.finish();
    }
}

fn remote(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut make: impl FnMut() -> Bytes) {
    group.bench_function(name, |b| {
        let (batches, from_batches) = sync_channel(BATCHES);
        let (done, from_done) = sync_channel(1);
        let dropper = thread::spawn(move || drop_batches(&from_batches, &done));
        b.iter_custom(|buffers| send_batches(&mut make, buffers, &batches, &from_done));
        drop(batches);
        assert!(dropper.join().is_ok());
    });
}

/// Drops what comes, and tells when a batch was the last of a round.
fn drop_batches(batches: &Receiver<(Vec<Bytes>, bool)>, done: &SyncSender<()>) {
    for (batch, last) in batches {
        drop(black_box(batch));
        if last {
            assert!(done.send(()).is_ok());
        }
    }
}

/// The time until so many buffers have been made here and dropped there.
#[expect(clippy::disallowed_methods, reason = "a bench measures wall time")]
fn send_batches(
    make: &mut impl FnMut() -> Bytes,
    buffers: u64,
    batches: &SyncSender<(Vec<Bytes>, bool)>,
    done: &Receiver<()>,
) -> Duration {
    let start = Instant::now();
    let mut left = buffers;
    while left > 0 {
        let batch: Vec<_> = (0..left.min(BATCH)).map(|_| make()).collect();
        left -= batch.len() as u64;
        assert!(batches.send((batch, left == 0)).is_ok());
    }
    assert!(done.recv().is_ok());
    start.elapsed()
}

/// Every contender, known to reuse what it gave out.
struct Pools {
    nyx: Pool,
    opool: Arc<opool::Pool<Capacity, Vec<u8>>>,
    linear: Arc<LinearObjectPool<Vec<u8>>>,
    object: Arc<object_pool::Pool<Vec<u8>>>,
}

impl Pools {
    fn new(size: usize) -> Self {
        let pools = Self {
            nyx: Pool::default(),
            opool: opool::Pool::new(RETAINED, Capacity(size)).to_rc(),
            linear: Arc::new(LinearObjectPool::new(move || Vec::with_capacity(size), Vec::clear)),
            object: Arc::new(object_pool::Pool::new(1, || Vec::with_capacity(size))),
        };
        pools.check(size);
        pools
    }

    /// A second buffer of each pool is the first one again, empty and large enough.
    fn check(&self, size: usize) {
        let reuses = |name: &str, mut take: Box<dyn FnMut() -> (*const u8, usize, usize) + '_>| {
            let (first, second) = (take(), take());
            assert_eq!(first, second, "{name} does not reuse");
            assert!(first.1 == 0 && first.2 >= size, "{name} gives {first:?}");
        };
        reuses(
            "nyx",
            Box::new(|| {
                self.nyx.get(size).map_or((&raw const NOTHING, 0, 0), |mut buffer| {
                    (buffer.spare_capacity_mut().as_ptr().cast(), buffer.len(), buffer.capacity())
                })
            }),
        );
        let look = |vec: &Vec<u8>| (vec.as_ptr(), vec.len(), vec.capacity());
        reuses("opool", Box::new(|| look(&self.opool.get())));
        reuses("lockfree-object-pool", Box::new(|| look(&self.linear.pull())));
        reuses("object-pool", Box::new(|| look(&self.object.pull(Vec::new))));
    }
}

/// Makes and empties the vectors of opool.
struct Capacity(usize);

impl opool::PoolAllocator<Vec<u8>> for Capacity {
    fn allocate(&self) -> Vec<u8> {
        Vec::with_capacity(self.0)
    }

    fn reset(&self, vec: &mut Vec<u8>) {
        vec.clear();
    }
}

/// What keeps the vector of another pool's guard alive within `Bytes`.
struct Owner<G>(G);

impl<G: std::ops::Deref<Target = Vec<u8>>> AsRef<[u8]> for Owner<G> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

static NOTHING: u8 = 0;

/// Buffers that travel together.
const BATCH: u64 = 32;

/// Batches that may be on their way, so that neither thread waits for the other each time.
const BATCHES: usize = 4;

/// Buffers that opool can hold: more than are ever under way.
const RETAINED: usize = 512;

const SIZES: [(&str, usize); 4] = [("64B", 64), ("1KiB", 1 << 10), ("32KiB", 32 << 10), ("64KiB", 64 << 10)];

criterion_group!(benches, get_drop, get_write_drop, freeze_remote);
criterion_main!(benches);
