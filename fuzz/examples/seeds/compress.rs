//! Payloads that are compressed, and what they are compressed by.

use nyx_protocol::compress::dictionary::{Config, Trainer};
use nyx_protocol::compress::linear::Shape;
use nyx_protocol::compress::{Compressor, Level, Method};
use nyx_protocol::wire::codec;

use super::Seeds;

pub(super) fn decompress() -> Seeds {
    const PREFIX: &[u8] =
        br#"{"id":7,"name":"entity-0007","position":{"x":1.25,"y":7.5},"team":"north","state":"idle"}"#;
    let text =
        br#"{"id":8,"name":"entity-0008","position":{"x":1.25,"y":7.5},"team":"north","state":"idle"}"#
            .repeat(4);
    // The target's.
    let mut trainer = Trainer::new(1, Config::default());
    let record = |n: u32| {
        format!(r#"{{"id":{n},"name":"entity-{n:04}","x":{},"team":"north","state":"idle"}}"#, n * 7 % 997)
    };
    (0..2000).for_each(|n| trainer.observe(record(n).as_bytes()));
    let trained = trainer.job().expect("samples enough").run().expect("records that look alike");
    let mut compressor = Compressor::new();
    let mut block = |method| compressor.compress(&text, method).to_vec();
    vec![
        ("stored", block(Method::Stored)),
        ("zstd", block(Method::Level(Level::FAST))),
        ("dictionary", block(Method::Dictionary(&trained.dictionary))),
        ("prefix", block(Method::Prefix { base: 9, prefix: PREFIX, level: Level::FAST })),
    ]
}

pub(super) fn linear() -> Seeds {
    let shape = Shape::new(codec::AUDIO_S16LE, 2).expect("a shape of PCM");
    let wave: Vec<u8> =
        (0..300).flat_map(|at| ((at * at / 4 % 701 - 350) as i16 * 20).to_le_bytes()).collect();
    let seed = |pcm: &[u8]| Compressor::new().compress(pcm, Method::Linear(shape)).to_vec();
    vec![("stereo", seed(&wave)), ("silence", seed(&[0; 1920]))]
}

pub(super) fn dictionary() -> Seeds {
    let record =
        |n: u32| format!(r#"{{"id":{n},"team":"north","state":"idle","x":{}}}"#, n * 7 % 97).into_bytes();
    let content: Vec<u8> = (0..8).flat_map(record).collect();
    let payload: Vec<u8> = (8..16).flat_map(record).collect();
    vec![("records", [content, payload].concat())]
}
