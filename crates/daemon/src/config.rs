//! The configuration file, and `nyx config`.

mod compression;

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use nyx_core::ByteSize;
use nyx_core::limit::{ParseQuotaError, Quota};
use nyx_hub::{Hub, Spec};
use nyx_protocol::control::AudioFormat;
use nyx_protocol::topic::{Name, Pattern};
use nyx_protocol::wire::Kind;
use nyx_stream::Lane;
use serde::{Deserialize, Deserializer};

use crate::exit::{Failure, Outcome};
use crate::forward::Forward;
use crate::http::Origin;

mod auth;
mod check;
mod delivery;
mod limits;
mod tls;

pub(crate) use auth::Auth;
pub(crate) use check::{Args, run};
pub(crate) use delivery::{Delivery, Unsent};
pub(crate) use tls::Tls;

/// Every setting with its default and what it does. A test holds it to [`Config::default`].
const DEFAULTS: &str = include_str!("../nyx.toml");

/// What `nyx serve` is told.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) listen: Listen,
    pub(crate) http: Http,
    pub(crate) auth: Auth,
    pub(crate) tls: Tls,
    pub(crate) limits: Limits,
    pub(crate) delivery: Delivery,
    pub(crate) compression: compression::Compression,
    #[serde(rename = "topic")]
    pub(crate) topics: Vec<Topic>,
    #[serde(rename = "forward")]
    pub(crate) forwards: Vec<Forward>,
}

/// Where to listen.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listen {
    pub(crate) native: SocketAddr,
    pub(crate) http: SocketAddr,
    /// Datagrams; nowhere unless it is said.
    pub(crate) udp: Option<SocketAddr>,
    pub(crate) insecure: bool,
}

/// The HTTP surface.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Http {
    /// What `/ws/{client_id}` shows when the client names no topic.
    pub(crate) image_topic: Option<Text<Pattern>>,
    /// Origins, besides the server's own, whose pages may connect and publish.
    pub(crate) allowed_origins: Vec<Text<Origin>>,
}

/// Bounds.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) sessions: usize,
    pub(crate) topics: usize,
    pub(crate) message_bytes: Text<ByteSize>,
    pub(crate) topic_bytes: Text<ByteSize>,
    pub(crate) document_bytes: Text<ByteSize>,
    pub(crate) document_depth: usize,
    pub(crate) subscriptions: usize,
    pub(crate) aliases: usize,
    pub(crate) services: usize,
    pub(crate) requests: usize,
    pub(crate) waiting_requests: usize,
    pub(crate) handshake: Text<humantime::Duration>,
    pub(crate) silence: Text<humantime::Duration>,
    pub(crate) connections_per_peer: Text<Limit>,
    pub(crate) requests_per_peer: Text<Limit>,
    pub(crate) failures_per_peer: Text<Limit>,
    pub(crate) handshakes: usize,
    pub(crate) publish_messages: Text<Limit>,
    pub(crate) publish_bytes: Text<Limit>,
    pub(crate) publish_messages_per_peer: Text<Limit>,
    pub(crate) publish_bytes_per_peer: Text<Limit>,
    pub(crate) publish_messages_per_token: Text<Limit>,
    pub(crate) publish_bytes_per_token: Text<Limit>,
}

/// A quota, or `off`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    Off,
    Quota(Quota),
}

impl Limit {
    pub(crate) const fn quota(self) -> Option<Quota> {
        match self {
            Self::Off => None,
            Self::Quota(quota) => Some(quota),
        }
    }
}

impl FromStr for Limit {
    type Err = ParseQuotaError;

    fn from_str(text: &str) -> Result<Self, ParseQuotaError> {
        if text == "off" { Ok(Self::Off) } else { text.parse().map(Self::Quota) }
    }
}

impl From<Option<Quota>> for Limit {
    fn from(quota: Option<Quota>) -> Self {
        quota.map_or(Self::Off, Self::Quota)
    }
}

/// A topic that exists from the start.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Topic {
    #[serde(deserialize_with = "parsed")]
    pub(crate) name: Name,
    #[serde(deserialize_with = "parsed")]
    pub(crate) kind: Kind,
    #[serde(default)]
    content_type: String,
    max_age: Option<Text<humantime::Duration>>,
    lane: Option<LaneName>,
    sample_rate: Option<u32>,
    channels: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum LaneName {
    High,
    Medium,
    Low,
}

type ByteSizeText = Text<ByteSize>;

/// A value that is written as text, such as `"16MiB"` or `"500ms"`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text<T>(pub(crate) T);

impl<'de, T: FromStr<Err: std::fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer).map(Self)
    }
}

impl Text<ByteSize> {
    pub(crate) const fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl Text<humantime::Duration> {
    fn duration(&self) -> Duration {
        self.0.into()
    }
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: std::fmt::Display>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error: T::Err| {
        let error = error.to_string();
        // Some quote it themselves.
        let place = if error.contains(&text) { String::new() } else { format!("`{text}`: ") };
        serde::de::Error::custom(format_args!("{place}{error}"))
    })
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            native: SocketAddr::from(([127, 0, 0, 1], 6990)),
            http: SocketAddr::from(([127, 0, 0, 1], 6991)),
            udp: None,
            insecure: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let hub = nyx_hub::Config::default();
        Self {
            sessions: hub.sessions,
            topics: hub.topics,
            message_bytes: size(hub.message_bytes),
            topic_bytes: size(hub.topic_bytes),
            document_bytes: size(hub.document.bytes),
            document_depth: hub.document.depth,
            subscriptions: hub.subscriptions,
            aliases: hub.aliases,
            services: hub.services,
            requests: hub.requests,
            waiting_requests: hub.waiting_requests,
            handshake: time(hub.handshake),
            silence: time(hub.silence),
            connections_per_peer: per_second(100, 2_000),
            requests_per_peer: per_second(10_000, 20_000),
            failures_per_peer: per_second(1, 30),
            handshakes: 1_000,
            publish_messages: Text(hub.publish_messages.into()),
            publish_bytes: Text(hub.publish_bytes.into()),
            publish_messages_per_peer: Text(Limit::Off),
            publish_bytes_per_peer: Text(Limit::Off),
            publish_messages_per_token: Text(Limit::Off),
            publish_bytes_per_token: Text(Limit::Off),
        }
    }
}

fn per_second(rate: u64, burst: u64) -> Text<Limit> {
    Text(Quota::per_second(rate).and_then(|quota| quota.with_burst(burst)).ok().into())
}

const fn size(bytes: usize) -> ByteSizeText {
    Text(ByteSize::new(bytes as u64))
}

fn time(duration: Duration) -> Text<humantime::Duration> {
    Text(duration.into())
}

impl Config {
    /// Reads the file, or takes the defaults.
    pub(crate) fn load(file: Option<&Path>) -> Outcome<Self> {
        let Some(file) = file else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("can't read {}", file.display()))
            .map_err(Failure::usage)?;
        let config: Result<Self, _> = toml::from_str(&text);
        let mut config = config.map_err(|error| Failure::usage(anyhow!("{}: {error}", file.display())))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        config.auth.resolve(folder);
        config.tls.resolve(folder);
        config.forwards.iter_mut().for_each(|forward| forward.resolve(folder));
        config.check_limits()?;
        Ok(config)
    }

    /// Refuses to listen beyond this machine without asking who comes and hiding what passes, unless told that this is meant.
    pub(crate) fn check_listen(&self) -> Outcome {
        let Listen { native, http, udp, insecure } = self.listen;
        if let Some(addr) = udp.filter(|addr| !addr.ip().is_loopback() && !insecure) {
            return Err(Failure::usage(anyhow!(
                "{addr} can be reached from other machines, and datagrams are not encrypted, whatever tls says: \
                 listen on 127.0.0.1, or say --insecure if everybody on that network is trusted"
            )));
        }
        if udp.is_some() && self.tls.asks_clients() && !self.auth.is_on() && !insecure {
            return Err(Failure::usage(anyhow!(
                "tls.client_ca asks who somebody is, and over datagrams nobody shows a certificate: \
                 set auth.tokens as well, leave listen.udp out, or say --insecure if that is meant"
            )));
        }
        let open = [native, http].into_iter().find(|addr| !addr.ip().is_loopback());
        let Some(addr) = open.filter(|_| !insecure) else { return Ok(()) };
        if !self.auth.is_on() && !self.tls.asks_clients() {
            return Err(Failure::usage(anyhow!(
                "{addr} can be reached from other machines, and nobody who connects is asked who they are: \
                 set auth.tokens and tls in the configuration, listen on 127.0.0.1, or say --insecure if that is meant"
            )));
        }
        if !self.tls.is_on() {
            return Err(Failure::usage(anyhow!(
                "{addr} can be reached from other machines, and whoever is on the way could read tokens: \
                 set tls.certificate and tls.key in the configuration, or say --insecure if that is meant"
            )));
        }
        Ok(())
    }

    /// Makes the topics that exist from the start.
    pub(crate) fn create_topics(&self, hub: &Hub) -> Outcome {
        for topic in &self.topics {
            hub.create(&topic.name, &topic.spec()?).map_err(Failure::usage)?;
        }
        Ok(())
    }

    /// The hub's part.
    pub(crate) fn hub(&self) -> nyx_hub::Config {
        let (limits, delivery) = (&self.limits, &self.delivery);
        let mut hub = nyx_hub::Config::default();
        hub.sessions = limits.sessions;
        hub.topics = limits.topics;
        hub.message_bytes = limits.message_bytes.len();
        hub.topic_bytes = limits.topic_bytes.len();
        hub.document.bytes = limits.document_bytes.len();
        hub.document.depth = limits.document_depth;
        hub.subscriptions = limits.subscriptions;
        hub.aliases = limits.aliases;
        hub.services = limits.services;
        hub.requests = limits.requests;
        hub.waiting_requests = limits.waiting_requests;
        hub.publish_messages = limits.publish_messages.0.quota();
        hub.publish_bytes = limits.publish_bytes.0.quota();
        hub.handshake = limits.handshake.duration();
        hub.silence = limits.silence.duration();
        hub.ping_after = hub.silence / 3;
        hub.window_bytes = delivery.window_bytes.len();
        hub.lag_bytes = delivery.lag_bytes.bytes();
        hub.patience = delivery.patience.duration();
        hub.frame_max_age = delivery.frame_max_age.duration();
        hub.audio_max_age = delivery.audio_max_age.duration();
        hub.compression = self.compression.hub();
        hub
    }
}

impl Topic {
    /// What is configured, as the hub takes it.
    pub(crate) fn spec(&self) -> Outcome<Spec> {
        let mut spec = Spec::new(self.kind);
        spec.content_type.clone_from(&self.content_type);
        spec.max_age = self.max_age.as_ref().map(Text::duration);
        spec.lane = self.lane.map(|lane| match lane {
            LaneName::High => Lane::High,
            LaneName::Medium => Lane::Medium,
            LaneName::Low => Lane::Low,
        });
        spec.keeps_format = true;
        // Subscribers are told the format before the first chunk comes, so it has to be known before a publisher is.
        spec.audio = match (self.kind, self.sample_rate, self.channels) {
            (Kind::Audio, Some(rate @ 1..), Some(channels @ 1..)) => {
                Some(AudioFormat { sample_rate: rate, channels })
            }
            (Kind::Audio, _, _) => {
                return Err(Failure::usage(anyhow!(
                    "topic `{}`: audio needs sample_rate and channels",
                    self.name
                )));
            }
            (_, None, None) => None,
            _ => {
                let (name, kind) = (&self.name, self.kind);
                return Err(Failure::usage(anyhow!(
                    "topic `{name}`: sample_rate and channels are for audio, and this is {kind}"
                )));
            }
        };
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_defaults_are_the_defaults() {
        assert_eq!(toml::from_str::<Config>(DEFAULTS).unwrap(), Config::default());
    }

    #[test]
    fn unknown_settings_and_bad_values_are_refused() {
        for text in [
            "[listen]\nport = 1",
            "[limits]\nmessage_bytes = \"lots\"",
            "[[topic]]\nname = \"a//b\"\nkind = \"state\"",
            "[[topic]]\nname = \"a\"\nkind = \"video\"",
            "[delivery]\npatience = 5",
            "[limits]\npublish_bytes = \"0/s\"",
            "[limits]\nconnections_per_peer = \"often\"",
            "[[forward]]\ntopics = \"a/**\"\nto = \"ftp://a/b\"",
            "[[forward]]\ntopics = \"a/**\"\nto = \"https://a/b\"\nroots = \"a.pem\"",
            "[[forward]]\ntopics = \"a/**\"",
        ] {
            assert!(toml::from_str::<Config>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn audio_has_a_format_and_nothing_else_has() {
        let spec = |text: &str| {
            let config: Config = toml::from_str(&format!("[[topic]]\nname = \"a\"\n{text}")).unwrap();
            config.topics[0].spec()
        };
        let audio = spec("kind = \"audio\"\nsample_rate = 48000\nchannels = 2").unwrap().audio;
        assert_eq!(audio, Some(AudioFormat { sample_rate: 48_000, channels: 2 }));
        assert!(spec("kind = \"audio\"").is_err());
        assert!(spec("kind = \"audio\"\nsample_rate = 0\nchannels = 0").is_err());
        assert!(spec("kind = \"state\"\nchannels = 2").is_err());
    }

    #[test]
    fn listening_beyond_this_machine_has_to_be_meant() {
        let mut config: Config = toml::from_str("[listen]\nhttp = \"0.0.0.0:80\"").unwrap();
        assert!(config.check_listen().is_err());
        config.listen.insecure = true;
        assert!(config.check_listen().is_ok());
    }

    #[test]
    fn datagrams_stay_on_this_machine_whoever_is_asked_unless_that_is_meant() {
        const SAFE: &str = "[auth]\ntokens = \"t\"\n[tls]\ncertificate = \"c\"\nkey = \"k\"\n[listen]\n";
        let judge = |listen: &str| {
            toml::from_str::<Config>(&format!("{SAFE}{listen}")).unwrap().check_listen().is_ok()
        };
        assert!(!judge("udp = \"0.0.0.0:6990\""));
        assert!(judge("udp = \"0.0.0.0:6990\"\ninsecure = true"));
        assert!(judge("udp = \"127.0.0.1:6990\"") && judge("udp = \"[::1]:6990\""));
    }

    #[test]
    fn beyond_this_machine_it_takes_both_tokens_and_tls() {
        const OPEN: &str = "[listen]\nhttp = \"0.0.0.0:80\"\n";
        const TOKENS: &str = "[auth]\ntokens = \"t\"\n";
        const TLS: &str = "[tls]\ncertificate = \"c\"\nkey = \"k\"\n";
        let judge = |text: String| toml::from_str::<Config>(&text).unwrap().check_listen().is_ok();
        assert!(!judge(format!("{OPEN}{TOKENS}")));
        assert!(!judge(format!("{OPEN}{TLS}")));
        assert!(judge(format!("{OPEN}{TOKENS}{TLS}")));
        assert!(judge(format!("{OPEN}{TLS}client_ca = \"a\"\n")));
        assert!(judge(TOKENS.to_owned()));
    }
}
