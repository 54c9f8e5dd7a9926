//! Audio as a WAV file.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Stdout, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use nyx_audio_capture::{Encoding, Format, wav};
use nyx_client::subscribe::{Audio, Gap};
use nyx_client::{AudioFormat, Name, Samples};

use crate::exit::Outcome;
use crate::sound::{Timeline, Unpacker};
use crate::{stdio, tell};

/// Writes the first audio topic that comes. What is missing in it becomes silence, so that the rest stays where it belongs. When the topic goes
/// on in another format, so does the recording in another file.
pub(crate) struct Recording {
    /// The first file; `-`: stdout.
    path: PathBuf,
    /// The present one.
    present: PathBuf,
    take: Option<Take>,
    told_other: bool,
}

struct Take {
    topic: Name,
    format: AudioFormat,
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
        Self { path: path.to_owned(), present: path.to_owned(), take: None, told_other: false }
    }

    /// Writes a chunk. Breaks where it can't go on: stdout takes one format.
    pub(crate) fn write(&mut self, audio: &Audio) -> Outcome<ControlFlow<()>> {
        match &self.take {
            None => self.take = Some(self.begin(audio, Place::first(&self.path)?)?),
            Some(take) if take.is_over(audio) => {
                if self.go_on(audio)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Some(_) => {}
        }
        let Some(take) = self.take.as_mut().filter(|take| take.topic == audio.topic.name) else {
            if !std::mem::replace(&mut self.told_other, true) {
                let name = &audio.topic.name;
                tell::note(format_args!("`{name}` comes too, but --wav writes one topic: it is left out"));
            }
            return Ok(ControlFlow::Continue(()));
        };
        take.append(audio).with_context(|| unwritable(&self.present))?;
        Ok(ControlFlow::Continue(()))
    }

    /// Ends the file, and begins the next in the format that the topic has now.
    fn go_on(&mut self, audio: &Audio) -> Outcome<ControlFlow<()>> {
        self.flush()?;
        let name = &audio.topic.name;
        if stdio::is_meant(&self.path) {
            tell::note(format_args!(
                "`{name}` goes on in another format, which one WAV file can't hold: it ends here"
            ));
            return Ok(ControlFlow::Break(()));
        }
        let (present, place) = Place::after(&self.path)?;
        tell::note(format_args!("`{name}` goes on in another format: {}", present.display()));
        self.present = present;
        self.take = Some(self.begin(audio, place)?);
        Ok(ControlFlow::Continue(()))
    }

    fn begin(&self, audio: &Audio, place: Place) -> anyhow::Result<Take> {
        Take::begin(audio, place).with_context(|| unwritable(&self.present))
    }

    pub(crate) fn miss(&mut self, gap: &Gap) {
        if let Some(take) = self.take.as_mut().filter(|take| take.topic == gap.topic.name) {
            take.timeline.miss(gap.total());
        }
    }

    /// Makes what was written so far readable.
    pub(crate) fn flush(&mut self) -> Outcome {
        if let Some(take) = &mut self.take {
            take.flush().with_context(|| unwritable(&self.present))?;
        }
        Ok(())
    }
}

impl Take {
    fn begin(audio: &Audio, place: Place) -> anyhow::Result<Self> {
        let topic = audio.topic.name.clone();
        let announced = audio.topic.audio.ok_or_else(|| {
            anyhow!("`{topic}` says neither rate nor channels, so it can't be written as WAV: let its publisher say them")
        })?;
        let format = Format::new(announced.sample_rate, announced.channels)?;
        let encoding = if audio.samples == Samples::F32Le { Encoding::F32Le } else { Encoding::S16Le };
        let unpacker = Unpacker::new(format, encoding, Some(audio.samples))
            .with_context(|| format!("`{topic}` can't be written as WAV"))?;
        let writer = match place {
            Place::Stdout(stdout) => Writer::Stdout(wav::Writer::to_pipe(stdout, format, encoding)?),
            Place::File(file) => Writer::File(wav::Writer::to_file(file, format, encoding)?),
        };
        let frame_bytes = format.frame_bytes(encoding);
        Ok(Self {
            topic,
            format: announced,
            frame_bytes,
            unpacker,
            timeline: Timeline::new(format),
            writer,
            told_unreadable: false,
        })
    }

    /// Whether this chunk is of the topic, and in another format.
    fn is_over(&self, audio: &Audio) -> bool {
        audio.topic.name == self.topic && audio.topic.audio != Some(self.format)
    }

    fn append(&mut self, audio: &Audio) -> Result<(), wav::WriteError> {
        let Self { topic, frame_bytes, unpacker, timeline, writer, told_unreadable, .. } = self;
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

/// Where a WAV file goes.
enum Place {
    File(BufWriter<File>),
    Stdout(BufWriter<Stdout>),
}

impl Place {
    fn first(path: &Path) -> Outcome<Self> {
        if stdio::is_meant(path) {
            return Ok(Self::Stdout(BufWriter::new(std::io::stdout())));
        }
        let file = File::create(path).with_context(|| unwritable(path))?;
        Ok(Self::File(BufWriter::new(file)))
    }

    /// The next file of the same recording, under the first number that no file has: after `radio.wav`, `radio-2.wav`.
    fn after(path: &Path) -> Outcome<(PathBuf, Self)> {
        for number in 2..=FILES_MAX {
            let next = numbered(path, number);
            match File::create_new(&next) {
                Ok(file) => return Ok((next, Self::File(BufWriter::new(file)))),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(anyhow!(error).context(unwritable(&next)).into());
                }
            }
        }
        Err(anyhow!("{} has {FILES_MAX} files beside it: record elsewhere", path.display()).into())
    }
}

fn unwritable(path: &Path) -> String {
    let place = if stdio::is_meant(path) { "stdout".into() } else { path.display().to_string() };
    format!("can't write {place}")
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// Formats hardly change so often in one recording; who finds that many files is in the wrong folder.
const FILES_MAX: u32 = 1_000;

/// Whoever plays a pipe wants to hear it now.
fn put_now<W: Write>(writer: &mut wav::Writer<W>, pcm: &[u8]) -> Result<(), wav::WriteError> {
    writer.write(pcm)?;
    writer.flush()
}

/// Zeros are silence in both encodings. More than the largest frame.
static SILENCE: [u8; 4096] = [0; 4096];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_goes_on_beside_its_first_file_and_never_over_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ra.dio.wav");
        std::fs::write(directory.path().join("ra.dio-2.wav"), "kept").unwrap();
        let (next, _) = Place::after(&path).unwrap();
        assert_eq!(next, directory.path().join("ra.dio-3.wav"));
        assert_eq!(std::fs::read(directory.path().join("ra.dio-2.wav")).unwrap(), b"kept");
        assert_eq!(numbered(Path::new("sound"), 2), Path::new("sound-2"));
    }
}
