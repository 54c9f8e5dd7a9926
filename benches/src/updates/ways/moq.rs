//! moq-json: a snapshot, then merge patches, each group one DEFLATE stream if so configured.

use anyhow::Context as _;
use moq_json::Compression;
use moq_json::snapshot::consumer::Config as Receiving;
use moq_json::snapshot::{Config, Decoder, Encoder};
use serde_json::Value;

use super::{Update, Way, is_about};
use crate::updates::update::Form;

pub(super) struct Snapshots {
    sender: Encoder<Value>,
    receiver: Decoder<Value>,
    /// Whether the last frame began a group, which its transport tells.
    is_snapshot: bool,
}

impl Snapshots {
    /// Both ends hold `start`: the first snapshot is not part of what is measured, as it is not for the others.
    pub(super) fn new(start: &Form, deflates: bool) -> anyhow::Result<Self> {
        let (mut config, mut receiving) = (Config::default(), Receiving::default());
        config.compression = if deflates { Compression::Deflate } else { Compression::None };
        receiving.compression = config.compression;
        let (sender, receiver) = (Encoder::new(config), Decoder::new(receiving));
        let mut snapshots = Self { sender, receiver, is_snapshot: true };
        let mut first = Vec::new();
        snapshots.send(&start.json, &mut first)?;
        snapshots.apply(&first)?;
        Ok(snapshots)
    }

    fn send(&mut self, value: &Value, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let frame = self.sender.update(value)?.context("an update changes something")?;
        out.extend_from_slice(&frame.payload);
        self.is_snapshot = frame.keyframe;
        frame.commit();
        Ok(())
    }
}

impl Way for Snapshots {
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        self.send(&update.after.json, out)
    }

    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if self.is_snapshot {
            self.receiver.snapshot(bytes)?
        } else {
            self.receiver.delta(bytes)?
        }
        Ok(())
    }

    fn holds(&self, update: &Update) -> bool {
        self.receiver.value().is_some_and(|held| is_about(held, &update.after.json))
    }
}
