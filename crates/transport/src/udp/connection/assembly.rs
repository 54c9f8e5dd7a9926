//! Items that arrive: put together, and delivered in the order of their flow.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::{Bytes, BytesMut};

use super::packet::Piece;
use super::ranges::Ranges;

/// Bounds of what arrives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of one item.
    pub(super) item_bytes: u64,
    /// Memory of all that are not delivered, in bytes: their own, and [`PART_COST`] for each. The largest item always has room.
    pub(super) bytes: u64,
}

/// Items that are not whole, and those that are and wait.
#[derive(Debug)]
pub(super) struct Incoming {
    bounds: Bounds,
    /// Memory, and flows, of a peer that nobody knows yet.
    limit: Option<(u64, usize)>,
    flows: HashMap<u32, Flow>,
    /// Memory of all that is not ready, in bytes.
    bytes: u64,
    /// Whole items in the order of their delivery, and how much of the stream comes before each.
    ready: VecDeque<(u64, Bytes)>,
    ready_bytes: u64,
}

#[derive(Debug, Default)]
struct Flow {
    /// The first that was neither delivered nor given up.
    next: u64,
    /// In boxes: a node of the tree has room for eleven, and may hold one.
    parts: BTreeMap<u64, Box<Part>>,
}

#[derive(Debug)]
struct Part {
    bytes: BytesMut,
    arrived: Ranges,
    in_order: bool,
    after: u64,
}

impl Part {
    fn is_whole(&self) -> bool {
        self.arrived.total() == self.bytes.len() as u64
    }

    fn fits(&self, piece: &Piece<'_>) -> bool {
        self.bytes.len() as u64 == piece.total && self.in_order == piece.in_order
    }

    /// Whether a piece makes no hole that is not there.
    fn touches(&self, piece: &Piece<'_>) -> bool {
        self.arrived.touches(&(piece.offset..piece.offset + piece.bytes.len() as u64))
    }

    fn memory(&self) -> u64 {
        self.bytes.len() as u64 + PART_COST
    }
}

/// What the pieces of a datagram will take that were admitted and are not taken in, as all of them are looked at before any counts.
#[derive(Debug, Default)]
pub(super) struct Promised {
    /// Memory of items that begin with it.
    memory: u64,
    /// The last of these.
    begun: Option<(u32, u64)>,
    /// Pieces that may make another hole, of whatever item.
    holes: usize,
}

/// Why a piece is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// There is no room for another item. It comes again.
    NoRoom,
    /// It can't be of the item that it says, or is of one that is larger than may be. Its sender erred.
    Contradiction,
}

impl Incoming {
    pub(super) fn new(mut bounds: Bounds) -> Self {
        bounds.bytes = bounds.bytes.max(bounds.item_bytes + PART_COST);
        Self { bounds, limit: None, flows: HashMap::new(), bytes: 0, ready: VecDeque::new(), ready_bytes: 0 }
    }

    /// Takes in larger items, and as much more of all of them.
    pub(super) fn allow(&mut self, item_bytes: u64) {
        let more = item_bytes.saturating_sub(self.bounds.item_bytes);
        self.bounds.item_bytes += more;
        self.bounds.bytes += more;
    }

    /// Holds it to less than its bounds, or does so no more.
    pub(super) fn set_limit(&mut self, bytes: Option<u64>) {
        self.limit = bytes.map(|bytes| (bytes.min(self.bounds.bytes), FLOWS_UNKNOWN_MAX));
    }

    fn limits(&self) -> (u64, usize) {
        self.limit.unwrap_or((self.bounds.bytes, FLOWS_MAX))
    }

    /// Bytes of whole items that wait to be taken.
    pub(super) const fn waiting(&self) -> u64 {
        self.ready_bytes
    }

    /// Whether a piece may be taken in beside what is `promised` to others of its datagram.
    pub(super) fn admits(&self, piece: &Piece<'_>, promised: &mut Promised) -> Result<(), Unfit> {
        if piece.total > self.bounds.item_bytes {
            return Err(Unfit::Contradiction);
        }
        let flow = self.flows.get(&piece.flow);
        if flow.is_some_and(|flow| piece.number < flow.next) {
            return Ok(());
        }
        let part = flow.and_then(|flow| flow.parts.get(&piece.number));
        if part.is_some_and(|part| !part.fits(piece)) {
            return Err(Unfit::Contradiction);
        }
        let begun = Some((piece.flow, piece.number));
        let has_room = if part.is_none() && promised.begun != begun {
            promised.memory += piece.total + PART_COST;
            promised.begun = begun;
            let (bytes_max, flows_max) = self.limits();
            self.memory() + promised.memory + self.reserve(flow, piece) <= bytes_max
                && (flow.is_some() || self.flows.len() < flows_max)
                && flow.is_none_or(|flow| flow.parts.len() < PARTS_MAX)
        } else if part.is_some_and(|part| part.touches(piece)) {
            true
        } else {
            // Full pieces never make so many holes; where tiny ones do, those that fill holes come first.
            promised.holes += 1;
            part.map_or(1, |part| part.arrived.len()) + promised.holes <= holes_max(piece.total)
        };
        if has_room { Ok(()) } else { Err(Unfit::NoRoom) }
    }

    /// Room that is to be left when an item begins. One that has to wait for others that have not begun would else keep them away, for whom it waits.
    fn reserve(&self, flow: Option<&Flow>, piece: &Piece<'_>) -> u64 {
        let (next, begun) = flow.map_or((0, 0), |flow| (flow.next, flow.parts.len() as u64));
        let waits = piece.in_order && piece.number != next && piece.number - next != begun;
        if waits { self.bounds.item_bytes + PART_COST } else { 0 }
    }

    fn memory(&self) -> u64 {
        self.bytes + self.ready_bytes + self.ready.len() as u64 * PART_COST
    }

    /// Takes in a piece that was admitted. One that contradicts what came since then, in the same datagram, is passed over.
    pub(super) fn handle(&mut self, piece: &Piece<'_>) {
        let flow = self.flows.entry(piece.flow).or_default();
        if piece.number < flow.next {
            return;
        }
        let part = flow.parts.entry(piece.number).or_insert_with(|| {
            let part = Part {
                bytes: BytesMut::zeroed(piece.total as usize),
                arrived: Ranges::default(),
                in_order: piece.in_order,
                after: piece.after,
            };
            self.bytes += part.memory();
            Box::new(part)
        });
        if !part.fits(piece) {
            return;
        }
        let (start, end) = (piece.offset as usize, piece.offset as usize + piece.bytes.len());
        part.bytes[start..end].copy_from_slice(piece.bytes);
        part.arrived.insert(start as u64..end as u64);
        if part.is_whole() {
            if !part.in_order {
                self.skip(piece.flow, piece.number);
            }
            self.deliver(piece.flow);
        }
    }

    /// Those below `below` that are not whole will not come; whole ones are delivered.
    pub(super) fn handle_skip(&mut self, number: u32, below: u64) {
        if self.flows.len() < self.limits().1 {
            // Of what comes later nothing waits for what was given up, though nothing of it was ever seen.
            self.flows.entry(number).or_default();
        }
        while let Some(flow) = self.flows.get_mut(&number)
            && flow.next < below
        {
            match flow.parts.first_key_value() {
                Some((&first, part)) if first < below && part.is_whole() => flow.next = first,
                Some((&first, _)) if first < below => {
                    self.skip(number, first + 1);
                    continue;
                }
                _ => flow.next = below,
            }
            self.deliver(number);
        }
        self.deliver(number);
    }

    /// The next whole item, once `taken` bytes of the stream were taken.
    pub(super) fn pop(&mut self, taken: u64) -> Option<Bytes> {
        let (_, bytes) = self.ready.pop_front_if(|(after, _)| *after <= taken)?;
        self.ready_bytes -= bytes.len() as u64;
        Some(bytes)
    }

    /// Gives up those below `number`.
    fn skip(&mut self, flow: u32, number: u64) {
        let Some(flow) = self.flows.get_mut(&flow) else { return };
        if number > flow.next {
            let rest = flow.parts.split_off(&number);
            let gone = std::mem::replace(&mut flow.parts, rest);
            self.bytes -= gone.values().map(|part| part.memory()).sum::<u64>();
            flow.next = number;
        }
    }

    /// Moves what is next and whole to what is ready.
    fn deliver(&mut self, flow: u32) {
        let Some(flow) = self.flows.get_mut(&flow) else { return };
        while let Some(first) =
            flow.parts.first_entry().filter(|first| *first.key() == flow.next && first.get().is_whole())
        {
            let part = first.remove();
            flow.next += 1;
            self.bytes -= part.memory();
            self.ready_bytes += part.bytes.len() as u64;
            self.ready.push_back((part.after, part.bytes.freeze()));
        }
    }
}

/// Flows of one connection, at some hundred bytes each: as many as there are aliases.
const FLOWS_MAX: usize = 65_536;

/// The same of a peer that nobody knows yet.
const FLOWS_UNKNOWN_MAX: usize = 64;

/// What an item takes beside its own bytes, in bytes: alone in its flow 208 for the node of the tree, 80 for the part, 80 for the ranges that
/// have arrived, and 32 for that the allocator hands out no less. Many of one flow share nodes, and those that are ready have none.
pub(super) const PART_COST: u64 = 400;

/// Holes of an item, as far as they are in [`PART_COST`].
const HOLES_MIN: usize = 4;

/// In how many bytes of an item there may be another one. Its 16 bytes, or 32 as they are allotted, are an eighth of that at most.
const HOLE_EVERY: usize = 256;

/// Holes, or ranges that have arrived, of an item of so many bytes.
const fn holes_max(total: u64) -> usize {
    HOLES_MIN + total as usize / HOLE_EVERY
}

/// Items of one flow that are not delivered.
const PARTS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming() -> Incoming {
        Incoming::new(Bounds { item_bytes: 1000, bytes: 3000 + 3 * PART_COST })
    }

    fn piece(number: u64, in_order: bool, bytes: &[u8]) -> Piece<'_> {
        Piece { flow: 1, number, in_order, after: 0, total: bytes.len() as u64, offset: 0, bytes }
    }

    /// Of a datagram that has nothing else.
    fn admits(incoming: &Incoming, piece: &Piece<'_>) -> Result<(), Unfit> {
        incoming.admits(piece, &mut Promised::default())
    }

    fn taken(incoming: &mut Incoming) -> Vec<Bytes> {
        std::iter::from_fn(|| incoming.pop(0)).collect()
    }

    #[test]
    fn the_latest_overtakes_and_what_it_made_obsolete_does_not_come_after_it() {
        let mut incoming = incoming();
        incoming.handle(&piece(1, false, b"one"));
        incoming.handle(&piece(0, false, b"zero"));
        incoming.handle(&Piece { total: 4, ..piece(2, false, b"tw") });
        incoming.handle(&piece(3, false, b"three"));
        incoming.handle(&Piece { total: 4, offset: 2, ..piece(2, false, b"o!") });
        assert_eq!(taken(&mut incoming), ["one", "three"]);
        assert_eq!(incoming.bytes, 0);
    }

    #[test]
    fn what_is_in_order_waits_for_the_one_before_until_that_is_given_up() {
        let mut incoming = incoming();
        incoming.handle(&piece(2, true, b"two"));
        incoming.handle(&piece(0, true, b"zero"));
        assert_eq!(taken(&mut incoming), ["zero"]);
        incoming.handle(&piece(4, true, b"four"));
        incoming.handle_skip(1, 2);
        assert_eq!(taken(&mut incoming), ["two"]);
        incoming.handle_skip(1, 9);
        assert_eq!(taken(&mut incoming), ["four"]);
        incoming.handle(&piece(8, true, b"eight"));
        assert_eq!((taken(&mut incoming), incoming.bytes), (Vec::<Bytes>::new(), 0));
    }

    #[test]
    fn an_item_waits_for_what_the_stream_says_before_it() {
        let mut incoming = incoming();
        incoming.handle(&Piece { after: 10, ..piece(0, true, b"zero") });
        assert_eq!(incoming.pop(9), None);
        assert_eq!((incoming.waiting(), incoming.pop(10)), (4, Some(Bytes::from("zero"))));
    }

    #[test]
    fn an_item_in_tiny_pieces_has_few_holes_and_is_whole_once_all_have_come() {
        let mut incoming = incoming();
        let whole: Vec<u8> = (0..1000).map(|at| at as u8).collect();
        let mut missing: Vec<usize> = (0..1000).step_by(2).chain((1..1000).step_by(2)).collect();
        let mut rounds = 0;
        while !missing.is_empty() {
            missing.retain(|&at| {
                let bytes = &whole[at..=at];
                let piece = Piece { total: 1000, offset: at as u64, ..piece(0, true, bytes) };
                let admitted = admits(&incoming, &piece);
                if admitted.is_ok() {
                    incoming.handle(&piece);
                }
                let part = incoming.flows[&1].parts.get(&0);
                assert!(part.is_none_or(|part| part.arrived.len() <= HOLES_MIN + 3));
                admitted == Err(Unfit::NoRoom)
            });
            rounds += 1;
        }
        assert!(rounds > 1);
        assert_eq!(taken(&mut incoming), [whole]);
    }

    #[test]
    fn memory_is_bounded_and_contradictions_are_told() {
        let mut incoming = incoming();
        let large = vec![0; 900];
        for number in 1..3 {
            let piece = piece(number, true, &large);
            assert_eq!(admits(&incoming, &piece), Ok(()));
            incoming.handle(&piece);
        }
        assert_eq!(admits(&incoming, &piece(3, true, &large)), Err(Unfit::NoRoom));
        assert_eq!(admits(&incoming, &piece(1, true, &large)), Ok(()));
        assert_eq!(admits(&incoming, &piece(1, false, &large)), Err(Unfit::Contradiction));
        assert_eq!(admits(&incoming, &piece(1, true, b"x")), Err(Unfit::Contradiction));
        assert_eq!(
            admits(&incoming, &Piece { total: 1001, ..piece(4, true, b"x") }),
            Err(Unfit::Contradiction)
        );
        // As in one datagram, of which all was admitted before any of it counts.
        incoming.handle(&piece(1, true, b"x"));
        incoming.handle_skip(1, 9);
        assert_eq!(taken(&mut incoming), [&large[..], &large[..]]);
    }

    #[test]
    fn who_waits_for_others_leaves_room_for_them() {
        let mut incoming = incoming();
        let begin = |number| Piece { total: 1000, ..piece(number, true, b"x") };
        let mut begins = |number| {
            let admitted = admits(&incoming, &begin(number));
            if admitted.is_ok() {
                incoming.handle(&begin(number));
            }
            admitted.is_ok()
        };
        assert!(begins(2) && begins(3), "there is room for them and one more");
        assert!(!begins(4));
        assert!(begins(0), "the first needs to leave none");
        let latest = Piece { in_order: false, ..begin(9) };
        assert_eq!(admits(&incoming, &latest), Err(Unfit::NoRoom), "all is taken");
    }

    #[test]
    fn pieces_of_one_datagram_share_what_room_there_is() {
        let mut incoming = incoming();
        let of = |number, offset| Piece { total: 1000, offset, ..piece(number, true, b"x") };
        let mut promised = Promised::default();
        for (number, room) in [(0, Ok(())), (1, Ok(())), (1, Ok(())), (2, Err(Unfit::NoRoom))] {
            assert_eq!(incoming.admits(&of(number, 0), &mut promised), room);
        }
        // The first two begin the item, and the others make holes.
        for is_begun in [false, true] {
            let mut promised = Promised::default();
            let offsets =
                (0..500).step_by(2).take_while(|at| incoming.admits(&of(0, *at), &mut promised).is_ok());
            assert_eq!(offsets.count(), HOLES_MIN + 3, "{is_begun}");
            incoming.handle(&of(0, 0));
        }
    }
}
