//! Who is let in: peers' tokens, judged by the book, which follows the token file.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nyx_core::Instant;
use nyx_hub::access::{Entry, Forbidden, Gatekeeper, Permit, Rejected};
use nyx_protocol::control::ErrorCode;
use nyx_stream::metrics::Counter;
use parking_lot::RwLock;

use super::App;
use crate::config::Auth;
use crate::exit::Outcome;
use crate::token::book::{BadToken, Book};
use crate::token::store::{self, Followed, Stamp};

/// What is known of tokens.
pub(crate) struct Access {
    book: RwLock<Arc<Book>>,
    file: Option<PathBuf>,
    /// Of the file, from before it was first read: what changes meanwhile is seen as a change.
    stamp: Option<Stamp>,
    refused: [Counter; BadToken::ALL.len()],
    /// Times that the file could not be read.
    pub(crate) failures: Counter,
    /// Sessions that ended because their token was revoked or changed.
    pub(crate) expelled: Counter,
}

/// How often the file is looked at. A look costs one system call.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Access {
    /// Reads tokens and keys. `None`: nobody is asked.
    pub(super) fn load(auth: &Auth) -> Outcome<Option<Self>> {
        let stamp = auth.tokens.as_deref().and_then(Stamp::of);
        Ok(auth.book()?.map(|book| Self::new(book, auth.tokens.clone(), stamp)))
    }

    fn new(book: Book, file: Option<PathBuf>, stamp: Option<Stamp>) -> Self {
        Self {
            book: RwLock::new(Arc::new(book)),
            file,
            stamp,
            refused: BadToken::ALL.map(|_| Counter::new()),
            failures: Counter::new(),
            expelled: Counter::new(),
        }
    }

    /// Tokens of the file.
    pub(crate) fn tokens(&self) -> usize {
        self.book.read().len()
    }

    /// Tokens that were refused, by reason.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        BadToken::ALL.iter().map(|bad| (bad.name(), self.refused[*bad as usize].get()))
    }

    /// Reads the file again if there is a reason to. Returns who loses by it. A file that can't be read changes nothing: to let nobody in
    /// any more because of a typing error would be as bad.
    fn reload(&self, followed: &mut Followed, asked: bool) -> HashSet<String> {
        let Some(path) = &self.file else { return HashSet::new() };
        let was_unread = followed.is_unread();
        match followed.look(Stamp::of(path), asked, || store::load(path)) {
            None => HashSet::new(),
            Some(Ok(file)) => {
                let mut book = self.book.write();
                let next = book.with_file(file);
                let losers = book.losers(&next);
                tracing::info!(tokens = next.len(), ended = losers.len(), "read {} again", path.display());
                *book = Arc::new(next);
                losers
            }
            Some(Err(error)) => {
                self.failures.inc();
                // Where it is tried twice a second, once is enough to say so.
                if !(was_unread && followed.is_unread()) {
                    tracing::error!("the tokens stay as they were: {error:#}");
                }
                HashSet::new()
            }
        }
    }
}

/// Follows the token file until it is aborted. `reload` says when to look at once.
pub(super) async fn follow(app: Arc<App>) {
    let Some(access) = &app.access else { return };
    let Some(path) = access.file.clone() else { return };
    if store::is_open_to_others(&path, 2) {
        tracing::warn!("others can write {}, and let themselves in: chmod 600", path.display());
    }
    let mut followed = Followed::new(access.stamp.clone());
    let (mut losers, mut hangups) = (HashSet::new(), app.hangups.clone());
    loop {
        let asked = tokio::time::timeout(LOOK_EVERY, hangups.next()).await.is_ok();
        // Once more those of the last time: one that was being let in at that moment was not a session yet.
        expel(&app, access, &std::mem::take(&mut losers));
        losers = access.reload(&mut followed, asked);
        expel(&app, access, &losers);
    }
}

fn expel(app: &App, access: &Access, losers: &HashSet<String>) {
    if losers.is_empty() {
        return;
    }
    let message = "the token was revoked or changed: connect again, with a new one if it is refused";
    let ended = app.hub.expel(message, |subject| losers.contains(subject));
    access.expelled.add(ended as u64);
}

impl App {
    /// How a session of a peer at `peer` begins.
    pub(crate) fn entry(self: &Arc<Self>, peer: IpAddr, permit: Option<Permit>) -> Entry {
        let mut entry = Entry::default();
        entry.supplies = self.gate.supplies_of_peer(peer);
        if self.access.is_some() {
            entry.gatekeeper = Some(Arc::new(Doorkeeper { app: self.clone(), peer }));
            entry.permit = permit;
        }
        entry
    }

    /// What the bearer of a token may do; of a hub that asks nobody, `None`.
    pub(crate) fn judge(&self, peer: IpAddr, token: &str) -> Result<Option<Permit>, Rejected> {
        let Some(access) = &self.access else { return Ok(None) };
        let now = self.now();
        // Who has failed often is not even looked at: it costs the hub nothing then, and a guesser all hope.
        self.gate.admit_attempt(now, peer).map_err(|denied| {
            self.audit.refuse(peer, "", "too many bad tokens (limits.failures_per_peer)");
            let wait = denied.retry_after();
            let message = format!("too many bad tokens came from this address: wait {wait:.0?}");
            Rejected { code: ErrorCode::Limit, message }
        })?;
        let wall = crate::token::now();
        let book = access.book.read().clone();
        match book.bearer(token, wall) {
            Ok(bearer) => {
                self.gate.forgive_attempt(peer);
                let expires = bearer.expires.map(|at| now + at.duration_since(wall).unwrap_or_default());
                let mut permit = Permit::new(bearer.subject, bearer.permissions);
                permit.name = bearer.name.into();
                permit.expires = expires;
                permit.supplies = self.gate.supplies_of_token(&permit.subject);
                Ok(Some(permit))
            }
            Err(bad) => {
                if bad == BadToken::Missing {
                    // Not to say who one is is no guess.
                    self.gate.forgive_attempt(peer);
                }
                access.refused[bad as usize].inc();
                self.audit.refuse(peer, "", format_args!("token: {}", bad.name()));
                Err(Rejected { code: ErrorCode::Unauthorized, message: bad.to_string() })
            }
        }
    }

    /// A bearer asked for more than it may.
    pub(crate) fn note_forbidden(&self, peer: IpAddr, subject: &str, what: Forbidden<'_>) {
        match what {
            Forbidden::Publish(topic) => self.audit.refuse(peer, subject, format_args!("publish {topic}")),
            Forbidden::Subscribe(pattern) => {
                self.audit.refuse(peer, subject, format_args!("subscribe {pattern}"));
            }
        }
    }
}

/// The hub's gatekeeper for one peer.
struct Doorkeeper {
    app: Arc<App>,
    peer: IpAddr,
}

impl Gatekeeper for Doorkeeper {
    fn admit(&self, _: Instant, token: &str) -> Result<Permit, Rejected> {
        // There is a doorkeeper only where tokens are asked for.
        self.app.judge(self.peer, token).map(Option::unwrap_or_default)
    }

    fn forbade(&self, subject: &str, what: Forbidden<'_>) {
        self.app.note_forbidden(self.peer, subject, what);
    }
}
