//! Sound and images.

use std::error::Error;
use std::io::Cursor;

use nyx_audio_capture::wav;
use nyx_audio_capture::{Encoding, Format};

use super::Seeds;

pub(super) fn wav_reader() -> Result<Seeds, Box<dyn Error>> {
    let mut seeds = Seeds::new();
    for (name, encoding, channels) in [
        ("s16_stereo", Encoding::S16Le, 2),
        ("s24_six", Encoding::S24Le, 6),
        ("f32_mono", Encoding::F32Le, 1),
    ] {
        let mut file = Cursor::new(Vec::new());
        let format = Format::new(48_000, channels)?;
        let mut writer = wav::Writer::to_file(&mut file, format, encoding)?;
        writer.write(&[0x11; 72])?;
        writer.finish()?;
        seeds.push((name, file.into_inner()));
    }
    let stereo = &seeds[0].1;
    // Of more than 4 GiB, as it says; of a stream; and with samples that others write.
    let long = [b"RF64", &stereo[4..12], b"ds64", &stereo[16..]].concat();
    let mut stream = wav::Writer::to_pipe(Vec::new(), Format::new(8_000, 1)?, Encoding::S16Le)?;
    stream.write(&[0x22; 40])?;
    let fmt = |tag: u8, bits: u8| {
        let bytes = bits / 8;
        let fmt = [tag, 0, 1, 0, 0x40, 0x1f, 0, 0, 0, 0x7d, 0, 0, bytes, 0, bits, 0];
        [&b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0"[..], &fmt, b"LIST\x03\0\0\0abc\0data\x10\0\0\0", &[0x33; 16]]
            .concat()
    };
    let others = [("u8", fmt(1, 8)), ("s32", fmt(1, 32)), ("f64", fmt(3, 64))];
    seeds.extend([("rf64", long), ("stream", stream.finish()?)].into_iter().chain(others));
    Ok(seeds)
}

/// A byte that says how finely the stream is cut, a message, samples, and the start of a packet.
pub(super) fn pulse_inbox() -> Seeds {
    let packet = |channel: u32, content: &[u8]| {
        [&(content.len() as u32).to_be_bytes()[..], &channel.to_be_bytes(), &[0; 12], content].concat()
    };
    let message = packet(u32::MAX, b"L\0\0\0\x02L\0\0\0\x09reply");
    let stream = [message, packet(0, &[0x22; 96]), packet(1, &[]), vec![0, 0, 1]].concat();
    vec![("whole", [vec![255], stream.clone()].concat()), ("torn", [vec![6], stream].concat())]
}

pub(super) fn jpeg_splitter() -> Seeds {
    let image = |len: usize| {
        [&[0xFF, 0xD8, 0xFF, 0xDA, 0, 4, 1, 2][..], &vec![0x33; len], &[0xFF, 0, 0xFF, 0xD9]].concat()
    };
    let stream = [image(10), b"noise".to_vec(), image(40), image(400), image(3)].concat();
    vec![("whole", [vec![0], stream.clone()].concat()), ("bytewise", [vec![1], stream].concat())]
}
