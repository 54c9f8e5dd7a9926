//! Events of a sound system that is asked, and tells nothing by itself.

use std::collections::{HashMap, VecDeque};
use std::thread;
use std::time::Duration;

use nyx_core::clock::Monotonic;
use nyx_core::{Clock as _, Instant};

use super::{Control, ControlError, Device, Event, Follow, Session, SessionId};

/// What has happened between one pair of lists and the next.
///
/// What began and ended in between is not seen; several changes of one session are one.
///
/// ```
/// use nyx_audio_capture::host::Changes;
///
/// let mut changes = Changes::new(Vec::new(), Vec::new());
/// assert!(changes.handle_lists(Vec::new(), Vec::new()).is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Changes {
    devices: Vec<Device>,
    sessions: HashMap<SessionId, Session>,
}

impl Changes {
    /// What there is at the beginning.
    pub fn new(devices: Vec<Device>, sessions: Vec<Session>) -> Self {
        Self { devices, sessions: by_id(sessions) }
    }

    /// Takes in what there is now, and says what happened since. Those that are gone come first, each kind in the order of its numbers.
    pub fn handle_lists(&mut self, devices: Vec<Device>, sessions: Vec<Session>) -> Vec<Event> {
        let now = by_id(sessions);
        let before = std::mem::replace(&mut self.sessions, now);
        let mut ended: Vec<_> = before.keys().filter(|id| !self.sessions.contains_key(id)).copied().collect();
        let mut rest: Vec<_> = self.sessions.iter().filter(|(id, it)| before.get(id) != Some(it)).collect();
        ended.sort_unstable();
        rest.sort_unstable_by_key(|(id, _)| **id);
        let mut events: Vec<_> = ended.into_iter().map(Event::Ended).collect();
        events.extend(rest.into_iter().map(|(id, _)| match before.contains_key(id) {
            true => Event::Changed(*id),
            false => Event::Started(*id),
        }));
        if std::mem::replace(&mut self.devices, devices) != self.devices {
            events.push(Event::Devices);
        }
        events
    }
}

fn by_id(sessions: Vec<Session>) -> HashMap<SessionId, Session> {
    sessions.into_iter().map(|session| (session.id, session)).collect()
}

/// Follows sessions and devices by listing them again and again.
///
/// ```
/// use nyx_audio_capture::host::{Control, ControlError, Follow, Polled};
/// use std::time::Duration;
///
/// /// `control` is a connection to what lists them, such as `pulse::Server` or `wasapi::Server`.
/// fn print_all(control: impl Control) -> Result<(), ControlError> {
///     let mut polled = Polled::start(control, Duration::from_secs(1))?;
///     while let Some(event) = polled.next(Duration::from_secs(60))? {
///         println!("{event:?}");
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Polled<C> {
    control: C,
    changes: Changes,
    waiting: VecDeque<Event>,
    every: Duration,
    clock: Monotonic,
    due: Instant,
}

impl<C: Control> Polled<C> {
    /// Follows what happens from now on, by a list `every` so often. A second is soon enough for what people do, and costs the system little.
    ///
    /// # Errors
    ///
    /// [`ControlError::Failed`].
    pub fn start(mut control: C, every: Duration) -> Result<Self, ControlError> {
        let changes = Changes::new(control.devices()?, control.sessions()?);
        let clock = Monotonic::new();
        let due = clock.now() + every;
        Ok(Self { control, changes, waiting: VecDeque::new(), every, clock, due })
    }
}

impl<C: Control> Follow for Polled<C> {
    fn next(&mut self, timeout: Duration) -> Result<Option<Event>, ControlError> {
        let until = self.clock.now() + timeout;
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(Some(event));
            }
            let now = self.clock.now();
            if now >= self.due {
                self.due = now + self.every;
                let (devices, sessions) = (self.control.devices()?, self.control.sessions()?);
                self.waiting.extend(self.changes.handle_lists(devices, sessions));
            } else if now >= until {
                return Ok(None);
            } else {
                thread::park_timeout(self.due.min(until) - now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{DeviceKind, Direction, SessionState};

    fn session(index: u32, volume: f32) -> Session {
        Session {
            id: SessionId { direction: Direction::Plays, index },
            name: String::new(),
            application: "player".to_owned(),
            process: None,
            program: None,
            state: SessionState::Running,
            volume,
            muted: false,
        }
    }

    fn device(name: &str) -> Device {
        Device {
            name: name.to_owned(),
            description: String::new(),
            kind: DeviceKind::Input,
            format: None,
            is_default: true,
        }
    }

    fn id(index: u32) -> SessionId {
        session(index, 0.0).id
    }

    #[test]
    fn what_differs_between_two_lists_has_happened() {
        let mut changes = Changes::new(vec![device("a")], vec![session(1, 1.0), session(2, 1.0)]);
        let now = || vec![session(3, 1.0), session(2, 0.5)];
        let events = changes.handle_lists(vec![device("a")], now());
        assert_eq!(events, [Event::Ended(id(1)), Event::Changed(id(2)), Event::Started(id(3))]);
        assert_eq!(changes.handle_lists(vec![device("a")], now()), []);
        assert_eq!(changes.handle_lists(vec![device("b")], now()), [Event::Devices]);
        let events = changes.handle_lists(Vec::new(), Vec::new());
        assert_eq!(events, [Event::Ended(id(2)), Event::Ended(id(3)), Event::Devices]);
    }

    /// Sessions as a script has them; it fails at the end of it.
    struct Script(VecDeque<Vec<Session>>);

    impl Control for Script {
        fn devices(&mut self) -> Result<Vec<Device>, ControlError> {
            Ok(Vec::new())
        }

        fn sessions(&mut self) -> Result<Vec<Session>, ControlError> {
            self.0.pop_front().ok_or_else(|| ControlError::Failed { reason: "it is over".to_owned() })
        }

        fn set_volume(&mut self, id: SessionId, _: f32) -> Result<(), ControlError> {
            Err(ControlError::NoSession { id })
        }

        fn set_muted(&mut self, id: SessionId, _: bool) -> Result<(), ControlError> {
            Err(ControlError::NoSession { id })
        }
    }

    #[test]
    fn a_system_that_is_asked_is_followed_until_it_fails() {
        let lists = [vec![], vec![session(1, 1.0), session(2, 1.0)], vec![session(2, 1.0)]];
        let mut polled = Polled::start(Script(lists.into()), Duration::from_millis(1)).unwrap();
        let mut next = || polled.next(Duration::from_secs(60));
        let events = [Event::Started(id(1)), Event::Started(id(2)), Event::Ended(id(1))];
        assert_eq!([next(), next(), next()].map(|event| event.unwrap().unwrap()), events);
        assert!(next().is_err());
    }
}
