//! The difference, as JSON.

use serde_json::{Map, Value};

use super::{Update, Way, is_about};

/// RFC 6902, by the crate json-patch.
pub(super) struct JsonPatch {
    held: Value,
}

impl JsonPatch {
    pub(super) const fn new(start: Value) -> Self {
        Self { held: start }
    }
}

impl Way for JsonPatch {
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        Ok(serde_json::to_writer(out, &json_patch::diff(&update.before.json, &update.after.json))?)
    }

    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let patch: json_patch::Patch = serde_json::from_slice(bytes)?;
        Ok(json_patch::patch(&mut self.held, &patch)?)
    }

    fn holds(&self, update: &Update) -> bool {
        is_about(&self.held, &update.after.json)
    }
}

/// RFC 7386; applied by the crate json-patch, which has nothing that makes one.
pub(super) struct MergePatch {
    held: Value,
}

impl MergePatch {
    pub(super) const fn new(start: Value) -> Self {
        Self { held: start }
    }
}

impl Way for MergePatch {
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let difference = difference(&update.before.json, &update.after.json);
        Ok(serde_json::to_writer(out, &difference.unwrap_or_else(|| Value::Object(Map::new())))?)
    }

    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        json_patch::merge(&mut self.held, &serde_json::from_slice(bytes)?);
        Ok(())
    }

    fn holds(&self, update: &Update) -> bool {
        is_about(&self.held, &update.after.json)
    }
}

/// `None` where nothing differs.
pub(in crate::updates) fn difference(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = new.iter().filter_map(|(key, new)| {
        let difference = match old.get(key) {
            Some(old) => difference(old, new)?,
            None => new.clone(),
        };
        Some((key.clone(), difference))
    });
    let entries: Map<_, _> = gone.chain(changed).collect();
    (!entries.is_empty()).then_some(Value::Object(entries))
}
