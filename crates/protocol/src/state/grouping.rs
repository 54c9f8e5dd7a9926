//! Which entries of a container are told as tables: those in which the same numbers change by steps, where that is shorter.

use std::ops::Range;

use bytes::BytesMut;

use super::number::{Kind, Step};
use super::table::{self, COLUMNS_MAX, Rows, Shape};

/// Entries of one container that change by steps alone, gathered from left to right.
#[derive(Default)]
pub(super) struct Candidates {
    rows: Vec<Row>,
    cells: Vec<Cell>,
    patterns: Vec<Pattern>,
}

/// The key number or index of a number, and how it changes.
type Cell = (u32, Step);

struct Row {
    /// Where the encoder has it.
    entry: usize,
    index: u64,
    pattern: usize,
    cells: Range<usize>,
}

/// Rows in which the same numbers change.
struct Pattern {
    rows: Rows,
    /// Those of its first row.
    cells: Range<usize>,
    count: usize,
}

impl Candidates {
    /// Forgets all, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.cells.clear();
        self.patterns.clear();
    }

    /// Adds an entry, unless something in it (`None`) is no step.
    pub(super) fn push(
        &mut self,
        entry: usize,
        index: u64,
        rows: Rows,
        cells: impl ExactSizeIterator<Item = Option<Cell>>,
    ) {
        if !(1..=COLUMNS_MAX).contains(&cells.len()) {
            return;
        }
        let start = self.cells.len();
        for cell in cells {
            let Some(cell) = cell else {
                return self.cells.truncate(start);
            };
            self.cells.push(cell);
        }
        let cells = start..self.cells.len();
        match self.pattern(rows, &cells) {
            Some(pattern) => self.rows.push(Row { entry, index, pattern, cells }),
            None => self.cells.truncate(start),
        }
    }

    /// Counts a row in the pattern that it has, which may be new; `None` if there are too many.
    fn pattern(&mut self, rows: Rows, cells: &Range<usize>) -> Option<usize> {
        let of = |range: &Range<usize>| self.cells[range.clone()].iter().map(column);
        let is_same = |known: &Pattern| known.rows == rows && of(&known.cells).eq(of(cells));
        let place = self.patterns.iter().position(is_same).unwrap_or(self.patterns.len());
        if place == self.patterns.len() {
            if place == PATTERNS_MAX {
                return None;
            }
            self.patterns.push(Pattern { rows, cells: cells.clone(), count: 0 });
        }
        self.patterns[place].count += 1;
        Some(place)
    }

    /// Appends the tables that are shorter than their rows told one by one, each without its entry's head, and says of each entry in
    /// one that it is: of the first what was appended.
    pub(super) fn pack(&self, out: &mut BytesMut, mut packed: impl FnMut(usize, Option<Range<usize>>)) {
        let joins: Vec<_> = (0..self.patterns.len()).map(|place| self.joins(place)).collect();
        for (place, pattern) in self.patterns.iter().enumerate() {
            let rows: Vec<_> = self.rows.iter().filter(|row| joins[row.pattern] == place).collect();
            let draft = self.draft(pattern, &rows);
            let start = out.len();
            if draft.entries.is_empty() {
                continue;
            }
            table::put(out, &draft.shape, &draft.indices, &draft.numbers);
            if out.len() - start >= draft.bytes_alone {
                out.truncate(start);
                continue;
            }
            let mut content = Some(start..out.len());
            draft.entries.iter().for_each(|&entry| packed(entry, content.take()));
        }
    }

    /// The pattern in whose table these rows stand. Where they are few, zeros in the table of the most frequent pattern that has all their
    /// columns are shorter than a table of their own.
    fn joins(&self, place: usize) -> usize {
        let few = &self.patterns[place];
        if few.count > FEW {
            return place;
        }
        let holds = |many: &Pattern| {
            let columns = &self.cells[many.cells.clone()];
            let has = |cell| columns.iter().any(|other| column(other) == column(cell));
            many.rows == few.rows && many.count > few.count && self.cells[few.cells.clone()].iter().all(has)
        };
        let many = (0..self.patterns.len()).filter(|other| holds(&self.patterns[*other]));
        many.max_by_key(|other| self.patterns[*other].count).unwrap_or(place)
    }

    /// The table of a pattern's columns and of the rows that are not too wide for it.
    fn draft(&self, pattern: &Pattern, rows: &[&Row]) -> Draft {
        let shape = Shape { rows: pattern.rows, columns: self.columns(pattern, rows) };
        let columns = shape.columns.len();
        let mut all = Vec::with_capacity(rows.len() * columns);
        rows.iter().for_each(|row| self.put_numbers(row, &shape.columns, &mut all));
        let limits: Vec<_> =
            (0..columns).map(|at| width_limit(all.iter().skip(at).step_by(columns))).collect();
        let mut draft =
            Draft { shape, entries: Vec::new(), indices: Vec::new(), numbers: Vec::new(), bytes_alone: 0 };
        for (row, numbers) in rows.iter().zip(all.chunks(columns)) {
            let fits =
                |(number, limit): (&Option<u64>, &u32)| number.is_some_and(|n| table::width(n) <= *limit);
            if numbers.iter().zip(&limits).all(fits) {
                draft.entries.push(row.entry);
                draft.indices.push(row.index);
                draft.numbers.extend(numbers.iter().flatten());
                draft.bytes_alone += self.bytes_alone(row, pattern.rows);
            }
        }
        draft
    }

    /// The columns of a pattern, at the finest scale of its rows.
    fn columns(&self, pattern: &Pattern, rows: &[&Row]) -> Vec<(u32, Kind)> {
        let cells = &self.cells[pattern.cells.clone()];
        let mut columns: Vec<_> = cells.iter().map(|(key, step)| (*key, step.kind)).collect();
        for row in rows {
            let mut cells = self.cells[row.cells.clone()].iter().peekable();
            for (key, kind) in &mut columns {
                if let Some((_, step)) = cells.next_if(|cell| cell.0 == *key) {
                    *kind = step.kind.max(*kind);
                }
            }
        }
        columns
    }

    /// Appends the numbers of a row's steps, column by column: 0 where it has none, and `None` where the scale of the column can't tell
    /// it. Columns and cells ascend.
    fn put_numbers(&self, row: &Row, columns: &[(u32, Kind)], out: &mut Vec<Option<u64>>) {
        let mut cells = self.cells[row.cells.clone()].iter().peekable();
        for &(key, kind) in columns {
            let step = cells.next_if(|cell| cell.0 == key);
            out.push(step.map_or(Some(0), |(_, step)| step.as_kind(kind).map(Step::number)));
        }
    }

    /// What the row takes as an entry of its own, at the least.
    fn bytes_alone(&self, row: &Row, rows: Rows) -> usize {
        let cell = |(_, step): &Cell| 1 + usize::from(step.kind != Kind::Integer) + step.len();
        let cells = self.cells[row.cells.clone()].iter().map(cell).sum::<usize>();
        match rows {
            Rows::Numbers => cells,
            Rows::Maps => cells + 2,
            Rows::Lists => cells + 3,
        }
    }
}

/// A table, and what is needed to tell whether it is worth it.
struct Draft {
    shape: Shape,
    entries: Vec<usize>,
    indices: Vec<u64>,
    numbers: Vec<u64>,
    bytes_alone: usize,
}

/// What has to be the same in the rows of a table: which numbers change, and of which sort these are.
fn column((key, step): &Cell) -> (u32, Kind) {
    (*key, step.kind.sort())
}

/// The width up to which the numbers of a column should stand in its table: so many bits each, and the others alone, take the
/// least.
fn width_limit<'a>(numbers: impl Iterator<Item = &'a Option<u64>>) -> u32 {
    let (mut counts, mut widest) = ([0; u64::BITS as usize + 1], 0);
    for width in numbers.flatten().map(|&number| table::width(number)) {
        counts[width as usize] += 1;
        widest = widest.max(width);
    }
    let (mut within, all) = (0, counts.iter().sum::<u32>());
    let bits = |(width, count): (u32, u32)| {
        within += count;
        (within * width + (all - within) * ALONE_BITS, width)
    };
    (0..=widest).zip(counts).map(bits).min().map_or(u64::BITS, |(_, width)| width)
}

/// What an entry that stands alone takes, about.
const ALONE_BITS: u32 = 64;

/// So many rows with some columns of others stand in their table.
const FEW: usize = 4;

/// Each row is compared with so many patterns at the most. Where no two rows are alike there is no table.
const PATTERNS_MAX: usize = 16;
