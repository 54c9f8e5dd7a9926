//! A file whose writer did not end it.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom, Write as _};

use thiserror::Error;

use super::SIZE_DOUBTFUL;
use super::header::{Header, OpenError, padded};
use super::sample::Stored;
use super::writer::Writer;
use crate::format::{Encoding, Format};

/// A WAV file whose header says what is in it.
#[derive(Debug)]
pub struct Repaired {
    file: File,
    header: Header,
    /// Frames in the file.
    pub frames: u64,
    /// How many of them the header did not know of.
    pub recovered_frames: u64,
    /// Bytes of half a frame that were cut off at the end.
    pub cut_bytes: u64,
}

/// Makes the header of a WAV file say what is in the file, as it stands after the program that wrote it was killed or the disk was full. A file that is
/// right stays as it is.
///
/// ```
/// use nyx_audio_capture::{Encoding, Format, wav};
///
/// let path = tempfile::NamedTempFile::new()?;
/// let mut writer = wav::Writer::to_file(path.reopen()?, Format::new(48_000, 1)?, Encoding::S16Le)?;
/// writer.write(&[7; 100])?;
/// std::mem::forget(writer); // It was killed before it wrote the sizes.
///
/// let file = std::fs::File::options().read(true).write(true).open(&path)?;
/// let repaired = wav::repair(file)?;
/// assert_eq!((repaired.frames, repaired.recovered_frames), (50, 50));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`RepairError`]. The file is then as it was, as far as that is in our hands.
pub fn repair(mut file: File) -> Result<Repaired, RepairError> {
    file.rewind()?;
    let header = Header::read(&mut BufReader::new(&file))?;
    let frame_bytes = u64::from(header.fmt.format.channels()) * header.fmt.stored.bytes() as u64;
    let there = file.seek(SeekFrom::End(0))?.saturating_sub(header.layout.data_at);
    if is_whole(&mut file, &header, there)? {
        return Ok(Repaired {
            frames: header.data_bytes / frame_bytes,
            header,
            file,
            recovered_frames: 0,
            cut_bytes: 0,
        });
    }
    let cut_bytes = there % frame_bytes;
    let data_bytes = there - cut_bytes;
    if !header.layout.can_say(data_bytes) {
        return Err(RepairError::TooLong { bytes: data_bytes });
    }
    if cut_bytes > 0 {
        file.set_len(header.layout.data_at + data_bytes)?;
    }
    header.layout.write(&mut file, data_bytes, frame_bytes as usize)?;
    file.flush()?;
    // A placeholder says nothing, however great it is.
    let known = if is_placeholder(&header) { 0 } else { header.data_bytes / frame_bytes };
    let frames = data_bytes / frame_bytes;
    let header = Header { data_bytes, ..header };
    Ok(Repaired { file, header, frames, recovered_frames: frames.saturating_sub(known), cut_bytes })
}

impl Repaired {
    /// Rate and channels.
    pub const fn format(&self) -> Format {
        self.header.fmt.format
    }

    /// How samples are written; `None` where it is none of ours.
    pub const fn encoding(&self) -> Option<Encoding> {
        match self.header.fmt.stored {
            Stored::I16 => Some(Encoding::S16Le),
            Stored::I24 => Some(Encoding::S24Le),
            Stored::F32 => Some(Encoding::F32Le),
            Stored::U8 | Stored::I32 | Stored::F64 => None,
        }
    }

    /// Goes on writing where the samples end. What stands behind them in the file, such as tags, is overwritten.
    ///
    /// # Errors
    ///
    /// [`RepairError::Encoding`] where [`Self::encoding`] is `None`, else [`RepairError::Io`].
    pub fn append(self) -> Result<Writer<File>, RepairError> {
        let encoding = self.encoding().ok_or(RepairError::Encoding)?;
        let Header { fmt, layout, data_bytes, .. } = self.header;
        let frame_bytes = fmt.format.frame_bytes(encoding) as u64;
        let data_bytes = data_bytes - data_bytes % frame_bytes;
        self.file.set_len(layout.data_at + data_bytes)?;
        Ok(Writer::resume(self.file, fmt.format, encoding, layout, data_bytes)?)
    }
}

/// Whether the samples are as many as declared, and nothing stands behind them but whole chunks up to the end of the file.
fn is_whole(file: &mut File, header: &Header, there: u64) -> io::Result<bool> {
    if header.data_bytes == there {
        return Ok(true);
    }
    // A header may claim anything, up to all that 64 bits can say.
    let Some(mut at) = header.data_bytes.checked_next_multiple_of(2) else { return Ok(false) };
    // The loop is bounded by the file: each step is eight bytes at least.
    while at < there {
        let Some(size) = chunk_size(file, header.layout.data_at + at)? else { return Ok(false) };
        at += 8 + padded(size);
    }
    Ok(at == there)
}

fn is_placeholder(header: &Header) -> bool {
    !header.is_long && header.data_bytes >= SIZE_DOUBTFUL
}

/// The size of the chunk that begins here, if one does: its tag is four printable characters.
fn chunk_size(file: &mut File, at: u64) -> io::Result<Option<u32>> {
    use std::io::Read as _;

    let mut head = [0; 8];
    file.seek(SeekFrom::Start(at))?;
    match file.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let [a, b, c, d, size @ ..] = head;
    let is_tag = [a, b, c, d].iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    Ok(is_tag.then(|| u32::from_le_bytes(size)))
}

/// Why a file could not be repaired.
#[derive(Debug, Error)]
pub enum RepairError {
    /// It is no WAV file of which anything is known.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its header has no room for a size beyond 4 GiB. Read it with a program that ignores the size, such as `ffmpeg -ignore_length 1`.
    #[error(
        "the header has no room to say {bytes} bytes of samples: convert it with `ffmpeg -ignore_length 1 -i INPUT -rf64 auto OUTPUT.wav`"
    )]
    TooLong {
        /// Bytes of samples in the file.
        bytes: u64,
    },
    /// Its samples are of a kind that is not written. Begin another file.
    #[error("only 16-bit, 24-bit and 32-bit float samples can be appended: begin another file")]
    Encoding,
    /// It could not be read or written. Check the disk, and whether the file may be written.
    #[error("cannot repair the WAV file: {0}. Check the disk, and whether the file may be written")]
    Io(#[from] io::Error),
}
