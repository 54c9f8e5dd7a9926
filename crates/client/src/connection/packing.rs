//! Messages on their way to the writer, packed where the connection is so slow that it pays.
//!
//! What has gathered while the writer was busy is what there is to pack: batching is natural here too, and costs nobody a wait. Runs of
//! events become batches, large payloads blocks. On a fast connection everything passes through untouched but sound: that is little, always gets
//! smaller by about the same, and is made so in thirty microseconds for 10 ms of stereo.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use nyx_core::clock::Monotonic;
use nyx_core::{Clock, Instant};
use nyx_protocol::choose::{self, Candidate, Choice, Chooser, Codec, Link, Offer, Outcome, Pin};
use nyx_protocol::compress::linear::Shape;
use nyx_protocol::compress::{Level, Method};
use nyx_protocol::pack::Packer;
use nyx_protocol::wire::{self, Flags, Header, Kind, Message, codec};

use super::drain::Drain;
use crate::outgoing::Segment;

/// What is packed on one connection, and how.
#[derive(Debug)]
pub(crate) struct Packing {
    /// Whether the hub takes blocks, and allows them.
    pub(crate) is_allowed: bool,
    pub(crate) drain: Drain,
    clock: Monotonic,
    packer: Packer,
    choosers: HashMap<u32, Chooser>,
}

/// What the publisher of an alias says of its messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// By what they may be packed.
    pub(crate) compression: Pin,
    /// Channels of its sound.
    pub(crate) channels: u32,
}

/// What is written for a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(crate) wire: Segment,
    /// The plain messages that it stands for, if it is another.
    pub(crate) plain: Option<Segment>,
}

/// A connection that takes more than this, in bytes per second, is left alone. What it takes need not be what the network carries: a hub also
/// reads more slowly while subscribers lag, and where cores are what is scarce, packing would cost each subscriber some more of them. A hub
/// on the reference machine takes ten times this from a publisher while it serves 64 subscribers.
const SLOW_MAX: u64 = 4_000_000;

/// Publishers whose choices are remembered. Those of more begin anew.
const CHOOSERS_MAX: usize = 1024;

/// Levels that are tried.
const LEVELS: [Level; 2] = [Level::FAST, Level::DEFAULT];

impl Packing {
    pub(crate) fn new(clock: Monotonic, is_allowed: bool) -> Self {
        Self { is_allowed, drain: Drain::default(), clock, packer: Packer::new(), choosers: HashMap::new() }
    }

    /// The hub has said what it takes on an alias, which may have been another publisher's: its terms are asked for again. What was sent on it before
    /// the hub could say that it wants no blocks may have been packed.
    pub(crate) fn forget(&mut self, alias: u32) {
        self.choosers.remove(&alias);
    }

    /// Whether everything passes through as it is. `pinned`: a publisher wants blocks however fast the connection is.
    pub(crate) fn is_idle(&self, now: Instant, pinned: bool) -> bool {
        let is_slow = || self.drain.get(now).is_some_and(|rate| rate <= SLOW_MAX);
        !self.is_allowed || !(pinned || is_slow())
    }

    /// What is to be written for `segment`, in order. `terms` are those of the publisher of an alias, and `unsent` how many bytes wait in front.
    pub(crate) fn pack(
        &mut self,
        now: Instant,
        segment: Segment,
        unsent: u64,
        terms: impl Fn(u32) -> Terms,
        out: &mut Vec<Packed>,
    ) {
        let link = Link { drain: self.drain.get(now), unsent };
        for part in Parts(Some(segment)) {
            let header = part.headers().next().unwrap_or(Header::CONTROL);
            if header.kind == Some(Kind::Audio) {
                let packed = self.pack_sound(part, &header, terms(header.topic));
                out.push(packed);
                continue;
            }
            if !is_packable(&header) {
                out.push(Packed { wire: part, plain: None });
                continue;
            }
            let offer = Offer::new(part.len());
            if self.choosers.len() >= CHOOSERS_MAX {
                self.choosers.clear();
            }
            let chooser =
                self.choosers.entry(header.topic).or_insert_with(|| chooser(terms(header.topic).compression));
            // Over a fast link only what a publisher insists on is packed.
            if !matches!(chooser.pin(), Pin::Codec(_)) && link.drain.is_none_or(|rate| rate > SLOW_MAX) {
                out.push(Packed { wire: part, plain: None });
                continue;
            }
            let choice = chooser.choose(now, &offer, &link);
            let (wire, outcome) = encode(&mut self.packer, &self.clock, &part, &choice);
            chooser.record(&choice, outcome);
            if let Some(trial) = chooser.trial(now, &offer, &link) {
                let (_, outcome) = encode(&mut self.packer, &self.clock, &part, &trial);
                chooser.record_trial(&trial, outcome);
            }
            out.push(Packed::new(part, wire));
        }
    }

    fn pack_sound(&mut self, part: Segment, header: &Header, terms: Terms) -> Packed {
        let may = terms.compression != Pin::Off;
        let shape = Shape::new(header.codec, terms.channels).filter(|_| may);
        let wire = shape.zip(part.only()).map(|(shape, message)| {
            let mut wire = BytesMut::new();
            self.packer.pack(&message, Method::Linear(shape), false, &mut wire);
            wire.freeze()
        });
        let is_shorter = |wire: &Bytes| wire.len() < part.len();
        let wire = wire.filter(is_shorter);
        Packed::new(part, wire)
    }
}

impl Packed {
    /// The part as it is, or in its place `wire`, which stands for it.
    fn new(part: Segment, wire: Option<Bytes>) -> Self {
        match wire {
            Some(wire) => Self { wire: Segment::plain(wire), plain: Some(part) },
            None => Self { wire: part, plain: None },
        }
    }
}

fn chooser(pin: Pin) -> Chooser {
    let pinned = match pin {
        Pin::Codec(codec @ Codec::Level(level)) if !LEVELS.contains(&level) => Some(codec),
        _ => None,
    };
    let codecs = [Codec::Raw].into_iter().chain(LEVELS.map(Codec::Level)).chain(pinned);
    let candidates = codecs.map(|codec| Candidate { codec, ..Candidate::PLAIN });
    let mut chooser = Chooser::new(candidates, choose::Config::default()).expect("the plain one comes first");
    chooser.set_pin(pin);
    chooser
}

/// Images are compressed already. Sound is packed by itself.
fn is_packable(header: &Header) -> bool {
    match header.kind {
        Some(Kind::Event | Kind::State) => true,
        Some(Kind::Frame) => header.codec == codec::FRAME_OTHER,
        Some(Kind::Audio) | None => false,
    }
}

/// The part as chosen, if that is shorter, and what it came to.
fn encode(
    packer: &mut Packer,
    clock: &Monotonic,
    part: &Segment,
    choice: &Choice,
) -> (Option<Bytes>, Outcome) {
    let Codec::Level(level) = choice.candidate().codec else {
        return (None, Outcome { bytes: part.len(), cpu: std::time::Duration::ZERO });
    };
    let before = clock.now();
    let mut out = BytesMut::new();
    let method = Method::Level(level);
    match part.only() {
        Some(message) => drop(packer.pack(&message, method, false, &mut out)),
        None => packer.pack_run(&part.head, method, &mut out),
    }
    let cpu = clock.now() - before;
    let wire = (out.len() < part.len()).then(|| out.freeze());
    (wire.clone(), Outcome { bytes: wire.map_or(part.len(), |wire| wire.len()), cpu })
}

/// A segment in parts that are packed one by one: consecutive messages of one publisher, and each message whose payload stands apart.
struct Parts(Option<Segment>);

impl Iterator for Parts {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        let mut segment = self.0.take()?;
        let len = first_part(&segment)?;
        if len >= segment.head.len() && (len > segment.head.len() || segment.body.is_empty()) {
            return Some(segment);
        }
        let head = segment.head.split_to(len);
        self.0 = Some(segment);
        Some(Segment::plain(head))
    }
}

/// Bytes of the first part; more than those of the head where it has a payload that stands apart.
fn first_part(segment: &Segment) -> Option<usize> {
    let mut headers = segment.headers();
    let first = headers.next()?;
    let mut len = first.message_len();
    if len > segment.head.len() || first.kind != Some(Kind::Event) {
        return Some(len);
    }
    for header in headers {
        let is_same = (header.kind, header.topic) == (first.kind, first.topic);
        if !is_same || len + header.message_len() > segment.head.len() || len >= PART {
            break;
        }
        len += header.message_len();
    }
    Some(len)
}

/// Bytes of a run that are chosen for at once, about.
const PART: usize = 64 * 1024;

impl Segment {
    /// Its message, if it is one.
    fn only(&self) -> Option<Message<'_>> {
        if self.body.is_empty() {
            let mut messages = wire::Messages::new(&self.head);
            let first = messages.next()?;
            return messages.next().is_none().then_some(first);
        }
        let header = self.headers().next()?;
        let stamp = self.head.get(wire::HEADER_LEN..)?;
        let unix_micros = if header.flags.contains(Flags::TIMESTAMP) {
            Some(u64::from_be_bytes(*stamp.first_chunk()?))
        } else {
            None
        };
        Some(Message { header, unix_micros, payload: &self.body })
    }
}

#[cfg(test)]
mod tests {
    use nyx_protocol::compress::Reference;
    use nyx_protocol::pack::Unpacker;
    use nyx_protocol::wire::{Messages, put_message};

    use super::*;

    fn events(alias: u32, count: usize) -> BytesMut {
        let mut run = BytesMut::new();
        for n in 0..count {
            let payload = format!(r#"{{"player":{n},"event":"pass","team":"north"}}"#);
            put_message(
                &mut run,
                Header { topic: alias, sequence: n as u32, ..Header::data(Kind::Event) },
                payload.as_bytes(),
            );
        }
        run
    }

    /// A connection of 500 kB/s.
    fn slow() -> (Packing, Instant) {
        let mut packing = Packing::new(Monotonic::new(), true);
        let at = |ms| Instant::ZERO + std::time::Duration::from_millis(ms);
        packing.drain.handle_full(at(0));
        packing.drain.handle_written(25_000, false);
        packing.drain.handle_full(at(50));
        (packing, at(60))
    }

    fn pack(packing: &mut Packing, now: Instant, segment: Segment, pin: Pin) -> Vec<Packed> {
        let mut out = Vec::new();
        packing.pack(now, segment, 0, |_| Terms { compression: pin, channels: 2 }, &mut out);
        out
    }

    fn plain(packed: &[Packed]) -> BytesMut {
        let (mut out, mut unpacker) = (BytesMut::new(), Unpacker::new());
        for packed in packed {
            for message in Messages::new(&packed.wire.head) {
                if message.header.flags.contains(Flags::BLOCK) {
                    unpacker.unpack(&message, |_| Reference::None, 1 << 24, &mut out).unwrap();
                } else {
                    put_message(&mut out, message.header, message.payload);
                }
            }
        }
        out
    }

    #[test]
    fn runs_of_events_become_batches_on_a_slow_connection_alone() {
        let (mut packing, now) = slow();
        assert!(!packing.is_idle(now, false));
        let mut run = events(1, 200);
        run.extend_from_slice(&events(2, 100));
        let run = run.freeze();
        let packed = pack(&mut packing, now, Segment::plain(run.clone()), Pin::Auto);
        let bytes: usize = packed.iter().map(|packed| packed.wire.len()).sum();
        assert!(bytes * 5 < run.len(), "{bytes} of {}", run.len());
        assert_eq!(plain(&packed), run);
        let kept: usize = packed.iter().filter_map(|packed| packed.plain.as_ref()).map(Segment::len).sum();
        assert_eq!(kept, run.len(), "what is not written is sent plainly on the next connection");

        let mut fast = Packing::new(Monotonic::new(), true);
        assert!(fast.is_idle(now, false) && !fast.is_idle(now, true));
        let packed = pack(&mut fast, now, Segment::plain(run.clone()), Pin::Auto);
        assert!(packed.iter().all(|packed| packed.plain.is_none()));
        let packed = pack(
            &mut Packing::new(Monotonic::new(), true),
            now,
            Segment::plain(run),
            Pin::Codec(Codec::Level(Level::FAST)),
        );
        assert!(packed.iter().all(|packed| packed.plain.is_some()));
    }

    #[test]
    fn a_payload_that_stands_apart_becomes_a_block_and_an_image_does_not() {
        let (mut packing, now) = slow();
        let body = Bytes::from(br#"{"key":"value"}"#.repeat(4000));
        let segment = |codec| {
            let header = Header { codec, topic: 1, length: body.len() as u32, ..Header::data(Kind::Frame) };
            let mut head = events(2, 3);
            head.extend_from_slice(&header.to_bytes());
            Segment { head: head.freeze(), body: body.clone() }
        };
        let packed = pack(&mut packing, now, segment(codec::FRAME_OTHER), Pin::Auto);
        let last = packed.last().unwrap();
        assert!(last.wire.len() * 20 < body.len() && last.plain.as_ref().unwrap().body == body);
        let packed = pack(&mut packing, now, segment(codec::FRAME_JPEG), Pin::Auto);
        assert_eq!(packed.last().unwrap().wire.body, body);
    }

    #[test]
    fn sound_is_packed_on_any_connection_unless_nothing_may_be() {
        let samples: Vec<u8> = (0..960_i16).flat_map(|at| (at / 2 * 9).to_le_bytes()).collect();
        let segment = |codec| {
            let header =
                Header { codec, topic: 1, length: 8 + samples.len() as u32, ..Header::data(Kind::Audio) };
            let mut head = BytesMut::new();
            wire::put_stamped(&mut head, header, 7, &samples);
            Segment::plain(head.freeze())
        };
        let mut fast = Packing::new(Monotonic::new(), true);
        let now = Instant::ZERO;
        let packed = pack(&mut fast, now, segment(codec::AUDIO_S16LE), Pin::Auto);
        assert!(packed[0].wire.len() * 20 < samples.len(), "{}", packed[0].wire.len());
        let mut out = BytesMut::new();
        let message = Messages::new(&packed[0].wire.head).next().unwrap();
        Unpacker::new().unpack(&message, |_| Reference::None, 1 << 24, &mut out).unwrap();
        assert_eq!(out, segment(codec::AUDIO_S16LE).head);
        for (codec, pin) in [(codec::AUDIO_S16LE, Pin::Off), (77, Pin::Auto)] {
            let packed = pack(&mut fast, now, segment(codec), pin);
            assert_eq!(packed, [Packed { wire: segment(codec), plain: None }]);
        }
    }

    #[test]
    fn what_the_hub_wants_plain_is_packed_no_more() {
        let (mut packing, now) = slow();
        let run = || Segment::plain(events(3, 200).freeze());
        assert!(pack(&mut packing, now, run(), Pin::Auto).iter().any(|packed| packed.plain.is_some()));
        packing.forget(3);
        // The registry says so from now on.
        let after = pack(&mut packing, now, run(), Pin::Off);
        assert!(after.iter().all(|packed| packed.plain.is_none()), "{after:?}");
    }

    #[test]
    fn off_and_a_hub_that_takes_none_leave_everything_as_it_is() {
        let (mut packing, now) = slow();
        let segment = Segment::plain(events(1, 200).freeze());
        let packed = pack(&mut packing, now, segment.clone(), Pin::Off);
        assert_eq!(packed, [Packed { wire: segment, plain: None }]);
        packing.is_allowed = false;
        assert!(packing.is_idle(now, true));
    }
}
