//! What each way is told.

use std::rc::Rc;

use nyx_protocol::state::Value;

use super::typed::{Schema, Typed};

/// A document before and after a tick, in the forms that the ways start from.
pub(super) struct Update {
    pub(super) before: Rc<Form>,
    pub(super) after: Rc<Form>,
}

/// One document as a program may have it at hand.
pub(super) struct Form {
    pub(super) value: Value,
    pub(super) json: serde_json::Value,
    /// For those that have a schema.
    pub(super) typed: Option<Typed>,
}

impl Form {
    pub(super) fn new(value: Value, schema: Option<Schema>) -> anyhow::Result<Self> {
        let json = serde_json::to_value(&value)?;
        let typed = schema.map(|schema| Typed::of(schema, json.clone())).transpose()?;
        Ok(Self { value, json, typed })
    }
}
