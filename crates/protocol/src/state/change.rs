//! The op tree: what a patch or a received delta comes down to, before anything is touched.
//!
//! Both ways into a document end here. A patch is [planned](super::plan) and a delta [decoded](super::delta) into a
//! [`Change`] that names keys and elements by number; [`Change::fit`] checks it against the document and tells what
//! it costs; [`Change::commit`] then cannot fail. That is what makes either of them all or nothing.

use super::node::{Body, Cost, Element, List, Map, Node, Place};

/// What happens to a node.
#[derive(Debug)]
pub(super) enum Change {
    /// This replaces it. The node carries the new version already.
    Set(Node),
    /// It goes. Only as an entry of a map; of one that is not there, nothing happens.
    Remove,
    /// Entries of this map change, each at most once.
    Map(Vec<(u32, Self)>),
    List(ListChange),
}

/// What happens to a list.
#[derive(Debug)]
pub(super) struct ListChange {
    /// The new order, if it changed.
    pub(super) order: Option<Vec<Segment>>,
    /// Changes to elements that were there and stay, each at most once.
    pub(super) items: Vec<(u64, Change)>,
}

/// A part of a list's order.
#[derive(Debug)]
pub(super) enum Segment {
    /// Elements that are there, with consecutive ids.
    Kept { first: u64, len: u64 },
    /// A new element.
    New { id: u64, node: Node },
}

/// The change does not fit the document: it names something that is not there, or is something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Misfit;

impl Change {
    /// Checks the change against the node and returns what it adds to the document's cost.
    pub(super) fn fit(&self, node: &Node) -> Result<Cost, Misfit> {
        match (self, &node.body) {
            (Self::Set(fresh), _) => Ok(fresh.cost() - node.cost()),
            (Self::Map(entries), Body::Map(map)) => fit_map(map, entries),
            (Self::List(change), Body::List(list)) => change.fit(list),
            _ => Err(Misfit),
        }
    }

    /// Makes a change that [fits](Self::fit).
    pub(super) fn commit(self, node: &mut Node, version: u64) {
        node.version = version;
        match (self, &mut node.body) {
            (Self::Set(fresh), _) => *node = fresh,
            (Self::Map(entries), Body::Map(map)) => commit_map(map, entries, version),
            (Self::List(change), Body::List(list)) => change.commit(list, version),
            _ => debug_assert!(false, "committed a change that does not fit"),
        }
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
        match change {
            Change::Remove => {
                if map.entries.remove(&key).is_none() {
                    continue;
                }
            }
            Change::Set(node) => {
                map.entries.insert(key, node);
            }
            change => {
                if let Some(node) = map.entries.get_mut(&key) {
                    change.commit(node, version);
                }
            }
        }
        map.log.push(version, key.into());
    }
    map.tidy();
}

impl ListChange {
    fn fit(&self, list: &List) -> Result<Cost, Misfit> {
        let mut cost = Cost::default();
        let kept = match &self.order {
            Some(order) => Some(fit_order(list, order, &mut cost)?),
            None => None,
        };
        for (id, change) in &self.items {
            if kept.as_ref().is_some_and(|kept| !kept.contains(*id)) {
                return Err(Misfit);
            }
            cost += change.fit(list.node(*id).ok_or(Misfit)?)?;
        }
        Ok(cost)
    }

    fn commit(self, list: &mut List, version: u64) {
        if let Some(order) = self.order {
            list.order_version = version;
            commit_order(list, order, version);
        }
        for (id, change) in self.items {
            if let Some(element) = list.elements.get_mut(&id) {
                change.commit(&mut element.node, version);
                list.log.push(version, id);
            }
        }
        list.tidy();
    }
}

/// Each kept element must be there and be named once, each new one must be new. Adds what comes and goes.
fn fit_order(list: &List, order: &[Segment], cost: &mut Cost) -> Result<Kept, Misfit> {
    let mut fresh = Vec::new();
    for segment in order {
        match segment {
            Segment::Kept { .. } => {}
            Segment::New { id, .. } if list.elements.contains_key(id) => return Err(Misfit),
            Segment::New { id, node } => {
                fresh.push(*id);
                *cost += node.cost();
            }
        }
    }
    fresh.sort_unstable();
    let kept = Kept::of(order);
    let twice = fresh.windows(2).any(|pair| pair[0] == pair[1]);
    let overlap = kept.runs.windows(2).any(|pair| pair[0].1 > pair[1].0);
    if twice || overlap || !kept.runs.iter().all(|&run| is_there(list, run)) {
        return Err(Misfit);
    }
    if !kept.all_of(list) {
        let gone = list.elements.iter().filter(|(id, _)| !kept.contains(**id));
        *cost = gone.fold(*cost, |cost, (_, element)| cost - element.node.cost());
    }
    Ok(kept)
}

fn is_there(list: &List, (first, end): (u64, u64)) -> bool {
    first < end && list.elements.range(first..end).count() as u64 == end - first
}

fn commit_order(list: &mut List, order: Vec<Segment>, version: u64) {
    let kept = Kept::of(&order);
    if !kept.all_of(list) {
        list.elements.retain(|id, _| kept.contains(*id));
    }
    list.order.clear();
    for segment in order {
        match segment {
            Segment::Kept { first, len } => {
                let run = list.elements.range(first..first + len);
                list.order.extend(run.map(|(&id, element)| Place { id, added: element.added }));
            }
            Segment::New { id, node } => {
                list.order.push(Place { id, added: version });
                list.elements.insert(id, Element { added: version, node });
                list.next_id = list.next_id.max(id + 1);
            }
        }
    }
}

/// The elements that stay, as ascending ranges of ids.
struct Kept {
    runs: Vec<(u64, u64)>,
}

impl Kept {
    fn of(order: &[Segment]) -> Self {
        let run = |segment: &Segment| match segment {
            Segment::Kept { first, len } => Some((*first, first.saturating_add(*len))),
            Segment::New { .. } => None,
        };
        let mut runs: Vec<_> = order.iter().filter_map(run).collect();
        runs.sort_unstable();
        Self { runs }
    }

    fn contains(&self, id: u64) -> bool {
        let after = self.runs.partition_point(|&(first, _)| first <= id);
        after > 0 && id < self.runs[after - 1].1
    }

    /// Whether nothing of the list goes, given that the runs fit it.
    fn all_of(&self, list: &List) -> bool {
        self.runs.iter().map(|(first, end)| end - first).sum::<u64>() == list.elements.len() as u64
    }
}
