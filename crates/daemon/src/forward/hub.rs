//! A batch to another hub.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::anyhow;
use nyx_client::publish::{self, Audio, Events, Frame, Frames, SendCause, State};
use nyx_client::{
    Address, AdvertiseError, AudioFormat, Client, Config, EventCodec, FlushError, FrameCodec, Name, Refusal,
    Samples, Token, Trail, Value, tls,
};
use nyx_protocol::control::{self, ErrorCode};
use nyx_protocol::wire::Kind;
use tokio::sync::Mutex;

use super::bearer::Bearer;
use super::parcel::Parcel;
use super::sink::{Failed, LeftOut};

/// A connection to another hub, made when it is needed.
pub(super) struct Hub {
    address: Address,
    tls: tls::client::Config,
    bearer: Option<Bearer>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    link: Option<Link>,
    /// Topics whose sound goes on in another format, which is not taken yet.
    changing: HashSet<String>,
}

struct Link {
    client: Client,
    /// As whom it was made.
    token: Option<Token>,
    /// Those of sound with its format.
    publishers: HashMap<Topic, (Option<control::AudioFormat>, Publisher)>,
    /// Documents as they came from the other hub, of which nothing was sent there yet.
    theirs: HashMap<Name, Arc<Value>>,
}

/// A topic, and what its payloads are.
type Topic = (Name, u8);

enum Publisher {
    Events(Events),
    Frames(Frames),
    State(State),
    Audio(Audio),
}

impl Hub {
    /// `bearer` is asked each time: settings see to it that its token may go where it goes.
    pub(super) fn new(address: Address, tls: tls::client::Config, bearer: Option<Bearer>) -> Self {
        Self { address, tls, bearer, inside: Mutex::default() }
    }

    /// Publishes a batch, and waits until the other hub has taken in what it does not refuse.
    pub(super) async fn publish(&self, batch: &[Parcel]) -> Result<(), Failed> {
        let Inside { link: place, changing } = &mut *self.inside.lock().await;
        // After anything that went wrong it is made anew, so that what is sent again is the first that it sends.
        let token = self.bearer.as_ref().map(Bearer::token);
        // So it is when there is another token: what that allows counts from now on.
        let kept = place.take().filter(|link| link.token == token);
        let mut refusals = Refusals::new(kept.is_none(), changing);
        let mut link = match kept {
            Some(link) => link,
            None => {
                let client = self.connect(token.clone()).await?;
                Link { client, token, publishers: HashMap::new(), theirs: HashMap::new() }
            }
        };
        for parcel in batch {
            link.send(parcel, &mut refusals).await?;
        }
        if link.flush(&mut refusals).await? == Flushed::Whole {
            *place = Some(link);
        }
        refusals.told()
    }

    async fn connect(&self, token: Option<Token>) -> anyhow::Result<Client> {
        let mut config = Config::default();
        config.name = "nyx forward".to_owned();
        config.tls = self.tls.clone();
        (config.token, config.send_token_in_clear) = (token, true);
        Ok(Client::connect(self.address.clone(), config).await?)
    }
}

/// What the other hub refuses of a batch, and would refuse again.
struct Refusals<'a> {
    /// Whether nothing was sent on the connection before.
    is_fresh: bool,
    changing: &'a mut HashSet<String>,
    topics: HashSet<(Topic, Option<control::AudioFormat>)>,
    left_out: LeftOut,
}

impl<'a> Refusals<'a> {
    fn new(is_fresh: bool, changing: &'a mut HashSet<String>) -> Self {
        Self { is_fresh, changing, topics: HashSet::new(), left_out: LeftOut::default() }
    }

    fn note(&mut self, why: impl Into<anyhow::Error>) {
        self.left_out.rejected += 1;
        self.left_out.why.get_or_insert_with(|| why.into());
    }

    /// Whether the same would be refused for the same reason. A change of a document may not fit because somebody else has changed it there, and
    /// then the whole document does, which is what a new connection begins with.
    fn is_final(&self, refusal: &Refusal) -> bool {
        match refusal.code {
            ErrorCode::Forbidden | ErrorCode::BadTopic | ErrorCode::Loop => true,
            // Sound goes on in another format when what was sent in the last one has been heard.
            ErrorCode::KindMismatch => !self.changing.contains(&refusal.subject),
            ErrorCode::BadDocument => self.is_fresh,
            _ => false,
        }
    }

    fn told(self) -> Result<(), Failed> {
        match self.left_out {
            LeftOut { rejected: 0, home: 0, .. } => Ok(()),
            left_out => Err(Failed::Partly(left_out)),
        }
    }
}

/// What the other hub has said to what was sent last.
#[derive(PartialEq, Eq)]
enum Flushed {
    Whole,
    /// It has refused something, of which the publisher would hear once more.
    Partly,
}

impl Link {
    async fn send(&mut self, parcel: &Parcel, refusals: &mut Refusals<'_>) -> Result<(), Failed> {
        let topic = (parcel.topic.clone(), parcel.codec);
        if refusals.topics.contains(&(topic.clone(), parcel.audio)) {
            refusals.left_out.rejected += 1;
            return Ok(());
        }
        if self.client.hub().is_some_and(|hub| parcel.passed.has_passed(hub)) {
            refusals.left_out.home += 1;
            self.keep_theirs(&topic, parcel);
            return Ok(());
        }
        if self.publishers.get(&topic).is_some_and(|(audio, _)| *audio != parcel.audio) {
            // The sound goes on in another format, of whatever codec.
            self.publishers.retain(|(name, _), _| *name != parcel.topic);
            refusals.changing.insert(parcel.topic.to_string());
        }
        if !self.publishers.contains_key(&topic) {
            match self.advertise(parcel, refusals).await {
                Ok(publisher) => {
                    if let (Publisher::State(state), Some(value)) =
                        (&publisher, self.theirs.remove(&parcel.topic))
                    {
                        state.assume((*value).clone());
                    }
                    refusals.changing.remove(parcel.topic.as_str());
                    self.publishers.insert(topic.clone(), (parcel.audio, publisher));
                }
                Err(Failed::Rejected(why)) => {
                    refusals.note(why);
                    refusals.topics.insert((topic, parcel.audio));
                    return Ok(());
                }
                Err(failed) => return Err(failed),
            }
        }
        let (_, publisher) = &self.publishers[&topic];
        publisher.set_passed(&parcel.passed);
        let mut sent = publisher.send(parcel).await;
        if let Err(SendCause::Refused(refusal)) = &sent
            && refusals.is_final(refusal)
        {
            // It is told once of what went before, and this has not gone; or it is told of the topic, again and again.
            refusals.note(refusal.clone());
            sent = match publisher.send(parcel).await {
                Err(SendCause::Refused(_)) => Ok(()),
                sent => sent,
            };
        }
        match sent {
            Err(cause @ (SendCause::TooLarge { .. } | SendCause::BadPatch(_))) => refusals.note(cause),
            sent => sent?,
        }
        Ok(())
    }

    /// What is sent of a document next is the difference to this, so that it takes back nothing that the other hub has got meanwhile.
    fn keep_theirs(&mut self, topic: &Topic, parcel: &Parcel) {
        let Some(value) = &parcel.value else { return };
        match self.publishers.get(topic) {
            Some((_, Publisher::State(state))) => state.assume((**value).clone()),
            _ => {
                self.theirs.insert(parcel.topic.clone(), Arc::clone(value));
            }
        }
    }

    async fn flush(&self, refusals: &mut Refusals<'_>) -> Result<Flushed, Failed> {
        // Each time one publisher is told of.
        for flushed in 0..=self.publishers.len() {
            match self.client.flush().await {
                Ok(()) if flushed == 0 => return Ok(Flushed::Whole),
                Ok(()) => break,
                Err(FlushError::Refused(refusal)) if refusals.is_final(&refusal) => refusals.note(refusal),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Flushed::Partly)
    }

    async fn advertise(&self, parcel: &Parcel, refusals: &Refusals<'_>) -> Result<Publisher, Failed> {
        let (client, name) = (&self.client, parcel.topic.clone());
        let mut options = publish::Options::default();
        options.content_type = parcel.content_type.to_string();
        options.passed.clone_from(&parcel.passed);
        let advertised = match parcel.kind {
            Kind::Event => {
                options.codec = EventCodec::from(parcel.codec);
                client.events(name, options).await.map(Publisher::Events)
            }
            Kind::Frame => client.frames(name, options).await.map(Publisher::Frames),
            Kind::State => client.state(name, options).await.map(Publisher::State),
            Kind::Audio => {
                let format = parcel.audio.ok_or_else(|| {
                    Failed::Rejected(anyhow!("the format of the sound in {name} is not known"))
                })?;
                let format = AudioFormat { sample_rate: format.sample_rate, channels: format.channels };
                let samples = Samples::from(parcel.codec);
                client.audio(name, format, samples, options).await.map(Publisher::Audio)
            }
        };
        advertised.map_err(|error| match error {
            AdvertiseError::Refused(refusal) if refusals.is_final(&refusal) => {
                Failed::Rejected(refusal.into())
            }
            error => Failed::Later(error.into()),
        })
    }
}

impl Publisher {
    fn set_passed(&self, passed: &Trail) {
        match self {
            Self::Events(events) => events.set_passed(passed),
            Self::Frames(frames) => frames.set_passed(passed),
            Self::State(state) => state.set_passed(passed),
            Self::Audio(audio) => audio.set_passed(passed),
        }
    }

    async fn send(&self, parcel: &Parcel) -> Result<(), SendCause> {
        let (stamp, payload) = (parcel.unix_micros, parcel.payload.clone());
        match (self, &parcel.value) {
            (Self::Events(events), _) => match stamp {
                Some(stamp) => events.send_stamped(payload, stamp).await.map_err(|error| error.cause),
                None => events.send(payload).await.map_err(|error| error.cause),
            },
            (Self::Frames(frames), _) => {
                let (codec, keyframe) = (FrameCodec::from(parcel.codec), parcel.keyframe);
                let frame = Frame { payload, codec, keyframe, unix_micros: stamp };
                frames.send(frame).await.map_err(|error| error.cause)
            }
            (Self::Audio(audio), _) => audio.send(payload, stamp).await.map_err(|error| error.cause),
            (Self::State(state), Some(value)) => {
                state.set((**value).clone()).await.map_err(|error| error.cause)
            }
            (Self::State(_), None) => Ok(()),
        }
    }
}
