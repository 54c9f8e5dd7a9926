//! Any bytes as a message with a block unpack to plain messages or an error, within bounds; nothing is left of what failed, and a relay
//! counts the same items without opening it.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use nyx_protocol::compress::{Level, Method, Reference};
use nyx_protocol::pack::{self, Packer, Unpacker};
use nyx_protocol::wire::{self, Flags, HEADER_LEN, Header, Kind, Messages, Scan};

const LIMIT: usize = 16 * 1024;

/// What a message takes beside its payload, at most.
const OVERHEAD: usize = HEADER_LEN + wire::TIMESTAMP_LEN;

const PREFIX: &[u8] =
    br#"{"id":7,"name":"entity-0007","position":{"x":1.25,"y":7.5},"team":"north","state":"idle"}"#;

fuzz_target!(|input: &[u8]| {
    let Some((&flags, payload)) = input.split_first() else { return };
    let stamp = if flags & 1 == 0 { Flags::NONE } else { Flags::TIMESTAMP };
    let header = Header { flags: stamp.with(Flags::BLOCK), topic: 7, ..Header::data(Kind::Event) };
    let header = Header { length: payload.len() as u32, ..header };
    let stream = [&header.to_bytes()[..], payload].concat();
    if let Ok(Scan::Run(run)) = wire::scan(&stream, stream.len()) {
        unpack(&stream, run.count);
    }
    // The same bytes as a run of events: they come back, and have not grown.
    let mut run = BytesMut::new();
    for (at, record) in payload.chunks(usize::from(flags).max(1)).enumerate() {
        let header = Header { topic: 7, sequence: at as u32, ..Header::data(Kind::Event) };
        wire::put_message(&mut run, header, record);
    }
    let mut packed = BytesMut::new();
    Packer::new().pack_run(&run, Method::Level(Level::FAST), &mut packed);
    assert!(packed.len() <= run.len());
    assert_eq!(plain(&packed), run);
});

fn unpack(stream: &[u8], counted: u32) {
    let message = Messages::new(stream).next().expect("a whole message");
    let mut out = BytesMut::new();
    let reference = |block: &nyx_protocol::compress::Block<'_>| match block.encoding() {
        nyx_protocol::compress::Encoding::Prefix(version) => Reference::Prefix { version, content: PREFIX },
        _ => Reference::None,
    };
    match Unpacker::new().unpack(&message, reference, LIMIT, &mut out) {
        Ok(unpacked) => {
            assert_eq!(unpacked.count, counted);
            assert_eq!(Messages::new(&out).count(), counted as usize);
            assert!(out.len() <= LIMIT + counted as usize * OVERHEAD);
            assert!(Messages::new(&out).all(|message| !message.header.flags.contains(Flags::BLOCK)));
        }
        Err(_) => assert!(out.is_empty()),
    }
    // What a relay lets through may be corrupt, but no larger than it says.
    if let Ok(content) = pack::check(&message, LIMIT) {
        assert!(content <= LIMIT);
    }
}

fn plain(packed: &[u8]) -> BytesMut {
    let (mut out, mut unpacker, mut rest) = (BytesMut::new(), Unpacker::new(), packed);
    while let Some(message) = Messages::new(rest).next() {
        let (bytes, after) = rest.split_at(message.header.message_len());
        if message.header.flags.contains(Flags::BLOCK) {
            unpacker.unpack(&message, |_| Reference::None, 1 << 20, &mut out).expect("our own block");
        } else {
            out.extend_from_slice(bytes);
        }
        rest = after;
    }
    out
}
