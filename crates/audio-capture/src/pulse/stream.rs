//! A stream that the server records for us.

use std::time::{Duration, SystemTime};

use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    Command, CreateRecordStreamReply, LatencyParams, Prop, Props, RecordLatency, RecordStreamParams,
    SinkInputInfo,
};

use super::address::Address;
use super::connection::{Connection, Event, Failure};
use super::find::{self, Place, Source, Target};
use super::inbox::Packet;
use super::listing;
use super::shape::Shape;
use crate::capture::Feed;
use crate::format::{Encoding, Format};
use crate::input::{Input, OpenError, Opened, Progress, ReadError, Request};

/// Captures a device, the monitor of an output, or what one application plays.
///
/// Rate and channels are those of the device; channels come in the order of WAVE, whatever theirs is. A device that was asked for by name is captured or nothing is: when it is unplugged the
/// server does not put another in its place.
#[derive(Debug)]
pub struct Stream {
    address: Address,
    target: Target,
    open: Option<Open>,
}

/// A stream that is there.
#[derive(Debug)]
struct Open {
    connection: Connection,
    place: Place,
    channel: u32,
    encoding: Encoding,
}

impl Stream {
    /// A stream of the server at `address`.
    pub const fn new(address: Address, target: Target) -> Self {
        Self { address, target, open: None }
    }
}

impl Input for Stream {
    fn open(&mut self, request: &Request) -> Result<Opened, OpenError> {
        let mut connection = Connection::open(&self.address)?;
        let place = self.target.find(&mut connection)?;
        let (created, shape) = create(&mut connection, &place, &self.target, request).map_err(|failure| {
            if failure.is_absence() {
                let known = find::known(&listing::devices(&mut connection).unwrap_or_default());
                return OpenError::NoDevice { wanted: place.name.clone(), known };
            }
            failure.while_doing("the stream was created")
        })?;
        let spec = created.sample_spec;
        let format = listing::format(&spec).filter(|_| spec == shape.spec).ok_or_else(|| {
            let what =
                format!("{:?} samples, {} channels, {} Hz", spec.format, spec.channels, spec.sample_rate);
            OpenError::Unsupported { what }
        })?;
        let latency = latency(&mut connection, created.channel);
        let (channel, encoding) = (created.channel, shape.encoding);
        self.open = Some(Open { connection, place, channel, encoding });
        Ok(Opened { format, latency })
    }

    fn read(&mut self, feed: &mut Feed) -> Result<Progress, ReadError> {
        let Some(open) = &mut self.open else { return Ok(Progress::End) };
        loop {
            if open.take_in(feed)? {
                return Ok(Progress::More);
            }
            if !open.connection.fill().map_err(lost)? {
                return open.idle(feed).map(|()| Progress::More);
            }
        }
    }

    fn close(&mut self) {
        self.open = None;
    }
}

impl Open {
    /// Hands on all whole packets, and says whether there were samples among them.
    fn take_in(&mut self, feed: &mut Feed) -> Result<bool, ReadError> {
        let mut arrived = Arrived::new(self);
        while let Some(packet) = self.connection.inbox.next_packet().map_err(Failure::from).map_err(lost)? {
            arrived.take(packet, feed);
        }
        if arrived.is_killed { Err(self.ended()) } else { Ok(arrived.has_samples) }
    }

    /// Nothing has come for a while. An application that pauses delivers nothing, and that is silence; a server that is slow is
    /// waited for. The server's answer comes behind all samples, so it says which.
    fn idle(&mut self, feed: &mut Feed) -> Result<(), ReadError> {
        let Some(stream) = self.place.stream else { return Ok(()) };
        let mut arrived = Arrived::new(self);
        let command = Command::GetSinkInputInfo(stream);
        let state = self.connection.request_aside(&command, |packet| arrived.take(packet, feed));
        match state {
            // It says so once.
            Ok(_) if arrived.is_killed => return Err(self.ended()),
            Ok(SinkInputInfo { corked: true, .. }) if !arrived.has_samples => feed.idle(),
            Ok(_) => {}
            Err(failure) if failure.is_absence() => return Err(self.ended()),
            Err(failure) => return Err(lost(failure)),
        }
        Ok(())
    }

    /// Why the server has ended our stream.
    fn ended(&mut self) -> ReadError {
        let name = self.place.name.clone();
        let Some(stream) = self.place.stream else { return ReadError::DeviceGone { name } };
        // What an application plays may have moved to another output, which ends what listens to it.
        let state: Result<SinkInputInfo, _> = self.connection.request(&Command::GetSinkInputInfo(stream));
        match state {
            Ok(_) => ReadError::Lost { reason: format!("`{name}` has moved to another output") },
            Err(failure) if failure.is_absence() => ReadError::ApplicationGone { name },
            Err(failure) => lost(failure),
        }
    }
}

/// What the server has sent of a stream.
struct Arrived {
    channel: u32,
    encoding: Encoding,
    version: u16,
    has_samples: bool,
    /// The server has ended the stream.
    is_killed: bool,
}

impl Arrived {
    const fn new(open: &Open) -> Self {
        let version = open.connection.version();
        Self { channel: open.channel, encoding: open.encoding, version, has_samples: false, is_killed: false }
    }

    fn take(&mut self, packet: Packet<'_>, feed: &mut Feed) {
        if let Packet::Samples { channel, bytes } = packet {
            if channel == self.channel {
                feed.push_pcm(self.encoding, bytes);
                self.has_samples = true;
            }
            return;
        }
        match Event::parse(packet, self.version) {
            Some(Event::Killed { channel }) if channel == self.channel => self.is_killed = true,
            Some(Event::Moved) => feed.discontinuity(None),
            _ => {}
        }
    }
}

fn lost(failure: Failure) -> ReadError {
    ReadError::Lost { reason: failure.to_string() }
}

/// Has the server record, in the form in which the device has its sound.
fn create(
    connection: &mut Connection,
    place: &Place,
    target: &Target,
    request: &Request,
) -> Result<(CreateRecordStreamReply, Shape), Failure> {
    let (source_index, source_name) = match &place.source {
        Some(Source::Index(index)) => (Some(*index), None),
        Some(Source::Name(name)) => (None, Some(listing::name(name))),
        None => (None, None),
    };
    let default = || source_index.is_none().then(|| c"@DEFAULT_SOURCE@".to_owned());
    let source = listing::source(connection, source_index, source_name.clone().or_else(default))?;
    let shape = Shape::of(&source.sample_spec, &source.channel_map);
    let frame_bytes =
        listing::format(&shape.spec).map_or(0, |format: Format| format.frame_bytes(shape.encoding));
    let mut props = Props::new();
    props.set(Prop::MediaName, c"capture");
    let params = RecordStreamParams {
        sample_spec: shape.spec,
        channel_map: shape.map,
        source_index,
        source_name,
        // As much as the server can hold, should this process be stopped for a while. Half of a fragment is spent in the device's buffer, so
        // twice a chunk is one delivery for each.
        buffer_attr: BufferAttr {
            max_length: u32::MAX,
            fragment_size: u32::try_from(2 * request.chunk_frames * frame_bytes).unwrap_or(u32::MAX),
            ..BufferAttr::default()
        },
        flags: StreamFlags {
            adjust_latency: true,
            no_move: *target != Target::Default,
            ..StreamFlags::default()
        },
        direct_on_input_index: place.stream,
        props,
        ..RecordStreamParams::default()
    };
    let created = connection.request(&Command::CreateRecordStream(params))?;
    Ok((created, shape))
}

/// What the server says of the way from the device to it; nothing where it says nothing that makes sense.
fn latency(connection: &mut Connection, channel: u32) -> Duration {
    #[expect(
        clippy::disallowed_methods,
        reason = "the protocol's message carries the wall clock; nothing is decided by it"
    )]
    let now = SystemTime::now();
    let reply = connection.request(&Command::GetRecordLatency(LatencyParams { channel, now }));
    let micros = reply.map_or(0, |RecordLatency { source_usec, .. }| source_usec);
    Some(Duration::from_micros(micros)).filter(|latency| *latency <= LATENCY_MAX).unwrap_or_default()
}

/// No device for sound is slower.
const LATENCY_MAX: Duration = Duration::from_secs(1);
