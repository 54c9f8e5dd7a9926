//! Where the sound comes from.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use nyx_audio_capture::host::Control as _;
use nyx_audio_capture::input::Paced;
use nyx_audio_capture::pulse::{Address, Server, Stream, Target};
use nyx_audio_capture::synth::Ramp;
use nyx_audio_capture::{Input, Source, wav};
use tempfile::TempDir;

use super::{pause, stereo};

/// Which half of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    Synthetic,
    Pulse,
}

impl On {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Synthetic => "synthetic",
            Self::Pulse => "pulseaudio",
        }
    }
}

/// A folder, perhaps with a PulseAudio in it, and how long things take.
pub(super) struct Stage {
    /// Killed before its folder is deleted.
    server: Option<(Running, Running)>,
    folder: TempDir,
    scale: f64,
}

/// A program, killed when dropped.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage {
    pub(super) fn set(scale: f64) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut stage = Self { server: None, folder, scale };
        match stage.start_server() {
            Ok(server) => stage.server = Some(server),
            Err(error) => eprintln!("audio: without PulseAudio ({error:#}): the synthetic half alone"),
        }
        Ok(stage)
    }

    /// The server, and a listener that is there all the time: a null sink to which nobody listens in small pieces plays up to two seconds ahead, and who
    /// comes then hears nothing until that has passed.
    fn start_server(&self) -> anyhow::Result<(Running, Running)> {
        let folder = self.folder.path();
        let protocol =
            format!("module-native-protocol-unix auth-anonymous=1 socket={}", self.socket().display());
        let child = Command::new("pulseaudio")
            .args(["--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-n", "-L"])
            .arg(format!("module-null-sink sink_name={SINK} rate=48000 channels=2 format=float32le"))
            .args(["-L", &protocol])
            .env("HOME", folder)
            .env("XDG_RUNTIME_DIR", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("apt-get install pulseaudio pulseaudio-utils")?;
        let child = Running(child);
        for _ in 0..200 {
            if Server::connect(&self.address()).is_ok_and(|mut server| server.devices().is_ok()) {
                return Ok((child, self.listen()?));
            }
            pause(Duration::from_millis(50));
        }
        bail!("it does not answer");
    }

    fn listen(&self) -> anyhow::Result<Running> {
        let listener = Command::new("parec")
            .args(["--latency-msec=10", "--device", &format!("{SINK}.monitor")])
            .env("PULSE_SERVER", self.address().to_string())
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("parec does not start: apt-get install pulseaudio-utils")?;
        pause(Duration::from_secs(3));
        Ok(Running(listener))
    }

    /// Where a row runs.
    pub(super) fn sides(&self, is_for_both: bool) -> Vec<On> {
        let synthetic = is_for_both.then_some(On::Synthetic);
        synthetic.into_iter().chain(self.server.is_some().then_some(On::Pulse)).collect()
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("native")
    }

    pub(super) fn address(&self) -> Address {
        Address::Unix(self.socket())
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// So long, or what there is time for.
    pub(super) fn seconds(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64((seconds * self.scale).max(0.5))
    }

    pub(super) fn times(&self, count: u32) -> u32 {
        ((f64::from(count) * self.scale) as u32).max(1)
    }

    /// A counting ramp that begins somewhere, or what the null sink plays.
    pub(super) fn input(&self, on: On) -> Box<dyn Input> {
        input((on == On::Pulse).then(|| self.address()))
    }

    /// What `source` yields in a time, through the null sink where that is asked for: what captures it, and what plays it.
    pub(super) fn play(
        &self,
        on: On,
        name: &str,
        mut source: impl Source + Send + 'static,
        time: Duration,
    ) -> anyhow::Result<(Box<dyn Input>, Option<Running>)> {
        if on == On::Synthetic {
            return Ok((Box::new(Paced::new(source)), None));
        }
        let path = self.file(name);
        let mut file = wav::Writer::to_file(File::create(&path)?, source.format(), source.encoding())?;
        while source.format().duration_of(file.frames()) < time {
            let Some(block) = source.next_block(4_800)? else { break };
            file.write(&block.pcm)?;
        }
        file.finish()?;
        let player = self.paplay(&path)?;
        Ok((self.input(on), Some(player)))
    }

    /// Plays a file, and waits until the server has the stream.
    pub(super) fn paplay(&self, path: &Path) -> anyhow::Result<Running> {
        let child = Command::new("paplay")
            .arg(path)
            .env("PULSE_SERVER", self.address().to_string())
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("paplay does not start: apt-get install pulseaudio-utils")?;
        let player = Running(child);
        let mut server = Server::connect(&self.address())?;
        for _ in 0..200 {
            if server.sessions()?.iter().any(|session| session.process == Some(player.0.id())) {
                return Ok(player);
            }
            pause(Duration::from_millis(20));
        }
        bail!("paplay does not play {}", path.display());
    }
}

/// What the null sink of a server plays, or a ramp.
pub(super) fn input(server: Option<Address>) -> Box<dyn Input> {
    match server {
        Some(address) => Box::new(Stream::new(address, Target::Device(SINK.to_owned()))),
        None => Box::new(Paced::new(Ramp::new(stereo()))),
    }
}

const SINK: &str = "nyx_bench";
