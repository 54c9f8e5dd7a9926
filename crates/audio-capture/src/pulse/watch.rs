//! What happens to sessions and devices.

use std::collections::VecDeque;
use std::time::Duration;

use pulseaudio::protocol::{
    Command, SubscriptionEvent, SubscriptionEventFacility as Facility, SubscriptionEventType as Kind,
    SubscriptionMask,
};

use super::address::Address;
use super::connection::{self, Connection};
use crate::host::{ControlError, Direction, Event, Follow, SessionId};
use crate::input::{OpenError, READ_MAX};

/// Follows sessions and devices.
///
/// ```no_run
/// use nyx_audio_capture::host::Follow as _;
/// use nyx_audio_capture::pulse::{Address, Watch};
///
/// let mut watch = Watch::start(&Address::from_env())?;
/// while let Some(event) = watch.next(std::time::Duration::from_secs(60))? {
///     println!("{event:?}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Watch {
    connection: Connection,
    waiting: VecDeque<Event>,
}

impl Watch {
    /// Connects, and follows what happens from then on.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoServer`], [`OpenError::Refused`] or [`OpenError::Failed`].
    pub fn start(address: &Address) -> Result<Self, OpenError> {
        let mut connection = Connection::open(address)?;
        let wanted = SubscriptionMask::SINK_INPUT
            | SubscriptionMask::SOURCE_OUTPUT
            | SubscriptionMask::SOURCE
            | SubscriptionMask::SERVER;
        connection
            .order(&Command::Subscribe(wanted))
            .map_err(|failure| failure.while_doing("events were subscribed to"))?;
        Ok(Self { connection, waiting: VecDeque::new() })
    }

    fn take_in(&mut self) -> Result<(), ControlError> {
        let version = self.connection.version();
        // What one read has brought bounds how many wait.
        while let Some(packet) = self.connection.inbox.next_packet().map_err(connection::Failure::from)? {
            if let Some(connection::Event::Subscribed(event)) = connection::Event::parse(packet, version) {
                self.waiting.extend(translate(event));
            }
        }
        Ok(())
    }
}

impl Follow for Watch {
    fn next(&mut self, timeout: Duration) -> Result<Option<Event>, ControlError> {
        let mut waits = timeout.as_nanos() / READ_MAX.as_nanos();
        loop {
            self.take_in()?;
            if let Some(event) = self.waiting.pop_front() {
                return Ok(Some(event));
            }
            if !self.connection.fill()? {
                if waits == 0 {
                    return Ok(None);
                }
                waits -= 1;
            }
        }
    }
}

fn translate(event: SubscriptionEvent) -> Option<Event> {
    let direction = match event.event_facility {
        Facility::SinkInput => Direction::Plays,
        Facility::SourceOutput => Direction::Records,
        Facility::Source | Facility::Server => return Some(Event::Devices),
        _ => return None,
    };
    let id = SessionId { direction, index: event.index? };
    Some(match event.event_type {
        Kind::New => Event::Started(id),
        Kind::Changed => Event::Changed(id),
        Kind::Removed => Event::Ended(id),
    })
}
