//! Blocks: what goes in comes out, in fewer bytes, and nothing that a peer sends does harm.

mod dictionaries;
mod hostile;
mod linear;
mod retirement;
mod round_trip;
#[path = "../choose/traces.rs"]
#[allow(dead_code, reason = "shared with the tests of `choose`")]
mod traces;

use nyx_protocol::compress::dictionary::{Config, Dictionary, Trainer};
use nyx_protocol::compress::{Block, Compressor, Decompressor, Method, Reference};
use traces::{Random, entity};

/// More than any payload here.
const LIMIT: usize = 1 << 20;

fn pack(payload: &[u8], method: Method<'_>) -> Vec<u8> {
    Compressor::new().compress(payload, method).to_vec()
}

fn unpack(bytes: &[u8], reference: Reference<'_>) -> Vec<u8> {
    let mut content = Vec::new();
    let block = Block::parse(bytes, LIMIT).unwrap();
    Decompressor::new().decompress(&block, reference, &mut content).unwrap();
    content
}

/// A dictionary for entities.
fn dictionary(version: u32) -> Dictionary {
    let mut random = Random(version.into());
    let mut trainer = Trainer::new(5, Config::default());
    (0..2000).for_each(|n| trainer.observe(entity(&mut random, n % 200).as_bytes()));
    let trained = trainer.job().unwrap().run().unwrap();
    let name = nyx_protocol::compress::dictionary::Name { id: 5, version };
    Dictionary::new(name, trained.dictionary.content()).unwrap()
}
