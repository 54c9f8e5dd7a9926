//! Many messages at once, gathered into blocks.

use std::sync::Arc;

use bytes::BytesMut;
use nyx_protocol::wire::HEADER_LEN;

use super::{Handle, Payload, Promise, SendCause, SendError};
use crate::EventCodec;
use crate::outgoing::{BULK, Entry, Fate, LARGE};

/// Sends payloads in their order, and returns how many there were. With a promise, each one's result is settled there, also that of
/// one that can't be sent; without, the first that can't be sent ends it.
pub(super) async fn send<P: Payload>(
    handle: &Handle,
    codec: EventCodec,
    payloads: impl IntoIterator<Item = P>,
    promise: Option<&Arc<Promise>>,
) -> Result<u64, SendError<P>> {
    let envelope = handle.envelope(codec, None);
    let outgoing = &handle.shared().outgoing;
    let mut payloads = payloads.into_iter();
    let mut sent = 0;
    let entry = |end: u64, count| {
        promise.map(|promise| Entry { promise: promise.clone(), first: end - count, count })
    };
    // Room is waited for before a block is gathered, and no wait follows: a bound may be passed by one block.
    loop {
        let has_room = outgoing.has_room(BULK, promise.is_some()).await;
        let mut block = BytesMut::new();
        let (mut count, mut gathered) = (0, 0);
        let flush = |block: &mut BytesMut, count: &mut u64, end: u64| {
            if !block.is_empty() {
                outgoing.append_block(&envelope, std::mem::take(block), *count, entry(end, *count));
            }
            *count = 0;
        };
        let end = loop {
            if gathered >= BLOCK {
                break None;
            }
            let Some(payload) = payloads.next() else { break Some(Ok(())) };
            let len = payload.as_ref().len();
            let checked = if has_room { handle.check(len, None) } else { Err(SendCause::Closed) };
            if let Err(cause) = checked {
                let Some(promise) = promise else { break Some(Err(SendError { payload, cause })) };
                flush(&mut block, &mut count, sent);
                // Nobody waits for it yet.
                let _ = promise.settle(sent, 1, cause.into());
                sent += 1;
                continue;
            }
            gathered += HEADER_LEN + len;
            if len >= LARGE {
                flush(&mut block, &mut count, sent);
                sent += 1;
                // Full is no answer under an endless bound.
                if outgoing.try_append(usize::MAX, &envelope, payload, entry(sent, 1)).is_err()
                    && let Some(promise) = promise
                {
                    let _ = promise.settle(sent - 1, 1, Fate::Closed);
                }
                continue;
            }
            sent += 1;
            if block.capacity() - block.len() < HEADER_LEN + len {
                // The first few fit a small block; a long batch gets its full size at once.
                block.reserve(if block.is_empty() { SHORT.max(2 * len) } else { BLOCK + LARGE });
            }
            envelope.put_head(&mut block, len);
            block.extend_from_slice(payload.as_ref());
            count += 1;
        };
        flush(&mut block, &mut count, sent);
        match end {
            Some(result) => return result.map(|()| sent),
            None => continue,
        }
    }
}

/// Bytes gathered before they are handed to the writer: enough that its lock costs nothing per message.
const BLOCK: usize = 64 * 1024;

/// The first size of a block.
const SHORT: usize = 2048;
