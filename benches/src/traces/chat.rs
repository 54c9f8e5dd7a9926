//! A chat room.

use std::collections::VecDeque;

use fastrand::Rng;
use nyx_protocol::state::Value;

use super::Trace;

/// The last 100 lines and who is there. Each tick brings a line; one in ten also edits one.
#[derive(Debug)]
pub struct Chat {
    rng: Rng,
    lines: VecDeque<Line>,
    next_id: u64,
    present: Vec<bool>,
}

#[derive(Debug)]
struct Line {
    id: u64,
    from: &'static str,
    text: String,
}

impl Chat {
    /// A room that is full.
    pub fn new(seed: u64) -> Self {
        let mut chat = Self {
            rng: Rng::with_seed(seed),
            lines: VecDeque::new(),
            next_id: 1,
            present: vec![true; PEOPLE.len()],
        };
        (0..LINES).for_each(|_| chat.say());
        chat
    }

    fn say(&mut self) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        let words = (0..self.rng.usize(3..14)).map(|_| WORDS[self.rng.usize(..WORDS.len())]);
        let text = words.collect::<Vec<_>>().join(" ");
        let from = PEOPLE[self.rng.usize(..PEOPLE.len())];
        self.lines.push_back(Line { id: self.next_id, from, text });
        self.next_id += 1;
    }
}

impl Trace for Chat {
    fn name(&self) -> &'static str {
        "chat room"
    }

    fn value(&self) -> Value {
        let line = |line: &Line| {
            Value::map([
                ("id", Value::from(line.id)),
                ("from", Value::from(line.from)),
                ("text", Value::from(line.text.as_str())),
            ])
        };
        let present = PEOPLE.iter().zip(&self.present).filter(|(_, present)| **present);
        Value::map([
            ("lines", Value::list(self.lines.iter().map(line))),
            ("present", Value::list(present.map(|(name, _)| *name))),
        ])
    }

    fn tick(&mut self) {
        self.say();
        if self.rng.u32(..10) == 0 {
            let line = self.rng.usize(..self.lines.len());
            self.lines[line].text.push_str(" (edited)");
        }
        if self.rng.u32(..20) == 0 {
            let who = self.rng.usize(..self.present.len());
            self.present[who] = !self.present[who];
        }
    }
}

const LINES: usize = 100;

const PEOPLE: [&str; 10] =
    ["ada", "grace", "edsger", "barbara", "alan", "radia", "ken", "margaret", "dennis", "katherine"];

const WORDS: [&str; 24] = [
    "the", "build", "is", "green", "again", "who", "broke", "it", "last", "night", "nobody", "knows", "but",
    "tests", "pass", "now", "please", "review", "my", "change", "before", "lunch", "thanks", "everyone",
];
