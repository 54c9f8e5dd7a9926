//! Connections that are made before somebody asks for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nyx_core::Clock;
use tokio::sync::TryAcquireError;

use super::connector::Connector;
use super::error::{AcquireError, ErrorOf};
use super::guard::Place;
use super::site::Site;

/// What there is to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// So many connections, those in use included.
    Open(usize),
    /// So many at rest.
    Idle(usize),
}

impl<C: Connector, K: Clock + 'static> Site<C, K> {
    /// Makes one connection, which then rests. `false`: there are enough, or there is no place for more. Of the total it takes what is free: a connection
    /// that nobody has asked for takes no other's place, or two would go on taking each other's.
    pub(super) async fn warm_one(&self, goal: Goal) -> Result<bool, ErrorOf<C>> {
        let Some(place) = self.reserve_for(goal) else { return Ok(false) };
        let permit = match Arc::clone(&self.common.total).try_acquire_owned() {
            Ok(permit) => permit,
            Err(TryAcquireError::NoPermits) => return Ok(false),
            Err(TryAcquireError::Closed) => return Err(AcquireError::Closed),
        };
        let held = self.connect(place, permit).await?;
        self.give_back(held);
        Ok(true)
    }

    /// Makes up for what is missing of `idle`, unless that is being done. An address that can't be reached is left to the next time.
    pub(super) async fn top_up(&self, idle: usize) {
        if self.is_topping_up.swap(true, Ordering::AcqRel) {
            return;
        }
        let _done = Done(&self.is_topping_up);
        while matches!(self.warm_one(Goal::Idle(idle)).await, Ok(true)) {}
    }

    fn reserve_for(&self, goal: Goal) -> Option<Place<'_, C, K>> {
        let mut state = self.desk.gather();
        let is_missing = match goal {
            Goal::Open(open) => state.front.open() < open,
            Goal::Idle(idle) => state.front.idle() < idle,
        };
        let reserved = if is_missing { state.front.reserve() } else { None };
        drop(state);
        reserved.map(|()| Place::new(self))
    }
}

/// Ends what one task does at a time.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
