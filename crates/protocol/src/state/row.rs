//! Containers of which the same numbers change, one after the other: positions of things that move.

use super::number::Kind;

/// Which entries of a map or list change, and by what kind of step: what a later row need not repeat.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) in_list: bool,
    len: usize,
    cells: [(u32, Kind); CELLS_MAX],
}

impl Row {
    pub(super) fn new(in_list: bool) -> Self {
        Self { in_list, len: 0, cells: [(0, Kind::Integer); CELLS_MAX] }
    }

    /// Adds a cell; tells whether there was room.
    pub(super) fn push(&mut self, index: u64, kind: Kind) -> bool {
        let (Some(cell), Ok(index)) = (self.cells.get_mut(self.len), u32::try_from(index)) else {
            return false;
        };
        *cell = (index, kind);
        self.len += 1;
        true
    }

    pub(super) fn cells(&self) -> &[(u32, Kind)] {
        &self.cells[..self.len]
    }

    /// One cell alone is told as briefly by itself, and must not make others forget a row of more.
    pub(super) fn is_worth(&self) -> bool {
        self.len >= CELLS_MIN
    }
}

pub(super) const CELLS_MIN: usize = 2;

/// Position, direction and speed in space, and some more. What is larger is rather a run.
pub(super) const CELLS_MAX: usize = 16;
