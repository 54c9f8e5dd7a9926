//! The handle of a connection.

use std::sync::Arc;

use nyx_protocol::control::Unadvertise;
use nyx_transport::Address;
use tokio::sync::oneshot;

use crate::error::{AdvertiseError, ConnectError, FlushError, SubscribeError};
use crate::publish::{self, Acknowledged, Audio, Events, Frames, Handle, Publisher, State};
use crate::registry::subscribe_message;
use crate::requests::{self, Requests, ServeError, Serving};
use crate::shared::{Open, Shared};
use crate::subscribe::{self, Subscription};
use crate::{AudioFormat, Compression, Config, Kind, Name, Pattern, Samples, Stats, connection, driver};

/// A connection to a hub. Cheap to clone; all clones, publishers and subscriptions share it.
///
/// When the last of them is dropped, what waits is still written, and the connection closes. [`close`](Self::close)
/// waits for that, and says whether it arrived.
#[derive(Clone, Debug)]
pub struct Client {
    open: Arc<Open>,
}

impl Client {
    /// Connects, and waits until the hub has answered. From then on the client comes back by itself when the connection is
    /// lost. Must be called within a tokio runtime that has time and I/O enabled.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready leaves no connection.
    ///
    /// # Errors
    /// When the first attempt fails, unless [`Config::wait_for_server`] says to go on. Each error says what to do.
    pub async fn connect(address: Address, config: Config) -> Result<Self, ConnectError> {
        let shared = Arc::new(Shared::new(address, config));
        let link = if shared.config.wait_for_server {
            driver::connect_patiently(&shared).await
        } else {
            Some(connection::connect(&shared).await?)
        };
        if let Some(link) = link {
            tokio::spawn(driver::run(shared.clone(), link));
        }
        Ok(Self { open: Arc::new(Open { shared }) })
    }

    /// The hub's address.
    pub fn address(&self) -> &Address {
        &self.open.shared.address
    }

    /// The number of the hub at the other end, which it draws when it begins; `None` where it tells none. It is what a hub is called in a
    /// [`Trail`](crate::Trail).
    pub fn hub(&self) -> Option<u64> {
        self.open.shared.hub()
    }

    /// Publishes events on a topic.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready leaves the topic advertised and unused.
    ///
    /// # Errors
    /// When the hub refuses the topic, for example because it exists and has another kind.
    pub async fn events(&self, name: Name, options: publish::Options) -> Result<Events, AdvertiseError> {
        let codec = options.codec;
        Ok(Events::new(self.advertise(name, Kind::Event, None, false, options).await?, codec))
    }

    /// Publishes events on a topic, and is told of each what became of it.
    ///
    /// # Cancel safety
    /// As [`events`](Self::events).
    ///
    /// # Errors
    /// As [`events`](Self::events).
    pub async fn acknowledged(
        &self,
        name: Name,
        options: publish::Options,
    ) -> Result<Acknowledged, AdvertiseError> {
        let codec = options.codec;
        Ok(Acknowledged::new(self.advertise(name, Kind::Event, None, true, options).await?, codec))
    }

    /// Publishes frames on a topic.
    ///
    /// # Cancel safety
    /// As [`events`](Self::events).
    ///
    /// # Errors
    /// As [`events`](Self::events).
    pub async fn frames(&self, name: Name, options: publish::Options) -> Result<Frames, AdvertiseError> {
        self.advertise(name, Kind::Frame, None, false, options).await.map(Frames)
    }

    /// Publishes sound on a topic.
    ///
    /// # Cancel safety
    /// As [`events`](Self::events).
    ///
    /// # Errors
    /// As [`events`](Self::events).
    pub async fn audio(
        &self,
        name: Name,
        format: AudioFormat,
        samples: Samples,
        options: publish::Options,
    ) -> Result<Audio, AdvertiseError> {
        Ok(Audio::new(self.advertise(name, Kind::Audio, Some(format), false, options).await?, samples))
    }

    /// Publishes a document on a topic.
    ///
    /// # Cancel safety
    /// As [`events`](Self::events).
    ///
    /// # Errors
    /// As [`events`](Self::events).
    pub async fn state(&self, name: Name, options: publish::Options) -> Result<State, AdvertiseError> {
        self.advertise(name, Kind::State, None, false, options).await.map(State)
    }

    async fn advertise(
        &self,
        name: Name,
        kind: Kind,
        audio: Option<AudioFormat>,
        results: bool,
        options: publish::Options,
    ) -> Result<Handle, AdvertiseError> {
        let (answer, answered) = oneshot::channel();
        let shared = &self.open.shared;
        let is_sound = kind == Kind::Audio && options.compression != Compression::Off;
        if is_sound || matches!(options.compression, Compression::Codec(_)) {
            shared.insist_on_blocks();
        }
        let publisher = {
            let mut registry = shared.registry.lock();
            if registry.is_closed {
                return Err(AdvertiseError::Closed);
            }
            let make = |alias| Publisher::new(alias, name.clone(), kind, audio, results, &options);
            for alias in audio.into_iter().flat_map(|audio| registry.withdraw_other_formats(&name, audio)) {
                shared.outgoing.put_control(Unadvertise { alias });
            }
            let appended = shared.outgoing.messages();
            let place = registry.advertise(appended, make, answer).ok_or(AdvertiseError::TooMany)?;
            if place.is_taken_over {
                shared.outgoing.put_control(Unadvertise { alias: place.publisher.alias });
            }
            if place.is_new {
                shared.outgoing.put_control(place.publisher.advertisement());
            }
            if registry.is_crowded() && !registry.pings.covers(appended) {
                // Publishers that nobody holds make room when all of theirs is known to have been taken in.
                let ping = registry.pings.add(appended, shared.outgoing.session() != 0, None);
                shared.outgoing.put_control(ping);
            }
            place.publisher
        };
        match answered.await {
            Ok(Ok(())) => Ok(Handle { open: self.open.clone(), publisher }),
            Ok(Err(refusal)) => Err(AdvertiseError::Refused(refusal)),
            Err(_) => Err(AdvertiseError::Closed),
        }
    }

    /// Sends requests to a service. Whether anybody serves it shows when one is sent.
    pub fn requests(&self, service: Name, options: requests::Options) -> Requests {
        Requests::new(self.open.clone(), service, options)
    }

    /// Serves a service: each request is given to `handler`, and what that returns is the answer; its error, as text, is a no. Each
    /// handler runs on a task of its own, which is dropped when nobody waits for the answer any more. After the connection
    /// was lost the service is there again with the next one, unless the hub refuses it then: [`Serving::ended`] says so.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready may leave the service, until the client is closed.
    ///
    /// # Errors
    /// When the hub refuses the name, or one service too many.
    pub async fn serve<F, Fut, P, E>(
        &self,
        service: Name,
        options: requests::ServeOptions,
        handler: F,
    ) -> Result<Serving, ServeError>
    where
        F: Fn(requests::Incoming) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<P, E>> + Send + 'static,
        P: publish::Payload + 'static,
        E: std::fmt::Display + 'static,
    {
        let shared = &self.open.shared;
        let (answer, answered) = oneshot::channel();
        let serving = {
            // The registry's lock keeps a connection from beginning meanwhile.
            let registry = shared.registry.lock();
            if registry.is_closed {
                return Err(ServeError::Closed);
            }
            let (id, ended) = shared.services.lock().add(service.clone(), &options, handler, answer);
            shared.outgoing.put_control(requests::serve_message(id, &service, options.concurrency));
            Serving::new(id, self.open.clone(), ended)
        };
        answered.await.unwrap_or(Err(ServeError::Closed)).map(|()| serving)
    }

    /// Subscribes to all topics that `pattern` selects, present and future. Ready when the hub has named the present ones.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready leaves no subscription.
    ///
    /// # Errors
    /// When the hub refuses, for example one subscription too many.
    pub async fn subscribe(
        &self,
        pattern: Pattern,
        options: subscribe::Options,
    ) -> Result<Subscription, SubscribeError> {
        let (answer, answered) = oneshot::channel();
        let shared = &self.open.shared;
        let subscription = {
            let mut registry = shared.registry.lock();
            if registry.is_closed {
                return Err(SubscribeError::Closed);
            }
            let (id, inbox) = registry.subscribe(pattern.clone(), options.max_age, answer);
            shared.outgoing.put_control(subscribe_message(id, &pattern, options.max_age));
            // What another subscription has already is not announced again.
            for topic_id in registry.dispatch.subscribe(id, &pattern, &inbox) {
                shared.outgoing.put_control(nyx_protocol::control::Resync { topic_id });
            }
            Subscription::new(id, self.open.clone(), inbox, pattern, options.limits)
        };
        match answered.await {
            Ok(Ok(())) => Ok(subscription),
            Ok(Err(refusal)) => Err(SubscribeError::Refused(refusal)),
            Err(_) => Err(SubscribeError::Closed),
        }
    }

    /// Waits until the hub has taken in all that was sent before. Without a connection it waits for one.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    ///
    /// # Errors
    /// When the hub refused something, or the connection was lost before the hub had confirmed.
    pub async fn flush(&self) -> Result<(), FlushError> {
        let (flushed, done) = oneshot::channel();
        let shared = &self.open.shared;
        {
            let mut registry = shared.registry.lock();
            if registry.is_closed {
                return Err(FlushError::Closed);
            }
            let ping =
                registry.pings.add(shared.outgoing.messages(), shared.outgoing.session() != 0, Some(flushed));
            shared.outgoing.put_control(ping);
        }
        done.await.unwrap_or(Err(FlushError::Closed))?;
        let registry = shared.registry.lock();
        let refusal = registry.publishers().find_map(|publisher| publisher.refusal_for_flush());
        refusal.map_or(Ok(()), |refusal| Err(FlushError::Refused(refusal)))
    }

    /// Flushes, then closes the connection, for all clones, publishers and subscriptions.
    ///
    /// # Cancel safety
    /// A future that is dropped while it flushes leaves the client as it is.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); the client is closed all the same.
    pub async fn close(self) -> Result<(), FlushError> {
        let flushed = self.flush().await;
        self.open.shared.begin_closing();
        self.open.shared.ended().await;
        flushed
    }

    /// What this connection has done so far.
    pub fn stats(&self) -> Stats {
        let shared = &self.open.shared;
        let history = shared.history.lock();
        Stats {
            connected: shared.outgoing.session() != 0,
            reconnects: history.reconnects,
            sent_messages: shared.outgoing.messages(),
            maybe_lost: history.maybe_lost,
            lost_messages: history.lost,
            waiting_bytes: shared.outgoing.waiting(),
            saved_bytes: shared.saved_bytes(),
            refusal: history.refusal.clone(),
            last_error: history.last_error.clone(),
        }
    }
}
