//! The token that a forwarder shows where it sends to, as the file has it at that moment.

use std::path::PathBuf;

use nyx_client::Token;
use parking_lot::Mutex;

use crate::exit::{Failure, Outcome};
use crate::serve::Hangups;
use crate::token::held;
use crate::token::store::{self, Followed, Stamp};

/// Who a forwarder is. The file is looked at when something is sent, which costs one system call, and read when it has changed or the server was sent SIGHUP.
#[derive(Debug)]
pub(super) struct Bearer {
    path: PathBuf,
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    followed: Followed,
    hangups: Hangups,
    token: Token,
}

impl Bearer {
    /// Reads the file.
    pub(super) fn load(path: PathBuf, hangups: Hangups) -> Outcome<Self> {
        // From before it is read: what changes meanwhile is seen as a change.
        let followed = Followed::new(Stamp::of(&path));
        let token = held::read(&path).map_err(Failure::usage)?;
        if store::is_open_to_others(&path, 4) {
            tracing::warn!("others can read {}, and send as this hub with it: chmod 600", path.display());
        }
        Ok(Self { path, inside: Mutex::new(Inside { followed, hangups, token }) })
    }

    /// The token. Where the file can't be read any more it stays as it was.
    pub(super) fn token(&self) -> Token {
        let Inside { followed, hangups, token } = &mut *self.inside.lock();
        let was_unread = followed.is_unread();
        match followed.look(Stamp::of(&self.path), hangups.came(), || held::read(&self.path)) {
            None => {}
            Some(Ok(read)) => {
                tracing::info!(is_new = read != *token, "read {} again", self.path.display());
                *token = read;
            }
            // Where it is tried each time, once is enough to say so.
            Some(Err(_)) if was_unread && followed.is_unread() => {}
            Some(Err(error)) => tracing::error!("the token stays as it was: {error:#}"),
        }
        token.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_what_the_file_has_and_stays_while_that_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "one").unwrap();
        let (sender, hangups) = Hangups::new();
        let bearer = Bearer::load(path.clone(), hangups).unwrap();
        let token = || bearer.token().expose().to_owned();
        assert_eq!(token(), "one");
        std::fs::write(&path, "another").unwrap();
        assert_eq!(token(), "another");
        for broken in ["two of\nthem", ""] {
            std::fs::write(&path, broken).unwrap();
            assert_eq!(token(), "another");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!((token(), token()), ("another".to_owned(), "another".to_owned()));
        std::fs::write(&path, "third").unwrap();
        assert_eq!(token(), "third");
        assert!(!format!("{bearer:?}").contains("third"));
        drop(sender);
        assert_eq!(token(), "third");
    }

    #[test]
    fn what_looks_the_same_is_read_again_at_a_hangup() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let write = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        };
        write("one");
        let (sender, hangups) = Hangups::new();
        let bearer = Bearer::load(path.clone(), hangups).unwrap();
        write("two");
        assert_eq!(bearer.token().expose(), "one");
        sender.send_replace(());
        assert_eq!(bearer.token().expose(), "two");
    }
}
