//! Where the sizes stand in a WAV file, and what they are.

use std::io::{self, Seek, SeekFrom, Write};

use super::SIZE_UNKNOWN;

/// The places of all numbers in a header that depend on how many samples follow.
///
/// Behind the first twelve bytes a file of ours has room for the chunk `ds64` (EBU Tech 3306): as long as 32 bits are enough it is called `JUNK`, which
/// every reader skips, and past 4 GiB the file becomes RF64 by overwriting what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The first byte of samples. Their size stands in the four bytes before.
    pub(super) data_at: u64,
    /// The number of frames of the `fact` chunk.
    pub(super) fact_at: Option<u64>,
    /// How long the chunk is that has room for 64-bit sizes, if there is one: [`ROOM_BYTES`] where we began the file, and more in some of others.
    pub(super) room: Option<u32>,
}

impl Layout {
    /// Whether the header can say so many bytes of samples.
    pub(super) const fn can_say(&self, data_bytes: u64) -> bool {
        self.room.is_some() || self.is_short(data_bytes)
    }

    /// Makes the header say what is there, and leaves `output` behind the samples.
    ///
    /// The numbers grow one after the other, and in an order in which a reader finds its way after any of them.
    pub(super) fn write(
        &self,
        output: &mut (impl Write + Seek),
        data_bytes: u64,
        frame_bytes: usize,
    ) -> io::Result<()> {
        let frames = data_bytes / frame_bytes as u64;
        let riff_bytes = self.data_at - RIFF_AT - 4 + data_bytes.next_multiple_of(2);
        let short = self.is_short(data_bytes);
        let word = |size: u64| u32::try_from(size).unwrap_or(SIZE_UNKNOWN).to_le_bytes();
        if let Some(bytes) = self.room {
            let (tag, sizes) =
                if short { (b"JUNK", [0; 3]) } else { (b"ds64", [riff_bytes, data_bytes, frames]) };
            put(output, ROOM_AT, &room(tag, bytes, sizes))?;
        }
        if let Some(fact_at) = self.fact_at {
            put(output, fact_at, &word(frames))?;
        }
        let (tag, data, riff) = if short {
            (b"RIFF", word(data_bytes), word(riff_bytes))
        } else {
            (b"RF64", word(u64::MAX), word(u64::MAX))
        };
        put(output, self.data_at - 4, &data)?;
        put(output, 0, &[&tag[..], &riff].concat())?;
        if !data_bytes.is_multiple_of(2) {
            // Chunks begin at even places, and the size of the whole counts this byte. Samples that follow overwrite it.
            put(output, self.data_at + data_bytes, &[0])?;
        }
        output.seek(SeekFrom::Start(self.data_at + data_bytes))?;
        Ok(())
    }

    /// Whether 32 bits are enough, with some left for what readers take for "unknown".
    const fn is_short(&self, data_bytes: u64) -> bool {
        data_bytes.saturating_add(self.data_at) <= SIZE_UNKNOWN as u64 - 4096
    }
}

/// The chunk of so many bytes that holds 64-bit sizes, or the room for it, up to where what it has beyond [`ROOM_BYTES`] begins.
pub(super) fn room(tag: &[u8; 4], bytes: u32, [riff_bytes, data_bytes, frames]: [u64; 3]) -> Vec<u8> {
    let mut chunk = tag.to_vec();
    chunk.extend(bytes.to_le_bytes());
    [riff_bytes, data_bytes, frames].iter().for_each(|number| chunk.extend(number.to_le_bytes()));
    // No table of further sizes: the only chunks that long would stand behind the samples, which go on there.
    chunk.extend(0_u32.to_le_bytes());
    chunk
}

fn put(output: &mut (impl Write + Seek), at: u64, bytes: &[u8]) -> io::Result<()> {
    output.seek(SeekFrom::Start(at))?;
    output.write_all(bytes)
}

const RIFF_AT: u64 = 4;

/// Where the first chunk begins.
pub(super) const ROOM_AT: u64 = 12;

/// Three numbers and an empty table.
pub(super) const ROOM_BYTES: u32 = 28;
