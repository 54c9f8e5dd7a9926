//! From JSON to what Nyx sends, step by step: what each saves, of the game world and of small records.

use std::rc::Rc;

use anyhow::Context as _;
use nyx_protocol::compress::{Compressor, Level, Method};
use nyx_protocol::state::{Document, Limits, Patch, Value};
use nyx_protocol::wire::HEADER_LEN;

use super::report::{Line, Report};
use super::source;
use super::update::{Form, Update};
use super::ways::{Delta, Way as _, Zstd, difference};

/// Each step is a row of its own, from what is there before it to what is there after it. A step is taken where it does something: the
/// difference and its binary form of a document that changes, zstd of the snapshot that a new subscriber gets, and batches
/// of records that are too small to compress alone.
pub(super) fn measure(seed: u64, ticks: usize, report: &mut Report) -> anyhow::Result<()> {
    let subject = source::seeded(seed).into_iter().next().context("there are traces")?;
    let mut forms = Vec::new();
    for value in subject.values.take(ticks + 1) {
        forms.push(Rc::new(Form::new(value, None)?));
    }
    let mut ours = Delta::new(&forms[0].value)?;
    let mut zstd = Zstd::new();
    let [mut json, mut json_zstd, mut patch, mut delta] = [0, 0, 0, 0];
    let (mut full, mut squeezed, mut message) = (Vec::new(), Vec::new(), Vec::new());
    let (mut singles, mut batches) = (Vec::new(), Batches::default());
    for pair in forms.windows(2) {
        let update = Update { before: pair[0].clone(), after: pair[1].clone() };
        full.clear();
        serde_json::to_writer(&mut full, &update.after.json)?;
        json += full.len();
        squeezed.clear();
        zstd.compress(&full, &mut squeezed)?;
        json_zstd += squeezed.len();
        patch += serde_json::to_vec(&difference(&update.before.json, &update.after.json))?.len();
        message.clear();
        ours.encode(&update, &mut message)?;
        delta += message.len();
        records(&update, &mut singles)?;
        singles.drain(..).for_each(|record| batches.push(&record));
    }
    // The last ones, which wait for no more.
    batches.close();
    let mut step = |name: &str, from: (&str, usize), to: usize| {
        let percent = |bytes: usize| Some(100.0 * bytes as f64 / from.1.max(1) as f64);
        for (contender, bytes) in [(from.0, from.1), ("after it", to)] {
            report.push(Line {
                row: format!("step: {name}"),
                contender: contender.to_owned(),
                bytes: Some(bytes as f64 / ticks as f64),
                percent: percent(bytes),
                ..Line::default()
            });
        }
    };
    step("the difference alone, as JSON", ("the whole, as JSON", json), patch);
    step("binary encoding of the difference", ("the difference, as JSON", patch), delta);
    step("zstd of what is whole", ("the whole, as JSON", json), json_zstd);
    step("batches of ten small records", ("each in a message", batches.single_bytes), batches.batched_bytes);
    step("all together", ("the whole, as JSON", json), delta);
    snapshot(&forms[0].value, report)
}

/// A new subscriber's first message: binary and compressed, beside JSON.
fn snapshot(value: &Value, report: &mut Report) -> anyhow::Result<()> {
    let mut document = Document::new(1, Limits::default());
    document.patch(&Patch::Set(value.clone()))?;
    let mut plain = bytes::BytesMut::new();
    document.snapshot(&mut plain);
    let mut compressor = Compressor::new();
    let block = compressor.compress(&plain, Method::Level(Level::FAST)).len();
    let json = serde_json::to_vec(value)?.len();
    for (contender, bytes) in [("JSON", json), ("nyx", plain.len()), ("nyx + zstd", block)] {
        report.push(Line {
            row: "step: a snapshot".to_owned(),
            contender: contender.to_owned(),
            bytes: Some(bytes as f64),
            percent: Some(100.0 * bytes as f64 / json as f64),
            ..Line::default()
        });
    }
    Ok(())
}

/// What a publisher of events would say instead: each entity that changed, whole, as a small record.
fn records(update: &Update, out: &mut Vec<Vec<u8>>) -> anyhow::Result<()> {
    let entities = |form: &Form| form.json.get("entities").and_then(serde_json::Value::as_object).cloned();
    let (before, after) = (entities(&update.before), entities(&update.after));
    let (before, after) = before.zip(after).context("the world has entities")?;
    for (id, entity) in after.iter().filter(|(id, entity)| before.get(*id) != Some(entity)) {
        out.push(serde_json::to_vec(&serde_json::json!({ "id": id, "entity": entity }))?);
    }
    Ok(())
}

/// Records alone and by ten, each time in the fewest bytes that a block makes of them.
#[derive(Default)]
struct Batches {
    compressor: Compressor,
    waiting: Vec<u8>,
    count: usize,
    single_bytes: usize,
    batched_bytes: usize,
}

impl Batches {
    fn push(&mut self, record: &[u8]) {
        self.single_bytes += HEADER_LEN + self.compressor.compress(record, LEVEL).len();
        // In a batch each record says its length.
        self.waiting.extend_from_slice(&(record.len() as u16).to_be_bytes());
        self.waiting.extend_from_slice(record);
        self.count += 1;
        if self.count == BATCH {
            self.close();
        }
    }

    fn close(&mut self) {
        if self.count > 0 {
            self.batched_bytes += HEADER_LEN + self.compressor.compress(&self.waiting, LEVEL).len();
            self.waiting.clear();
            self.count = 0;
        }
    }
}

const LEVEL: Method<'static> = Method::Level(Level::FAST);

/// The default count of a batch that waits for more.
const BATCH: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_alone_is_counted_in_a_batch_as_well() {
        let mut batches = Batches::default();
        let record = [0x5A; 100];
        (0..BATCH + 3).for_each(|_| batches.push(&record));
        let of_whole_ones = batches.batched_bytes;
        batches.close();
        assert!(batches.batched_bytes > of_whole_ones);
        let closed = batches.batched_bytes;
        batches.close();
        assert_eq!(batches.batched_bytes, closed);
    }
}
