//! Messages with blocks, byte for byte, in a file that the console's page is held to as well (`console/blocks.test.mjs`).
//!
//! What stands there has to be read. What is compressed may come out otherwise with another zstd, so it has to be written only by the
//! version that wrote it first; what is stored, always.

use bytes::{Bytes, BytesMut};
use nyx_protocol::compress::{Block, Dictionary, Encoding, Level, Method, Reference, reference};
use nyx_protocol::control::{self, Body};
use nyx_protocol::pack::{Packer, Unpacker};
use nyx_protocol::wire::{self, Flags, Header, Kind, Message, Messages, codec};

/// The version of zstd that wrote the file.
const WRITTEN_BY: u32 = 10_507;

const LIMIT: usize = 1 << 20;

/// 2023-11-14, in microseconds since the Unix epoch.
const CAPTURED: u64 = 1_700_000_000_000_000;

/// A generator of numbers below 256 that the page's test has as well.
struct Random(u32);

impl Random {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 24) as usize
    }
}

/// Text in which much repeats.
fn words(seed: u32, len: usize) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "north", "gate", "walker", "idle", "running", "towards", "score", "player", "the", "of", "and",
        "opens",
    ];
    let mut random = Random(seed);
    let mut out = String::new();
    while out.len() < len {
        out.push_str(WORDS[random.next() % WORDS.len()]);
        out.push(' ');
    }
    out.into_bytes()[..len].to_vec()
}

/// Letters, some of which are frequent, in no order: what only Huffman's code makes smaller.
fn letters(seed: u32, len: usize) -> Vec<u8> {
    let mut random = Random(seed);
    (0..len).map(|_| b"etaoinshrdlucmfw"[random.next().min(random.next()) / 16]).collect()
}

fn record(n: usize) -> String {
    let (x, y, team) = (n * 37 % 1000, n * 91 % 1000, ["north", "south"][n % 2]);
    format!(r#"{{"entity":{n},"x":{x},"y":{y},"team":"{team}","state":"walking"}}"#)
}

/// A version of something large and opaque: a part of it is another each time.
fn opaque(version: usize) -> Vec<u8> {
    let mut content = letters(9, 1200);
    content[version * 100..][..40].copy_from_slice(&letters(version as u32, 40));
    content
}

/// A message whose block has one content.
struct Entry {
    name: &'static str,
    header: Header,
    captured: Option<u64>,
    content: Vec<u8>,
    how: How,
    keep: bool,
}

enum How {
    /// A frame by hand.
    Given,
    Stored,
    Level(i32),
    Dictionary,
    /// The version, which is that of an entry before.
    Prefix(usize),
}

impl Entry {
    const fn event(name: &'static str, content: Vec<u8>, how: How) -> Self {
        let header =
            Header { codec: codec::EVENT_TEXT, topic: 7, sequence: 258, ..Header::data(Kind::Event) };
        Self { name, header, captured: None, content, how, keep: false }
    }

    fn opaque(name: &'static str, version: usize, how: How, keep: bool) -> Self {
        let sequence = version as u32;
        let header = Header { codec: codec::FRAME_OTHER, topic: 9, sequence, ..Header::data(Kind::Frame) };
        // The middle one was captured at a time.
        let captured = (version == 2).then_some(CAPTURED);
        Self { name, header, captured, content: opaque(version), how, keep }
    }

    /// What the sender writes.
    fn written(&self, dictionary: &Dictionary) -> Vec<u8> {
        let flags = if self.captured.is_some() { Flags::TIMESTAMP } else { Flags::NONE };
        let header = Header { flags, ..self.header };
        let message = Message { header, unix_micros: self.captured, payload: &self.content };
        let prefix;
        let method = match self.how {
            How::Given => return golden(self.name),
            How::Stored => Method::Stored,
            How::Level(level) => Method::Level(Level::new(level).expect("a level")),
            How::Dictionary => Method::Dictionary(dictionary),
            How::Prefix(version) => {
                prefix = opaque(version);
                Method::Prefix { base: version as u64, prefix: &prefix, level: Level::FAST }
            }
        };
        let mut out = BytesMut::new();
        Packer::new().pack(&message, method, self.keep, &mut out);
        out.to_vec()
    }
}

fn entries() -> Vec<Entry> {
    use Entry as E;
    let text = words(1, 3000);
    let records: String = (500..520).map(record).collect();
    vec![
        E { keep: true, ..E::event("stored", b"hi".to_vec(), How::Stored) },
        E::event("raw_block", b"abc".to_vec(), How::Given),
        E::event("repeated_byte", b"zzzzzz".to_vec(), How::Given),
        E::event("level_1", text.clone(), How::Level(1)),
        E::event("level_minus_5", text.clone(), How::Level(-5)),
        E::event("level_9", text, How::Level(9)),
        E::event("one_stream", letters(2, 300), How::Level(3)),
        E::event("four_streams", letters(3, 2000), How::Level(3)),
        E::event("long_matches", letters(4, 600).repeat(400), How::Level(1)),
        E::event("record", record(77).into_bytes(), How::Dictionary),
        E::event("records", records.into_bytes(), How::Dictionary),
        E::opaque("prefix_none", 1, How::Level(1), true),
        E::opaque("prefix_last", 2, How::Prefix(1), true),
        E::opaque("prefix_kept", 3, How::Prefix(2), true),
        E::opaque("prefix_last_but_one", 4, How::Prefix(2), false),
    ]
}

/// Runs of events, each of which is one batch.
fn batches() -> [(&'static str, Vec<u8>, Method<'static>); 2] {
    let header =
        Header { codec: codec::EVENT_JSON, topic: 7, sequence: u32::MAX - 5, ..Header::data(Kind::Event) };
    let mut plain = Vec::new();
    let mut timed = Vec::new();
    for n in 0..40_u32 {
        let header = Header { sequence: header.sequence.wrapping_add(n), ..header };
        let payload = record(n as usize);
        wire::put_message(&mut plain, header, payload.as_bytes());
        match n % 3 {
            0 => wire::put_message(&mut timed, header, payload.as_bytes()),
            // Not all in order.
            _ => wire::put_stamped(
                &mut timed,
                header,
                CAPTURED + u64::from(n * 7 % 40) * 1000,
                payload.as_bytes(),
            ),
        }
    }
    [("batch", plain, Method::Level(Level::FAST)), ("batch_timed", timed, Method::Level(Level::DEFAULT))]
}

/// Those whose bytes don't depend on zstd.
fn control_messages() -> [(&'static str, Body); 2] {
    let blocks =
        control::Blocks { dictionaries: 16, dictionary_bytes: 16_384, prefixes: 4, prefix_bytes: 1 << 20 };
    let hello = control::Hello {
        version: 1,
        name: "console".into(),
        acknowledges: true,
        blocks: Some(blocks),
        ..Default::default()
    };
    [("hello", hello.into()), ("retire", control::Retire { id: 7, version: 3 }.into())]
}

fn dictionary() -> Dictionary {
    let Ok(Some(Body::Dictionary(sent))) = control::parse(&golden("dictionary")) else {
        panic!("a dictionary")
    };
    Dictionary::from_message(&sent.message, Dictionary::BYTES_MAX).expect("it is one")
}

#[test]
fn control_messages_are_written_and_read() {
    for (name, body) in control_messages() {
        let mut out = BytesMut::new();
        control::put(&mut out, body.clone());
        assert_eq!(out, golden(name)[..], "{name}");
        assert_eq!(control::parse(&out), Ok(Some(body)), "{name}");
    }
    let mut out = BytesMut::new();
    control::put(&mut out, control::Dictionary { message: dictionary().to_message().into() });
    assert_eq!(out, golden("dictionary")[..]);
}

#[test]
fn blocks_of_each_encoding_are_read() {
    let dictionary = dictionary();
    let mut kept = reference::Receiver::new(LIMIT);
    let mut unpacker = Unpacker::new();
    for Entry { name, header, captured, content, keep, .. } in entries() {
        let bytes = golden(name);
        let message = Messages::new(&bytes).next().expect("a whole message");
        let refers = |block: &Block<'_>| match block.encoding() {
            Encoding::Dictionary(name) if name == dictionary.name() => Reference::Dictionary(&dictionary),
            _ => kept.reference(block),
        };
        let mut out = BytesMut::new();
        let unpacked = unpacker.unpack(&message, refers, LIMIT, &mut out).expect(name);
        assert_eq!((unpacked.count, unpacked.keep), (1, keep), "{name}");
        let mut plain = Vec::new();
        match captured {
            Some(micros) => wire::put_stamped(&mut plain, header, micros, &content),
            None => wire::put_message(&mut plain, header, &content),
        }
        assert_eq!(out, plain[..], "{name}");
        if keep {
            kept.keep(header.sequence.into(), &Bytes::from(content)).expect("it is small");
        }
    }
}

#[test]
fn batches_are_read() {
    for (name, run, _) in batches() {
        let bytes = golden(name);
        let message = Messages::new(&bytes).next().expect("a whole message");
        let mut out = BytesMut::new();
        let unpacked = Unpacker::new().unpack(&message, |_| Reference::None, LIMIT, &mut out).expect(name);
        assert_eq!((unpacked.count, &out[..]), (40, &run[..]), "{name}");
    }
}

#[test]
fn blocks_are_written_as_by_the_zstd_that_wrote_them_first() {
    let same = zstd::zstd_safe::version_number() == WRITTEN_BY;
    let dictionary = dictionary();
    let mut written: Vec<_> = entries()
        .iter()
        .filter(|entry| same || matches!(entry.how, How::Stored))
        .map(|entry| (entry.name, entry.written(&dictionary)))
        .collect();
    written.extend(batches().into_iter().filter(|_| same).map(|(name, run, method)| {
        let mut out = BytesMut::new();
        Packer::new().pack_run(&run, method, &mut out);
        (name, out.to_vec())
    }));
    for (name, bytes) in written {
        assert!(bytes == golden(name), "{name} is written as\n{}", lines(&bytes));
        assert!(
            Messages::new(&bytes).next().is_some_and(|message| message.header.flags.contains(Flags::BLOCK))
        );
    }
}

/// As they stand in the file.
fn lines(bytes: &[u8]) -> String {
    let line = |part: &[u8]| part.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    bytes.chunks(48).map(line).collect::<Vec<_>>().join("\n")
}

/// A message of `blocks_golden.txt`.
fn golden(name: &str) -> Vec<u8> {
    let lines =
        include_str!("blocks_golden.txt").lines().map(|line| line.split('#').next().unwrap_or("").trim());
    let message = lines.skip_while(|line| line.strip_suffix(':') != Some(name)).skip(1);
    let hex = message.take_while(|line| !line.ends_with(':')).flat_map(str::split_whitespace);
    hex.map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal")).collect()
}
