//! The op tree: what a patch or a received delta comes down to, before anything is touched.
//!
//! Both ways into a document end here. A patch is [planned](super::plan) and a delta [decoded](super::delta) into a
//! [`Change`] that names keys by number and elements by index; [`Change::fit`] checks it against the document and tells what
//! it costs; [`Change::commit`] then cannot fail. That is what makes either of them all or nothing.

use bytes::Bytes;

use super::arrange::{Kept, Piece};
use super::node::{Body, Cost, Element, List, Map, Node};
use super::number::Step;
use super::splice::Ends;
use super::value_codec::{scalar_len, sized_len};

/// What happens to a node.
#[derive(Debug)]
pub(super) enum Change {
    /// This replaces it. The node carries the new version already.
    Set(Node),
    /// It goes. Only as an entry of a map; of one that is not there, nothing happens.
    Remove,
    /// It is a number, and becomes another.
    Step(Step),
    /// It is text or bytes, and what lies between its ends is replaced.
    Splice {
        ends: Ends,
        inserted: Bytes,
    },
    /// Entries of this map change, each at most once, ascending.
    Map(Vec<(u32, Self)>),
    List(ListChange),
}

/// What happens to a list.
#[derive(Debug)]
pub(super) struct ListChange {
    /// The new order, if it changed, and the new elements.
    pub(super) order: Option<(Vec<Piece>, Vec<Node>)>,
    /// Changes to elements that were there and stay, by their index in the new order, ascending.
    pub(super) items: Vec<(usize, Change)>,
}

/// The change does not fit the document: it names something that is not there, or is something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Misfit;

impl Change {
    /// Checks the change against the node and returns what it adds to the document's cost.
    pub(super) fn fit(&self, node: &Node) -> Result<Cost, Misfit> {
        match (self, &node.body) {
            (Self::Set(fresh), _) => Ok(fresh.cost() - node.cost()),
            (Self::Step(step), Body::Leaf(leaf)) => {
                let value = step.apply(&leaf.value).ok_or(Misfit)?;
                Ok(Cost::bytes(scalar_len(&leaf.value), scalar_len(&value)))
            }
            (Self::Splice { ends, inserted }, Body::Leaf(leaf)) => {
                let len = ends.fit(&leaf.value, inserted).ok_or(Misfit)?;
                Ok(Cost::bytes(scalar_len(&leaf.value), sized_len(len)))
            }
            (Self::Map(entries), Body::Map(map)) => fit_map(map, entries),
            (Self::List(change), Body::List(list)) => change.fit(list),
            _ => Err(Misfit),
        }
    }

    /// Makes a change that [fits](Self::fit).
    pub(super) fn commit(self, node: &mut Node, version: u64) {
        match (self, &mut node.body) {
            (Self::Set(Node { body: Body::Leaf(fresh), .. }), Body::Leaf(leaf)) => {
                leaf.replace(node.version, fresh.value);
            }
            (Self::Set(fresh), _) => *node = fresh,
            (Self::Step(step), Body::Leaf(leaf)) => {
                if let Some(value) = step.apply(&leaf.value) {
                    leaf.replace(node.version, value);
                }
            }
            (Self::Splice { ends, inserted }, Body::Leaf(leaf)) => {
                if let Some(value) = ends.apply(&leaf.value, &inserted) {
                    leaf.replace(node.version, value);
                }
            }
            (Self::Map(entries), Body::Map(map)) => commit_map(map, entries, version),
            (Self::List(change), Body::List(list)) => change.commit(list, version),
            _ => debug_assert!(false, "committed a change that does not fit"),
        }
        node.version = version;
    }
}

fn fit_map(map: &Map, changes: &[(u32, Change)]) -> Result<Cost, Misfit> {
    let mut cost = Cost::default();
    for (key, change) in changes {
        match (change, map.entries.get(key)) {
            (Change::Remove, Some(node)) => cost = cost - Cost::ENTRY - node.cost(),
            (Change::Remove, None) => {}
            (Change::Set(node), None) => cost += Cost::ENTRY + node.cost(),
            (_, None) => return Err(Misfit),
            (change, Some(node)) => cost += change.fit(node)?,
        }
    }
    Ok(cost)
}

fn commit_map(map: &mut Map, changes: Vec<(u32, Change)>, version: u64) {
    for (key, change) in changes {
        match (change, map.entries.get_mut(&key)) {
            (Change::Remove, None) => continue,
            (Change::Remove, Some(_)) => drop(map.entries.remove(&key)),
            (Change::Set(node), None) => drop(map.entries.insert(key, node)),
            (change, Some(node)) => change.commit(node, version),
            (_, None) => debug_assert!(false, "committed a change that does not fit"),
        }
        map.log.push(version, key.into());
    }
    map.tidy();
}

impl ListChange {
    fn fit(&self, list: &List) -> Result<Cost, Misfit> {
        let mut cost = Cost::default();
        let unmoved = [Piece::Kept { from: 0, len: list.order.len() }];
        let mut pieces = &unmoved[..];
        if let Some((order, fresh)) = &self.order {
            pieces = order;
            let kept = Kept::of(order.iter().copied(), list.order.len()).ok_or(Misfit)?;
            fresh.iter().for_each(|node| cost += node.cost());
            let gone = kept.gone(list.order.len()).filter_map(|index| list.at(index));
            gone.for_each(|node| cost = cost - node.cost());
        }
        let mut start = 0;
        let mut items = self.items.iter().peekable();
        for piece in pieces {
            let end = start + piece.len();
            while let Some((index, change)) = items.next_if(|(index, _)| *index < end) {
                let Piece::Kept { from, .. } = piece else { return Err(Misfit) };
                cost += change.fit(list.at(from + (index - start)).ok_or(Misfit)?)?;
            }
            start = end;
        }
        if items.next().is_some() { Err(Misfit) } else { Ok(cost) }
    }

    fn commit(self, list: &mut List, version: u64) {
        if let Some((pieces, fresh)) = self.order {
            commit_order(list, pieces, fresh, version);
        }
        for (index, change) in self.items {
            let Some(&id) = list.order.get(index) else { continue };
            if let Some(element) = list.elements.get_mut(&id) {
                change.commit(&mut element.node, version);
                list.log.push(version, id);
            }
        }
        list.tidy();
    }
}

fn commit_order(list: &mut List, pieces: Vec<Piece>, fresh: Vec<Node>, version: u64) {
    let len = list.order.len();
    let old = std::mem::take(&mut list.order);
    if let Some(kept) = Kept::of(pieces.iter().copied(), len) {
        for index in kept.gone(len) {
            list.elements.remove(&old[index]);
        }
    }
    list.is_plain &= is_append(&pieces, len) && list.next_id == len as u64;
    let mut fresh = fresh.into_iter();
    for piece in &pieces {
        match *piece {
            Piece::Kept { from, len } => list.order.extend_from_slice(&old[from..from + len]),
            Piece::New { len } => {
                for node in fresh.by_ref().take(len) {
                    list.order.push(list.next_id);
                    list.elements.insert(list.next_id, Element { added: version, node });
                    list.next_id += 1;
                }
            }
        }
    }
    list.orders.push(version, pieces.into(), len, list.order.len());
}

/// Whether all elements stay where they are, and others come behind them.
fn is_append(pieces: &[Piece], len: usize) -> bool {
    let added = match pieces {
        [Piece::Kept { from: 0, len: kept }, added @ ..] if *kept == len => added,
        added if len == 0 => added,
        _ => return false,
    };
    added.iter().all(|piece| matches!(piece, Piece::New { .. }))
}
