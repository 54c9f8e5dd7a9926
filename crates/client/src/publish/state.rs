//! State: a value that changes, of which only the changes travel.

use std::sync::{Arc, Weak};

use bytes::{Bytes, BytesMut};
use nyx_core::{Clock, Instant};
use nyx_protocol::state::{Filter, Patch, Rules, Value};
use nyx_protocol::wire::codec;

use super::{Handle, Publisher, SendCause, SendError};
use crate::outgoing::LIVE;
use crate::shared::Shared;
use crate::{Name, Trail};

/// Publishes a document.
///
/// Use either [`set`](Self::set) alone, when this publisher owns the document: then it keeps a copy, and after the connection or
/// the hub was lost the document is restored from it without any doing. Or [`patch`](Self::patch) alone, when several share a document.
/// After a `set`, a `patch` changes the copy too.
#[derive(Clone, Debug)]
pub struct State(pub(crate) Handle);

impl State {
    /// The topic.
    pub fn name(&self) -> &Name {
        self.0.name()
    }

    /// What is published from now on has passed these hubs, see [`Options::passed`](super::Options::passed). Costs nothing where it has passed the same as before.
    pub fn set_passed(&self, passed: &Trail) {
        self.0.set_passed(passed);
    }

    /// Makes `value` the document, or what the [rules](super::Options::rules) leave of it. Sends the difference to what this
    /// publisher sent before; nothing, if there is none.
    ///
    /// What a rule keeps back is sent when its time has come, if nothing else was set until then and the client is still there.
    ///
    /// While there is no connection the value is kept, and replaces earlier ones: it is sent when there is one.
    /// Waits while 64 KiB wait to be written.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has not changed anything.
    ///
    /// # Errors
    /// Returns the value, and says why. It may be about an earlier one of this publisher: then setting it again sends
    /// it whole.
    pub async fn set(&self, value: Value) -> Result<(), SendError<Value>> {
        if !self.is_ready().await {
            return Err(SendError { payload: value, cause: SendCause::Closed });
        }
        let shared = self.0.shared();
        let session = shared.outgoing.session();
        let mut slot = self.0.publisher.slot.lock();
        let value = slot.admit(shared.clock.now(), value);
        let patch = slot.patch_to(&value, session);
        match patch.map_or(Ok(Bytes::new()), |patch| self.encode(&patch)) {
            Ok(payload) => {
                let sent = payload.is_empty() || self.transmit(session, payload);
                slot.hold(value, if sent { session } else { 0 });
                let needs_timer =
                    slot.filter.due().is_some() && !std::mem::replace(&mut slot.has_timer, true);
                drop(slot);
                self.0.publisher.resend(shared);
                if needs_timer {
                    let (publisher, shared) =
                        (Arc::downgrade(&self.0.publisher), Arc::downgrade(&self.0.open.shared));
                    tokio::spawn(send_kept_back(publisher, shared));
                }
                Ok(())
            }
            Err(cause) => Err(SendError { payload: slot.kept_back.take().unwrap_or(value), cause }),
        }
    }

    /// Takes it that the hub has `value`, which it had from somebody else: what is [`set`](Self::set) next goes out as the difference to it.
    pub fn assume(&self, value: Value) {
        let session = self.0.shared().outgoing.session();
        self.0.publisher.slot.lock().hold(value, session);
    }

    /// As [`set`](Self::set), of any type that derives serde's `Serialize`.
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    ///
    /// # Errors
    /// As [`set`](Self::set); the payload of the error is the value as a document, or null where the type holds what no document
    /// does.
    #[cfg(feature = "serde")]
    pub async fn set_typed<T: serde::Serialize + ?Sized>(&self, value: &T) -> Result<(), SendError<Value>> {
        match Value::from_serialize(value) {
            Ok(value) => self.set(value).await,
            Err(error) => Err(SendError { payload: Value::Null, cause: error.into() }),
        }
    }

    /// Changes the document. Where this publisher has not [`set`](Self::set) a value, the patch waits for a connection, and is
    /// lost with it if the hub had not taken it in yet (see [`Stats::maybe_lost`](crate::Stats::maybe_lost)).
    ///
    /// ```
    /// use nyx_client::state::{ListOp, Patch};
    ///
    /// // One more line behind the third.
    /// let line = ListOp::Splice { index: 3, removed: 0, inserted: vec!["the gate opens at noon".into()] };
    /// let patch = Patch::Map([("lines".to_owned(), Patch::List(vec![line]))].into());
    /// # async fn example(state: nyx_client::publish::State, patch: Patch) -> Result<(), Box<dyn std::error::Error>> {
    /// state.patch(patch).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has not changed anything.
    ///
    /// # Errors
    /// Returns the patch, and says why. It may be about an earlier one of this publisher.
    pub async fn patch(&self, patch: Patch) -> Result<(), SendError<Patch>> {
        if !self.is_ready().await {
            return Err(SendError { payload: patch, cause: SendCause::Closed });
        }
        let payload = match self.encode(&patch) {
            Ok(payload) => payload,
            Err(cause) => return Err(SendError { payload: patch, cause }),
        };
        let envelope = self.0.envelope(codec::STATE_PATCH, None);
        let session = self.0.shared().outgoing.session();
        let mut slot = self.0.publisher.slot.lock();
        match slot.apply(&patch) {
            Ok(true) => {
                // On a connection that does not have the copy yet, the copy as it is now goes out whole instead.
                if !(slot.session == session && self.transmit(session, payload)) {
                    slot.forget_session();
                    drop(slot);
                    self.0.publisher.resend(self.0.shared());
                }
                Ok(())
            }
            Ok(false) => {
                let appended = self.0.shared().outgoing.try_append(usize::MAX, &envelope, payload, None);
                appended.map_err(|_| SendError { payload: patch, cause: SendCause::Closed })
            }
            Err(error) => Err(SendError { payload: patch, cause: error.into() }),
        }
    }

    async fn is_ready(&self) -> bool {
        self.0.shared().outgoing.has_room(LIVE, false).await
    }

    fn encode(&self, patch: &Patch) -> Result<Bytes, SendCause> {
        let mut out = BytesMut::new();
        patch.encode(&mut out);
        self.0.check(out.len(), None)?;
        Ok(out.freeze())
    }

    fn transmit(&self, session: u64, payload: Bytes) -> bool {
        let envelope = self.0.envelope(codec::STATE_PATCH, None);
        self.0.shared().outgoing.append_in_session(session, &envelope, payload)
    }
}

/// Sends what rules have kept back when its time has come, until nothing is kept back.
async fn send_kept_back(publisher: Weak<Publisher>, shared: Weak<Shared>) {
    loop {
        let wait = {
            let (Some(publisher), Some(shared)) = (publisher.upgrade(), shared.upgrade()) else { return };
            let now = shared.clock.now();
            let mut slot = publisher.slot.lock();
            match (slot.filter.due(), slot.kept_back.take()) {
                (Some(due), Some(value)) if due > now => {
                    slot.kept_back = Some(value);
                    due - now
                }
                (Some(_), Some(value)) => {
                    let session = shared.outgoing.session();
                    let value = slot.admit(now, value);
                    let patch = slot.patch_to(&value, session);
                    slot.hold(value, session);
                    if let Some(patch) = patch {
                        publisher.put(&shared, slot, session, &patch);
                    }
                    continue;
                }
                _ => {
                    slot.has_timer = false;
                    return;
                }
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// What a publisher of state sent last, and on which connection.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    value: Option<Value>,
    filter: Filter,
    /// What was set, where rules have kept something of it back.
    kept_back: Option<Value>,
    /// Whether somebody waits to send that.
    has_timer: bool,
    /// The connection on which the hub was sent `value`; 0 is none.
    session: u64,
}

impl Slot {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { filter: Filter::new(rules), ..Self::default() }
    }

    /// What is to be published of a value that was set.
    fn admit(&mut self, now: Instant, value: Value) -> Value {
        if self.filter.rules().is_empty() {
            return value;
        }
        let admitted = self.filter.admit(now, value.clone(), self.value.as_ref());
        self.kept_back = self.filter.due().map(|_| value);
        admitted
    }

    /// Whether a lost connection can be made good from here.
    pub(crate) const fn holds_value(&self) -> bool {
        self.value.is_some()
    }

    /// Whether something that was set is to be sent later.
    pub(crate) const fn keeps_back(&self) -> bool {
        self.kept_back.is_some()
    }

    /// Whatever the hub holds, it is not known to be `value`.
    pub(crate) const fn forget_session(&mut self) {
        self.session = 0;
    }

    /// The whole value, for connection `session`, unless that has it.
    pub(crate) fn take_due(&mut self, session: u64) -> Option<Patch> {
        let value = self.value.as_ref().filter(|_| self.session != session)?;
        self.session = session;
        Some(Patch::Set(value.clone()))
    }

    fn patch_to(&self, value: &Value, session: u64) -> Option<Patch> {
        match &self.value {
            Some(before) if self.session == session => Patch::diff(before, value),
            _ => Some(Patch::Set(value.clone())),
        }
    }

    fn hold(&mut self, value: Value, session: u64) {
        self.value = Some(value);
        self.session = session;
    }

    /// Applies a patch to the copy, if there is one; tells whether there is.
    fn apply(&mut self, patch: &Patch) -> Result<bool, nyx_protocol::state::PatchError> {
        let Some(value) = self.value.take() else { return Ok(false) };
        let before = can_fail(patch, true).then(|| value.clone());
        match patch.apply_to(value) {
            Ok(value) => {
                self.value = Some(value);
                Ok(true)
            }
            Err(error) => {
                self.value = before;
                Err(error)
            }
        }
    }
}

/// Whether a patch may not fit some value: only then its application needs a copy to go back to.
fn can_fail(patch: &Patch, is_root: bool) -> bool {
    match patch {
        Patch::Set(_) => false,
        Patch::Remove => is_root,
        Patch::Map(entries) => entries.values().any(|patch| can_fail(patch, false)),
        Patch::List(_) | Patch::Splice { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(hp: i64) -> Value {
        Value::map([("hp", hp)])
    }

    #[test]
    fn a_connection_gets_the_whole_value_once_and_then_differences() {
        let mut slot = Slot::default();
        assert_eq!(slot.patch_to(&value(1), 5), Some(Patch::Set(value(1))));
        slot.hold(value(1), 5);
        assert_eq!(slot.patch_to(&value(1), 5), None);
        assert!(matches!(slot.patch_to(&value(2), 5), Some(Patch::Map(_))));
        assert_eq!(slot.take_due(5), None);
        assert_eq!(slot.take_due(6), Some(Patch::Set(value(1))));
        assert_eq!(slot.take_due(6), None);
        slot.forget_session();
        assert_eq!(slot.patch_to(&value(1), 6), Some(Patch::Set(value(1))));
    }

    #[test]
    fn a_patch_that_does_not_fit_changes_nothing() {
        let mut slot = Slot::default();
        let list = Patch::List(vec![]);
        assert_eq!(slot.apply(&list), Ok(false));
        slot.hold(value(1), 5);
        for patch in [list.clone(), Patch::Remove, Patch::Map([("hp".to_owned(), list)].into())] {
            assert!(slot.apply(&patch).is_err(), "{patch:?}");
            assert_eq!(slot.value, Some(value(1)));
        }
        assert_eq!(slot.apply(&Patch::merge(value(2))), Ok(true));
        assert_eq!(slot.value, Some(value(2)));
    }
}
