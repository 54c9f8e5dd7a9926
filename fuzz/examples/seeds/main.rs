//! Writes the seeds that every fuzz target begins with, a few of what real peers send, into `fuzz/seeds/<target>/`:
//!
//! ```sh
//! cargo run --manifest-path fuzz/Cargo.toml --example seeds
//! ```
//!
//! They are checked in. Whoever changes a format writes them anew; the same code writes the same bytes each time. Those of `netem_schedule` and
//! `unpack` were not written by it.

#![forbid(unsafe_code)]
#![allow(clippy::needless_update, reason = "a message of the protocol may get further fields")]

mod compress;
mod media;
mod record;
mod udp;

use std::error::Error;
use std::fs;
use std::path::Path;

use bytes::BytesMut;
use nyx_protocol::control::{self, Body};
use nyx_protocol::state::{Document, Encoded, Limits, ListOp, Patch, Piece, Value};
use nyx_protocol::wire::{self, Flags, Header, Kind, codec};

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn main() -> Result<(), Box<dyn Error>> {
    let targets: [(&str, Seeds); 20] = [
        ("wire_decoder", wire_decoder()),
        ("control_decoder", control_decoder()),
        ("state_value", state_value()),
        ("state_patch", state_patch()),
        ("state_apply", state_apply()),
        ("hub_session", hub_session()),
        ("client_stream", client_stream()),
        ("http_fields", http_fields()),
        ("websocket_frames", websocket_frames()),
        ("wav_reader", media::wav_reader()?),
        ("pulse_inbox", media::pulse_inbox()),
        ("jpeg_splitter", media::jpeg_splitter()),
        ("record", record::seeds()?),
        ("decompress", compress::decompress()),
        ("dictionary", compress::dictionary()),
        ("token_file", token_file()),
        ("jwt", jwt()),
        ("udp_connection", udp::connection()),
        ("udp_fragments", udp::fragments()?),
        ("linear", compress::linear()),
    ];
    for (target, seeds) in targets {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}

/// A script as `nyx_fuzz::steps` reads it.
fn script<'a>(steps: impl IntoIterator<Item = (u8, &'a [u8])>) -> Vec<u8> {
    let mut script = Vec::new();
    for (step, bytes) in steps {
        let len = bytes.len().min(255);
        script.extend_from_slice(&[step, len as u8]);
        script.extend_from_slice(&bytes[..len]);
    }
    script
}

fn wire_decoder() -> Seeds {
    let data = |kind, topic, payload: &[u8]| {
        let mut out = Vec::new();
        let header = Header { topic, sequence: 41, codec: 1, ..Header::data(kind) };
        wire::put_message(&mut out, header, payload);
        out
    };
    let mut stamped = Vec::new();
    let frame = Header { flags: Flags::KEYFRAME, codec: codec::FRAME_JPEG, ..Header::data(Kind::Frame) };
    wire::put_stamped(&mut stamped, frame, 1_700_000_000_000_001, &[0xFF, 0xD8]);
    let mut ping = BytesMut::new();
    control::put(&mut ping, control::Ping { nonce: 7 });
    let run = [data(Kind::Event, 7, b"one"), data(Kind::Event, 7, b"two"), data(Kind::Event, 7, b"three")];
    let mixed =
        [data(Kind::State, 1, &[2, 0]), stamped.clone(), ping.to_vec(), data(Kind::Audio, 2, &[0; 8])];
    let piecewise = |piece: u8, stream: Vec<u8>| [vec![piece], stream].concat();
    vec![
        ("run", piecewise(0, run.concat())),
        ("run_bytewise", piecewise(1, run.concat())),
        ("mixed", piecewise(7, mixed.concat())),
        ("cut_off", piecewise(255, stamped[..20].to_vec())),
        // A block that says that it has 104 items.
        (
            "block_of_many",
            vec![
                1, 4, 8, 1, 0, 0, 0, 0, 0, 175, 0, 0, 0, 0, 0, 0, 5, 116, 104, 114, 5, 0, 0, 0, 0, 0, 0, 0,
                0, 101, 101,
            ],
        ),
    ]
}

/// A message of each sort.
fn bodies() -> Vec<(&'static str, Body)> {
    let kind = control::Kind::State.into();
    vec![
        (
            "hello",
            control::Hello { version: 1, name: "a".into(), acknowledges: true, ..Default::default() }.into(),
        ),
        (
            "welcome",
            control::Welcome {
                version: 1,
                session_id: 9,
                server: "nyx".into(),
                max_message_bytes: 1 << 24,
                ..Default::default()
            }
            .into(),
        ),
        (
            "error",
            control::Error {
                code: 7,
                message: "no".into(),
                fatal: true,
                alias: Some(3),
                ..Default::default()
            }
            .into(),
        ),
        (
            "advertise",
            control::Advertise { alias: 3, topic: "a/b".into(), kind, max_age_ms: 200, ..Default::default() }
                .into(),
        ),
        ("advertised", control::Advertised { alias: 3, topic_id: 5, ..Default::default() }.into()),
        ("subscribe", subscribe("**").into()),
        ("subscribed", control::Subscribed { id: 1, ..Default::default() }.into()),
        ("unsubscribe", control::Unsubscribe { id: 1, ..Default::default() }.into()),
        ("announce", announce().into()),
        ("ack", control::Ack { bytes: 300, ..Default::default() }.into()),
        ("gap", gap().into()),
        ("ping", control::Ping { nonce: u64::MAX, ..Default::default() }.into()),
        ("pong", control::Pong { nonce: 1, ..Default::default() }.into()),
        ("resync", control::Resync { topic_id: 5, ..Default::default() }.into()),
        ("goodbye", control::Goodbye { reason: "shutdown".into(), ..Default::default() }.into()),
        ("unadvertise", control::Unadvertise { alias: 3, ..Default::default() }.into()),
        (
            "dictionary",
            control::Dictionary { message: vec![5, 1, 0, 0, 0, 0].into(), ..Default::default() }.into(),
        ),
        ("retire", control::Retire { id: 5, version: 1, ..Default::default() }.into()),
        ("compression", control::Compression { allowed: true, ..Default::default() }.into()),
        ("passed", control::Passed { topic_id: 5, hubs: vec![7, 0], ..Default::default() }.into()),
        ("results", results().into()),
        (
            "serve",
            control::Serve { id: 2, service: "a/b".into(), concurrency: 4, ..Default::default() }.into(),
        ),
        ("served", control::Served { id: 2, code: 3, message: "no".into(), ..Default::default() }.into()),
        ("unserve", control::Unserve { id: 2, ..Default::default() }.into()),
        ("request", request().into()),
        ("reply", control::Reply { id: 1, status: 1, body: b"no"[..].into(), ..Default::default() }.into()),
        ("cancel", control::Cancel { id: 1, ..Default::default() }.into()),
    ]
}

fn results() -> control::Results {
    let accepted = control::Outcome { count: 3, sequence: Some(40), ..Default::default() };
    let refused = control::Outcome { count: 1, code: 7, message: "no".into(), ..Default::default() };
    control::Results { alias: 3, outcomes: vec![accepted, refused], ..Default::default() }
}

fn request() -> control::Request {
    let (service, body) = ("a/b".into(), b"hello"[..].into());
    control::Request { id: 1, service, body, deadline_ms: 5_000, lane: 1, serve_id: 2, ..Default::default() }
}

fn subscribe(pattern: &str) -> control::Subscribe {
    let resume = vec![control::Resume { topic: "a/b".into(), epoch: 77, position: 4, ..Default::default() }];
    control::Subscribe { id: 1, pattern: pattern.into(), max_age_ms: 200, resume, ..Default::default() }
}

fn announce() -> control::Announce {
    let audio = Some(control::AudioFormat { sample_rate: 48_000, channels: 2, ..Default::default() });
    let kind = control::Kind::Audio.into();
    control::Announce {
        topic_id: 5,
        topic: "radio".into(),
        kind,
        audio,
        prompt: true,
        epoch: 1,
        position: 2,
        ..Default::default()
    }
}

fn gap() -> control::Gap {
    let drops =
        vec![control::Drop { reason: control::Reason::Conflated.into(), count: 6, ..Default::default() }];
    control::Gap { topic_id: 5, first_sequence: 9, drops, ..Default::default() }
}

fn control_decoder() -> Seeds {
    let payload = |body| {
        let mut out = BytesMut::new();
        control::put(&mut out, body);
        out[wire::HEADER_LEN..].to_vec()
    };
    bodies().into_iter().map(|(name, body)| (name, payload(body))).collect()
}

fn scalars() -> Value {
    let floats = [0.1 + 0.2, 0.25, 12.34, -7.0, 1e300].map(Value::F64);
    Value::map([
        ("a", Value::list([Value::Null, Value::from(false), Value::from(true)])),
        ("b", Value::list([-64, 63, 64, i64::MIN, i64::MAX])),
        ("c", Value::list(floats)),
        ("d", Value::from("é, and some more")),
        ("e", Value::Bytes(bytes::Bytes::from_static(&[0xFF, 0, 1]))),
    ])
}

fn rows(order: &[i64], step: i64) -> Value {
    Value::list(order.iter().map(|id| {
        let x = Value::F64((id * 100 + step) as f64 / 100.0);
        Value::map([("id", Value::from(*id)), ("x", x), ("hp", Value::from(100 - step))])
    }))
}

fn state_value() -> Seeds {
    let encoded = |value: Value| {
        let mut out = BytesMut::new();
        value.encode(&mut out);
        out.to_vec()
    };
    vec![("scalars", encoded(scalars())), ("rows", encoded(rows(&[1, 2, 3], 0)))]
}

/// What a publisher sends one after the other.
fn patches() -> Vec<Vec<u8>> {
    let text = |middle: &str| Value::from(format!("a notice that is {middle}rather long"));
    let entries =
        |list: Value, middle: &str| Value::map([("l", list), ("t", text(middle)), ("s", scalars())]);
    let values = [
        Value::Map([].into()),
        entries(rows(&[1, 2, 3, 4], 0), ""),
        entries(rows(&[1, 2, 3, 4], 1), "now "),
        entries(rows(&[4, 1, 9, 3], 2), ""),
        entries(Value::list((0..20).collect::<Vec<i64>>()), ""),
        entries(Value::list((0..20).map(|n| n + n % 3).collect::<Vec<i64>>()), ""),
        entries(rows(&[1, 2, 3, 4, 5, 6, 7, 8], 0), ""),
        entries(rows(&[1, 2, 3, 4, 5, 6, 7, 8], 30), ""),
    ];
    let mut patches: Vec<_> = values.windows(2).filter_map(|pair| Patch::diff(&pair[0], &pair[1])).collect();
    let pieces =
        vec![Piece::Kept { from: 3, len: 1 }, Piece::New { len: 1 }, Piece::Kept { from: 0, len: 2 }];
    let ops = vec![
        ListOp::Arrange { pieces, inserted: vec![Value::Null] },
        ListOp::Splice { index: 1, removed: 1, inserted: vec![7.into()] },
        ListOp::Item { index: 0, patch: Patch::Set("x".into()) },
    ];
    let entries = [("l".to_owned(), Patch::List(ops)), ("t".to_owned(), Patch::Remove)];
    patches.push(Patch::Map(entries.into()));
    let encoded = |patch: &Patch| {
        let mut out = BytesMut::new();
        patch.encode(&mut out);
        out.to_vec()
    };
    patches.iter().map(encoded).collect()
}

fn state_patch() -> Seeds {
    vec![("session", script(patches().iter().map(|patch| (0, &patch[..]))))]
}

fn state_apply() -> Seeds {
    let patches = patches();
    let followed = patches.iter().flat_map(|patch| [(4, &patch[..]), (0, &[][..]), (1, &[])]);
    let skipped = patches.iter().enumerate().flat_map(|(n, patch)| {
        [Some((4, &patch[..])), (n % 3 == 0).then_some((0, &[][..]))].into_iter().flatten()
    });
    let moving = patches[..6].iter().map(|patch| (4, &patch[..]));
    let damaged = patches.iter().flat_map(|patch| [(4, &patch[..]), (2, &[9, 0x80, 0xFF][..]), (0, &[])]);
    vec![
        ("followed", script(followed)),
        ("conflated", script(skipped)),
        ("damaged", script(damaged)),
        ("foreign", script([(3, &foreign()[..])])),
        ("table", script(moving.chain([(0, &[][..]), (3, &table(&patches[..7]))]))),
    ]
}

/// The delta that the last of these patches makes of a document like the target's.
fn table(patches: &[Vec<u8>]) -> Vec<u8> {
    let (mut document, mut out) = (Document::new(1, Limits::default()), BytesMut::new());
    for patch in patches.iter().filter_map(|patch| Patch::decode(patch, &Limits::default()).ok()) {
        assert_eq!(document.patch(&patch), Ok(true));
    }
    assert_eq!(document.delta_since(document.version() - 1, &mut out), Encoded::Delta);
    out.to_vec()
}

/// A snapshot of another document.
fn foreign() -> Vec<u8> {
    let (mut document, mut out) = (Document::new(0x0123_4567_89AB_CDEF, Limits::default()), BytesMut::new());
    assert_eq!(document.patch(&Patch::Set(Value::map([("l", rows(&[1, 2], 0))]))), Ok(true));
    document.snapshot(&mut out);
    out.to_vec()
}

/// Steps of the target `hub_session`, see there.
fn hub_session() -> Seeds {
    let patch = patches().swap_remove(0);
    let data = |alias: u8, kind: u8, payload: &[u8]| [&[alias + 5 * kind][..], payload].concat();
    let (state, event) = (data(1, 0, &patch[..40.min(patch.len())]), data(2, 3, b"hello"));
    let (advertise_state, advertise_event) = (data(1, 1, b"a"), data(2, 4, b"b"));
    let read: (u8, &[u8]) = (1, &[]);
    let publishes =
        [(5, &b"\0peer"[..]), (6, &advertise_state), (9, &state), (6, &advertise_event), (9, &event), read];
    let subscribes =
        [(5, &b"\0peer"[..]), (7, &b"\x01**"[..]), read, (8, &b"\x40"[..]), (0, &[200, 200][..]), read];
    let both = publishes.into_iter().chain(subscribes).chain([(9, &event[..]), read, (2, &[])]);
    let mut raw = BytesMut::new();
    control::put(&mut raw, control::Hello { version: 9, ..Default::default() });
    let advertise_results = data(3, 4, b"c");
    let receipts = [
        (5, &b"\0peer"[..]),
        (10, &advertise_results),
        (9, b"\x12one"),
        (9, b"\x12two"),
        read,
        (11, b"\x16"),
        read,
    ];
    // It serves, asks itself, answers, is asked again by nobody, and takes it back.
    let services = [
        (5, &b"\0peer"[..]),
        (11, b"\x06s/t"),
        read,
        (11, b"\x0bs/t"),
        read,
        (11, b"\x03yes"),
        read,
        (11, b"\x11nobody"),
        (11, b"\x02"),
        (11, b"\x07"),
        (0, &[255; 4]),
        read,
    ];
    let blocks =
        [(5, &b"\x0cpeer"[..]), (6, &advertise_event), (9, b"\x51\x00hello"), (9, b"\x51\x04hello"), read];
    vec![
        ("receipts", script(receipts)),
        ("services", script(services)),
        ("blocks", script(blocks)),
        ("publishes", script(publishes)),
        ("subscribes", script(subscribes)),
        ("both", script(both)),
        ("wrong_version", script([(3, &raw[..]), read])),
    ]
}

/// A byte that says over what, and a script of what a hub sends.
fn client_stream() -> Seeds {
    let announce = |kind: u8| [&[3 * kind][..], &[0; 8]].concat();
    let item = |kind: u8, sequence: u32, payload: &[u8]| {
        [&[3 * kind][..], &sequence.to_be_bytes(), payload].concat()
    };
    let (events, first, fourth) = (announce(4), item(3, 0, b"hello"), item(3, 3, b"there"));
    let gap = [&[0][..], &1u64.to_be_bytes()].concat();
    let read: (u8, &[u8]) = (0, &[]);
    let items = [
        (5, &events[..]),
        (8, &first),
        (6, &gap),
        (8, &fourth),
        read,
        (1, &[]),
        (5, &events),
        (8, &fourth),
        read,
    ];
    let (states, garbage) = (announce(1), item(0, 1, b"no document"));
    let states = [(5, &states[..]), (8, &garbage), read, (2, &[]), (3, b"a/**"), (8, &garbage), read];
    let over = |transport: u8, script: Vec<u8>| [vec![transport], script].concat();
    vec![
        ("items", over(0, script(items))),
        ("items_out_of_order", over(1, script(items))),
        ("states", over(0, script(states))),
    ]
}

/// An origin or the id of an event, and a host.
fn http_fields() -> Seeds {
    vec![
        ("own_page", b"http://localhost:6991\nlocalhost:6991".to_vec()),
        ("address", b"https://[::1]\n[::1]:443".to_vec()),
        ("event", b"ab12-42\nnyx.example".to_vec()),
    ]
}

/// Frames of a client, masked with 1, 2, 3, 4.
fn websocket_frames() -> Seeds {
    let frame = |first: u8, payload: &[u8]| {
        let mask = [1, 2, 3, 4];
        let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        [first, 0x80 | payload.len() as u8].into_iter().chain(mask).chain(masked).collect::<Vec<_>>()
    };
    let whole = [
        frame(0x82, b"binary"),
        frame(0x89, b"ping"),
        frame(0x02, b"in "),
        frame(0x80, b"parts"),
        frame(0x88, &[3, 232]),
    ];
    let long = [&[0x82, 0xFE, 0, 200, 1, 2, 3, 4][..], &[0x55; 200]].concat();
    vec![
        ("whole", [vec![0], whole.concat()].concat()),
        ("bytewise", [vec![1], whole.concat()].concat()),
        ("long", [vec![16], long].concat()),
        ("text", [vec![0], frame(0x81, b"text")].concat()),
    ]
}

/// A token of each sort, and a secret as its bearer sends it.
fn token_file() -> Seeds {
    const FILE: &str = "[[token]]\nid = \"0123456789ab\"\nname = \"camera\"\n\
        sha256 = \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\n\
        publish = [\"camera/**\"]\nsubscribe = [\"$nyx/*\", \"chat\"]\n\
        created = \"2026-11-28T19:00:00Z\"\nexpires = \"2027-11-28T19:00:00Z\"\n\n\
        [[revoked]]\njti = \"7d1f\"\nuntil = \"2026-12-01T00:00:00Z\"\n";
    let secret = format!("nyx_0123456789ab_{}", "A".repeat(43));
    vec![("both", FILE.into()), ("empty", Vec::new()), ("secret", secret.into())]
}

/// The parts of tokens: where to put them, and what.
fn jwt() -> Seeds {
    let part = |place: u16, text: &str| [&place.to_le_bytes()[..], text.as_bytes()].concat();
    vec![
        ("unsigned", part(0, "eyJhbGciOiJub25lIn0.eyJleHAiOjIwMDB9.")),
        ("other_algorithm", part(0, "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjIwMDB9.AAAA")),
        ("one_character", part(40, "x")),
    ]
}
