//! Bytes that are missing, or others than were written.

use nyx_protocol::record::{HEADER_LEN, OpenError, ReadError, Reader, Writer};
use proptest::prelude::*;

use super::{Recording, START, read, steps};

proptest! {
    #[test]
    fn a_prefix_reads_to_its_last_whole_record(steps in steps(), at in any::<prop::sample::Index>()) {
        let Recording { bytes, records } = Recording::of(&steps);
        let cut = HEADER_LEN + at.index(bytes.len() - HEADER_LEN + 1);
        let whole: Vec<_> = records.into_iter().take_while(|(end, _)| *end <= cut as u64).collect();
        let end = whole.last().map_or(HEADER_LEN as u64, |(end, _)| *end);
        let (read, error) = read(&bytes[..cut]);
        prop_assert_eq!(read, whole);
        match error {
            None => prop_assert_eq!(end, cut as u64),
            Some(ReadError::Torn { at, bytes }) => {
                prop_assert!(bytes > 0);
                prop_assert_eq!((at, at + bytes), (end, cut as u64));
            }
            Some(other) => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn a_flipped_byte_ends_the_reading_at_its_record(
        steps in steps(), at in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let Recording { mut bytes, records } = Recording::of(&steps);
        let at = HEADER_LEN + at.index(bytes.len() - HEADER_LEN);
        bytes[at] ^= flip;
        let good: Vec<_> = records.into_iter().take_while(|(end, _)| *end <= at as u64).collect();
        let end = good.last().map_or(HEADER_LEN as u64, |(end, _)| *end);
        let (read, error) = read(&bytes);
        prop_assert_eq!(read, good);
        let Some(ReadError::Damaged { at }) = error else {
            return Err(TestCaseError::fail(format!("{error:?}")));
        };
        prop_assert_eq!(at, end);
    }

    #[test]
    fn appending_to_a_torn_recording_keeps_its_whole_records(steps in steps(), at in any::<prop::sample::Index>()) {
        let bytes = Recording::of(&steps).bytes;
        let cut = HEADER_LEN + at.index(bytes.len() - HEADER_LEN + 1);
        let mut reader = Reader::open(&bytes[..cut]).unwrap();
        while let Ok(Some(_)) = reader.next_record() {}
        let tail = reader.tail();
        let (before, _) = read(&bytes[..cut]);
        let kept = bytes[..usize::try_from(tail.bytes).unwrap()].to_vec();
        let again = Writer::resume(kept, tail, START + 1).unwrap();
        let (after, error) = read(&again.into_inner());
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(&after[..before.len()], &before[..]);
        prop_assert_eq!(after.len(), before.len() + 1);
    }
}

#[test]
fn every_flipped_bit_of_the_header_is_noticed() {
    let good = Writer::create(Vec::new(), START).unwrap().into_inner();
    for bit in 0..HEADER_LEN * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let expected_damage = bit / 8 >= 8;
        match Reader::open(&bytes[..]).unwrap_err() {
            OpenError::NotARecording => assert!(!expected_damage, "bit {bit}"),
            OpenError::Damaged => assert!(expected_damage, "bit {bit}"),
            other => panic!("bit {bit}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_recording_says_so() {
    let good = Writer::create(Vec::new(), START).unwrap().into_inner();
    for cut in 0..HEADER_LEN {
        assert!(matches!(Reader::open(&good[..cut]), Err(OpenError::Cut { bytes }) if bytes == cut));
    }
    for other in [&b"hello"[..], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &[0; 100]] {
        assert!(matches!(Reader::open(other), Err(OpenError::NotARecording)));
    }
}
