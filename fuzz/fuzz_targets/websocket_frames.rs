//! Any bytes, in pieces of any size, give the same payload, the same control frames and the same refusal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nyx_transport::websocket::{Control, Decoder, Refusal};

fuzz_target!(|input: &[u8]| {
    let [piece, stream @ ..] = input else { return };
    let whole = decode(stream, stream.len());
    let pieces = decode(stream, usize::from(*piece));
    assert_eq!(whole, pieces, "the pieces in which a stream arrives change nothing");
});

/// What a stream that arrives in pieces says. Of the piece that was refused no payload is passed on, so it is left out.
fn decode(stream: &[u8], piece: usize) -> (Vec<Control>, Option<Refusal>, Option<Vec<u8>>) {
    let (mut payload, mut said, mut decoder) = (Vec::new(), Vec::new(), Decoder::default());
    for bytes in stream.chunks(piece.max(1)) {
        let mut bytes = bytes.to_vec();
        match decoder.decode(&mut bytes, |control| said.push(control)) {
            Ok(len) => payload.extend_from_slice(&bytes[..len]),
            Err(refusal) => return (said, Some(refusal), None),
        }
    }
    (said, None, Some(payload))
}
