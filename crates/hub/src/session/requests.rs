//! What control messages do.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use nyx_core::Instant;
use nyx_protocol::control::{self, Body, ErrorCode};
use nyx_protocol::topic::{Name, Pattern};
use nyx_protocol::trail::Trail;
use nyx_protocol::wire::Kind;
use nyx_stream::flight::Mode;
use nyx_stream::policy::Pull;

use super::slots::Slot;
use super::taking::Taking;
use super::{Alias, Closed, Phase, Session, Subscription, Target};
use crate::shared::add;
use crate::spec::Spec;
use crate::start::Start;
use crate::topic::{Publication, Topic};

/// Aliases are indices; this is the largest, whatever the limit on their number.
const ALIAS_MAX: u32 = 65_535;

/// The least window: a subscriber need not acknowledge before 128 KiB have come, and a window of that would stop and go.
const WINDOW_MIN: usize = 256 * 1024;

/// Bytes of a peer's name that are kept.
const NAME_MAX: usize = 64;

const NOT_TO_PUBLISH: &str = "your token does not allow to publish this: ask for one that does";
const NOT_TO_READ: &str = "your token allows to read nothing that this selects: ask for one that does";

impl Session {
    pub(super) fn handle_control(&mut self, now: Instant, body: Body) -> Result<(), Closed> {
        match (self.phase, body) {
            (Phase::Greeting { .. }, Body::Hello(hello)) => self.handle_hello(now, hello),
            (Phase::Greeting { .. }, _) => {
                Err(self.fail(ErrorCode::Unexpected, "the first message was no Hello: send Hello first"))
            }
            (_, body) => {
                if let Some(body) = self.gather(body) {
                    // What came before may be what it is about.
                    self.route_gathered(now);
                    self.handle_body(now, body);
                }
                Ok(())
            }
        }
    }

    fn handle_body(&mut self, now: Instant, body: Body) {
        match body {
            Body::Advertise(advertise) => self.handle_advertise(now, advertise),
            Body::Unadvertise(unadvertise) => self.handle_unadvertise(unadvertise.alias),
            Body::Subscribe(subscribe) => self.handle_subscribe(now, subscribe),
            Body::Unsubscribe(unsubscribe) => self.handle_unsubscribe(unsubscribe.id),
            Body::Ack(ack) => self.handle_ack(now, ack.bytes),
            Body::Ping(ping) => {
                // What a pong confirms has its results before it.
                self.results.write(&mut self.outbox);
                control::put(&mut self.outbox, control::Pong { nonce: ping.nonce });
            }
            Body::Pong(pong) => self.handle_pong(now, pong.nonce),
            Body::Resync(resync) => self.handle_resync(resync.topic_id),
            Body::Serve(serve) => self.handle_serve(now, serve),
            Body::Unserve(unserve) => self.handle_unserve(unserve.id),
            Body::Cancel(cancel) => self.handle_cancel(cancel.id),
            // A second hello, or what only a hub sends: nothing that we could act on, nothing that harms.
            _ => self.refuse(control::Error {
                code: ErrorCode::Unexpected.into(),
                message: "this message is not one that a client sends at this point".to_owned(),
                ..Default::default()
            }),
        }
    }

    fn handle_hello(&mut self, now: Instant, hello: control::Hello) -> Result<(), Closed> {
        if hello.version != control::VERSION {
            let text =
                format!("version {} is not spoken here: use version {}", hello.version, control::VERSION);
            return Err(self.fail(ErrorCode::UnsupportedVersion, text));
        }
        self.present(now, &hello.token)?;
        self.open(&hello.name, hello.acknowledges);
        // What refers to something that was sent before can't be read where that is lost.
        self.taking = hello.blocks.filter(|_| self.departures.is_none()).map(Taking::new);
        self.speaks = true;
        let config = &self.hub.inner.config;
        let welcome = control::Welcome {
            version: control::VERSION,
            session_id: self.shared.id,
            server: config.server.clone(),
            max_message_bytes: u32::try_from(config.message_bytes).unwrap_or(u32::MAX),
            hub: self.hub.id(),
            blocks: self.departures.is_none(),
        };
        control::put(&mut self.outbox, welcome);
        Ok(())
    }

    /// From now on, what it is sent of topics that it begins to read stands behind which hubs that has passed ([`control::Passed`]). Of a session over
    /// datagrams, which may overtake each other, nothing is told.
    pub fn tell_passed(&mut self) {
        self.tells_passed = self.departures.is_none();
    }

    /// Begins without a hello, for adapters whose peers don't speak the protocol. Nothing acknowledges what they send.
    pub fn open_unacknowledged(&mut self, name: &str) {
        self.open(name, false);
    }

    fn open(&mut self, name: &str, acknowledges: bool) {
        let printable = name.chars().filter(|c| !c.is_control());
        let mut kept = String::new();
        kept.extend(printable.take(NAME_MAX));
        while kept.len() > NAME_MAX {
            kept.pop();
        }
        *self.shared.name.lock() = kept;
        self.acknowledges = acknowledges;
        self.phase = Phase::Open;
        self.set_mode();
    }

    fn handle_advertise(&mut self, now: Instant, advertise: control::Advertise) {
        let alias = advertise.alias;
        // With it an alias begins anew: what became of what came before is told before.
        self.results.write(&mut self.outbox);
        let limit = self.hub.inner.config.aliases.min(ALIAS_MAX as usize + 1);
        if alias as usize >= limit {
            let text = format!("aliases are numbers below {limit} here: reuse them, or raise limits.aliases");
            return self.refuse_alias(alias, ErrorCode::Limit, text);
        }
        let mut trail = Trail::default();
        let target = match self.advertised_topic(now, &advertise, &mut trail) {
            Ok(topic) => {
                let plain = topic.rules_out_compression();
                control::put(&mut self.outbox, control::Advertised { alias, topic_id: topic.id, plain });
                Target::Topic(topic)
            }
            Err((code, text)) => {
                self.refuse_alias(alias, code, text.clone());
                Target::Refused(code, text)
            }
        };
        let entry = Alias { target, results: advertise.results, trail };
        let alias = alias as usize;
        if self.aliases.len() <= alias {
            self.aliases.resize_with(alias + 1, || None);
        }
        self.aliases[alias] = Some(entry);
    }

    fn handle_unadvertise(&mut self, alias: u32) {
        if let Some(alias) = self.aliases.get_mut(alias as usize) {
            *alias = None;
        }
    }

    fn advertised_topic(
        &self,
        now: Instant,
        advertise: &control::Advertise,
        trail: &mut Trail,
    ) -> Result<Publication, (ErrorCode, String)> {
        let name = Name::new(&advertise.topic).map_err(|error| (ErrorCode::BadTopic, error.to_string()))?;
        // Before anything is looked up: whether the topic exists is not for everybody.
        if !self.standing.may_publish(&name) {
            return Err((ErrorCode::Forbidden, NOT_TO_PUBLISH.to_owned()));
        }
        // Before it is created: a topic of nothing but what is not taken in is none.
        *trail = self.hub.trail(&advertise.passed).map_err(|error| (ErrorCode::Loop, error.to_string()))?;
        let kind = advertise
            .kind()
            .to_wire()
            .ok_or_else(|| (ErrorCode::BadTopic, "say which kind the topic has".to_owned()))?;
        let spec = Spec {
            content_type: advertise.content_type.chars().filter(|c| !c.is_control()).take(255).collect(),
            audio: advertise.audio,
            max_age: (advertise.max_age_ms > 0).then(|| Duration::from_millis(advertise.max_age_ms.into())),
            lane: advertise.lane().to_lane(),
            ..Spec::new(kind)
        };
        self.hub.advertise(now, &name, &spec).map_err(|error| {
            use crate::hub::CreateError;
            let code = match error {
                CreateError::KindMismatch { .. } | CreateError::FormatMismatch { .. } => {
                    ErrorCode::KindMismatch
                }
                CreateError::Reserved(_) => ErrorCode::BadTopic,
                CreateError::TooMany(_) => ErrorCode::Limit,
            };
            (code, error.to_string())
        })
    }

    fn handle_subscribe(&mut self, now: Instant, subscribe: control::Subscribe) {
        let id = subscribe.id;
        let refused = |code: ErrorCode, message: String| control::Error {
            code: code.into(),
            message,
            subscription: Some(id),
            ..Default::default()
        };
        let pattern = match Pattern::new(&subscribe.pattern) {
            Ok(pattern) => pattern,
            Err(error) => return self.refuse(refused(ErrorCode::BadTopic, error.to_string())),
        };
        if !self.standing.may_subscribe(&pattern) {
            return self.refuse(refused(ErrorCode::Forbidden, NOT_TO_READ.to_owned()));
        }
        if self.subscriptions.iter().any(|present| present.id == id) {
            return self
                .refuse(refused(ErrorCode::Unexpected, "the id is in use: choose another".to_owned()));
        }
        let limit = self.hub.inner.config.subscriptions;
        if self.subscriptions.len() >= limit {
            let text = format!("a session has at most {limit} subscriptions: use patterns");
            return self.refuse(refused(ErrorCode::Limit, text));
        }
        self.subscribe(now, id, pattern, subscribe.max_age_ms, subscribe.resume);
        control::put(&mut self.outbox, control::Subscribed { id });
    }

    /// Subscribes on behalf of a peer that can't ask itself.
    pub fn subscribe_for(&mut self, now: Instant, pattern: Pattern, max_age: Option<Duration>) {
        let max_age_ms = max_age.map_or(0, |age| u32::try_from(age.as_millis()).unwrap_or(u32::MAX));
        let id = self.subscriptions.len() as u32;
        self.subscribe(now, id, pattern, max_age_ms, Vec::new());
    }

    fn subscribe(
        &mut self,
        now: Instant,
        id: u32,
        pattern: Pattern,
        max_age_ms: u32,
        resume: Vec<control::Resume>,
    ) {
        // The path is measured while nothing is on it.
        if self.acknowledges && self.probe.sent.is_none() {
            self.ping(now);
        }
        let (mut topics, compared) = self.hub.watch(&self.shared, id, &pattern);
        self.looked += compared;
        // What ages first: then the rest is acknowledged as promptly, and does not stand in its way unseen.
        topics.sort_by_key(|topic| !topic.is_fresh(topic.max_age));
        let resume = self.resume(&pattern, resume);
        self.subscriptions.push(Subscription { id, pattern, max_age_ms, resume });
        // What came into being before that, and was selected by others already, stands in the mail.
        let invited = self.shared.take_invitations();
        let is_new: HashSet<u32> = invited.iter().map(|topic| topic.id).collect();
        invited.into_iter().for_each(|topic| self.join(topic, Start::Beginning));
        for topic in topics {
            match self.slots.of_mut(&topic) {
                Some(slot) if is_new.contains(&topic.id) => {
                    slot.selected = count(&self.subscriptions, &topic.name);
                }
                Some(slot) => slot.selected += 1,
                None => self.join_by(topic, Start::Now, self.subscriptions.len() - 1),
            }
        }
    }

    /// Where a subscription goes on. No more is kept than there may be topics: that of others may be long in coming.
    fn resume(&self, pattern: &Pattern, resume: Vec<control::Resume>) -> HashMap<Name, (u64, u64)> {
        let kept: usize = self.subscriptions.iter().map(|present| present.resume.len()).sum();
        let named = resume.into_iter().filter_map(|resume| {
            let name = Name::new(&resume.topic).ok().filter(|name| pattern.matches(name))?;
            Some((name, (resume.epoch, resume.position)))
        });
        named.take(self.hub.inner.config.topics.saturating_sub(kept)).collect()
    }

    /// Begins to read a topic that a subscription selects, unless it does already.
    pub(super) fn join(&mut self, topic: Arc<Topic>, start: Start) {
        let selects = |present: &Subscription| present.pattern.matches(&topic.name);
        if let Some(first) = self.subscriptions.iter().position(selects) {
            self.join_by(topic, start, first);
        }
    }

    /// The same of one that the subscription in place `first` selects, and none before it.
    fn join_by(&mut self, topic: Arc<Topic>, start: Start, first: usize) {
        if self.slots.reads(&topic) || !self.standing.may_read(&topic.name) {
            return;
        }
        let Some(selecting) = self.subscriptions.get(first..) else { return };
        let (Some(subscription), selected) = (selecting.first(), count(selecting, &topic.name)) else {
            return;
        };
        let asked = (subscription.max_age_ms > 0 && topic.spec.kind != Kind::State)
            .then(|| Duration::from_millis(subscription.max_age_ms.into()));
        let max_age = [asked, topic.max_age].into_iter().flatten().min();
        let resume = subscription
            .resume
            .get(&topic.name)
            // Of another topic of this name it says nothing. A document knows its epoch itself, as that may have begun anew.
            .filter(|(epoch, _)| *epoch == topic.epoch || topic.spec.kind == Kind::State)
            .map(|&(epoch, position)| Start::Resume { epoch, position });
        let follows = topic.begins.filter(|begins| self.leave_former(&topic, *begins)).map(Start::After);
        let start = follows.or(resume).unwrap_or(start);
        let prompt = topic.is_fresh(max_age) || self.slots.has_fresh();
        let Some(joined) =
            topic.join(&self.shared, self.slots.next(), start, max_age, self.departures.is_some())
        else {
            // Its name went on at this moment.
            if let Some(successor) = self.hub.topic(&topic.name).filter(|now| now.id != topic.id) {
                self.join(successor, start);
            }
            return;
        };
        let announce = control::Announce {
            topic_id: topic.id,
            topic: topic.name.as_str().to_owned(),
            kind: control::Kind::from(topic.spec.kind).into(),
            content_type: topic.spec.content_type.clone(),
            audio: topic.spec.audio,
            max_age_ms: max_age.map_or(0, |age| u32::try_from(age.as_millis()).unwrap_or(u32::MAX)),
            prompt,
            epoch: joined.epoch,
            position: joined.position,
        };
        control::put(&mut self.outbox, announce);
        let mut slot = Slot::new(topic, joined.key, max_age, prompt, joined.rest);
        slot.passed = self.tells_passed.then(Trail::default);
        slot.selected = selected;
        self.slots.add(slot);
        add(&self.shared.counters.topics, 1);
        self.set_mode();
    }

    /// Stops reading the topic that had the name of `successor`, which begins with this number, and tells of what was not sent of it. Says
    /// whether it was read.
    fn leave_former(&mut self, successor: &Topic, begins: u64) -> bool {
        // Ids grow.
        let former = self.slots.by_name(&successor.name).filter(|slot| slot.topic.id < successor.id);
        let Some(slot) = former else { return false };
        let (former, key) = (slot.topic.clone(), slot.key);
        let mut passed = Pull::default();
        former.leave_behind(key, begins, &mut passed);
        successor.count_drops(&passed.drops);
        self.outbox.extend(self.report_gap(&former, &passed));
        self.retain(|slot| slot.topic.id != former.id);
        true
    }

    fn handle_unsubscribe(&mut self, id: u32) {
        let Some(place) = self.subscriptions.iter().position(|present| present.id == id) else { return };
        self.hub.unwatch(&self.shared, Some(id));
        let Subscription { pattern, .. } = self.subscriptions.remove(place);
        self.looked += self.slots.len();
        self.retain(|slot| {
            slot.selected = slot.selected.saturating_sub(pattern.matches(&slot.topic.name).into());
            slot.selected > 0
        });
        self.set_mode();
    }

    /// Stops reading the slots that `keep` does not want.
    fn retain(&mut self, keep: impl FnMut(&mut Slot) -> bool) {
        let (dictionaries, prefixes) = self.slots.retain(keep);
        if let Some(taking) = &mut self.taking {
            dictionaries.into_iter().for_each(|name| taking.retire(name, &mut self.outbox));
            taking.forget_prefixes(prefixes);
        }
        self.shared.counters.topics.store(self.slots.len() as u64, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn set_mode(&mut self) {
        self.flight.set_mode(match (self.acknowledges, self.slots.has_fresh()) {
            (false, _) => Mode::Unacknowledged,
            (true, true) => Mode::Fresh,
            (true, false) => Mode::Window(self.hub.inner.config.window_bytes.max(WINDOW_MIN)),
        });
    }

    fn handle_ack(&mut self, now: Instant, bytes: u64) {
        if self.acknowledges && bytes > self.flight.sent() {
            return self.refuse(control::Error {
                code: ErrorCode::Unexpected.into(),
                message: "more is acknowledged than was sent: count the bytes of data messages".to_owned(),
                ..Default::default()
            });
        }
        // Over datagrams it is known without this what was consumed.
        if self.departures.is_none() {
            self.acknowledge(now, bytes);
        }
    }

    /// The peer has consumed so many bytes of what it was sent.
    pub(super) fn acknowledge(&mut self, now: Instant, bytes: u64) {
        self.flight.handle_ack(now, bytes);
        let acked = self.flight.acked();
        let mut first = None;
        let mut arrived_bytes = 0;
        while let Some(arrived) = self.under_way.pop_front_if(|item| item.end <= acked) {
            self.hub.record_age(&arrived.topic, now, arrived.born);
            first.get_or_insert((arrived.sent, arrived.ahead));
            arrived_bytes += arrived.bytes;
        }
        if let Some((sent, ahead)) = first
            && let Some(taking) = &mut self.taking
        {
            taking.observe(now, arrived_bytes, ahead, now.since(sent), &self.flight);
        }
    }

    fn handle_pong(&mut self, now: Instant, nonce: u64) {
        if nonce == self.probe.nonce
            && let Some(sent) = self.probe.sent.take()
        {
            self.flight.handle_probe(now, now.since(sent));
        }
    }

    fn handle_resync(&mut self, topic_id: u32) {
        let Some(number) = self.slots.by_topic(topic_id) else { return };
        if let Some(slot) = self.slots.get_mut(number) {
            slot.topic.forget_base(slot.key);
            (slot.plainly, slot.missed) = (true, 0);
            if let Some(taking) = &mut self.taking {
                taking.forget_prefixes(usize::from(slot.prefixes.take().is_some()));
                if let Some(name) = slot.dictionary.take() {
                    taking.retire(name, &mut self.outbox);
                }
            }
        }
        self.slots.enqueue(number);
    }
}

/// How many of these select a topic.
fn count(subscriptions: &[Subscription], name: &Name) -> u32 {
    subscriptions.iter().filter(|present| present.pattern.matches(name)).count() as u32
}
