//! What a session may do, and whether still.

use std::sync::Arc;

use nyx_core::Instant;
use nyx_protocol::control::ErrorCode;
use nyx_protocol::topic::{Name, Pattern};

use super::budget::Budget;
use super::{Closed, Phase, Session};
use crate::access::{Entry, Forbidden, Gatekeeper, Permit};
use crate::shared::Shared;

/// What the peer may do: everything where nobody is to be asked, nothing until somebody was.
#[derive(Default)]
pub(super) struct Standing {
    gatekeeper: Option<Arc<dyn Gatekeeper>>,
    permit: Option<Permit>,
}

impl Standing {
    pub(super) fn new(entry: Entry, shared: &Shared, budget: &mut Budget) -> Self {
        let mut standing = Self { gatekeeper: entry.gatekeeper, permit: None };
        if let Some(permit) = entry.permit {
            standing.take(permit, shared, budget);
        }
        standing
    }

    fn take(&mut self, permit: Permit, shared: &Shared, budget: &mut Budget) {
        shared.admit(permit.subject.clone());
        // A token in the hello takes the place of the one that the connection came with.
        if let Some(former) = &self.permit {
            budget.leave(&former.supplies);
        }
        budget.share(&permit.supplies);
        self.permit = Some(permit);
    }

    pub(super) fn expires(&self) -> Option<Instant> {
        self.permit.as_ref().and_then(|permit| permit.expires)
    }

    fn allows(&self, judge: impl Fn(&Permit) -> bool) -> bool {
        match (&self.gatekeeper, &self.permit) {
            (_, Some(permit)) => judge(permit),
            (None, None) => true,
            (Some(_), None) => false,
        }
    }

    pub(super) fn may_read(&self, topic: &Name) -> bool {
        self.allows(|permit| permit.permissions.may_subscribe(topic))
    }

    /// Whether the topic may be published. That it may not is told to the gatekeeper.
    pub(super) fn may_publish(&self, topic: &Name) -> bool {
        let allowed = self.allows(|permit| permit.permissions.may_publish(topic));
        self.tell(allowed, Forbidden::Publish(topic.as_str()))
    }

    /// Whether anything that the pattern selects may be read. That nothing may is told to the gatekeeper.
    pub(super) fn may_subscribe(&self, pattern: &Pattern) -> bool {
        let allowed = self.allows(|permit| permit.permissions.may_subscribe_some(pattern));
        self.tell(allowed, Forbidden::Subscribe(pattern.as_str()))
    }

    fn tell(&self, allowed: bool, what: Forbidden<'_>) -> bool {
        if !allowed && let Some(gatekeeper) = &self.gatekeeper {
            gatekeeper.forbade(self.permit.as_ref().map_or("", |permit| &permit.subject), what);
        }
        allowed
    }
}

impl Session {
    /// Has the gatekeeper judge the token of a hello.
    pub(super) fn present(&mut self, now: Instant, token: &str) -> Result<(), Closed> {
        let Some(gatekeeper) = &self.standing.gatekeeper else { return Ok(()) };
        if token.is_empty() && self.standing.permit.is_some() {
            return Ok(());
        }
        match gatekeeper.admit(now, token) {
            Ok(permit) => {
                self.standing.take(permit, &self.shared, &mut self.budget);
                Ok(())
            }
            Err(rejected) => Err(self.fail(rejected.code, rejected.message)),
        }
    }

    /// Ends the session if its permit has ended.
    pub(super) fn check_standing(&mut self, now: Instant) -> Result<(), Closed> {
        if self.phase == Phase::Ended {
            return Ok(());
        }
        if let Some(message) = self.shared.expelled() {
            return Err(self.fail(ErrorCode::Unauthorized, message));
        }
        if self.standing.expires().is_some_and(|at| at <= now) {
            return Err(self.fail(ErrorCode::Unauthorized, "the token has expired: get a new one"));
        }
        Ok(())
    }
}
