//! What a client has that outlives its connections: publishers, subscriptions, and who waits for an answer.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use nyx_protocol::control::{self, Body, Hello, Subscribe};
use tokio::sync::oneshot;

use crate::connection::packing;
use crate::dispatch::Dispatch;
use crate::error::ProtocolError;
use crate::outgoing::{Excess, Fate, Outgoing};
use crate::pings::Pings;
use crate::publish::Publisher;
use crate::subscribe::{Inbox, RecvError};
use crate::unpacking::Unpacking;
use crate::{AudioFormat, Compression, Config, Name, Pattern, Refusal};

/// Behind the client's lock. Locks are taken in the order registry, publisher, outgoing; inboxes are innermost.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// By alias.
    publishers: Vec<Option<Advertised>>,
    pub(crate) subscriptions: BTreeMap<u32, Subscribed>,
    next_subscription: u32,
    pub(crate) dispatch: Dispatch,
    pub(crate) pings: Pings,
    pub(crate) is_closed: bool,
}

/// Who waits for the hub's yes or no.
pub(crate) type Answer = oneshot::Sender<Result<(), Refusal>>;

#[derive(Debug)]
struct Advertised {
    publisher: Arc<Publisher>,
    answer: Option<Answer>,
    /// Whether the hub has accepted the topic on this connection.
    is_accepted: bool,
    /// Whether the hub wants no blocks of it.
    is_plain: bool,
    /// Whether the hub was told that nothing more comes.
    is_withdrawn: bool,
    /// How many messages had been appended when it was first seen, on this connection, that nobody holds it.
    left_at: Option<u64>,
}

impl Advertised {
    /// Whether nobody holds it, and who did have left nothing to be done.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.publisher) == 1 && self.is_accepted && self.publisher.is_at_rest()
    }
}

/// A publisher that was advertised.
pub(crate) struct Place {
    pub(crate) publisher: Arc<Publisher>,
    /// Whether the hub has to be told.
    pub(crate) is_new: bool,
    /// Whether the hub has to be told before that its alias means nothing any more.
    pub(crate) is_taken_over: bool,
}

#[derive(Debug)]
pub(crate) struct Subscribed {
    pub(crate) pattern: Pattern,
    pub(crate) max_age: Option<Duration>,
    pub(crate) inbox: Arc<Inbox>,
    answer: Option<Answer>,
}

impl Registry {
    /// Adds what `make` makes with a free alias, or finds one that is like it and that nobody holds any more. `appended` are the messages that
    /// were appended so far.
    pub(crate) fn advertise(
        &mut self,
        appended: u64,
        make: impl Fn(u32) -> Publisher,
        answer: Answer,
    ) -> Option<Place> {
        let wanted = make(0);
        let idle = self.publishers.iter_mut().flatten().find(|entry| {
            let publisher = &entry.publisher;
            entry.is_idle()
                && !entry.is_withdrawn
                && publisher.compression == wanted.compression
                && publisher.topic == wanted.topic
                && publisher.advertise
                    == control::Advertise { alias: publisher.alias, ..wanted.advertise.clone() }
                && publisher.passes_as(&wanted)
        });
        if let Some(entry) = idle {
            entry.publisher.begin_anew(wanted);
            entry.left_at = None;
            let _ = answer.send(Ok(()));
            return Some(Place { publisher: entry.publisher.clone(), is_new: false, is_taken_over: false });
        }
        let (alias, is_taken_over) = self.free_alias(appended)?;
        let publisher = Arc::new(make(alias as u32));
        let entry = Advertised {
            publisher: publisher.clone(),
            answer: Some(answer),
            is_accepted: false,
            is_plain: false,
            is_withdrawn: false,
            left_at: None,
        };
        if alias == self.publishers.len() {
            self.publishers.push(Some(entry));
        } else {
            self.publishers[alias] = Some(entry);
        }
        Some(Place { publisher, is_new: true, is_taken_over })
    }

    /// An alias that means nothing, or, where there are many, nothing that anybody needs; and whether the hub takes it for something still. Of
    /// such a publisher everything must have been taken in: what waits would be published as what takes its place, and be refused in its name.
    fn free_alias(&mut self, appended: u64) -> Option<(usize, bool)> {
        let is_free = |entry: &Option<Advertised>| entry.as_ref().is_none_or(is_unused_refusal);
        if let Some(free) = self.publishers.iter().position(is_free) {
            return Some((free, false));
        }
        if self.is_crowded() {
            let confirmed = self.pings.confirmed();
            let mut idle = self.publishers.iter_mut().flatten().filter(|entry| entry.is_idle());
            if let Some(entry) = idle.find_map(|entry| {
                let is_settled = *entry.left_at.get_or_insert(appended) <= confirmed;
                is_settled.then_some(entry)
            }) {
                return Some((entry.publisher.alias as usize, !entry.is_withdrawn));
            }
        }
        (self.publishers.len() < ALIASES).then_some((self.publishers.len(), false))
    }

    /// Whether publishers that nobody holds are to make room.
    pub(crate) const fn is_crowded(&self) -> bool {
        self.publishers.len() >= IDLE_MAX
    }

    /// Withdraws the publishers of this topic that nobody holds any more and that are of another format: while they are advertised, the topic
    /// keeps it. Returns their aliases.
    pub(crate) fn withdraw_other_formats(&mut self, topic: &Name, audio: AudioFormat) -> Vec<u32> {
        let is_other = |entry: &&mut Advertised| {
            let wanted = (audio.sample_rate, audio.channels);
            let format = entry.publisher.advertise.audio;
            entry.publisher.topic == *topic
                && format.is_some_and(|format| (format.sample_rate, format.channels) != wanted)
                && Arc::strong_count(&entry.publisher) == 1
                && !entry.is_withdrawn
        };
        let others = self.publishers.iter_mut().flatten().filter(is_other);
        others
            .map(|entry| {
                entry.is_withdrawn = true;
                entry.publisher.alias
            })
            .collect()
    }

    /// What the messages of an alias may be packed by. Where the hub wants no blocks, that goes before what the publisher wants.
    pub(crate) fn packing_terms(&self, alias: u32) -> packing::Terms {
        let entry = self.publishers.get(alias as usize).and_then(Option::as_ref);
        entry.map_or(packing::Terms::default(), |entry| packing::Terms {
            compression: if entry.is_plain { Compression::Off } else { entry.publisher.compression },
            channels: entry.publisher.advertise.audio.map_or(0, |audio| audio.channels),
        })
    }

    /// How old the items of an alias may become, if its publisher has said so.
    pub(crate) fn max_age(&self, alias: u32) -> Option<Duration> {
        let entry = self.publishers.get(alias as usize)?.as_ref()?;
        let millis = entry.publisher.advertise.max_age_ms;
        (millis > 0).then(|| Duration::from_millis(millis.into()))
    }

    pub(crate) fn publishers(&self) -> impl Iterator<Item = &Arc<Publisher>> {
        self.publishers.iter().flatten().map(|entry| &entry.publisher)
    }

    /// The publishers whose unsent messages go out on the next connection: not those that the hub refused or that were withdrawn, nor
    /// those that send their value whole.
    pub(crate) fn aliases_to_keep(&self) -> HashSet<u32> {
        let present = self.publishers.iter().flatten().filter(|entry| !entry.is_withdrawn);
        let kept = present
            .map(|entry| &entry.publisher)
            .filter(|publisher| !publisher.is_gone() && !publisher.slot.lock().holds_value());
        kept.map(|publisher| publisher.alias).collect()
    }

    pub(crate) fn accepted(&mut self, alias: u32, is_plain: bool) {
        if let Some(Some(entry)) = self.publishers.get_mut(alias as usize) {
            (entry.is_accepted, entry.is_plain) = (true, is_plain);
            if let Some(answer) = entry.answer.take() {
                let _ = answer.send(Ok(()));
            }
        }
    }

    /// The hub says what became of messages on an alias.
    pub(crate) fn results(
        &self,
        results: control::Results,
        outgoing: &Outgoing,
    ) -> Result<(), ProtocolError> {
        let publisher = self.publishers.get(results.alias as usize).and_then(Option::as_ref);
        let subject = publisher.map_or("", |entry| entry.publisher.topic.as_str());
        let fate = |outcome: control::Outcome| match outcome.sequence {
            Some(sequence) => (outcome.count, Fate::Accepted(sequence)),
            None => {
                let error =
                    control::Error { code: outcome.code, message: outcome.message, ..Default::default() };
                (outcome.count, Fate::Refused(Refusal::new(error, subject)))
            }
        };
        let resolved = outgoing.resolve(results.alias, results.outcomes.into_iter().map(fate));
        resolved.map_err(|Excess| ProtocolError::Unexpected("results of messages that were not sent"))
    }

    pub(crate) fn subscribe(
        &mut self,
        pattern: Pattern,
        max_age: Option<Duration>,
        answer: Answer,
    ) -> (u32, Arc<Inbox>) {
        let id = self.next_subscription;
        self.next_subscription = id.wrapping_add(1);
        let inbox = Arc::<Inbox>::default();
        let answer = Some(answer);
        self.subscriptions.insert(id, Subscribed { pattern, max_age, inbox: inbox.clone(), answer });
        (id, inbox)
    }

    pub(crate) fn remove_subscription(&mut self, id: u32) -> Option<Subscribed> {
        let removed = self.subscriptions.remove(&id)?;
        self.dispatch.unsubscribe(id, self.subscriptions.values().map(|entry| &entry.pattern));
        Some(removed)
    }

    pub(crate) fn subscribed(&mut self, id: u32) {
        if let Some(answer) = self.subscriptions.get_mut(&id).and_then(|entry| entry.answer.take()) {
            let _ = answer.send(Ok(()));
        }
    }

    /// A message of `length` bytes on this alias is over the limit of the hub that is there now. Who waits for its result has it; others hear of it
    /// when they send or flush next.
    pub(crate) fn leave_out(&self, alias: u32, length: usize, limit: usize) {
        let Some(Some(entry)) = self.publishers.get(alias as usize) else { return };
        if !entry.publisher.advertise.results {
            entry.publisher.refuse_length(length, limit);
        }
    }

    /// Hands a refusal to whom it concerns.
    pub(crate) fn refuse(&mut self, error: control::Error) {
        if let Some(slot) = error.alias.and_then(|alias| self.publishers.get_mut(alias as usize)) {
            let Some(entry) = slot else { return };
            let refusal = Refusal::new(error, entry.publisher.topic.as_str());
            if let Some(answer) = entry.answer.take() {
                // The constructor tells it, and there is no publisher.
                *slot = None;
                let _ = answer.send(Err(refusal));
            } else {
                entry.publisher.refuse(refusal, !entry.is_accepted);
            }
        } else if let Some(id) = error.subscription
            && let Some(entry) = self.remove_subscription(id)
        {
            let refusal = Refusal::new(error, entry.pattern.as_str());
            if let Some(answer) = entry.answer {
                let _ = answer.send(Err(refusal.clone()));
            }
            entry.inbox.close(RecvError::Refused(refusal));
        }
    }

    /// Forgets the publishers that nobody holds. Only while nothing of theirs waits to be sent, and before a new connection: on the
    /// present one their aliases are still used.
    pub(crate) fn prune(&mut self) {
        for slot in &mut self.publishers {
            if slot
                .as_ref()
                .is_some_and(|entry| entry.answer.is_none() && Arc::strong_count(&entry.publisher) == 1)
            {
                *slot = None;
            }
        }
    }

    /// What a new connection begins with.
    pub(crate) fn prelude(&mut self) -> Vec<Body> {
        let mut prelude = Vec::new();
        for entry in self.publishers.iter_mut().flatten().filter(|entry| !entry.is_withdrawn) {
            (entry.is_accepted, entry.is_plain) = (false, false);
            prelude.push(entry.publisher.advertisement().into());
        }
        for (&id, entry) in &self.subscriptions {
            let mut subscribe = subscribe_message(id, &entry.pattern, entry.max_age);
            subscribe.resume = self.dispatch.resumes(&entry.pattern);
            prelude.push(subscribe.into());
        }
        prelude
    }

    /// The connection is lost. `unconfirmed` messages may be too.
    pub(crate) fn disconnect(&mut self, unconfirmed: u64) {
        self.dispatch.disconnect();
        self.pings.disconnect(unconfirmed);
        // What of theirs was not sent is sent on the next connection.
        self.publishers.iter_mut().flatten().for_each(|entry| entry.left_at = None);
    }

    /// Nothing happens any more.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        self.publishers.clear();
        for (_, entry) in std::mem::take(&mut self.subscriptions) {
            entry.inbox.close(RecvError::Closed);
        }
        self.pings.close();
    }
}

fn is_unused_refusal(entry: &Advertised) -> bool {
    Arc::strong_count(&entry.publisher) == 1 && entry.publisher.is_gone()
}

/// Publishers from which on those that nobody holds any more make room for others. Until then they are kept: who publishes such a topic again need not
/// wait for the hub.
const IDLE_MAX: usize = 256;

/// Aliases that the protocol has.
const ALIASES: usize = 1 << 16;

pub(crate) fn hello(config: &Config) -> Hello {
    let name = crate::publish::cut(&config.name, 64).to_owned();
    let token = config.token.as_ref().map_or_else(String::new, |token| token.expose().to_owned());
    Hello { version: control::VERSION, name, acknowledges: true, token, blocks: Some(Unpacking::blocks()) }
}

pub(crate) fn subscribe_message(id: u32, pattern: &Pattern, max_age: Option<Duration>) -> Subscribe {
    let max_age_ms = max_age.map_or(0, |age| age.as_millis().clamp(1, u32::MAX.into()) as u32);
    Subscribe { id, pattern: pattern.as_str().to_owned(), max_age_ms, resume: Vec::new() }
}
