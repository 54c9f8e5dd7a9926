//! The whole document each time.

use super::{Update, Way, is_about};

/// As JSON.
#[derive(Default)]
pub(super) struct Json {
    held: serde_json::Value,
}

impl Way for Json {
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        Ok(serde_json::to_writer(out, &update.after.json)?)
    }

    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.held = serde_json::from_slice(bytes)?;
        Ok(())
    }

    fn holds(&self, update: &Update) -> bool {
        is_about(&self.held, &update.after.json)
    }
}

/// As MessagePack, by the crate rmp-serde.
#[derive(Default)]
pub(super) struct MessagePack {
    held: serde_json::Value,
}

impl Way for MessagePack {
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        Ok(rmp_serde::encode::write(out, &update.after.json)?)
    }

    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.held = rmp_serde::from_slice(bytes)?;
        Ok(())
    }

    fn holds(&self, update: &Update) -> bool {
        is_about(&self.held, &update.after.json)
    }
}
