//! What routing gives other sessions.

use std::sync::Arc;

use bytes::Bytes;
use nyx_protocol::control::{Body, Reply, Status};

use crate::letters::Letters;
use crate::shared::Shared;

/// What goes to other sessions, by session: each is locked and woken once, when all is there, or much of it. Delivered under the router's
/// lock, so that a cancellation does not overtake its request.
#[derive(Default)]
pub(super) struct Bag(Vec<(Arc<Shared>, Letters)>);

/// Bytes that are held back for one session at most: what it has is asked for each request, and must not be far from the truth.
const HELD_BYTES: usize = 64 * 1024;

impl Bag {
    pub(super) fn put(&mut self, to: &Arc<Shared>, body: impl Into<Body>) {
        let place = self.0.iter().position(|(session, _)| Arc::ptr_eq(session, to));
        let place = place.unwrap_or_else(|| {
            self.0.push((to.clone(), Letters::default()));
            self.0.len() - 1
        });
        let letters = &mut self.0[place].1;
        letters.put(body);
        if letters.bytes() >= HELD_BYTES {
            to.post(letters);
        }
    }

    /// Tells who asked, if anybody still waits. Returns what is told.
    pub(super) fn answer(
        &mut self,
        requester: Option<(Arc<Shared>, u64)>,
        status: Status,
        body: Bytes,
    ) -> Option<Status> {
        let (session, id) = requester?;
        // Who does not read its answers must not fill memory with them.
        let (status, body) = match body.is_empty() || session.has_room_for_letters() {
            true => (status, body),
            false => (Status::AnswerLost, Bytes::new()),
        };
        self.put(&session, Reply { id, status: status.into(), body });
        Some(status)
    }

    pub(super) fn deliver(self) {
        for (session, mut letters) in self.0 {
            if !letters.is_empty() {
                session.post(&mut letters);
            }
        }
    }
}
