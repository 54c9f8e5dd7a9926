//! A video that ffmpeg makes: each frame goes into a file and, the same bytes, into `nyx pub`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::command::Running;

/// ffmpeg and `nyx pub`, connected by a pipe.
pub(crate) struct Video {
    ffmpeg: Child,
    publisher: Running,
    files: TempDir,
}

impl Video {
    /// Starts both, for so many frames at 30 a second.
    pub(crate) fn publish(hub: SocketAddr, topic: &str, frames: u32) -> Self {
        let files = tempfile::tempdir().expect("a temporary directory");
        let each = files.path().join("%08d.jpg");
        let mut ffmpeg = Command::new("ffmpeg")
            .args([
                "-loglevel",
                "error",
                "-nostdin",
                "-re",
                "-f",
                "lavfi",
                "-i",
                "testsrc2=size=640x360:rate=30",
            ])
            .args([
                "-frames:v",
                &frames.to_string(),
                "-map",
                "0:v",
                "-c:v",
                "mjpeg",
                "-q:v",
                "4",
                "-f",
                "tee",
            ])
            .arg(format!("[f=image2]{}|[f=mjpeg]pipe:1", each.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ffmpeg starts");
        let pipe = Stdio::from(ffmpeg.stdout.take().expect("a pipe"));
        let publisher = Running::nyx("pub", hub, &[topic, "--kind", "frame", "--json"], pipe);
        Self { ffmpeg, publisher, files }
    }

    /// Waits for the end. Returns the frames as ffmpeg wrote them, and what `nyx pub` says that it did.
    pub(crate) async fn ended(mut self) -> (Vec<Vec<u8>>, serde_json::Value) {
        let summary = self.publisher.succeeded().await.pop().expect("a summary");
        assert!(self.ffmpeg.wait().expect("ffmpeg ends").success());
        (images_in(self.files.path()), summary)
    }
}

/// The files of a directory, in the order of their names.
pub(crate) fn images_in(directory: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort_unstable();
    paths.iter().map(|path| std::fs::read(path).expect("a file")).collect()
}
