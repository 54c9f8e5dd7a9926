//! Audio as a WAV file.

use std::fs::File;
use std::io::{BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use nyx_audio_capture::{Encoding, Format, pcm, wav};
use nyx_client::subscribe::{Audio, Gap};
use nyx_client::{Name, Samples};

use super::timeline::Timeline;
use crate::exit::Outcome;
use crate::opus;
use crate::tell;

/// Writes the first audio topic that comes. What is missing in it becomes silence, so that the rest stays where it belongs.
pub(crate) struct Recording {
    path: PathBuf,
    take: Option<Take>,
    told_other: bool,
}

struct Take {
    topic: Name,
    samples: Samples,
    frame_bytes: usize,
    timeline: Timeline,
    /// For samples that come as packets of Opus.
    opus: Option<Unpacker>,
    writer: Writer,
}

/// Opus as 16-bit samples.
struct Unpacker {
    decoder: opus::Decoder,
    samples: Vec<f32>,
    pcm: Vec<u8>,
    /// Packets that were none.
    bad: u64,
}

enum Writer {
    File(wav::Writer<BufWriter<File>>),
    Stdout(wav::Writer<BufWriter<Stdout>>),
}

impl Recording {
    /// Nothing is written before something comes: only then it is clear what.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), take: None, told_other: false }
    }

    pub(crate) fn write(&mut self, audio: &Audio) -> Outcome {
        if self.take.is_none() {
            self.take = Some(Take::begin(audio, &self.path)?);
        }
        let Some(take) = self.take.as_mut().filter(|take| take.is_of(audio)) else {
            if !std::mem::replace(&mut self.told_other, true) {
                let name = &audio.topic.name;
                tell::note(format_args!(
                    "`{name}` comes too, but --wav writes one topic in one format: it is left out"
                ));
            }
            return Ok(());
        };
        take.append(audio).with_context(|| format!("can't write {}", self.path.display()))?;
        Ok(())
    }

    pub(crate) fn miss(&mut self, gap: &Gap) {
        if let Some(take) = self.take.as_mut().filter(|take| take.topic == gap.topic.name) {
            take.timeline.miss(gap.total());
        }
    }

    /// Makes what was written so far readable.
    pub(crate) fn flush(&mut self) -> Outcome {
        if let Some(take) = &mut self.take {
            take.flush().with_context(|| format!("can't write {}", self.path.display()))?;
        }
        Ok(())
    }
}

impl Take {
    fn begin(audio: &Audio, path: &Path) -> Outcome<Self> {
        let topic = audio.topic.name.clone();
        let encoding = match audio.samples {
            Samples::S16Le | Samples::Opus => Encoding::S16Le,
            Samples::F32Le => Encoding::F32Le,
            Samples::Unknown(codec) => {
                return Err(anyhow!(
                    "`{topic}` has samples of codec {codec}, which this version can't write"
                )
                .into());
            }
        };
        let format = audio.topic.audio.ok_or_else(|| {
            anyhow!("`{topic}` says neither rate nor channels, so it can't be written as WAV: let its publisher say them")
        })?;
        let format = Format::new(format.sample_rate, format.channels)?;
        let opus = (audio.samples == Samples::Opus).then(|| Unpacker::new(format)).transpose()?;
        let writer = if path == Path::new("-") {
            Writer::Stdout(wav::Writer::to_pipe(BufWriter::new(std::io::stdout()), format, encoding)?)
        } else {
            let file = File::create(path).with_context(|| format!("can't write {}", path.display()))?;
            Writer::File(wav::Writer::to_file(BufWriter::new(file), format, encoding)?)
        };
        let (samples, frame_bytes) = (audio.samples, format.frame_bytes(encoding));
        Ok(Self { topic, samples, frame_bytes, timeline: Timeline::new(format), opus, writer })
    }

    fn is_of(&self, audio: &Audio) -> bool {
        self.topic == audio.topic.name && self.samples == audio.samples
    }

    fn append(&mut self, audio: &Audio) -> Result<(), wav::WriteError> {
        let mut opus = self.opus.take();
        let appended = match &mut opus {
            Some(unpacker) => match unpacker.unpack(&audio.topic.name, &audio.payload) {
                Some(pcm) => self.append_pcm(pcm, audio.unix_micros),
                None => {
                    self.timeline.miss(1);
                    Ok(())
                }
            },
            None => self.append_pcm(&audio.payload, audio.unix_micros),
        };
        self.opus = opus;
        appended
    }

    fn append_pcm(&mut self, pcm: &[u8], unix_micros: Option<u64>) -> Result<(), wav::WriteError> {
        // Half a frame is the publisher's mistake; the rest of the chunk is good.
        let whole = pcm.len() / self.frame_bytes;
        let mut silence = self.timeline.next(whole as u64, unix_micros);
        while silence > 0 {
            let frames = silence.min(SILENCE.len() as u64 / self.frame_bytes as u64);
            self.put(&SILENCE[..frames as usize * self.frame_bytes])?;
            silence -= frames;
        }
        self.put(&pcm[..whole * self.frame_bytes])
    }

    fn put(&mut self, pcm: &[u8]) -> Result<(), wav::WriteError> {
        match &mut self.writer {
            Writer::File(writer) => writer.write(pcm),
            Writer::Stdout(writer) => put_now(writer, pcm),
        }
    }

    fn flush(&mut self) -> Result<(), wav::WriteError> {
        match &mut self.writer {
            Writer::File(writer) => writer.flush(),
            Writer::Stdout(writer) => writer.flush(),
        }
    }
}

impl Unpacker {
    fn new(format: Format) -> Outcome<Self> {
        let decoder = opus::Decoder::new(format)?;
        Ok(Self { decoder, samples: Vec::new(), pcm: Vec::new(), bad: 0 })
    }

    /// The samples of a packet, if it is one.
    fn unpack(&mut self, topic: &Name, packet: &[u8]) -> Option<&[u8]> {
        self.samples.clear();
        self.pcm.clear();
        if let Err(error) = self.decoder.decode(packet, &mut self.samples) {
            self.bad += 1;
            if self.bad == 1 {
                tell::note(format_args!("`{topic}`: {error}; there is silence in its place"));
            }
            return None;
        }
        pcm::encode(Encoding::S16Le, &self.samples, &mut self.pcm);
        Some(&self.pcm)
    }
}

/// Whoever plays a pipe wants to hear it now.
fn put_now<W: Write>(writer: &mut wav::Writer<W>, pcm: &[u8]) -> Result<(), wav::WriteError> {
    writer.write(pcm)?;
    writer.flush()
}

/// Zeros are silence in both encodings. More than the largest frame.
static SILENCE: [u8; 4096] = [0; 4096];
