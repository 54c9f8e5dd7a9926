//! From a patch to the changes it makes to this very document.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use super::change::{Change, ListChange, Segment};
use super::diff::Middle;
use super::keys::Interner;
use super::limits::Limits;
use super::node::{Body, List, Map, Node};
use super::patch::{ListOp, Patch, PatchError, Work};
use super::value::Value;

/// Compares patches with the document, without touching it, and keeps only what differs.
pub(super) struct Planner<'a> {
    pub(super) keys: Interner<'a>,
    version: u64,
    depth_max: usize,
    work: Work,
}

/// `None` when nothing changes.
type Planned = Result<Option<Change>, PatchError>;

impl<'a> Planner<'a> {
    /// `version` is the one that the changes will lead to.
    pub(super) fn new(keys: Interner<'a>, version: u64, limits: &Limits) -> Self {
        let work = Work::new(limits.nodes.saturating_mul(MOVES_PER_NODE));
        Self { keys, version, depth_max: limits.depth_max(), work }
    }

    /// What the patch does to a node that lies in `depth` containers.
    pub(super) fn plan(&mut self, node: &Node, patch: &Patch, depth: usize) -> Planned {
        match (patch, &node.body) {
            (Patch::Set(value), _) => self.set(node, value, depth),
            (Patch::Remove, _) => Err(PatchError::MisplacedRemove),
            (Patch::Map(patches), Body::Map(map)) => self.map(map, patches, depth + 1),
            (Patch::Map(_), _) => self.create(patch, depth).map(|node| Some(Change::Set(node))),
            (Patch::List(ops), Body::List(list)) => self.list(list, ops, depth + 1),
            (Patch::List(_), _) => Err(PatchError::NotAList),
        }
    }

    /// Containers are compared inside, so that what is equal keeps its version.
    fn set(&mut self, node: &Node, value: &Value, depth: usize) -> Planned {
        match (&node.body, value) {
            (Body::Map(map), Value::Map(entries)) => self.set_map(map, entries, depth + 1),
            (Body::List(list), Value::List(values)) => self.set_list(list, values, depth + 1),
            (Body::Leaf(leaf), value) if leaf == value => Ok(None),
            _ => self.build(value, depth).map(|node| Some(Change::Set(node))),
        }
    }

    fn map(&mut self, map: &Map, patches: &BTreeMap<String, Patch>, depth: usize) -> Planned {
        let mut changes = Vec::new();
        for (key, patch) in patches {
            match (map.find(key, self.keys.table()), patch) {
                (Some((number, _)), Patch::Remove) => changes.push((number, Change::Remove)),
                (None, Patch::Remove) => {}
                (Some((number, node)), patch) => {
                    changes.extend(self.plan(node, patch, depth)?.map(|change| (number, change)));
                }
                (None, patch) => {
                    let node = self.create(patch, depth)?;
                    changes.push((self.keys.intern(key)?, Change::Set(node)));
                }
            }
        }
        Ok((!changes.is_empty()).then_some(Change::Map(changes)))
    }

    fn set_map(&mut self, map: &Map, entries: &BTreeMap<String, Value>, depth: usize) -> Planned {
        let table = self.keys.table();
        let gone = map.entries.keys().filter(|&&number| !entries.contains_key(table.text(number)));
        let mut changes: Vec<_> = gone.map(|&number| (number, Change::Remove)).collect();
        for (key, value) in entries {
            if let Some((number, node)) = map.find(key, table) {
                changes.extend(self.set(node, value, depth)?.map(|change| (number, change)));
            } else {
                let node = self.build(value, depth)?;
                changes.push((self.keys.intern(key)?, Change::Set(node)));
            }
        }
        Ok((!changes.is_empty()).then_some(Change::Map(changes)))
    }

    fn set_list(&mut self, list: &List, values: &[Value], depth: usize) -> Planned {
        let table = self.keys.table();
        let same = |i, j: usize| list.at(i).is_some_and(|node: &Node| node.is(&values[j], table));
        let middle = Middle::between(list.order.len(), values.len(), same);
        let mut items = Vec::new();
        for (place, value) in list.order.iter().zip(values).take(middle.paired).skip(middle.head) {
            if let Some(node) = list.node(place.id) {
                items.extend(self.set(node, value, depth)?.map(|change| (place.id, change)));
            }
        }
        let order = if list.order.len() == values.len() {
            None
        } else {
            let kept =
                |range: std::ops::Range<usize>| list.order[range].iter().map(|place| Slot::Kept(place.id));
            let fresh = values[middle.paired..middle.new_end].iter();
            let slots = kept(0..middle.paired)
                .chain(fresh.map(|value| Slot::New(Cow::Borrowed(value))))
                .chain(kept(middle.old_end..list.order.len()));
            Some(self.segments(list, slots, depth)?)
        };
        Ok(list_change(order, items))
    }

    fn list(&mut self, list: &List, ops: &[ListOp], depth: usize) -> Planned {
        let mut slots: Vec<_> = list.order.iter().map(|place| Slot::Kept(place.id)).collect();
        let mut edits: BTreeMap<u64, Vec<&Patch>> = BTreeMap::new();
        let mut spliced = false;
        for op in ops {
            match op {
                ListOp::Splice { index, removed, inserted } => {
                    let range = self.work.splice(slots.len(), *index, *removed, inserted.len())?;
                    spliced |= !range.is_empty() || !inserted.is_empty();
                    slots.splice(range, inserted.iter().map(|value| Slot::New(Cow::Borrowed(value))));
                }
                ListOp::Item { index, patch } => {
                    let length = slots.len();
                    match slots.get_mut(*index).ok_or(PatchError::OutOfRange { index: *index, length })? {
                        Slot::Kept(id) => edits.entry(*id).or_default().push(patch),
                        Slot::New(value) => patch.apply(value.to_mut(), &mut self.work)?,
                    }
                }
            }
        }
        let items = self.items(list, edits, spliced.then_some(&slots), depth)?;
        let order = if spliced { Some(self.segments(list, slots.into_iter(), depth)?) } else { None };
        Ok(list_change(order, items))
    }

    /// Elements that were edited once are compared with their patch; those that were edited more often, and those
    /// that are gone by now (their patches must have fitted all the same), are worked out as plain values.
    fn items(
        &mut self,
        list: &List,
        edits: BTreeMap<u64, Vec<&Patch>>,
        spliced: Option<&Vec<Slot<'_>>>,
        depth: usize,
    ) -> Result<Vec<(u64, Change)>, PatchError> {
        let kept = spliced.map(|slots| slots.iter().filter_map(Slot::kept).collect::<HashSet<_>>());
        let mut items = Vec::new();
        for (id, patches) in edits {
            let Some(node) = list.node(id) else { continue };
            let stays = kept.as_ref().is_none_or(|kept| kept.contains(&id));
            let change = if let ([patch], true) = (&patches[..], stays) {
                self.plan(node, patch, depth)?
            } else {
                let mut value = node.value(self.keys.table());
                patches.iter().try_for_each(|patch| patch.apply(&mut value, &mut self.work))?;
                if stays { self.set(node, &value, depth)? } else { None }
            };
            items.extend(change.map(|change| (id, change)));
        }
        Ok(items)
    }

    fn segments<'s>(
        &mut self,
        list: &List,
        slots: impl Iterator<Item = Slot<'s>>,
        depth: usize,
    ) -> Result<Vec<Segment>, PatchError> {
        let mut segments = Vec::new();
        let mut id = list.next_id;
        for slot in slots {
            match (slot, segments.last_mut()) {
                (Slot::Kept(id), Some(Segment::Kept { first, len })) if *first + *len == id => *len += 1,
                (Slot::Kept(first), _) => segments.push(Segment::Kept { first, len: 1 }),
                (Slot::New(value), _) => {
                    segments.push(Segment::New { id, node: self.build(&value, depth)? });
                    id += 1;
                }
            }
        }
        Ok(segments)
    }

    /// What a patch makes where there was nothing, or nothing of its sort.
    fn create(&mut self, patch: &Patch, depth: usize) -> Result<Node, PatchError> {
        if let Patch::Set(value) = patch {
            return self.build(value, depth);
        }
        let mut value = Value::Null;
        patch.apply(&mut value, &mut self.work)?;
        self.build(&value, depth)
    }

    fn build(&mut self, value: &Value, depth: usize) -> Result<Node, PatchError> {
        if matches!(value, Value::List(_) | Value::Map(_)) && depth >= self.depth_max {
            return Err(PatchError::TooDeep { limit: self.depth_max });
        }
        match value {
            Value::Map(values) => {
                let mut entries = BTreeMap::new();
                for (key, value) in values {
                    entries.insert(self.keys.intern(key)?, self.build(value, depth + 1)?);
                }
                Ok(Node::map(self.version, entries))
            }
            Value::List(values) => {
                let mut elements = BTreeMap::new();
                for (id, value) in (0..).zip(values) {
                    elements.insert(id, self.build(value, depth + 1)?);
                }
                Ok(Node::list(self.version, (0..values.len() as u64).collect(), elements))
            }
            Value::F64(x) if !x.is_finite() => Err(PatchError::NotFinite),
            leaf => Ok(Node::new(self.version, Body::Leaf(leaf.clone()))),
        }
    }
}

/// A place in the list that a patch is making.
#[derive(Clone)]
enum Slot<'p> {
    Kept(u64),
    New(Cow<'p, Value>),
}

impl Slot<'_> {
    fn kept(&self) -> Option<u64> {
        if let Self::Kept(id) = self { Some(*id) } else { None }
    }
}

fn list_change(order: Option<Vec<Segment>>, items: Vec<(u64, Change)>) -> Option<Change> {
    (order.is_some() || !items.is_empty()).then_some(Change::List(ListChange { order, items }))
}

/// Elements that the splices of a patch may move, per value that the document may hold: ample for editing a long
/// list here and there, and some ten milliseconds at worst.
const MOVES_PER_NODE: usize = 16;
