//! Holds the code to the bytes of `docs/RECORD.md`. What stands here can't change within version 1.

use std::time::Duration;

use nyx_protocol::control::{AudioFormat, Lane, Reason};
use nyx_protocol::record::{Data, Gap, Missing, OpenError, Outage, Reader, Topic, Writer};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::{Kind, codec};

use super::START;

/// `"01 ff"` as bytes.
fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("two hex digits")).collect()
}

#[test]
fn one_of_each() {
    let mut writer = Writer::create(Vec::new(), START).unwrap();
    let mut voice = Topic::new(Name::new("v").unwrap(), Kind::Audio);
    voice.audio = Some(AudioFormat { sample_rate: 48_000, channels: 2 });
    voice.max_age = Some(Duration::from_millis(500));
    (voice.lane, voice.content_type) = (Lane::High, "x".to_owned());
    let voice = writer.topic(&voice).unwrap();
    let at = Duration::from_millis;
    let data = Data { codec: codec::AUDIO_S16LE, key: true, ..Data::new(voice, at(1), 300, b"hi") };
    writer.data(&Data { unix_micros: Some(START + 990), ..data }).unwrap();
    let missing = vec![Missing { reason: Reason::Expired, count: 4 }];
    writer.gap(&Gap { topic: voice, at: at(1), first_sequence: 301, missing }).unwrap();
    writer.outage(Outage { at: at(2), downtime: at(1) }).unwrap();
    writer.end(at(2)).unwrap();
    let expected = [
        "89 4e 59 58 0d 0a 1a 0a 00 01 00 00 58 44 f6 ef",
        "00 00 00 0a 36 02 c4 06 d0 e6 01 00 80 80 f9 c0 c1 c4 82 03",
        "00 00 00 0d a3 a1 93 fd 26 f1 02 03 01 f4 03 80 f7 02 02 01 76 01 78",
        "00 00 00 0b 06 94 b7 b3 ba 9d 03 00 03 01 e8 07 ac 02 14 68 69",
        "00 00 00 08 57 2e 0b ac 74 82 04 00 e8 07 ad 02 01 04",
        "00 00 00 05 2b 93 2b 09 6a 8e 05 d0 0f e8 07",
        "00 00 00 03 8e a6 ea 4b 7d 2e 06 d0 0f",
    ];
    assert_eq!(writer.into_inner(), hex(&expected.join(" ")));
}

#[test]
fn a_later_version_is_named() {
    let mut header = hex("89 4e 59 58 0d 0a 1a 0a 00 02 00 00");
    header.extend_from_slice(&crc32fast::hash(&header).to_be_bytes());
    assert!(matches!(Reader::open(&header[..]), Err(OpenError::Newer { found: 2 })));
}
