//! Any bytes read as a recording give records, each within the input, and one error at most; what is read is written again
//! as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nyx_protocol::record::{ReadError, Reader, Record, Tail, Writer};

fuzz_target!(|input: &[u8]| {
    check(input);
    // Past the checksums, which no mutation gets right.
    check(&sealed(input));
});

/// A recording whose records have these bodies.
fn sealed(input: &[u8]) -> Vec<u8> {
    let mut file = Writer::create(Vec::new(), 1 << 50).expect("memory takes all").into_inner();
    for (_, body) in nyx_fuzz::steps(input) {
        let length = (body.len() as u32).to_be_bytes();
        file.extend_from_slice(&length);
        file.extend_from_slice(&(crc32fast::hash(&length) as u16).to_be_bytes());
        file.extend_from_slice(&crc32fast::hash(body).to_be_bytes());
        file.extend_from_slice(body);
    }
    file
}

fn check(input: &[u8]) {
    let Ok(mut reader) = Reader::open(input) else { return };
    let mut copy: Option<Writer<Vec<u8>>> = None;
    let mut last = reader.tail();
    let mut payload_bytes = 0;
    loop {
        match reader.next_record() {
            Ok(Some(record)) => {
                if let Record::Data { data, .. } = &record {
                    payload_bytes += data.payload.len();
                }
                rewrite(&mut copy, &record);
            }
            Ok(None) => break,
            Err(error) => {
                if let ReadError::Torn { at, bytes } = error {
                    assert_eq!(at + bytes, input.len() as u64, "what is torn is the end");
                }
                assert!(matches!(reader.next_record(), Ok(None)), "nothing follows an error");
                break;
            }
        }
        let tail = reader.tail();
        assert!(tail.bytes > last.bytes && tail.bytes <= input.len() as u64 && tail.at >= last.at);
        last = tail;
    }
    assert!(payload_bytes <= input.len(), "more than there is");
    if let Some(copy) = copy {
        compare(input, &copy.into_inner());
    }
}

fn rewrite(copy: &mut Option<Writer<Vec<u8>>>, record: &Record<'_>) {
    if let Record::Session(session) = record {
        let (file, bytes) = match copy.take() {
            Some(writer) => {
                let bytes = writer.bytes();
                (writer.into_inner(), bytes)
            }
            None => {
                let header = Writer::create(Vec::new(), 0).expect("memory takes all").into_inner();
                (header[..16].to_vec(), 16)
            }
        };
        let tail = Tail { bytes, at: session.at };
        *copy = Some(Writer::resume(file, tail, session.unix_micros).expect("memory takes all"));
        return;
    }
    let writer = copy.as_mut().expect("a session comes first");
    match record {
        Record::Topic { topic, .. } => writer.topic(topic).map(drop),
        Record::Data { data, .. } => writer.data(data),
        Record::Gap { gap, .. } => writer.gap(gap),
        Record::Outage(outage) => writer.outage(*outage),
        Record::End(at) => writer.end(*at),
        _ => Ok(()),
    }
    .expect("what was read can be written");
}

/// Both read alike, as far as the first can be read.
fn compare(one: &[u8], two: &[u8]) {
    let mut one = Reader::open(one).expect("it could be opened");
    let mut two = Reader::open(two).expect("ours");
    while let Ok(Some(record)) = one.next_record() {
        let again = two.next_record().expect("ours is whole").expect("and has as many");
        assert_eq!(record, again);
    }
    assert!(matches!(two.next_record(), Ok(None)));
}
