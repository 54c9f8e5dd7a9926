//! `nyx capture` of a topic that the hub no longer takes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::common::guarded::{Guarded, NYX};

#[test]
fn a_capture_that_may_no_longer_publish_says_so_at_once_and_only_a_recording_goes_on() {
    let hub = Guarded::start("");
    let admin = hub.mint(&["--all"]).token;
    let mic = hub.mint(&["--publish", "mic/*"]).token;
    let wav = hub.folder.path().join("mic.wav");
    let mut alone = Capture::start(&hub, &mic, "mic/a", None);
    let mut recording = Capture::start(&hub, &mic, "mic/b", Some(&wav));
    for topic in ["mic/a", "mic/b"] {
        let heard = || (hub.get(&format!("/v1/topics/{topic}"), &admin).status() == 200).then_some(());
        hub.server.until("its sound", heard);
    }
    // The session ends, and the next one may publish something else.
    let tokens = std::fs::read_to_string(hub.tokens()).expect("a file");
    std::fs::write(hub.tokens(), tokens.replace("mic/*", "other/*")).expect("a file");

    assert_eq!(alone.ended(&hub), Some(1));
    assert!(alone.said().contains("does not allow"), "{}", alone.said());
    let goes_on = || recording.said().contains("the recording goes on").then_some(());
    hub.server.until("what it says", goes_on);
    let so_far = || std::fs::metadata(&wav).expect("a file").len();
    let before = so_far();
    hub.server.until("more of it", || (so_far() > before).then_some(()));
    recording.terminate();
    assert_eq!(recording.ended(&hub), Some(1));
    let said = recording.said();
    let last = said.lines().last().expect("why it failed");
    assert!(last.contains("does not allow") && !last.contains("goes on"), "{said}");
}

/// A tone without end, killed when dropped.
struct Capture {
    child: Child,
    log: PathBuf,
}

impl Capture {
    fn start(hub: &Guarded, token: &str, topic: &str, wav: Option<&Path>) -> Self {
        let log = hub.folder.path().join(topic.replace('/', "-"));
        let mut command = Command::new(NYX);
        command.args(["capture", "--tone", "440", "--topic", topic]);
        command.args(wav.iter().flat_map(|wav| [Path::new("--wav"), *wav]));
        command.env("NYX_SERVER", format!("nyx://{}", hub.server.native())).env("NYX_TOKEN", token);
        command.stdout(Stdio::null()).stderr(File::create(&log).expect("a file"));
        Self { child: command.spawn().expect("it was built"), log }
    }

    /// What it has said so far.
    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a file")
    }

    fn terminate(&self) {
        let done = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(done.is_ok_and(|status| status.success()), "kill");
    }

    fn ended(&mut self, hub: &Guarded) -> Option<i32> {
        hub.server.until("its end", || self.child.try_wait().expect("our child")).code()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
