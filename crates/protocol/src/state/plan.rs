//! From a patch to the changes it makes to this very document.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::align::align;
use super::arrange::{Order, Piece};
use super::change::{Change, ListChange};
use super::keys::Interner;
use super::limits::Limits;
use super::node::{Body, List, Map, Node};
use super::patch::{ListOp, Patch, PatchError, Work, arranged, spliced};
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
            (Patch::Splice { head, tail, length, inserted }, Body::Leaf(leaf)) => {
                let value =
                    spliced(&leaf.value, (*head, *tail), *length, inserted).ok_or(PatchError::BadSplice)?;
                self.set(node, &value, depth)
            }
            (Patch::Splice { .. }, _) => Err(PatchError::BadSplice),
        }
    }

    /// Containers are compared inside, so that what is equal keeps its version.
    fn set(&mut self, node: &Node, value: &Value, depth: usize) -> Planned {
        match (&node.body, value) {
            (Body::Map(map), Value::Map(entries)) => self.set_map(map, entries, depth + 1),
            (Body::List(list), Value::List(values)) => self.set_list(list, values, depth + 1),
            (Body::Leaf(leaf), value) if leaf.value == *value => Ok(None),
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
        let is_same = |(node, value): (&Node, &Value)| node.is(value, table);
        if list.order.len() == values.len() && list.iter().zip(values).all(is_same) {
            return Ok(None);
        }
        let old: Vec<_> = list.iter().map(|node| node.value(table)).collect();
        let places = align(&old, values);
        let mut items = Vec::new();
        for (index, (place, value)) in places.iter().zip(values).enumerate() {
            if let Some(node) = place.and_then(|place| list.at(place)) {
                items.extend(self.set(node, value, depth)?.map(|change| (index, change)));
            }
        }
        let slots = places.into_iter().zip(values).map(|(place, value)| match place {
            Some(place) => Slot::Kept(place),
            None => Slot::New(Cow::Borrowed(value)),
        });
        let order = self.order(list, &slots.collect::<Vec<_>>(), depth)?;
        Ok(list_change(order, items))
    }

    fn list(&mut self, list: &List, ops: &[ListOp], depth: usize) -> Planned {
        if let Some(items) = items_alone(ops) {
            return self.stay(list, items, depth);
        }
        let mut slots: Vec<_> = (0..list.order.len()).map(Slot::Kept).collect();
        let mut edits: BTreeMap<usize, Vec<&Patch>> = BTreeMap::new();
        for op in ops {
            match op {
                ListOp::Splice { index, removed, inserted } => {
                    let range = self.work.splice(slots.len(), *index, *removed, inserted.len())?;
                    slots.splice(range, inserted.iter().map(|value| Slot::New(Cow::Borrowed(value))));
                }
                ListOp::Arrange { pieces, inserted } => {
                    self.work.order(slots.len(), pieces, inserted.len())?;
                    let fresh = inserted.iter().map(|value| Slot::New(Cow::Borrowed(value)));
                    slots = arranged(slots.into_iter(), pieces, fresh);
                }
                ListOp::Item { index, patch } => {
                    let length = slots.len();
                    match slots.get_mut(*index).ok_or(PatchError::OutOfRange { index: *index, length })? {
                        Slot::Kept(place) => edits.entry(*place).or_default().push(patch),
                        Slot::New(value) => patch.apply(value.to_mut(), &mut self.work)?,
                    }
                }
            }
        }
        let items = self.items(list, edits, &slots, depth)?;
        let order = self.order(list, &slots, depth)?;
        Ok(list_change(order, items))
    }

    /// Changes elements that stay where they are.
    fn stay<'p>(
        &mut self,
        list: &List,
        items: impl Iterator<Item = (usize, &'p Patch)>,
        depth: usize,
    ) -> Planned {
        let mut changes = Vec::new();
        for (index, patch) in items {
            let length = list.order.len();
            let node = list.at(index).ok_or(PatchError::OutOfRange { index, length })?;
            changes.extend(self.plan(node, patch, depth)?.map(|change| (index, change)));
        }
        Ok(list_change(None, changes))
    }

    /// Elements that were edited once are compared with their patch; those that were edited more often, and those
    /// that are gone by now (their patches must have fitted all the same), are worked out as plain values.
    fn items(
        &mut self,
        list: &List,
        edits: BTreeMap<usize, Vec<&Patch>>,
        slots: &[Slot<'_>],
        depth: usize,
    ) -> Result<Vec<(usize, Change)>, PatchError> {
        let kept = |(index, slot): (usize, &Slot<'_>)| Some((slot.kept()?, index));
        let kept: HashMap<_, _> = slots.iter().enumerate().filter_map(kept).collect();
        let mut items = Vec::new();
        for (place, patches) in edits {
            let Some(node) = list.at(place) else { continue };
            let index = kept.get(&place);
            let change = if let ([patch], true) = (&patches[..], index.is_some()) {
                self.plan(node, patch, depth)?
            } else {
                let mut value = node.value(self.keys.table());
                patches.iter().try_for_each(|patch| patch.apply(&mut value, &mut self.work))?;
                if index.is_some() { self.set(node, &value, depth)? } else { None }
            };
            items.extend(index.copied().zip(change));
        }
        items.sort_unstable_by_key(|(index, _)| *index);
        Ok(items)
    }

    /// The order that the slots make, and the nodes of what is new, if it is not the list's.
    fn order(
        &mut self,
        list: &List,
        slots: &[Slot<'_>],
        depth: usize,
    ) -> Result<Option<Arranged>, PatchError> {
        let order = Order::of(slots.iter().map(Slot::kept));
        if order.is_unchanged(list.order.len()) {
            return Ok(None);
        }
        let mut fresh = Vec::new();
        for slot in slots {
            if let Slot::New(value) = slot {
                fresh.push(self.build(value, depth)?);
            }
        }
        Ok(Some((order.into_pieces(), fresh)))
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
                let nodes = values.iter().map(|value| self.build(value, depth + 1));
                let nodes = nodes.collect::<Result<_, _>>()?;
                Ok(Node::list(self.version, nodes))
            }
            Value::F64(x) if !x.is_finite() => Err(PatchError::NotFinite),
            leaf => Ok(Node::leaf(self.version, leaf.clone())),
        }
    }
}

/// The patches of elements, if nothing but elements changes, each once and in order: then nothing needs to be known of the
/// others.
fn items_alone(ops: &[ListOp]) -> Option<impl Iterator<Item = (usize, &Patch)>> {
    let item = |op| if let &ListOp::Item { index, ref patch } = op { Some((index, patch)) } else { None };
    let ascend =
        ops.windows(2).all(|pair| item(&pair[0]).map(|item| item.0) < item(&pair[1]).map(|item| item.0));
    (ascend && ops.iter().all(|op| item(op).is_some())).then(|| ops.iter().filter_map(item))
}

/// A new order, and the new elements in it.
type Arranged = (Vec<Piece>, Vec<Node>);

/// A place in the list that a patch is making.
#[derive(Clone)]
enum Slot<'p> {
    /// With the element that was at this index.
    Kept(usize),
    New(Cow<'p, Value>),
}

impl Slot<'_> {
    fn kept(&self) -> Option<usize> {
        if let Self::Kept(place) = self { Some(*place) } else { None }
    }
}

fn list_change(order: Option<Arranged>, items: Vec<(usize, Change)>) -> Option<Change> {
    (order.is_some() || !items.is_empty()).then_some(Change::List(ListChange { order, items }))
}

/// Elements that the splices of a patch may move, per value that the document may hold: ample for editing a long
/// list here and there, and some ten milliseconds at worst.
const MOVES_PER_NODE: usize = 16;
