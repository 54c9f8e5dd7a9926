//! The records of a file, read ahead.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use nyx_client::Pattern;
use nyx_protocol::record::{Outage, ReadError, Reader, Record, Session, Topic};
use tokio::sync::mpsc;

use crate::exit::Outcome;
use crate::{stdio, tell};

/// What a player does next.
pub(super) enum Step {
    /// A topic that has the next number, from 0.
    Topic(Topic),
    Item(Item),
    /// So many items are not in the recording.
    Missing(u64),
    /// The recording, which ends there, begins again.
    Pass {
        end: Duration,
    },
}

/// An item to publish.
pub(super) struct Item {
    /// The number of its topic.
    pub(super) topic: usize,
    pub(super) at: Duration,
    pub(super) codec: u8,
    pub(super) key: bool,
    pub(super) capture: Option<Capture>,
    pub(super) payload: Bytes,
}

/// When an item was captured.
#[derive(Clone, Copy)]
pub(super) struct Capture {
    pub(super) unix_micros: u64,
    /// How long before it was recorded, in microseconds; of a publisher whose clock is ahead it is negative.
    pub(super) age: i64,
}

/// What comes from the reading thread.
pub(super) enum Block {
    Steps(Vec<Step>),
    End(Outcome<Ending>),
}

/// How a recording ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// As it should.
    Clean,
    /// The recorder was killed, or is still recording.
    Open,
    /// Within a record.
    Cut(ReadError),
    /// With bytes that are not as they were written.
    Damaged(ReadError),
}

impl Ending {
    /// The ending's name in JSON.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Open => "open",
            Self::Cut(_) => "cut",
            Self::Damaged(_) => "damaged",
        }
    }

    /// Says what a person should know. That a recorder was killed is no failure: all that it left was read.
    pub(super) fn report(self, path: &Path) -> Outcome {
        let place = path.display();
        match self {
            Self::Clean => {}
            Self::Open => {
                tell::note(format_args!(
                    "{place} has no end: its recorder was killed, or is still recording"
                ));
            }
            Self::Cut(error) => tell::note(format_args!("{place}: {error}")),
            Self::Damaged(error) => return Err(anyhow!(error).context(format!("{place}")).into()),
        }
        Ok(())
    }
}

/// Refuses a file that is no recording, without reading on.
pub(super) fn check(path: &Path) -> Outcome {
    if stdio::is_meant(path) {
        return Ok(());
    }
    let is_file = std::fs::metadata(path).with_context(|| unreadable(path))?.is_file();
    // What comes from a pipe can't be read twice.
    if is_file { open(path).map(drop) } else { Ok(()) }
}

/// Gives each record of the file to `visit`, until that wants no more. Blocks.
pub(super) fn each(
    path: &Path,
    mut visit: impl FnMut(Record<'_>) -> ControlFlow<()>,
) -> Outcome<Option<Ending>> {
    let mut reader = open(path)?;
    let mut ending = Ending::Open;
    loop {
        match reader.next_record() {
            Ok(None) => return Ok(Some(ending)),
            Ok(Some(record)) => {
                ending = if matches!(record, Record::End(_)) { Ending::Clean } else { Ending::Open };
                if visit(record).is_break() {
                    return Ok(None);
                }
            }
            Err(error @ ReadError::Torn { .. }) => return Ok(Some(Ending::Cut(error))),
            Err(ReadError::Io(error)) => return Err(anyhow!(error).context(unreadable(path)).into()),
            Err(error) => return Ok(Some(Ending::Damaged(error))),
        }
    }
}

fn open(path: &Path) -> Outcome<Reader<File>> {
    let file = if stdio::is_meant(path) { stdio::stdin() } else { File::open(path) };
    let file = file.with_context(|| unreadable(path))?;
    Ok(Reader::open(file).with_context(|| unreadable(path))?)
}

fn unreadable(path: &Path) -> String {
    let place = if stdio::is_meant(path) { "stdin".into() } else { path.display().to_string() };
    format!("can't play {place}")
}

/// Blocks from a thread of its own, since reading may block.
pub(super) struct Source(mpsc::Receiver<Block>);

impl Source {
    /// Reads what `patterns` select, or everything if there are none; `looped`: again and again.
    pub(super) fn read(path: &Path, patterns: &[Pattern], looped: bool) -> Self {
        let (sender, receiver) = mpsc::channel(BLOCKS_WAITING);
        let (path, patterns) = (PathBuf::from(path), patterns.to_vec());
        std::thread::spawn(move || {
            let mut ahead = ReadAhead::new(sender, patterns);
            // Nobody listens when the command is ending.
            if let Some(ending) = ahead.read(&path, looped)
                && ahead.flush().is_continue()
            {
                let _ = ahead.sender.blocking_send(Block::End(ending));
            }
        });
        Self(receiver)
    }

    pub(super) async fn next(&mut self) -> Option<Block> {
        self.0.recv().await
    }
}

/// The thread's part.
struct ReadAhead {
    sender: mpsc::Sender<Block>,
    patterns: Vec<Pattern>,
    /// All that were found: each one's place is its number.
    topics: Vec<Topic>,
    /// The numbers of this session's topics; `None`: it is not to be played.
    numbers: Vec<Option<usize>>,
    session: Option<Session>,
    end: Duration,
    items: u64,
    block: Vec<Step>,
    block_bytes: usize,
}

impl ReadAhead {
    fn new(sender: mpsc::Sender<Block>, patterns: Vec<Pattern>) -> Self {
        let (topics, numbers, block) = (Vec::new(), Vec::new(), Vec::new());
        let (session, end, items) = (None, Duration::ZERO, 0);
        Self { sender, patterns, topics, numbers, session, end, items, block, block_bytes: 0 }
    }

    /// `None`: nobody listens any more.
    fn read(&mut self, path: &Path, looped: bool) -> Option<Outcome<Ending>> {
        loop {
            let before = self.items;
            let ending = match each(path, |record| self.take(record)) {
                Ok(ending) => ending?,
                Err(failure) => return Some(Err(failure)),
            };
            // What holds nothing to play would be read for ever.
            if !looped || self.items == before || matches!(ending, Ending::Damaged(_)) {
                return Some(Ok(ending));
            }
            if self.push(Step::Pass { end: self.end }, 0).is_break() {
                return None;
            }
        }
    }

    fn take(&mut self, record: Record<'_>) -> ControlFlow<()> {
        match record {
            Record::Session(session) => {
                self.session = Some(session);
                self.numbers.clear();
                self.end = session.at;
            }
            Record::Topic { topic, .. } => {
                let number = if self.selects(topic) { Some(self.number(topic)?) } else { None };
                self.numbers.push(number);
            }
            Record::Data { data, .. } => {
                self.end = data.at;
                if let Some(topic) = self.numbers.get(data.topic.index()).copied().flatten() {
                    self.items += 1;
                    let capture = data.unix_micros.zip(self.session).map(|(unix_micros, session)| Capture {
                        unix_micros,
                        age: session.unix_micros_at(data.at).wrapping_sub(unix_micros) as i64,
                    });
                    let payload = Bytes::copy_from_slice(data.payload);
                    let (at, codec, key) = (data.at, data.codec, data.key);
                    self.push(
                        Step::Item(Item { topic, at, codec, key, capture, payload }),
                        data.payload.len(),
                    )?;
                }
            }
            Record::Gap { gap, .. } => {
                self.end = gap.at;
                if self.numbers.get(gap.topic.index()).is_some_and(Option::is_some) {
                    self.push(Step::Missing(gap.total()), 0)?;
                }
            }
            Record::Outage(Outage { at, .. }) | Record::End(at) => self.end = at,
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn selects(&self, topic: &Topic) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.matches(&topic.name))
    }

    fn number(&mut self, topic: &Topic) -> ControlFlow<(), usize> {
        let number = self.topics.iter().position(|known| known == topic);
        ControlFlow::Continue(match number {
            Some(number) => number,
            None => {
                self.push(Step::Topic(topic.clone()), 0)?;
                self.topics.push(topic.clone());
                self.topics.len() - 1
            }
        })
    }

    fn push(&mut self, step: Step, bytes: usize) -> ControlFlow<()> {
        self.block.push(step);
        self.block_bytes += bytes;
        if self.block.len() >= BLOCK_STEPS || self.block_bytes >= BLOCK_BYTES {
            return self.flush();
        }
        ControlFlow::Continue(())
    }

    fn flush(&mut self) -> ControlFlow<()> {
        self.block_bytes = 0;
        let block = Block::Steps(std::mem::take(&mut self.block));
        match self.sender.blocking_send(block) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// Blocks read ahead, so that reading a file never delays an item.
const BLOCKS_WAITING: usize = 4;

/// Steps in a block: enough that handing it over costs nothing per step.
const BLOCK_STEPS: usize = 256;

/// Bytes in a block, unless one item has more.
const BLOCK_BYTES: usize = 64 * 1024;
