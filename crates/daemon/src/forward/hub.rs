//! A batch to another hub.

use std::collections::HashMap;

use anyhow::anyhow;
use nyx_client::publish::{self, Audio, Events, Frame, Frames, State};
use nyx_client::{Address, AudioFormat, Client, Config, EventCodec, FrameCodec, Name, Samples, tls};
use nyx_protocol::control;
use nyx_protocol::wire::Kind;
use tokio::sync::Mutex;

use super::parcel::Parcel;
use super::sink::Failed;

/// A connection to another hub, made when it is needed.
pub(super) struct Hub {
    address: Address,
    tls: tls::client::Config,
    link: Mutex<Option<Link>>,
}

struct Link {
    client: Client,
    /// By topic, and what their payloads are; of sound, its format.
    publishers: HashMap<(Name, u8), (Option<control::AudioFormat>, Publisher)>,
}

enum Publisher {
    Events(Events),
    Frames(Frames),
    State(State),
    Audio(Audio),
}

impl Hub {
    pub(super) fn new(address: Address, tls: tls::client::Config) -> Self {
        Self { address, tls, link: Mutex::new(None) }
    }

    /// Publishes a batch, and waits until the other hub has taken it in.
    pub(super) async fn publish(&self, batch: &[Parcel]) -> Result<(), Failed> {
        let mut place = self.link.lock().await;
        // After anything that went wrong it is made anew, so that what is sent again is the first that it sends.
        let mut link = match place.take() {
            Some(link) => link,
            None => Link { client: self.connect().await?, publishers: HashMap::new() },
        };
        for parcel in batch {
            link.send(parcel).await?;
        }
        link.client.flush().await?;
        *place = Some(link);
        Ok(())
    }

    async fn connect(&self) -> anyhow::Result<Client> {
        let mut config = Config::default();
        config.name = "nyx forward".to_owned();
        config.tls = self.tls.clone();
        Ok(Client::connect(self.address.clone(), config).await?)
    }
}

impl Link {
    async fn send(&mut self, parcel: &Parcel) -> Result<(), Failed> {
        let key = (parcel.topic.clone(), parcel.codec);
        if self.publishers.get(&key).is_some_and(|(audio, _)| *audio != parcel.audio) {
            // The sound goes on in another format, of whatever codec.
            self.publishers.retain(|(name, _), _| *name != parcel.topic);
        }
        if !self.publishers.contains_key(&key) {
            let publisher = self.advertise(parcel).await?;
            self.publishers.insert(key.clone(), (parcel.audio, publisher));
        }
        let (stamp, payload) = (parcel.unix_micros, parcel.payload.clone());
        match (&self.publishers[&key].1, &parcel.value) {
            (Publisher::Events(events), _) => match stamp {
                Some(stamp) => events.send_stamped(payload, stamp).await.map_err(|error| error.cause)?,
                None => events.send(payload).await.map_err(|error| error.cause)?,
            },
            (Publisher::Frames(frames), _) => {
                let (codec, keyframe) = (FrameCodec::from(parcel.codec), parcel.keyframe);
                let frame = Frame { payload, codec, keyframe, unix_micros: stamp };
                frames.send(frame).await.map_err(|error| error.cause)?;
            }
            (Publisher::Audio(audio), _) => audio.send(payload, stamp).await.map_err(|error| error.cause)?,
            (Publisher::State(state), Some(value)) => {
                state.set((**value).clone()).await.map_err(|error| error.cause)?;
            }
            (Publisher::State(_), None) => {}
        }
        Ok(())
    }

    async fn advertise(&self, parcel: &Parcel) -> Result<Publisher, Failed> {
        let (client, name) = (&self.client, parcel.topic.clone());
        let mut options = publish::Options::default();
        options.content_type = parcel.content_type.to_string();
        Ok(match parcel.kind {
            Kind::Event => {
                options.codec = EventCodec::from(parcel.codec);
                Publisher::Events(client.events(name, options).await?)
            }
            Kind::Frame => Publisher::Frames(client.frames(name, options).await?),
            Kind::State => Publisher::State(client.state(name, options).await?),
            Kind::Audio => {
                let format = parcel.audio.ok_or_else(|| {
                    Failed::Rejected(anyhow!("the format of the sound in {name} is not known"))
                })?;
                let format = AudioFormat { sample_rate: format.sample_rate, channels: format.channels };
                let samples = Samples::from(parcel.codec);
                Publisher::Audio(client.audio(name, format, samples, options).await?)
            }
        })
    }
}
