//! The registry: topics by name and id, sessions, and who waits for topics that don't exist yet.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nyx_core::Instant;
use nyx_core::pool::{self, Pool};
use nyx_protocol::control::AudioFormat;
use nyx_protocol::topic::{Name, Pattern};
use nyx_protocol::wire::Kind;
use nyx_stream::metrics::{Counter, Histogram};
use parking_lot::{Mutex, RwLock};
use thiserror::Error;

use crate::access::Entry;
use crate::compression::Engine;
use crate::config::Config;
use crate::document::{random_epoch, seeded_epoch};
use crate::router::Router;
use crate::session::Session;
use crate::shared::{Peer, Shared};
use crate::spec::Spec;
use crate::stats::Refusals;
use crate::topic::{Fit, Former, Kept, Origin, Publication, Topic};

/// Topics and sessions. Cheap to clone; clones are the same hub.
#[derive(Clone)]
pub struct Hub {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// Never 0.
    id: u64,
    pub(crate) config: Config,
    pub(crate) engine: Arc<Engine>,
    /// Memory of items that the topics keep as copies.
    pub(crate) copies: Pool,
    topics: RwLock<Topics>,
    /// Locked after `topics`.
    watches: Mutex<Vec<Watch>>,
    pub(crate) sessions: Mutex<HashMap<u64, Arc<Shared>>>,
    next_session: AtomicU64,
    draining: AtomicBool,
    pub(crate) router: Router,
    pub(crate) refusals: Refusals,
    pub(crate) slowed: Counter,
    pub(crate) ages: Histogram,
}

#[derive(Default)]
struct Topics {
    by_name: HashMap<Name, Arc<Topic>>,
    by_id: BTreeMap<u32, Arc<Topic>>,
    next_id: u32,
}

struct Watch {
    session: Arc<Shared>,
    subscription: u32,
    pattern: Pattern,
}

/// Why a topic can't be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CreateError {
    /// The topic exists and carries something else. The publisher erred.
    #[error("topic `{name}` carries {has}, not {wanted}: publish {has} there, or use another name")]
    KindMismatch {
        /// The topic.
        name: Name,
        /// What it carries.
        has: Kind,
        /// What was asked for.
        wanted: Kind,
    },
    /// The topic exists, and its sound has another rate or number of channels, which its subscribers rely on. The publisher erred, or came too early.
    #[error(
        "topic `{name}` is sound of {} Hz and {} channels, not of {} Hz and {}, and {kept}: convert it, use another name, or come when that is over",
        .has.sample_rate, .has.channels, .wanted.sample_rate, .wanted.channels
    )]
    FormatMismatch {
        /// The topic.
        name: Name,
        /// What it has.
        has: AudioFormat,
        /// What was asked for.
        wanted: AudioFormat,
        /// Why it does not go on in the other.
        kept: Kept,
    },
    /// The name is the hub's own.
    #[error("topic `{0}` is the hub's own: use a name that does not start with `$`")]
    Reserved(Name),
    /// There are as many topics as the configuration allows.
    #[error("there are {0} topics, as many as the hub allows: reuse names, or raise limits.topics")]
    TooMany(usize),
}

/// Why a peer is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AdmitError {
    /// There are as many sessions as the configuration allows.
    #[error("there are {0} sessions, as many as the hub allows: come back later, or raise limits.sessions")]
    TooMany(usize),
    /// The hub is shutting down.
    #[error("the hub is shutting down: come back when it has restarted")]
    Draining,
}

impl Hub {
    /// A hub without topics and sessions.
    pub fn new(config: Config) -> Self {
        let id = config.epoch_seed.map_or_else(random_epoch, |seed| seeded_epoch(seed, u32::MAX));
        let inner = Inner {
            id: id.max(1),
            engine: Arc::new(Engine::new(config.compression.clone())),
            config,
            copies: copies(),
            topics: RwLock::default(),
            watches: Mutex::default(),
            sessions: Mutex::default(),
            next_session: AtomicU64::new(1),
            draining: AtomicBool::new(false),
            router: Router::default(),
            refusals: Refusals::default(),
            slowed: Counter::new(),
            ages: Histogram::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Its number among hubs, drawn at random when it began.
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// What it allows.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Admits a peer that may do everything.
    ///
    /// # Errors
    /// When there are too many, or the hub is shutting down.
    pub fn session(&self, now: Instant, peer: Peer) -> Result<Session, AdmitError> {
        self.session_with(now, peer, Entry::default())
    }

    /// Admits a peer that may do what `entry` says.
    ///
    /// # Errors
    /// As [`session`](Self::session). Whether the peer's token is good is told to the peer itself, when it has sent it.
    pub fn session_with(&self, now: Instant, peer: Peer, entry: Entry) -> Result<Session, AdmitError> {
        if self.is_draining() {
            return Err(AdmitError::Draining);
        }
        let mut sessions = self.inner.sessions.lock();
        if sessions.len() >= self.inner.config.sessions {
            return Err(AdmitError::TooMany(sessions.len()));
        }
        let id = self.inner.next_session.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(Shared::new(id, peer));
        sessions.insert(id, shared.clone());
        Ok(Session::new(self.clone(), shared, entry, now))
    }

    /// Ends the sessions whose permit is of a subject that `is_meant` names, with this message for their peers: their permit is
    /// worth nothing any more. Returns how many there are. One that is being let in just now by what its gatekeeper knew before is none of them yet: do it
    /// once more a little later. O(sessions).
    pub fn expel(&self, message: &str, is_meant: impl Fn(&str) -> bool) -> usize {
        let sessions = self.inner.sessions.lock();
        sessions.values().filter(|session| session.expel_if(message, &is_meant)).count()
    }

    /// The topic of this name, which is created if it does not exist.
    ///
    /// # Errors
    /// When it carries something else, when its name is reserved, or when there are too many.
    pub fn create(&self, name: &Name, spec: &Spec) -> Result<Arc<Topic>, CreateError> {
        if name.is_reserved() {
            return Err(CreateError::Reserved(name.clone()));
        }
        self.create_own(name, spec)
    }

    /// Like [`create`](Self::create), for names that start with `$` too: for the hub's owner, not for peers.
    ///
    /// # Errors
    /// When it carries something else, or when there are too many.
    pub fn create_own(&self, name: &Name, spec: &Spec) -> Result<Arc<Topic>, CreateError> {
        if let Some(topic) = self.topic(name) {
            return check(topic, spec);
        }
        let mut topics = self.inner.topics.write();
        if let Some(topic) = topics.by_name.get(name) {
            return check(topic.clone(), spec);
        }
        self.add(&mut topics, name, spec, None)
    }

    /// The same for a session that is to publish it. Sound of another format has its name go on in a successor, if it may.
    pub(crate) fn advertise(
        &self,
        now: Instant,
        name: &Name,
        spec: &Spec,
    ) -> Result<Publication, CreateError> {
        if name.is_reserved() {
            return Err(CreateError::Reserved(name.clone()));
        }
        {
            let topics = self.inner.topics.read();
            if let Some(topic) = topics.by_name.get(name).filter(|topic| topic.fit(spec) == Fit::Exact) {
                return Ok(Publication::new(check(topic.clone(), spec)?));
            }
        }
        let mut topics = self.inner.topics.write();
        let topic = match topics.by_name.get(name).cloned() {
            Some(topic) => self.suited(&mut topics, now, topic, spec)?,
            None => self.add(&mut topics, name, spec, None)?,
        };
        Ok(Publication::new(topic))
    }

    /// An existing topic, or its successor if that is what is asked for.
    fn suited(
        &self,
        topics: &mut Topics,
        now: Instant,
        topic: Arc<Topic>,
        spec: &Spec,
    ) -> Result<Arc<Topic>, CreateError> {
        let topic = check_kind(topic, spec)?;
        if topic.fit(spec) == Fit::Exact {
            return Ok(topic);
        }
        match topic.give_way(now) {
            Ok(former) => self.succeed(topics, &topic, spec, former),
            Err(kept) => check_format(topic, spec, kept),
        }
    }

    /// Puts a successor in the place of `topic`, which has given way.
    fn succeed(
        &self,
        topics: &mut Topics,
        topic: &Topic,
        spec: &Spec,
        former: Former,
    ) -> Result<Arc<Topic>, CreateError> {
        topics.by_name.remove(&topic.name);
        topics.by_id.remove(&topic.id);
        self.add(topics, &topic.name, spec, Some(former))
    }

    fn add(
        &self,
        topics: &mut Topics,
        name: &Name,
        spec: &Spec,
        former: Option<Former>,
    ) -> Result<Arc<Topic>, CreateError> {
        if topics.by_id.len() >= self.inner.config.topics {
            return Err(CreateError::TooMany(topics.by_id.len()));
        }
        let id = topics.next_id;
        topics.next_id = id.checked_add(1).ok_or(CreateError::TooMany(topics.by_id.len()))?;
        let Inner { config, engine, copies, .. } = &*self.inner;
        let (copies, engine) = (copies.clone(), engine.clone());
        let new = || config.epoch_seed.map_or_else(random_epoch, |seed| seeded_epoch(seed, id));
        let origin =
            former.map_or_else(|| Origin::New { epoch: new() }, |former| Origin::Former(Box::new(former)));
        let topic = Topic::new(id, name.clone(), spec.clone(), origin, config, copies, engine);
        let topic = Arc::new(topic);
        topics.by_name.insert(name.clone(), topic.clone());
        topics.by_id.insert(id, topic.clone());
        for watch in self.inner.watches.lock().iter() {
            if watch.pattern.matches(name) {
                watch.session.invite(topic.clone());
            }
        }
        Ok(topic)
    }

    /// The topic of this name, if there is one.
    pub fn topic(&self, name: &Name) -> Option<Arc<Topic>> {
        self.inner.topics.read().by_name.get(name).cloned()
    }

    pub(crate) fn topic_by_id(&self, id: u32) -> Option<Arc<Topic>> {
        self.inner.topics.read().by_id.get(&id).cloned()
    }

    /// The kill switch: with `false` nothing is compressed any more, whatever was configured, and publishers are told not to. What they
    /// have compressed already is relayed as it came.
    pub fn set_compression(&self, allowed: bool) {
        self.inner.engine.allow(allowed);
        for session in self.inner.sessions.lock().values() {
            session.wake();
        }
    }

    /// Whether anything may be compressed.
    pub fn is_compression_allowed(&self) -> bool {
        self.inner.engine.is_allowed()
    }

    /// All topics, oldest first.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.inner.topics.read().by_id.values().cloned().collect()
    }

    /// Shuts down: no peer is admitted any more, no more data is taken from publishers, subscribers get what is there and a goodbye.
    /// Sessions are to be driven on until they are finished: acknowledgements are still read.
    pub fn drain(&self) {
        self.inner.draining.store(true, Ordering::Release);
        for session in self.inner.sessions.lock().values() {
            session.wake();
        }
    }

    /// Whether it is shutting down.
    pub fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Acquire)
    }

    /// From now on the session is invited to topics that match. Returns those that exist and do, and how many there are to compare with.
    pub(crate) fn watch(
        &self,
        session: &Arc<Shared>,
        subscription: u32,
        pattern: &Pattern,
    ) -> (Vec<Arc<Topic>>, usize) {
        let watch = Watch { session: session.clone(), subscription, pattern: pattern.clone() };
        let mut topics: Vec<_> = {
            // Nobody creates a topic meanwhile, so none is missed and none comes twice.
            let topics = self.inner.topics.read();
            self.inner.watches.lock().push(watch);
            topics.by_id.values().cloned().collect()
        };
        let compared = topics.len();
        // Who creates one need not wait for this.
        topics.retain(|topic| pattern.matches(&topic.name));
        (topics, compared)
    }

    /// Ends one subscription's watch, or all of the session's.
    pub(crate) fn unwatch(&self, session: &Arc<Shared>, subscription: Option<u32>) {
        self.inner.watches.lock().retain(|watch| {
            !Arc::ptr_eq(&watch.session, session) || subscription.is_some_and(|id| id != watch.subscription)
        });
    }
}

/// What the rings let go goes round: at most 1 MiB of each size is kept for it, and 128 KiB of each by each thread.
fn copies() -> Pool {
    let mut config = pool::Config::default();
    config.thread_bytes = 128 << 10;
    config.overflow_bytes = 1 << 20;
    Pool::new(config).unwrap_or_default()
}

/// An existing topic, if it is what is asked for.
fn check(topic: Arc<Topic>, spec: &Spec) -> Result<Arc<Topic>, CreateError> {
    check_format(check_kind(topic, spec)?, spec, Kept::Unadvertised)
}

fn check_format(topic: Arc<Topic>, spec: &Spec, kept: Kept) -> Result<Arc<Topic>, CreateError> {
    match topic.fit(spec) {
        Fit::Other { has, wanted } => {
            Err(CreateError::FormatMismatch { name: topic.name.clone(), has, wanted, kept })
        }
        Fit::Exact | Fit::Unsaid => Ok(topic),
    }
}

fn check_kind(topic: Arc<Topic>, spec: &Spec) -> Result<Arc<Topic>, CreateError> {
    if topic.spec.kind == spec.kind {
        return Ok(topic);
    }
    Err(CreateError::KindMismatch { name: topic.name.clone(), has: topic.spec.kind, wanted: spec.kind })
}
