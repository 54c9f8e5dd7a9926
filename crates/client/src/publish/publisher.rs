//! What all publishers have in common: an alias, and what the hub thinks of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use nyx_core::Lane;
use nyx_protocol::control::{self, Advertise, ErrorCode};
use nyx_protocol::state::Patch;
use nyx_protocol::trail::Trail;
use nyx_protocol::wire::{Header, Kind, TIMESTAMP_LEN, codec};
use parking_lot::{Mutex, MutexGuard};

use super::state::Slot;
use super::{Options, Payload, SendCause, SendError};
use crate::outgoing::{Blocked, Envelope};
use crate::shared::{Open, Shared};
use crate::{AudioFormat, Compression, Name, Refusal};

/// A topic that this client publishes. It outlives connections: the alias stays the same.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) alias: u32,
    pub(crate) kind: Kind,
    pub(crate) topic: Name,
    lane: Lane,
    /// All but which hubs it has passed.
    pub(crate) advertise: Advertise,
    passed: Mutex<Trail>,
    pub(crate) compression: Compression,
    /// What was sent last, for state.
    pub(crate) slot: Mutex<Slot>,
    /// Whether there is a refusal: the fast path reads only this.
    is_refused: AtomicBool,
    refused: Mutex<Option<Refused>>,
}

#[derive(Debug)]
struct Refused {
    refusal: Refusal,
    /// The topic itself was refused.
    is_final: bool,
    told_by_flush: bool,
}

impl Publisher {
    pub(crate) fn new(
        alias: u32,
        topic: Name,
        kind: Kind,
        audio: Option<AudioFormat>,
        results: bool,
        options: &Options,
    ) -> Self {
        let audio = audio.map(|format| control::AudioFormat {
            sample_rate: format.sample_rate,
            channels: format.channels,
        });
        let max_age = options.max_age.map_or(0, |age| age.as_millis().clamp(1, u32::MAX.into()) as u32);
        let advertise = Advertise {
            alias,
            topic: topic.as_str().to_owned(),
            kind: control::Kind::from(kind) as i32,
            content_type: cut(&options.content_type, CONTENT_TYPE_MAX).to_owned(),
            audio,
            max_age_ms: max_age,
            lane: options.lane as i32,
            results,
            passed: Vec::new(),
        };
        Self {
            alias,
            kind,
            topic,
            lane: options.lane.to_lane().unwrap_or(kind.lane()),
            advertise,
            passed: Mutex::new(options.passed.clone()),
            compression: options.compression,
            slot: Mutex::new(Slot::new(options.rules.clone())),
            is_refused: AtomicBool::new(false),
            refused: Mutex::new(None),
        }
    }

    /// What the hub is told of it.
    pub(crate) fn advertisement(&self) -> Advertise {
        Advertise { passed: self.passed.lock().hubs().to_vec(), ..self.advertise.clone() }
    }

    /// Whether what is published has passed the same hubs.
    pub(crate) fn passes_as(&self, other: &Self) -> bool {
        let passed = self.passed.lock().clone();
        passed == *other.passed.lock()
    }

    /// The hub refused the topic (`is_final`) or something that was sent.
    pub(crate) fn refuse(&self, refusal: Refusal, is_final: bool) {
        {
            let mut refused = self.refused.lock();
            if !refused.as_ref().is_some_and(|refused| refused.is_final) {
                *refused = Some(Refused { refusal, is_final, told_by_flush: false });
                self.is_refused.store(true, Ordering::Release);
            }
        }
        // What the hub holds is not what was sent: the next value goes out whole.
        self.slot.lock().forget_session();
    }

    /// Something that was to be sent has more bytes than the hub takes.
    pub(crate) fn refuse_length(&self, length: usize, limit: usize) {
        let message = SendCause::TooLarge { length, limit }.to_string();
        let error = control::Error { code: ErrorCode::TooLarge.into(), message, ..Default::default() };
        self.refuse(Refusal::new(error, self.topic.as_str()), false);
    }

    /// Whether those who held it have left nothing: no value that is to be sent later, and no refusal that nobody was told of.
    pub(crate) fn is_at_rest(&self) -> bool {
        let is_told = |refused: &Refused| refused.told_by_flush && !refused.is_final;
        self.refused.lock().as_ref().is_none_or(is_told) && !self.slot.lock().keeps_back()
    }

    /// Who holds it from now on has sent nothing yet, and has the rules of `wanted`.
    pub(crate) fn begin_anew(&self, wanted: Self) {
        *self.slot.lock() = wanted.slot.into_inner();
        *self.refused.lock() = None;
        self.is_refused.store(false, Ordering::Release);
    }

    /// Sends the value of a state publisher whole, if the present connection does not have it.
    pub(crate) fn resend(&self, shared: &Shared) {
        let session = shared.outgoing.session();
        let mut slot = self.slot.lock();
        let Some(patch) = (session != 0).then(|| slot.take_due(session)).flatten() else { return };
        self.put(shared, slot, session, &patch);
    }

    /// Sends a patch on connection `session`, after which that has the value of `slot`; or forgets that it has it. A document that has grown over
    /// what the hub takes at once is refused here: the hub would end the session, and the next one in turn.
    pub(crate) fn put(&self, shared: &Shared, mut slot: MutexGuard<'_, Slot>, session: u64, patch: &Patch) {
        let mut payload = BytesMut::new();
        patch.encode(&mut payload);
        let (length, limit) = (payload.len(), shared.max_message_bytes());
        if length > limit {
            drop(slot);
            return self.refuse_length(length, limit);
        }
        let envelope = self.envelope(codec::STATE_PATCH, None);
        if !shared.outgoing.append_in_session(session, &envelope, payload.freeze()) {
            slot.forget_session();
        }
    }

    fn envelope(&self, codec: u8, unix_micros: Option<u64>) -> Envelope {
        let header = Header { codec, topic: self.alias, ..Header::data(self.kind) };
        Envelope { header, unix_micros, lane: self.lane }
    }

    /// A refusal that the publisher must hear of before it sends more.
    fn refusal(&self) -> Option<Refusal> {
        if !self.is_refused.load(Ordering::Acquire) {
            return None;
        }
        let mut refused = self.refused.lock();
        let is_final = refused.as_ref()?.is_final;
        if is_final {
            return refused.as_ref().map(|refused| refused.refusal.clone());
        }
        self.is_refused.store(false, Ordering::Release);
        refused.take().map(|refused| refused.refusal)
    }

    /// A refusal that no flush has told of yet.
    pub(crate) fn refusal_for_flush(&self) -> Option<Refusal> {
        if !self.is_refused.load(Ordering::Acquire) {
            return None;
        }
        let mut refused = self.refused.lock();
        let refused = refused.as_mut()?;
        (!std::mem::replace(&mut refused.told_by_flush, true)).then(|| refused.refusal.clone())
    }

    /// Whether the hub refused the topic itself.
    pub(crate) fn is_gone(&self) -> bool {
        self.final_refusal().is_some()
    }

    /// The refusal of the topic itself.
    pub(crate) fn final_refusal(&self) -> Option<Refusal> {
        let refused = self.refused.lock();
        refused.as_ref().filter(|refused| refused.is_final).map(|refused| refused.refusal.clone())
    }
}

/// What the hub takes of a content type.
const CONTENT_TYPE_MAX: usize = 255;

/// The longest prefix of `text` that has at most `max` bytes.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// A publisher and the client that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) open: Arc<Open>,
    pub(crate) publisher: Arc<Publisher>,
}

impl Handle {
    pub(crate) fn shared(&self) -> &Shared {
        &self.open.shared
    }

    pub(crate) fn name(&self) -> &Name {
        &self.publisher.topic
    }

    /// What is published from now on has passed these hubs.
    pub(crate) fn set_passed(&self, passed: &Trail) {
        let mut present = self.publisher.passed.lock();
        if *present != *passed {
            present.clone_from(passed);
            drop(present);
            // With it the alias begins anew, behind all that was published before.
            self.shared().outgoing.put_control(self.publisher.advertisement());
        }
    }

    pub(crate) fn envelope(&self, codec: impl Into<u8>, unix_micros: Option<u64>) -> Envelope {
        self.publisher.envelope(codec.into(), unix_micros)
    }

    /// Whether a payload of `len` bytes may be sent now.
    pub(crate) fn check(&self, len: usize, unix_micros: Option<u64>) -> Result<(), SendCause> {
        let length = len + unix_micros.map_or(0, |_| TIMESTAMP_LEN);
        let limit = self.shared().max_message_bytes();
        if length > limit {
            return Err(SendCause::TooLarge { length, limit });
        }
        self.publisher.refusal().map_or(Ok(()), |refusal| Err(SendCause::Refused(refusal)))
    }

    /// Sends one message, waiting while `bound` bytes wait.
    pub(crate) async fn send<P: Payload>(
        &self,
        bound: usize,
        envelope: &Envelope,
        payload: P,
    ) -> Result<(), SendError<P>> {
        if let Err(cause) = self.check(payload.as_ref().len(), envelope.unix_micros) {
            return Err(SendError { payload, cause });
        }
        let outgoing = &self.shared().outgoing;
        // Nearly always there is room, and then nothing has to outlive a wait.
        let sent = match outgoing.try_append(bound, envelope, payload, None) {
            Ok(()) => return Ok(()),
            Err((payload, Blocked::Closed)) => Err(payload),
            Err((payload, Blocked::Full)) => outgoing.append(bound, envelope, payload).await,
        };
        sent.map_err(|payload| SendError { payload, cause: SendCause::Closed })
    }
}
