//! How the elements of a list stand after a change, told by how they stood before.
//!
//! A new order is pieced together from left to right: runs of elements that were there, which may move, and new ones.
//! That is the block-move form of W. F. Tichy, *The string-to-string correction problem with block moves*
//! (ACM TOCS 2(4), 1984): taking the longest run at each step needs the fewest pieces, and so an element that moves costs three
//! short pieces whatever the list's length, and an insertion never touches the tail.

use std::collections::VecDeque;

/// A part of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// Elements that were there, from this index of the old order on.
    Kept {
        /// The index of the first.
        from: usize,
        /// How many, at least one.
        len: usize,
    },
    /// New elements.
    New {
        /// How many, at least one.
        len: usize,
    },
}

impl Piece {
    pub(super) const fn len(self) -> usize {
        match self {
            Self::Kept { len, .. } | Self::New { len } => len,
        }
    }
}

/// An order in the making, with as few pieces as can be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Order(Vec<Piece>);

impl Order {
    /// The order in which each element has the given old index, or is new.
    pub(super) fn of(places: impl Iterator<Item = Option<usize>>) -> Self {
        let mut order = Self::default();
        for place in places {
            order.push(place.map_or(Piece::New { len: 1 }, |from| Piece::Kept { from, len: 1 }));
        }
        order
    }

    pub(super) fn push(&mut self, piece: Piece) {
        match (self.0.last_mut(), piece) {
            (_, Piece::Kept { len: 0, .. } | Piece::New { len: 0 }) => {}
            (Some(Piece::Kept { from, len }), Piece::Kept { from: next, len: more })
                if *from + *len == next =>
            {
                *len += more;
            }
            (Some(Piece::New { len }), Piece::New { len: more }) => *len += more,
            _ => self.0.push(piece),
        }
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    pub(super) fn into_pieces(self) -> Vec<Piece> {
        self.0
    }

    /// Whether this is how a list of `len` elements stood already.
    pub(super) fn is_unchanged(&self, len: usize) -> bool {
        match self.0[..] {
            [] => len == 0,
            [Piece::Kept { from: 0, len: kept }] => kept == len,
            _ => false,
        }
    }

    /// This order, of which `later` then makes another.
    fn then(&self, later: &[Piece]) -> Self {
        let mut starts = Vec::with_capacity(self.0.len());
        let mut start = 0;
        for piece in &self.0 {
            starts.push(start);
            start += piece.len();
        }
        let mut order = Self::default();
        for &piece in later {
            let Piece::Kept { mut from, mut len } = piece else {
                order.push(piece);
                continue;
            };
            let mut at = starts.partition_point(|&start| start <= from).saturating_sub(1);
            while len > 0 && at < self.0.len() {
                let skip = from - starts[at];
                let taken = self.0[at].len().saturating_sub(skip).min(len);
                order.push(match self.0[at] {
                    Piece::Kept { from, .. } => Piece::Kept { from: from + skip, len: taken },
                    Piece::New { .. } => Piece::New { len: taken },
                });
                (from, len, at) = (from + taken, len - taken, at + 1);
            }
        }
        order
    }
}

/// Which old elements an order keeps, as ascending ranges.
#[derive(Debug)]
pub(super) struct Kept(Vec<(usize, usize)>);

impl Kept {
    /// `None` if an element would stand twice, or is not among the `len` that there are.
    pub(super) fn of(pieces: impl Iterator<Item = Piece>, len: usize) -> Option<Self> {
        let mut ranges = Vec::new();
        for piece in pieces {
            if let Piece::Kept { from, len: kept } = piece {
                ranges.push((from, from.checked_add(kept).filter(|&end| end <= len)?));
            }
        }
        ranges.sort_unstable();
        (!ranges.windows(2).any(|pair| pair[0].1 > pair[1].0)).then_some(Self(ranges))
    }

    /// The indices of the elements that go, of `len`.
    pub(super) fn gone(&self, len: usize) -> impl Iterator<Item = usize> {
        let starts = std::iter::once(0).chain(self.0.iter().map(|range| range.1));
        let ends = self.0.iter().map(|range| range.0).chain([len]);
        starts.zip(ends).flat_map(|(start, end)| start..end)
    }
}

/// The latest orders of a list, so that those since a version can be put together.
#[derive(Debug, Clone)]
pub(super) struct Orders {
    records: VecDeque<Record>,
    pieces: usize,
    /// Every order after this version is here.
    floor: u64,
}

#[derive(Debug, Clone)]
struct Record {
    version: u64,
    /// How many elements there were before.
    len: usize,
    pieces: Box<[Piece]>,
}

impl Orders {
    /// Of a list created at `version`.
    pub(super) fn new(version: u64) -> Self {
        Self { records: VecDeque::new(), pieces: 0, floor: version }
    }

    /// Whether every order after `base` is known.
    pub(super) fn reaches(&self, base: u64) -> bool {
        base >= self.floor
    }

    /// Notes the order that `version`, which is the latest, brought to a list that had `from` elements and has `to`.
    pub(super) fn push(&mut self, version: u64, pieces: Box<[Piece]>, from: usize, to: usize) {
        self.pieces += pieces.len();
        self.records.push_back(Record { version, len: from, pieces });
        let room = to.saturating_mul(PIECES_PER_ELEMENT).saturating_add(PIECES_ALWAYS);
        while self.pieces > room || self.records.len() > PIECES_ALWAYS {
            let Some(record) = self.records.pop_front() else { break };
            self.pieces -= record.pieces.len();
            self.floor = record.version;
        }
    }

    /// How the elements stand now, as a receiver at `base` sees it; `None` if as before.
    pub(super) fn since(&self, base: u64) -> Option<Order> {
        let first = self.records.partition_point(|record| record.version <= base);
        let mut records = self.records.range(first..);
        let Record { len, pieces, .. } = records.next()?;
        let order = records.fold(Order(pieces.to_vec()), |order, later| order.then(&later.pieces));
        (!order.is_unchanged(*len)).then_some(order)
    }
}

/// Orders that are remembered cost as much as the list itself at most, or thereabouts; a list that is shuffled wholly
/// each time goes whole to those who are further behind than a few versions.
const PIECES_PER_ELEMENT: usize = 4;

/// And seconds of a short list to which something is added, and from which something is taken, at 60 Hz.
const PIECES_ALWAYS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(from: usize, len: usize) -> Piece {
        Piece::Kept { from, len }
    }

    #[test]
    fn a_move_takes_few_pieces_however_long_the_list() {
        let moved = (0..1000).filter(|i| *i != 500).map(Some);
        let order = Order::of([Some(500)].into_iter().chain(moved));
        assert_eq!(order.pieces(), [kept(500, 1), kept(0, 500), kept(501, 499)]);
        assert!(Order::of((0..3).map(Some)).is_unchanged(3));
        assert!(!Order::of((0..3).map(Some)).is_unchanged(4));
    }

    #[test]
    fn orders_one_after_the_other_make_one() {
        let mut orders = Orders::new(1);
        // A ring of three: in each version the oldest goes and a new one comes.
        for version in 2..=5 {
            orders.push(version, [kept(1, 2), Piece::New { len: 1 }].into(), 3, 3);
        }
        assert_eq!(orders.since(5), None);
        assert_eq!(orders.since(3).unwrap().pieces(), [kept(2, 1), Piece::New { len: 2 }]);
        assert_eq!(orders.since(1).unwrap().pieces(), [Piece::New { len: 3 }]);
    }

    #[test]
    fn what_is_taken_apart_and_put_together_again_is_unchanged() {
        let mut orders = Orders::new(0);
        orders.push(1, [kept(2, 2), kept(0, 2)].into(), 4, 4);
        orders.push(2, [kept(2, 2), kept(0, 2)].into(), 4, 4);
        assert_eq!(orders.since(0), None);
        orders.push(3, [].into(), 4, 0);
        assert_eq!(orders.since(2).unwrap().pieces(), []);
    }

    #[test]
    fn the_floor_rises_when_orders_are_forgotten() {
        let mut orders = Orders::new(0);
        for version in 1..=PIECES_ALWAYS as u64 {
            orders.push(version, [kept(1, 1), kept(0, 1)].into(), 2, 2);
        }
        assert!(!orders.reaches(0));
        assert!(orders.reaches(PIECES_ALWAYS as u64 / 2 + 1));
    }

    #[test]
    fn no_element_stands_twice() {
        assert!(Kept::of([kept(1, 2), kept(0, 2)].into_iter(), 3).is_none());
        assert!(Kept::of([kept(1, 3)].into_iter(), 3).is_none());
        assert!(Kept::of([kept(1, usize::MAX)].into_iter(), 3).is_none());
        let some = Kept::of([kept(3, 1), kept(1, 1)].into_iter(), 5).unwrap();
        assert_eq!(some.gone(5).collect::<Vec<_>>(), [0, 2, 4]);
    }
}
