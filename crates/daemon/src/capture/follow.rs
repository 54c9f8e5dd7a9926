//! `nyx capture --list --follow`.

use std::time::Duration;

use nyx_audio_capture::host::{Control, Event, Follow, Session};
use serde::Serialize;

use super::list::{self, SessionLine};
use crate::exit::Outcome;
use crate::tell;

/// Prints the list, and then a line for each change, until it is interrupted.
pub(super) fn run(json: bool) -> Outcome {
    // Before the list, so that nothing happens unseen between the two.
    let (mut watch, mut control) = open()?;
    list::run(json)?;
    loop {
        if let Some(event) = watch.next(Duration::from_secs(60))? {
            let change = Change::of(event, control.sessions()?);
            let line = if json { serde_json::to_string(&change.line())? } else { change.text() };
            tell::print(format!("{line}\n"))?;
        }
    }
}

type System = (Box<dyn Follow>, Box<dyn Control>);

#[cfg(target_os = "linux")]
fn open() -> Outcome<System> {
    use nyx_audio_capture::pulse::{Address, Server, Watch};

    let address = Address::from_env();
    Ok((Box::new(Watch::start(&address)?), Box::new(Server::connect(&address)?)))
}

#[cfg(windows)]
fn open() -> Outcome<System> {
    use nyx_audio_capture::wasapi::{Server, Watch};

    Ok((Box::new(Watch::start()?), Box::new(Server::connect()?)))
}

#[cfg(not(any(target_os = "linux", windows)))]
fn open() -> Outcome<System> {
    Err(crate::exit::Failure::usage(anyhow::anyhow!(
        "on this system nothing tells of what applications play"
    )))
}

/// An event, and the session that it is about as it is now, unless that has ended meanwhile.
struct Change {
    event: Event,
    session: Option<Session>,
}

#[derive(Serialize)]
struct ChangeLine<'a> {
    event: &'static str,
    stream: Option<u32>,
    direction: Option<&'static str>,
    session: Option<SessionLine<'a>>,
}

impl Change {
    fn of(event: Event, sessions: Vec<Session>) -> Self {
        let id = match event {
            Event::Started(id) | Event::Changed(id) => Some(id),
            Event::Ended(_) | Event::Devices => None,
        };
        Self { event, session: sessions.into_iter().find(|session| Some(session.id) == id) }
    }

    const fn name(&self) -> &'static str {
        match self.event {
            Event::Started(_) => "started",
            Event::Changed(_) => "changed",
            Event::Ended(_) => "ended",
            Event::Devices => "devices",
        }
    }

    fn text(&self) -> String {
        let name = self.name();
        match (self.event, &self.session) {
            (Event::Devices, _) => format!("{name}  have changed: list them again"),
            (_, Some(session)) => format!("{name:<8} {}", list::row(session)),
            (Event::Started(id) | Event::Changed(id) | Event::Ended(id), None) => {
                format!("{name:<8} {:<5} {}", id.index, list::direction(id.direction))
            }
        }
    }

    fn line(&self) -> ChangeLine<'_> {
        let id = match self.event {
            Event::Started(id) | Event::Changed(id) | Event::Ended(id) => Some(id),
            Event::Devices => None,
        };
        ChangeLine {
            event: self.name(),
            stream: id.map(|id| id.index),
            direction: id.map(|id| list::direction(id.direction)),
            session: self.session.as_ref().map(SessionLine::from),
        }
    }
}
