//! Tables: rows that move, come, go and change by a little are told by what happened to them, whatever the table holds besides.

use bytes::BytesMut;
use nyx_protocol::state::{Encoded, Patch, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{authority, edited, follow, inside, receiver};

#[derive(Debug, Clone)]
enum Op {
    Move(Index, Index),
    Insert(Index),
    Remove(Index),
    /// The score and the position of a row.
    Change(Index, i64),
    Rename(Index),
}

fn op() -> impl Strategy<Value = Op> {
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), at()).prop_map(|(from, to)| Op::Move(from, to)),
        2 => at().prop_map(Op::Insert),
        2 => at().prop_map(Op::Remove),
        3 => (at(), -50..50_i64).prop_map(|(row, by)| Op::Change(row, by)),
        1 => at().prop_map(Op::Rename),
    ]
}

#[derive(Debug, Clone)]
struct Row {
    id: i64,
    name: String,
    score: i64,
}

#[derive(Debug, Clone)]
struct Table {
    rows: Vec<Row>,
    next_id: i64,
}

impl Table {
    fn new(len: i64) -> Self {
        let mut table = Self { rows: Vec::new(), next_id: 0 };
        (0..len).for_each(|_| table.insert(0));
        table
    }

    fn insert(&mut self, at: usize) {
        let id = self.next_id;
        self.rows.insert(at, Row { id, name: format!("the row of number {id}"), score: id * 7 % 50 });
        self.next_id += 1;
    }

    fn apply(&mut self, op: &Op) {
        let len = self.rows.len();
        match op {
            Op::Insert(at) => self.insert(at.index(len + 1)),
            _ if len == 0 => {}
            Op::Move(from, to) => {
                let row = self.rows.remove(from.index(len));
                self.rows.insert(to.index(len), row);
            }
            Op::Remove(at) => drop(self.rows.remove(at.index(len))),
            Op::Change(at, by) => self.rows[at.index(len)].score += by,
            Op::Rename(at) => self.rows[at.index(len)].name.insert(4, 'n'),
        }
    }

    /// Rows by the field that is named so, which tells them apart.
    fn value(&self, key: &str) -> Value {
        let row = |row: &Row| {
            Value::map([
                (key, Value::from(row.id)),
                ("label", row.name.as_str().into()),
                ("score", row.score.into()),
                ("at", Value::F64(row.score as f64 / 4.0)),
            ])
        };
        Value::list(self.rows.iter().map(row))
    }
}

/// What an operation may take: the epoch and versions, the way to the table, four pieces of an order, and a row's changes. A row of
/// which all is told would take more.
const OPERATION_BYTES: usize = 44;

/// And a new row, whole.
const ROW_BYTES: usize = 40;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_change_of_a_table_costs_what_it_changes(
        len in 8..80_i64,
        ops in vec(op(), 1..40),
        key in prop_oneof![Just("id"), Just("key"), Just("sku")],
    ) {
        let mut table = Table::new(len);
        let mut document = authority();
        document.patch(&inside(Patch::Set(table.value(key)))).unwrap();
        let mut receiver = receiver();
        follow(&mut receiver, &document);
        for op in &ops {
            let before = table.value(key);
            table.apply(op);
            let after = table.value(key);
            let Some(patch) = Patch::diff(&before, &after) else {
                prop_assert_eq!(before, after);
                continue;
            };
            document.patch(&inside(patch)).unwrap();
            prop_assert_eq!(&edited(&document), &after);
            let mut delta = BytesMut::new();
            prop_assert_eq!(document.delta_since(receiver.version(), &mut delta), Encoded::Delta);
            let room = OPERATION_BYTES + if matches!(op, Op::Insert(_)) { ROW_BYTES } else { 0 };
            prop_assert!(delta.len() <= room, "{} bytes for {op:?}", delta.len());
            follow(&mut receiver, &document);
        }
    }
}
