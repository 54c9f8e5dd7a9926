//! Audio as a WAV file.

use std::fs::File;
use std::io::{BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use nyx_audio_capture::{Encoding, Format, wav};
use nyx_client::subscribe::{Audio, Gap};
use nyx_client::{Name, Samples};

use crate::exit::Outcome;
use crate::sound::{Timeline, Unpacker};
use crate::tell;

/// Writes the first audio topic that comes. What is missing in it becomes silence, so that the rest stays where it belongs.
pub(crate) struct Recording {
    path: PathBuf,
    take: Option<Take>,
    told_other: bool,
}

struct Take {
    topic: Name,
    frame_bytes: usize,
    unpacker: Unpacker,
    timeline: Timeline,
    writer: Writer,
    told_unreadable: bool,
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
        let Some(take) = self.take.as_mut().filter(|take| take.topic == audio.topic.name) else {
            if !std::mem::replace(&mut self.told_other, true) {
                let name = &audio.topic.name;
                tell::note(format_args!("`{name}` comes too, but --wav writes one topic: it is left out"));
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
        let format = audio.topic.audio.ok_or_else(|| {
            anyhow!("`{topic}` says neither rate nor channels, so it can't be written as WAV: let its publisher say them")
        })?;
        let format = Format::new(format.sample_rate, format.channels)?;
        let encoding = if audio.samples == Samples::F32Le { Encoding::F32Le } else { Encoding::S16Le };
        let unpacker = Unpacker::new(format, encoding, Some(audio.samples))
            .with_context(|| format!("`{topic}` can't be written as WAV"))?;
        let writer = if path == Path::new("-") {
            Writer::Stdout(wav::Writer::to_pipe(BufWriter::new(std::io::stdout()), format, encoding)?)
        } else {
            let file = File::create(path).with_context(|| format!("can't write {}", path.display()))?;
            Writer::File(wav::Writer::to_file(BufWriter::new(file), format, encoding)?)
        };
        let frame_bytes = format.frame_bytes(encoding);
        Ok(Self {
            topic,
            frame_bytes,
            unpacker,
            timeline: Timeline::new(format),
            writer,
            told_unreadable: false,
        })
    }

    fn append(&mut self, audio: &Audio) -> Result<(), wav::WriteError> {
        let Self { topic, frame_bytes, unpacker, timeline, writer, told_unreadable } = self;
        let pcm = match unpacker.unpack(audio.samples, &audio.payload) {
            Ok(pcm) => pcm,
            Err(error) => {
                if !std::mem::replace(told_unreadable, true) {
                    tell::note(format_args!("`{topic}`: {error}; there is silence in its place"));
                }
                timeline.miss(1);
                return Ok(());
            }
        };
        let mut silence = timeline.next((pcm.len() / *frame_bytes) as u64, audio.unix_micros);
        while silence > 0 {
            let frames = silence.min((SILENCE.len() / *frame_bytes) as u64);
            writer.put(&SILENCE[..frames as usize * *frame_bytes])?;
            silence -= frames;
        }
        writer.put(pcm)
    }

    fn flush(&mut self) -> Result<(), wav::WriteError> {
        match &mut self.writer {
            Writer::File(writer) => writer.flush(),
            Writer::Stdout(writer) => writer.flush(),
        }
    }
}

impl Writer {
    fn put(&mut self, pcm: &[u8]) -> Result<(), wav::WriteError> {
        match self {
            Self::File(writer) => writer.write(pcm),
            Self::Stdout(writer) => put_now(writer, pcm),
        }
    }
}

/// Whoever plays a pipe wants to hear it now.
fn put_now<W: Write>(writer: &mut wav::Writer<W>, pcm: &[u8]) -> Result<(), wav::WriteError> {
    writer.write(pcm)?;
    writer.flush()
}

/// Zeros are silence in both encodings. More than the largest frame.
static SILENCE: [u8; 4096] = [0; 4096];
