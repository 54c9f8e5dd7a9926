//! Nyx.

use anyhow::Context as _;
use bytes::BytesMut;
use nyx_protocol::compress::dictionary::{self, Trainer};
use nyx_protocol::compress::{Block, Compressor, Decompressor, Method, Reference};
use nyx_protocol::state::{Document, Encoded, Limits, Patch, Value};

use super::{Update, Way, document};

/// The whole way of an update: the difference between two values, the hub's document, and the delta for who has the version
/// before.
pub(in crate::updates) struct Delta {
    hub: Document,
    receiver: Document,
    message: BytesMut,
    encoded: Encoded,
}

impl Delta {
    pub(in crate::updates) fn new(start: &Value) -> anyhow::Result<Self> {
        let hub = document(start)?;
        let (mut receiver, mut message) = (Document::new(0, Limits::default()), BytesMut::new());
        hub.snapshot(&mut message);
        receiver.apply(&message, true)?;
        Ok(Self { hub, receiver, message, encoded: Encoded::Nothing })
    }
}

impl Way for Delta {
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let base = self.hub.version();
        if let Some(patch) = Patch::diff(&update.before.value, &update.after.value) {
            self.hub.patch(&patch)?;
        }
        self.message.clear();
        self.encoded = self.hub.delta_since(base, &mut self.message);
        out.extend_from_slice(&self.message);
        Ok(())
    }

    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self.encoded {
            Encoded::Nothing => Ok(()),
            encoded => Ok(self.receiver.apply(bytes, encoded == Encoded::Snapshot)?),
        }
    }

    fn holds(&self, update: &Update) -> bool {
        self.receiver.value() == update.after.value
    }
}

/// Deltas in blocks, with a dictionary that is trained on earlier ones if the trainer thinks that it pays.
pub(super) struct Dictionary {
    way: Delta,
    plain: Vec<u8>,
    content: Vec<u8>,
    dictionary: Option<nyx_protocol::compress::Dictionary>,
    compressor: Compressor,
    decompressor: Decompressor,
}

impl Dictionary {
    pub(super) fn new(start: &Value, before: &[Update]) -> anyhow::Result<Self> {
        let mut config = dictionary::Config::default();
        config.records_between = before.len() as u64;
        let mut trainer = Trainer::new(1, config);
        if let Some(first) = before.first() {
            let (mut earlier, mut delta) = (Delta::new(&first.before.value)?, Vec::new());
            for update in before {
                delta.clear();
                earlier.encode(update, &mut delta)?;
                trainer.observe(&delta);
            }
        }
        let trained = trainer.job().and_then(|job| job.run().ok());
        Ok(Self {
            way: Delta::new(start)?,
            plain: Vec::new(),
            content: Vec::new(),
            dictionary: trained.map(|trained| trained.dictionary),
            compressor: Compressor::new(),
            decompressor: Decompressor::new(),
        })
    }
}

impl Way for Dictionary {
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        self.plain.clear();
        self.way.encode(update, &mut self.plain)?;
        let method = self.dictionary.as_ref().map_or(Method::Stored, Method::Dictionary);
        self.compressor.compress(&self.plain, method).put(out);
        Ok(())
    }

    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let block = Block::parse(bytes, BLOCK_BYTES_MAX)?;
        let reference = self.dictionary.as_ref().map_or(Reference::None, Reference::Dictionary);
        self.decompressor.decompress(&block, reference, &mut self.content)?;
        self.way.apply(&self.content)
    }

    fn holds(&self, update: &Update) -> bool {
        self.way.holds(update)
    }
}

/// From the publisher to the hub, which is the receiver here.
pub(super) struct Upload {
    hub: Document,
    message: BytesMut,
}

impl Upload {
    pub(super) fn new(start: &Value) -> anyhow::Result<Self> {
        Ok(Self { hub: document(start)?, message: BytesMut::new() })
    }
}

impl Way for Upload {
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let patch =
            Patch::diff(&update.before.value, &update.after.value).context("an update changes something")?;
        self.message.clear();
        patch.encode(&mut self.message);
        out.extend_from_slice(&self.message);
        Ok(())
    }

    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let patch = Patch::decode(bytes, &Limits::default())?;
        self.hub.patch(&patch)?;
        Ok(())
    }

    fn holds(&self, update: &Update) -> bool {
        self.hub.value() == update.after.value
    }
}

/// Far above any document here.
const BLOCK_BYTES_MAX: usize = 16 << 20;
