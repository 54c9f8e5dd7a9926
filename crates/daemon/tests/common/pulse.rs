//! A PulseAudio of one's own, with a null sink, and programs that play into it.
#![allow(dead_code, reason = "each suite uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nyx_audio_capture::host::Control as _;
use nyx_audio_capture::pulse::{Address, Server};
use tempfile::TempDir;

use super::command::Running;
use super::daemon::{NYX, PATIENCE};
use super::wait::eventually;

/// The sink that everything plays into.
pub(crate) const SINK: &str = "nyx_test";

/// A server in a folder of its own, killed when dropped.
pub(crate) struct Pulse {
    folder: TempDir,
    child: Child,
}

impl Pulse {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let child = spawn(folder.path());
        let pulse = Self { folder, child };
        pulse.answers().await;
        pulse
    }

    /// Kills the server and starts it again in the same place.
    pub(crate) async fn restart_after(&mut self, meanwhile: impl AsyncFnOnce()) {
        self.kill();
        meanwhile().await;
        self.child = spawn(self.folder.path());
        self.answers().await;
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server can be waited for");
        // What a server that was killed leaves behind would keep the next from listening.
        let _ = std::fs::remove_file(self.socket());
    }

    async fn answers(&self) {
        let address = self.address();
        eventually(PATIENCE, "PulseAudio answers", async || {
            let devices = Server::connect(&address).ok()?.devices().ok()?;
            (!devices.is_empty()).then_some(())
        })
        .await;
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("native")
    }

    pub(crate) fn address(&self) -> Address {
        Address::Unix(self.socket())
    }

    /// The folder, for files that a test needs.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A connection to control it by.
    pub(crate) fn control(&self) -> Server {
        Server::connect(&self.address()).expect("PulseAudio answers")
    }

    /// A program that finds this server.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("PULSE_SERVER", self.address().to_string()).env("HOME", self.folder.path());
        command.env("XDG_RUNTIME_DIR", self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs `pactl`, which has to succeed.
    pub(crate) fn pactl(&self, arguments: &[&str]) -> String {
        let output = self.command("pactl").args(arguments).output().expect("pactl starts");
        assert!(output.status.success(), "pactl {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Plays a tone of so many seconds, and waits until the server has the stream.
    pub(crate) async fn play(&self, hertz: u32, seconds: u32) -> Player {
        self.play_into(SINK, hertz, seconds).await
    }

    /// The same, into a sink that need not be the default.
    pub(crate) async fn play_into(&self, sink: &str, hertz: u32, seconds: u32) -> Player {
        let path = self.file(&format!("tone-{hertz}.wav"));
        let (duration, pitch) = (seconds.to_string(), hertz.to_string());
        let made = Command::new("sox")
            .args(["-q", "-n", "-r", "48000", "-c", "2", "-b", "16"])
            .arg(&path)
            .args(["synth", &duration, "sine", &pitch, "vol", "0.5"])
            .status();
        assert!(made.expect("sox starts").success());
        let child = self
            .command("paplay")
            .arg(format!("--device={sink}"))
            .arg(&path)
            .stdout(Stdio::null())
            .spawn()
            .expect("paplay starts");
        let player = Player { child };
        let mut control = self.control();
        eventually(PATIENCE, "paplay plays", async || {
            let sessions = control.sessions().expect("a list");
            sessions.iter().any(|session| session.process == Some(player.id())).then_some(())
        })
        .await;
        player
    }

    /// Adds an output of its own to what there is, on which everything plays that asks for none.
    pub(crate) fn add_default_sink(&self, name: &str) {
        self.pactl(&["load-module", "module-null-sink", &format!("sink_name={name}"), "rate=48000"]);
        self.pactl(&["set-default-sink", name]);
    }

    /// Waits until a program has a stream of which the name, or the application's, has `part` in it.
    pub(crate) async fn plays(&self, part: &str) {
        let mut control = self.control();
        eventually(PATIENCE, "the program plays", async || {
            let sessions = control.sessions().expect("a list");
            let is_it = |name: &str| name.to_lowercase().contains(part);
            sessions.iter().any(|session| is_it(&session.application) || is_it(&session.name)).then_some(())
        })
        .await;
    }

    /// Starts `nyx capture`.
    pub(crate) fn capture(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(NYX).arg("capture").args(arguments))
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path) -> Child {
    let socket =
        format!("module-native-protocol-unix auth-anonymous=1 socket={}", folder.join("native").display());
    let mut command = Command::new("pulseaudio");
    command.args(["--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-n", "-L"]);
    command.arg(format!("module-null-sink sink_name={SINK} rate=48000 channels=2")).arg("-L").arg(socket);
    command.env("HOME", folder).env("XDG_RUNTIME_DIR", folder).env_remove("PULSE_SERVER");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("pulseaudio starts")
}

/// `paplay`, killed when dropped.
pub(crate) struct Player {
    child: Child,
}

impl Player {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The level of a frequency in the first channel of what was recorded, in dB relative to full scale, by the Goertzel algorithm with a
/// window whose side lobes are below -90 dB.
pub(crate) fn level(samples: &[f32], channels: usize, hertz: f64) -> f64 {
    let mono: Vec<f64> = samples.iter().step_by(channels).map(|sample| f64::from(*sample)).collect();
    let (count, step) = (mono.len() as f64, std::f64::consts::TAU * hertz / 48_000.0);
    let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
    for (index, sample) in mono.iter().enumerate() {
        let turn = std::f64::consts::TAU * index as f64 / count;
        let window =
            0.358_75 - 0.488_29 * turn.cos() + 0.141_28 * (2.0 * turn).cos() - 0.011_68 * (3.0 * turn).cos();
        re += window * sample * (step * index as f64).cos();
        im += window * sample * (step * index as f64).sin();
        weight += window;
    }
    20.0 * (2.0 * re.hypot(im) / weight).log10()
}
