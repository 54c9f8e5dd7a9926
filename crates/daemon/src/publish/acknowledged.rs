//! Lines of each of which the hub says what became of it.

use std::sync::Arc;

use nyx_client::publish::{Acknowledged, Receipts, Refused};
use tokio::sync::mpsc;

use super::input::Place;
use super::lines::{Lines, check_json, text};
use super::notes::Notes;
use super::tally::Tally;
use crate::exit::Outcome;
use crate::tell;

/// Lines that were published together.
struct UnderWay {
    place: Arc<Place>,
    lines: Vec<u64>,
    receipts: Receipts,
}

/// Publishes each line as an event, and counts and tells what becomes of them.
pub(super) async fn publish(lines: Lines, records: &Acknowledged, json: bool, tally: &Tally) -> Outcome {
    let (sender, results) = mpsc::channel(BATCHES);
    let (sent, ()) =
        tokio::join!(send(lines, records, json, tally, sender), tell(results, tally, Notes::new()?));
    sent
}

async fn send(
    lines: Lines,
    records: &Acknowledged,
    json: bool,
    tally: &Tally,
    under_way: mpsc::Sender<UnderWay>,
) -> Outcome {
    let Lines { blocks, ended, mut turns, mut notes } = lines;
    while let Ok(block) = blocks.recv().await {
        let good = block.lines().filter_map(|(number, line)| {
            let checked = if json { check_json(line) } else { text(line) };
            let line = checked.map_err(|why| block.reject(number, &why, &mut notes, tally)).ok()?;
            Some((number, line))
        });
        let good: Vec<_> = good.collect();
        // At a pace each line goes, and is answered, by itself.
        let size = if turns.are_free() { good.len().max(1) } else { 1 };
        for part in good.chunks(size) {
            turns.wait(part.iter().map(|(_, line)| line.len()).sum()).await;
            let receipts = records.publish_batch(part.iter().map(|(_, line)| line)).await;
            part.iter().for_each(|(_, line)| tally.send(line.len()));
            let lines = part.iter().map(|(number, _)| *number).collect();
            // The receiver is there until this sender is gone.
            let _ = under_way.send(UnderWay { place: block.place.clone(), lines, receipts }).await;
        }
    }
    ended.await?
}

async fn tell(mut under_way: mpsc::Receiver<UnderWay>, tally: &Tally, mut notes: Notes) {
    while let Some(UnderWay { place, lines, receipts }) = under_way.recv().await {
        for (line, result) in lines.into_iter().zip(receipts.await) {
            let Err(why) = result else {
                tally.accept();
                continue;
            };
            match why {
                Refused::InDoubt => tally.doubt(),
                _ => tally.refuse(),
            }
            match notes.next() {
                Some(0) => tell::note(format_args!("{place}, line {line}: {why}")),
                Some(untold) => {
                    tell::note(format_args!("{place}, line {line}: {why}; so are {untold} other lines"));
                }
                None => {}
            }
        }
    }
}

/// Batches that may be without a result; a batch is what was read at once, or one line at a pace.
const BATCHES: usize = 1024;
