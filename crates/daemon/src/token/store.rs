//! The token file on the disk: read whole, written whole, and looked after for changes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail};

use super::file::{FILE_BYTES_MAX, File};

/// Reads the file.
pub(crate) fn load(path: &Path) -> anyhow::Result<File> {
    let length = fs::metadata(path).with_context(|| format!("can't read {}", path.display()))?.len();
    if length > FILE_BYTES_MAX as u64 {
        bail!("{} has over {FILE_BYTES_MAX} bytes: remove what has expired", path.display());
    }
    let text = fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    File::parse(&text).with_context(|| path.display().to_string())
}

/// Changes the file, which need not exist; where it is a link, what that leads to, which is what a hub reads that knows it by another name. Who changes it at the same time waits; who reads it sees it as it was, or as it is
/// after, since the new one takes the place of the old in one step.
pub(crate) fn change<T>(
    path: &Path,
    now: SystemTime,
    change: impl FnOnce(&mut File) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let lock_path = beside(path, "lock");
    let lock = OpenOptions::new().create(true).append(true).open(&lock_path);
    let lock = lock.with_context(|| format!("can't write {}", lock_path.display()))?;
    lock.lock().with_context(|| format!("can't lock {}", lock_path.display()))?;
    let mut file = if path.exists() { load(path)? } else { File::default() };
    file.forget(now);
    let outcome = change(&mut file)?;
    replace(path, &file.to_text()?).with_context(|| format!("can't write {}", path.display()))?;
    Ok(outcome)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let draft = beside(path, "new");
    // What an earlier run may have left when it was killed; nobody else writes here while we hold the lock.
    let _ = fs::remove_file(&draft);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Whoever may write it lets himself in; who may read it learns who has access to what.
        options.mode(0o600);
    }
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    if let Ok(present) = fs::metadata(path) {
        keep_owner(&file, &present)?;
        file.set_permissions(present.permissions())?;
    }
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// Leaves the file to whom it belongs: a hub that could not read it any more would take what is revoked for good. Who may not give it away
/// changes it only where its group may read it as well.
#[cfg(unix)]
fn keep_owner(file: &fs::File, present: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let own = file.metadata()?;
    if (own.uid(), own.gid()) == (present.uid(), present.gid()) {
        return Ok(());
    }
    let group = || fchown(file, None, Some(present.gid()));
    fchown(file, Some(present.uid()), Some(present.gid())).or_else(|error| match present.mode() & 0o040 {
        0 => Err(error),
        _ => group(),
    })
}

#[cfg(not(unix))]
fn keep_owner(_: &fs::File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

/// `tokens.toml.lock` for `tokens.toml`.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(extension);
    path.with_file_name(name)
}

/// What tells one content of a file from another, without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Stamp {
    /// `None`: the file is not there.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            #[cfg(unix)]
            inode: {
                use std::os::unix::fs::MetadataExt as _;
                metadata.ino()
            },
        })
    }
}

/// A file as far as it was read, and so whether it is to be read now.
#[derive(Debug)]
pub(crate) struct Followed {
    stamp: Option<Stamp>,
    /// The last time it could not be read.
    is_unread: bool,
}

impl Followed {
    /// One that was read when it was so.
    pub(crate) const fn new(stamp: Option<Stamp>) -> Self {
        Self { stamp, is_unread: false }
    }

    /// Whether it could not be read the last time, and is read again though nothing of it may change.
    pub(crate) const fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// Reads the file, which is `present` now, if it has changed since it was read, or that is `asked` for. What is wrong in it is wrong until it
    /// changes; what keeps it from being read may pass, and then nothing of the file shows that there is something new.
    pub(crate) fn look<T>(
        &mut self,
        present: Option<Stamp>,
        asked: bool,
        read: impl FnOnce() -> anyhow::Result<T>,
    ) -> Option<anyhow::Result<T>> {
        if !asked && !self.is_unread && present == self.stamp {
            return None;
        }
        let outcome = read();
        self.stamp = present;
        let failed = outcome.as_ref().err().and_then(|error| error.downcast_ref::<io::Error>());
        // It is read as text: bytes that are none are wrong in it.
        self.is_unread = failed.is_some_and(|error| error.kind() != io::ErrorKind::InvalidData);
        Some(outcome)
    }
}

/// Whether others than its owner may do `mode` (2: write, 4: read) with the file. Where that can't be told, no.
#[cfg(unix)]
pub(crate) fn is_open_to_others(path: &Path, mode: u32) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & (mode | mode << 3) != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_open_to_others(_: &Path, _: u32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::token::file::Revoked;

    fn revoke(jti: &str) -> impl FnOnce(&mut File) -> anyhow::Result<()> {
        let jti = jti.to_owned();
        move |file| {
            file.revoked.push(Revoked { jti, until: None });
            Ok(())
        }
    }

    #[test]
    fn changes_add_up_and_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        assert_eq!(Stamp::of(&path), None);
        change(&path, UNIX_EPOCH, revoke("1")).unwrap();
        let first = Stamp::of(&path);
        std::thread::scope(|scope| {
            for number in 2..10 {
                let path = &path;
                scope.spawn(move || change(path, UNIX_EPOCH, revoke(&number.to_string())).unwrap());
            }
        });
        assert_eq!(load(&path).unwrap().revoked.len(), 9);
        assert_ne!(Stamp::of(&path), first);
        assert!(!is_open_to_others(&path, 4));
    }

    #[test]
    fn what_could_not_be_read_is_read_again_though_it_does_not_change_and_what_is_wrong_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        let mut followed = Followed::new(Stamp::of(&path));
        change(&path, UNIX_EPOCH, revoke("1")).unwrap();
        let present = Stamp::of(&path);
        let unread = folder.path().to_owned();
        for _ in 0..3 {
            // A folder, which exists and can't be read.
            let outcome = followed.look(present.clone(), false, || load(&unread));
            assert!(outcome.is_some_and(|outcome| outcome.is_err()) && followed.is_unread());
        }
        let outcome = followed.look(present.clone(), false, || load(&path));
        assert_eq!(outcome.unwrap().unwrap().revoked.len(), 1);
        assert!(followed.look(present.clone(), false, || load(&path)).is_none());
        // So it is with one that is asked for.
        assert!(followed.look(present.clone(), true, || load(&unread)).is_some());
        assert!(followed.look(present, false, || load(&path)).is_some_and(|outcome| outcome.is_ok()));

        for broken in [&b"[[token]"[..], b"\xff"] {
            fs::write(&path, broken).unwrap();
            let present = Stamp::of(&path);
            assert!(followed.look(present.clone(), false, || load(&path)).is_some_and(|read| read.is_err()));
            assert!(followed.look(present, false, || load(&path)).is_none());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one_and_what_it_leads_to_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("tokens.toml"), folder.path().join("link.toml"));
        change(&path, UNIX_EPOCH, revoke("1")).unwrap();
        std::os::unix::fs::symlink("tokens.toml", &link).unwrap();
        change(&link, UNIX_EPOCH, revoke("2")).unwrap();
        assert_eq!(load(&path).unwrap().revoked.len(), 2);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[cfg(unix)]
    #[test]
    fn the_file_stays_with_its_owner_and_its_group() {
        use std::os::unix::fs::{MetadataExt as _, chown};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        change(&path, UNIX_EPOCH, revoke("1")).unwrap();
        // Only root can give a file away; for others there is nothing to see here.
        if chown(&path, Some(4001), Some(4002)).is_err() {
            return;
        }
        change(&path, UNIX_EPOCH, revoke("2")).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (4001, 4002, 0o600));
    }

    #[test]
    fn a_change_that_fails_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        fs::write(&path, "broken = true").unwrap();
        assert!(change(&path, UNIX_EPOCH, revoke("1")).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "broken = true");
    }
}
