//! The difference between two JSON texts as bytes, whatever they mean.

use std::io::{Cursor, Read as _};

use anyhow::anyhow;
use serde_json::Value;
use zstd::zstd_safe::{CCtx, DCtx, compress_bound};

use super::squeezed::{LEVEL, failed};
use super::{Update, Way, is_about};

/// Both ends' last text, and the receiver's document.
struct Texts {
    sent: Vec<u8>,
    received: Vec<u8>,
    held: Value,
}

impl Texts {
    fn new(start: &Value) -> serde_json::Result<Self> {
        let text = serde_json::to_vec(start)?;
        Ok(Self { sent: text.clone(), received: text, held: start.clone() })
    }

    fn receive(&mut self, text: Vec<u8>) -> serde_json::Result<()> {
        self.held = serde_json::from_slice(&text)?;
        self.received = text;
        Ok(())
    }
}

/// zstd with the last text as prefix, which is what `zstd --patch-from` does.
pub(super) struct Prefix {
    texts: Texts,
    compress: CCtx<'static>,
    decompress: DCtx<'static>,
    /// What the last text's length was: a receiver of real messages is told.
    len: usize,
}

impl Prefix {
    pub(super) fn new(start: &Value) -> anyhow::Result<Self> {
        let texts = Texts::new(start)?;
        Ok(Self { texts, compress: CCtx::create(), decompress: DCtx::create(), len: 0 })
    }
}

impl Way for Prefix {
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let text = serde_json::to_vec(&update.after.json)?;
        out.reserve(compress_bound(text.len()));
        self.compress.compress_using_dict(out, &text, &self.texts.sent, LEVEL).map_err(failed)?;
        self.len = text.len();
        self.texts.sent = text;
        Ok(())
    }

    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut text = Vec::with_capacity(self.len);
        self.decompress.decompress_using_dict(&mut text, bytes, &self.texts.received).map_err(failed)?;
        Ok(self.texts.receive(text)?)
    }

    fn holds(&self, update: &Update) -> bool {
        is_about(&self.texts.held, &update.after.json)
    }
}

/// bsdiff's algorithm, by the crate bidiff, whose patches are meant to be compressed.
pub(super) struct Bsdiff {
    texts: Texts,
}

impl Bsdiff {
    pub(super) fn new(start: &Value) -> anyhow::Result<Self> {
        Ok(Self { texts: Texts::new(start)? })
    }
}

impl Way for Bsdiff {
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let text = serde_json::to_vec(&update.after.json)?;
        bidiff::simple_diff(&self.texts.sent, &text, out)?;
        self.texts.sent = text;
        Ok(())
    }

    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut text = Vec::new();
        bipatch::Reader::new(bytes, Cursor::new(&self.texts.received[..]))
            .map_err(|error| anyhow!("{error:?}"))?
            .read_to_end(&mut text)?;
        Ok(self.texts.receive(text)?)
    }

    fn holds(&self, update: &Update) -> bool {
        is_about(&self.texts.held, &update.after.json)
    }
}
