//! A session of the hub for a peer that does not speak its protocol: what it would be sent, item by item.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nyx_hub::{AdmitError, Session};
use nyx_protocol::control::{self, Body};
use nyx_protocol::topic::Pattern;
use nyx_protocol::wire::{HEADER_LEN, Header, Messages};

use super::visitor::Asker;
use crate::serve::App;

/// What one peer is to be given. Each poll asks the hub anew, so what comes is what is right at that moment: poll when the
/// last has been written.
pub(crate) struct Feed {
    app: Arc<App>,
    session: Session,
    out: Vec<Bytes>,
}

/// One thing to pass on.
#[derive(Debug, PartialEq)]
pub(crate) enum Item {
    Control(Body),
    Data { header: Header, unix_micros: Option<u64>, payload: Bytes },
}

impl Feed {
    /// A session that says nothing itself, in particular not what it has got.
    ///
    /// # Errors
    /// When the hub admits nobody.
    pub(super) fn open(asker: &Asker, name: &str, by: nyx_hub::Transport) -> Result<Self, AdmitError> {
        let (app, peer) = (asker.connection.app.clone(), asker.connection.peer);
        let entry = app.entry(peer.ip(), asker.permit().cloned());
        let session = app.hub.session_with(app.now(), asker.connection.as_peer(by), entry);
        let session = session.inspect_err(|error| app.audit.refuse(peer.ip(), "", error))?;
        Ok(Self::new(app, session, name))
    }

    /// The same without a connection: for what this process does itself, which may read everything.
    ///
    /// # Errors
    /// When the hub admits nobody.
    pub(crate) fn of_process(app: Arc<App>, name: &str) -> Result<Self, AdmitError> {
        let peer =
            nyx_hub::Peer::new(std::net::SocketAddr::from(([127, 0, 0, 1], 0)), nyx_hub::Transport::Tcp);
        let session = app.hub.session(app.now(), peer)?;
        Ok(Self::new(app, session, name))
    }

    fn new(app: Arc<App>, mut session: Session, name: &str) -> Self {
        session.open_unacknowledged(name);
        Self { app, session, out: Vec::new() }
    }

    pub(crate) fn subscribe(&mut self, pattern: Pattern, max_age: Option<Duration>) {
        self.session.subscribe_for(self.app.now(), pattern, max_age);
    }

    /// What comes of topics that it begins to follow stands behind which hubs that has passed.
    pub(crate) fn tell_passed(&mut self) {
        self.session.tell_passed();
    }

    /// Says something to the hub as the peer would.
    pub(crate) fn tell(&mut self, body: impl Into<Body>) {
        let mut message = BytesMut::new();
        control::put(&mut message, body);
        // A session that is over takes nothing; that it is will show when it is polled.
        let _ = self.session.handle_input(self.app.now(), &mut message);
    }

    /// What is to be written next; `None` when nothing will come any more.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Vec<Item>>> {
        self.session.register(cx.waker());
        self.session.poll_transmit(self.app.now(), &mut self.out);
        match self.out.is_empty() {
            false => Poll::Ready(Some(self.out.drain(..).flat_map(Items).collect())),
            true if self.session.is_finished() => Poll::Ready(None),
            true => Poll::Pending,
        }
    }
}

/// The whole messages of a chunk.
struct Items(Bytes);

impl Iterator for Items {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            let len = Header::parse(self.0.first_chunk::<HEADER_LEN>()?).ok()?.message_len();
            if self.0.len() < len {
                return None;
            }
            let bytes = self.0.split_to(len);
            let message = Messages::new(&bytes).next()?;
            if message.header.kind.is_some() {
                let (header, unix_micros) = (message.header, message.unix_micros);
                return Some(Item::Data { header, unix_micros, payload: message.owned_payload(&bytes) });
            }
            if let Ok(Some(body)) = control::parse(&bytes) {
                return Some(Item::Control(body));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use nyx_protocol::wire::{self, Kind};

    use super::*;

    #[test]
    fn a_chunk_is_taken_apart() {
        let mut chunk = BytesMut::new();
        control::put(&mut chunk, control::Pong { nonce: 7 });
        wire::put_message(&mut chunk, Header::data(Kind::Event), b"one");
        wire::put_stamped(&mut chunk, Header { sequence: 1, ..Header::data(Kind::Event) }, 99, b"two");
        let items: Vec<_> = Items(chunk.freeze()).collect();
        let [
            Item::Control(Body::Pong(_)),
            Item::Data { payload: one, .. },
            Item::Data { unix_micros, payload: two, .. },
        ] = &items[..]
        else {
            panic!("{items:?}")
        };
        assert_eq!((&one[..], &two[..], *unix_micros), (&b"one"[..], &b"two"[..], Some(99)));
    }
}
