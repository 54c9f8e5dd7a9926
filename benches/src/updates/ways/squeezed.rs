//! Any way, and zstd behind it.

use anyhow::anyhow;
use zstd::zstd_safe::{CCtx, CDict, DCtx, DDict, compress_bound, get_error_name};

use super::{Update, Way};

/// Contexts that are used again and again, with or without a dictionary.
pub(in crate::updates) struct Zstd {
    compress: CCtx<'static>,
    decompress: DCtx<'static>,
    dictionary: Option<(CDict<'static>, DDict<'static>)>,
}

impl Zstd {
    pub(in crate::updates) fn new() -> Self {
        Self { compress: CCtx::create(), decompress: DCtx::create(), dictionary: None }
    }

    /// With a dictionary that is trained on these.
    fn trained(samples: &[Vec<u8>]) -> anyhow::Result<Self> {
        let content = zstd::dict::from_samples(samples, DICTIONARY_BYTES)?;
        let dictionary = (CDict::create(&content, LEVEL), DDict::create(&content));
        Ok(Self { dictionary: Some(dictionary), ..Self::new() })
    }

    /// Appends the compressed bytes.
    pub(in crate::updates) fn compress(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> anyhow::Result<()> {
        out.reserve(compress_bound(bytes.len()));
        let compressed = match &self.dictionary {
            Some((dictionary, _)) => self.compress.compress_using_cdict(out, bytes, dictionary),
            None => self.compress.compress(out, bytes, LEVEL),
        };
        compressed.map_err(failed).map(drop)
    }

    fn decompress(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> anyhow::Result<()> {
        let decompressed = match &self.dictionary {
            Some((_, dictionary)) => self.decompress.decompress_using_ddict(out, bytes, dictionary),
            None => self.decompress.decompress(out, bytes),
        };
        decompressed.map_err(failed).map(drop)
    }
}

/// A way whose bytes are compressed, unless that makes more of them.
pub(super) struct Squeezed<W> {
    way: W,
    zstd: Zstd,
    plain: Vec<u8>,
    received: Vec<u8>,
    /// What a flag of the message would say.
    is_compressed: bool,
}

impl<W: Way> Squeezed<W> {
    pub(super) fn new(way: W) -> anyhow::Result<Self> {
        Ok(Self { way, zstd: Zstd::new(), plain: Vec::new(), received: Vec::new(), is_compressed: false })
    }

    /// With a dictionary that is trained on what the way made of earlier updates.
    pub(super) fn trained(mut way: W, before: &[Update]) -> anyhow::Result<Self> {
        let mut samples = Vec::new();
        for update in before {
            let mut sample = Vec::new();
            way.encode(update, &mut sample)?;
            samples.push(sample);
        }
        let zstd = Zstd::trained(&samples).unwrap_or_else(|error| {
            eprintln!("protocol: no dictionary, there is too little to train it on: {error}");
            Zstd::new()
        });
        Ok(Self { zstd, ..Self::new(way)? })
    }
}

impl<W: Way> Way for Squeezed<W> {
    fn encode(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        self.plain.clear();
        self.way.encode(update, &mut self.plain)?;
        let start = out.len();
        self.zstd.compress(&self.plain, out)?;
        self.is_compressed = out.len() - start < self.plain.len();
        if !self.is_compressed {
            out.truncate(start);
            out.extend_from_slice(&self.plain);
        }
        Ok(())
    }

    fn apply(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if !self.is_compressed {
            return self.way.apply(bytes);
        }
        self.received.clear();
        self.received.reserve(self.plain.len());
        self.zstd.decompress(bytes, &mut self.received)?;
        self.way.apply(&self.received)
    }

    fn holds(&self, update: &Update) -> bool {
        self.way.holds(update)
    }
}

pub(super) fn failed(code: usize) -> anyhow::Error {
    anyhow!("zstd: {}", get_error_name(code))
}

/// What streams of messages use: higher levels take several times as long for some percent.
pub(super) const LEVEL: i32 = 1;

/// What `zstd --train` makes unless told otherwise.
const DICTIONARY_BYTES: usize = 110 * 1024;
