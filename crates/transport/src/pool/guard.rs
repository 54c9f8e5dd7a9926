//! What must be undone when a future is dropped on the way to a connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use nyx_core::Clock;
use tokio::sync::oneshot::{self, error::RecvError};

use super::connector::Connector;
use super::site::{Granted, Site};

/// A turn that is waited for. Who drops it gives it up, and passes on what it had come to.
pub(super) struct Turn<'a, C: Connector, K: Clock + 'static> {
    site: &'a Site<C, K>,
    ticket: u64,
    told: oneshot::Receiver<Granted<C, K>>,
}

impl<'a, C: Connector, K: Clock + 'static> Turn<'a, C, K> {
    pub(super) const fn new(
        site: &'a Site<C, K>,
        ticket: u64,
        told: oneshot::Receiver<Granted<C, K>>,
    ) -> Self {
        Self { site, ticket, told }
    }
}

impl<C: Connector, K: Clock + 'static> Future for Turn<'_, C, K> {
    type Output = Result<Granted<C, K>, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.told).poll(cx)
    }
}

impl<C: Connector, K: Clock + 'static> Drop for Turn<'_, C, K> {
    fn drop(&mut self) {
        if !self.told.is_terminated() {
            self.site.cancel_turn(self.ticket, &mut self.told);
        }
    }
}

/// A reserved place, which is free again unless a connection fills it.
pub(super) struct Place<'a, C: Connector, K: Clock + 'static>(Option<&'a Site<C, K>>);

impl<'a, C: Connector, K: Clock + 'static> Place<'a, C, K> {
    pub(super) const fn new(site: &'a Site<C, K>) -> Self {
        Self(Some(site))
    }

    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl<C: Connector, K: Clock + 'static> Drop for Place<'_, C, K> {
    fn drop(&mut self) {
        if let Some(site) = self.0 {
            site.vacate();
        }
    }
}

/// An attempt to connect, which counts as given up unless it ends.
pub(super) struct Attempt<'a, C: Connector, K: Clock + 'static> {
    site: &'a Site<C, K>,
    reached: Option<bool>,
}

impl<'a, C: Connector, K: Clock + 'static> Attempt<'a, C, K> {
    pub(super) const fn new(site: &'a Site<C, K>) -> Self {
        Self { site, reached: None }
    }

    pub(super) fn end(mut self, reached: bool) {
        self.reached = Some(reached);
    }
}

impl<C: Connector, K: Clock + 'static> Drop for Attempt<'_, C, K> {
    fn drop(&mut self) {
        self.site.end_attempt(self.reached);
    }
}
