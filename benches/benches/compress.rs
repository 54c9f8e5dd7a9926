//! Compressing a small record, a state document and an image: by each method of ours, by a fresh zstd context, and by LZ4.
//!
//! `nyx raw` finds out nothing and copies nothing: it is the floor. `nyx level` is level 1, as is the fresh context's.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use nyx_protocol::compress::dictionary::{Config, Dictionary, Trainer};
use nyx_protocol::compress::{Block, Compressor, Decompressor, Level, Method, Reference};

fn record_208b(c: &mut Criterion) {
    let mut random = fastrand::Rng::with_seed(1);
    let dictionary = trained(&mut random);
    let mut of_208_bytes = || {
        let mut entities = std::iter::repeat_with(|| entity(&mut random, 107));
        entities.find(|entity| entity.len() == 208).unwrap_or_default()
    };
    let (old, new) = (of_208_bytes(), of_208_bytes());
    group(c, "compress/record_208B", new.as_bytes(), old.as_bytes(), &dictionary);
}

fn state_16kb(c: &mut Criterion) {
    let mut random = fastrand::Rng::with_seed(2);
    let dictionary = trained(&mut random);
    let mut world: Vec<String> = (0..80).map(|id| entity(&mut random, id)).collect();
    let old = world.join(",");
    for id in [3, 40, 77] {
        world[id as usize] = entity(&mut random, id);
    }
    group(c, "compress/state_16KB", world.join(",").as_bytes(), old.as_bytes(), &dictionary);
}

fn jpeg_46kb(c: &mut Criterion) {
    let mut random = fastrand::Rng::with_seed(3);
    let dictionary = trained(&mut random);
    let mut image = || {
        let mut image = vec![0; 46_000];
        random.fill(&mut image);
        image[..4].copy_from_slice(&[0xFF, 0xD8, 0xFF, 0xE0]);
        image
    };
    group(c, "compress/jpeg_46KB", &image(), &image(), &dictionary);
}

fn group(c: &mut Criterion, id: &str, payload: &[u8], prefix: &[u8], dictionary: &Dictionary) {
    let mut group = c.benchmark_group(id);
    group.throughput(Throughput::Bytes(payload.len() as u64));
    let prefix_method = Method::Prefix { base: 1, prefix, level: Level::FAST };
    let prefix = Reference::Prefix { version: 1, content: prefix };
    for (name, method, reference) in [
        ("nyx raw", Method::Stored, Reference::None),
        ("nyx level", Method::Level(Level::FAST), Reference::None),
        ("nyx dictionary", Method::Dictionary(dictionary), Reference::Dictionary(dictionary)),
        ("nyx prefix", prefix_method, prefix),
    ] {
        ours(&mut group, (id, name), payload, method, reference);
    }
    group.bench_function("zstd fresh context", |b| {
        b.iter(|| zstd::bulk::compress(black_box(payload), 1).map(|out| out.len()));
    });
    let mut out = vec![0; lz4_flex::block::get_maximum_output_size(payload.len())];
    group.bench_function("lz4_flex", |b| {
        b.iter(|| lz4_flex::block::compress_into(black_box(payload), &mut out));
    });
    let fresh = zstd::bulk::compress(payload, 1).map_or(0, |out| out.len());
    let lz4 = lz4_flex::block::compress_into(payload, &mut out).unwrap_or(0);
    eprintln!("{id}: {fresh} bytes by a fresh context, {lz4} by lz4_flex");
    group.finish();
}

fn ours(
    group: &mut BenchmarkGroup<'_, WallTime>,
    (id, name): (&str, &str),
    payload: &[u8],
    method: Method<'_>,
    reference: Reference<'_>,
) {
    let mut compressor = Compressor::new();
    let bytes = compressor.compress(payload, method).to_vec();
    let mut content = Vec::new();
    let block = Block::parse(&bytes, payload.len());
    let unpacked =
        block.is_ok_and(|block| Decompressor::new().decompress(&block, reference, &mut content).is_ok());
    assert!(unpacked && content == payload);
    eprintln!("{id}: {} bytes of {} by {name}", bytes.len(), payload.len());
    group.bench_function(name, |b| {
        b.iter(|| black_box(compressor.compress(black_box(payload), method)).len());
    });
}

/// A dictionary of 8 KiB.
fn trained(random: &mut fastrand::Rng) -> Dictionary {
    let mut trainer = Trainer::new(1, Config::default());
    (0..4000).for_each(|n| trainer.observe(entity(random, n % 200).as_bytes()));
    let trained = trainer.job().map(|job| job.run());
    let Some(Ok(trained)) = trained else { panic!("entities are alike: {trained:?}") };
    trained.dictionary
}

fn entity(random: &mut fastrand::Rng, id: u32) -> String {
    let (x, y) = (f64::from(random.u32(..100_000)) / 100.0, f64::from(random.u32(..100_000)) / 100.0);
    format!(
        r#"{{"id":{id},"name":"entity-{id:04}","position":{{"x":{x:.2},"y":{y:.2},"z":0}},"velocity":{{"x":0.5,"y":-0.25}},"health":{},"alive":true,"visible":true,"team":"{}","state":"{}","inventory":{{"gold":{},"arrows":{}}}}}"#,
        random.u32(..101),
        TEAMS[random.usize(..TEAMS.len())],
        STATES[random.usize(..STATES.len())],
        random.u32(..5000),
        random.u32(..40),
    )
}

const TEAMS: [&str; 3] = ["north", "south", "wanderers"];
const STATES: [&str; 5] = ["idle", "walking", "running", "fighting", "asleep"];

criterion_group!(benches, record_208b, state_16kb, jpeg_46kb);
criterion_main!(benches);
