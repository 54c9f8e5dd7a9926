//! The whole document as a protobuf message, by prost.

use anyhow::Context as _;

use super::{Update, Way};
use crate::updates::typed::{Schema, Typed};

#[derive(Default)]
pub(super) struct Message {
    schema: Option<Schema>,
    held: Option<Typed>,
}

impl Way for Message {
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let message = update.after.typed.as_ref().context("there is no schema")?;
        self.schema = Some(message.schema());
        Ok(message.encode(out)?)
    }

    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let schema = self.schema.context("nothing was sent")?;
        self.held = Some(Typed::decode(schema, bytes)?);
        Ok(())
    }

    fn holds(&self, update: &Update) -> bool {
        self.held == update.after.typed
    }
}
