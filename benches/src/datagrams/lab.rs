//! Two network namespaces with a path between them that this program makes bad.

use std::path::{Path as File, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use nyx_core::clock::{Clock as _, Monotonic};
use nyx_netem::path::{Conditions, Path};
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::{Args, Error};

/// The namespaces, and what is in them, until it is dropped.
pub(super) struct Lab {
    names: [String; 2],
    /// Dropped before the namespaces are deleted.
    children: Vec<Child>,
    paths: Vec<JoinHandle<()>>,
    folder: TempDir,
}

/// What is built.
pub(super) struct Scene {
    /// The path from the hub to its subscribers.
    pub(super) down: Conditions,
    /// And back.
    pub(super) up: Conditions,
    /// What the publisher is told to be.
    pub(super) publisher: &'static str,
    /// How the kernel's TCP treats congestion; `None`: as it is set to.
    pub(super) congestion: Option<&'static str>,
}

const HUB: &str = "10.213.77.1";
const SUBSCRIBER: &str = "10.213.77.2";

/// What a TUN device carries at most, and some.
const PACKET: usize = 2048;

/// How long a process may take beyond its window.
const PATIENCE: Duration = Duration::from_secs(30);

impl Lab {
    /// Builds it, and starts hub and publisher in it.
    ///
    /// # Errors
    /// Why it can't be had on this machine.
    pub(super) async fn build(args: &Args, scene: &Scene) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| format!("no folder for sockets: {error}"))?;
        let id = std::process::id();
        let names = [format!("nyx-hub-{id}"), format!("nyx-sub-{id}")];
        let mut lab = Self { names, children: Vec::new(), paths: Vec::new(), folder };
        for name in lab.names.clone() {
            ip(&["netns", "add", &name]).await?;
            ip(&["-n", &name, "link", "set", "lo", "up"]).await?;
            if let Some(congestion) = scene.congestion {
                let set = format!("echo {congestion} > /proc/sys/net/ipv4/tcp_congestion_control");
                let done = ip(&["netns", "exec", &name, "sh", "-c", &set]).await;
                done.map_err(|_| format!("the system does not let a namespace have `{congestion}`"))?;
            }
        }
        lab.connect(scene)?;
        for (index, address) in [HUB, SUBSCRIBER].into_iter().enumerate() {
            lab.open_tunnel(index, address).await?;
        }
        let nyx = args.nyx.clone().map_or_else(|| beside("nyx"), Ok)?;
        let native = format!("{HUB}:6990");
        let mut hub = lab.command(0, &nyx);
        hub.args(["serve", "--insecure", "--native", &native, "--udp", &native]).env("NYX_LOG", "error");
        lab.start(hub)?;
        let mut publisher = lab.command(0, &beside("datagrams")?);
        publisher.args([scene.publisher, &native]);
        lab.start(publisher)?;
        Ok(lab)
    }

    /// The paths between the ends of the tunnels.
    fn connect(&mut self, scene: &Scene) -> Result<(), String> {
        let bind = |name: &str| {
            UnixDatagram::bind(self.socket(name)).map_err(|error| format!("no socket for packets: {error}"))
        };
        let middles = [bind("middle-0")?, bind("middle-1")?].map(std::sync::Arc::new);
        for (from, to, conditions) in [(0, 1, &scene.down), (1, 0, &scene.up)] {
            let mut conditions = conditions.clone();
            conditions.seed = 77 + from as u64;
            let end = self.socket(&format!("end-{to}"));
            self.paths.push(tokio::spawn(carry(middles[from].clone(), middles[to].clone(), end, conditions)));
        }
        Ok(())
    }

    async fn open_tunnel(&mut self, index: usize, address: &str) -> Result<(), String> {
        let (end, middle) = (self.socket(&format!("end-{index}")), self.socket(&format!("middle-{index}")));
        let tunnel = format!("TUN:{address}/24,iff-no-pi,iff-up");
        let packets = format!("UNIX-SENDTO:{},bind={}", middle.display(), end.display());
        let mut socat = self.command(index, File::new("socat"));
        socat.args([tunnel, packets]).stderr(Stdio::null());
        self.start(socat)?;
        let name = self.names[index].clone();
        for _ in 0..100 {
            if ip(&["-n", &name, "-4", "-o", "address"]).await?.contains(address) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("no TUN device came about (it takes socat and /dev/net/tun)".to_owned())
    }

    /// Has two that are told to be `role` subscribe at once, each by its scheme, and returns what they have seen.
    pub(super) async fn measure<T: DeserializeOwned>(
        &self,
        role: &str,
        schemes: [&str; 2],
        window: Duration,
    ) -> Result<[T; 2], Error> {
        let watch = |scheme: &str| {
            let hub = format!("{scheme}://{HUB}:6990");
            let program = beside("datagrams").map_err(|why| Error::from(std::io::Error::other(why)));
            let mut command = program.map(|program| self.command(1, &program));
            if let Ok(command) = &mut command {
                command.args([role, &hub, "--seconds", &window.as_secs_f64().to_string()]);
            }
            async move { watched(command?.output(), window + PATIENCE).await }
        };
        let (one, other) = tokio::join!(watch(schemes[0]), watch(schemes[1]));
        Ok([one?, other?])
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, index: usize, program: &File) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[index]]).arg(program).kill_on_drop(true);
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        command
    }

    fn start(&mut self, mut command: Command) -> Result<(), String> {
        let child = command.stdout(Stdio::null()).spawn().map_err(|error| format!("can't start: {error}"))?;
        self.children.push(child);
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.paths.iter().for_each(JoinHandle::abort);
        self.children.clear();
        for name in &self.names {
            // It ends with the program's at the latest.
            let mut delete = std::process::Command::new("ip");
            let _ = delete.args(["netns", "delete", name]).stderr(Stdio::null()).status();
        }
    }
}

async fn watched<T: DeserializeOwned>(
    output: impl Future<Output = std::io::Result<Output>>,
    limit: Duration,
) -> Result<T, Error> {
    let output = tokio::time::timeout(limit, output).await.map_err(std::io::Error::from)??;
    serde_json::from_slice(&output.stdout).map_err(|error| Error::from(std::io::Error::from(error)))
}

/// Carries packets one way until it is aborted.
async fn carry(
    from: std::sync::Arc<UnixDatagram>,
    to: std::sync::Arc<UnixDatagram>,
    end: PathBuf,
    conditions: Conditions,
) {
    let clock = Monotonic::new();
    let (mut path, mut packet) = (Path::new(conditions), vec![0; PACKET]);
    loop {
        let now = clock.now();
        while let Some(packet) = path.poll_output(now) {
            // An end that is not there yet loses it, as a network would.
            let _ = to.send_to(&packet, &end).await;
        }
        let wait = path.poll_timeout().map_or(Duration::from_secs(1), |at| at.since(now));
        if let Ok(Ok(length)) = tokio::time::timeout(wait, from.recv(&mut packet)).await {
            path.handle_input(clock.now(), Bytes::copy_from_slice(&packet[..length]));
        }
    }
}

async fn ip(args: &[&str]) -> Result<String, String> {
    let output = Command::new("ip").args(args).output().await;
    let output = output.map_err(|error| format!("`ip` of iproute2 does not run: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(format!("network namespaces are not to be had here: {why}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn beside(name: &str) -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|error| format!("this program can't be found: {error}"))?;
    Ok(here.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}
