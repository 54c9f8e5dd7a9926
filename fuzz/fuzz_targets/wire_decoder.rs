//! Any bytes, in pieces of any size, decode to the same messages, within bounds, and patching touches nothing else.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nyx_protocol::wire::{self, DecodeError, Flags, HEADER_LEN, Header, Messages, Run, Scan};

/// Small, so that inputs reach it.
const PAYLOAD_MAX: usize = 300;

fuzz_target!(|input: &[u8]| {
    let [piece, stream @ ..] = input else { return };
    let whole = decode(stream, stream.len());
    let pieces = decode(stream, usize::from(*piece));
    assert_eq!(whole, pieces, "the pieces in which a stream arrives change nothing");
});

/// The messages of a stream that arrives in pieces, and the error that ended it.
fn decode(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<DecodeError>) {
    let mut messages = Vec::new();
    let mut buffer = Vec::new();
    for bytes in stream.chunks(piece.max(1)) {
        buffer.extend_from_slice(bytes);
        loop {
            match wire::scan(&buffer, PAYLOAD_MAX) {
                Ok(Scan::Incomplete { needed }) => {
                    assert!(needed > 0 && buffer.len() + needed <= HEADER_LEN + wire::MAX_CONTROL_LEN);
                    break;
                }
                Ok(Scan::Control { len }) => messages.push(buffer.drain(..len).collect()),
                Ok(Scan::Run(run)) => {
                    take_run(&buffer.drain(..run.len).collect::<Vec<_>>(), run, &mut messages)
                }
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

fn take_run(bytes: &[u8], run: Run, messages: &mut Vec<Vec<u8>>) {
    let mut rest = bytes;
    for message in Messages::new(bytes) {
        assert_eq!((message.header.kind, message.header.topic), (Some(run.kind), run.topic));
        assert_eq!(rest.first_chunk(), Some(&message.header.to_bytes()), "a header reads and writes alike");
        let (message, after) = rest.split_at(message.header.message_len());
        messages.push(message.to_vec());
        rest = after;
    }
    assert!(rest.is_empty(), "a run is whole messages");
    // A block stands alone, and says itself how many items it has.
    let block =
        Messages::new(bytes).any(|message| message.header.flags.contains(Flags::BLOCK)).then_some(run.count);
    let messages = Messages::new(bytes).count();
    assert!(if block.is_some() { messages == 1 && run.count >= 1 } else { messages == run.count as usize });
    check_patch(bytes, bytes.len(), block);
    check_patch(bytes, bytes.len() / 2, block);
}

/// Patches whole messages until a limit is reached: their two fields and nothing else, and nothing after them.
/// `block` is the number of items of a run that is one block.
fn check_patch(run: &[u8], limit: usize, block: Option<u32>) {
    const TOPIC: u32 = 0xABCD_EF01;
    // Wraps around in a run of three.
    const FIRST: u32 = u32::MAX - 1;
    let mut patched = run.to_vec();
    let (len, count) = wire::patch_run(&mut patched, TOPIC, FIRST, limit);
    assert!(len >= limit);
    assert_eq!(patched[len..], run[len..]);
    let messages = Messages::new(&patched[..len]).count();
    assert_eq!(block.map_or(messages, |items| items as usize), count as usize);
    let mut sequence = FIRST;
    for (was, is) in Messages::new(&run[..len]).zip(Messages::new(&patched[..len])) {
        assert_eq!(is.header, Header { topic: TOPIC, sequence, ..was.header });
        assert_eq!((is.unix_micros, is.payload), (was.unix_micros, was.payload));
        sequence = sequence.wrapping_add(1);
    }
}
