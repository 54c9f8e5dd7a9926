//! A real `nyx serve` in a process of its own.
#![allow(dead_code, reason = "each suite uses a part")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use nyx_client::{Address, Client, Config, Item, Pattern, Value, subscribe};
use parking_lot::Mutex;
use tempfile::NamedTempFile;

use super::wait::eventually;

/// The program under test: the release build where `cargo xtask test` says so, which it does for the suites.
pub(crate) const NYX: &str = match option_env!("NYX_UNDER_TEST") {
    Some(program) => program,
    None => env!("CARGO_BIN_EXE_nyx"),
};

/// How long a process may take to start or to end. Far more than it takes, since other things may keep the machine busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A hub on ports of its own, killed when dropped.
pub(crate) struct Daemon {
    /// Where the native protocol is.
    pub(crate) native: SocketAddr,
    /// Where HTTP, WebSocket and the console are.
    pub(crate) http: SocketAddr,
    /// What else it was started with.
    options: Vec<String>,
    child: Child,
    stderr: Stderr,
    /// Deleted when dropped.
    _config: Option<NamedTempFile>,
}

impl Daemon {
    /// Starts with the defaults.
    pub(crate) fn start() -> Self {
        Self::launch("serve", Vec::new(), None)
    }

    /// Starts with a configuration file.
    pub(crate) fn with_config(toml: &str) -> Self {
        let mut file = NamedTempFile::with_suffix(".toml").expect("a temporary file");
        file.write_all(toml.as_bytes()).expect("the configuration is written");
        let options = vec!["--config".to_owned(), file.path().display().to_string()];
        Self::launch("serve", options, Some(file))
    }

    /// Starts the demo: a hub with three producers.
    pub(crate) fn demo() -> Self {
        Self::launch("demo", Vec::new(), None)
    }

    fn launch(command: &str, options: Vec<String>, config: Option<NamedTempFile>) -> Self {
        let options: Vec<String> = std::iter::once(command.to_owned()).chain(options).collect();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (child, stderr) = spawn(&options, any, any);
        let (native, http) = stderr.addresses();
        Self { native, http, options, child, stderr, _config: config }
    }

    /// Where it takes datagrams, which has to be configured.
    pub(crate) fn udp(&self) -> Address {
        let udp = after(&self.said(), "udp://").expect("it says where it takes datagrams");
        Address::from(udp).with_udp()
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the daemon can be killed");
        self.child.wait().expect("the daemon can be waited for");
    }

    /// Starts again on the same ports, after [`kill`](Self::kill) or [`terminate`](Self::terminate).
    pub(crate) fn restart(&mut self) {
        (self.child, self.stderr) = spawn(&self.options, self.native, self.http);
        assert_eq!(self.stderr.addresses(), (self.native, self.http));
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let done = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(done.is_ok_and(|status| status.success()), "the daemon can be signalled");
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually(PATIENCE, "the daemon ends", async || {
            child.try_wait().expect("the daemon can be waited for")
        })
        .await
    }

    /// What it has said on stderr so far.
    pub(crate) fn said(&self) -> String {
        self.stderr.text.lock().clone()
    }

    /// Its resident memory in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident_bytes(&self) -> i64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the daemon runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<i64>().expect("a number of kB") * 1024
    }

    /// A client that is connected directly.
    pub(crate) async fn client(&self, name: &str) -> Client {
        connect(self.native, name).await
    }

    /// What it says about itself in `$nyx/stats`, as soon as `is_enough`.
    pub(crate) async fn stats(&self, what: &str, is_enough: impl Fn(&Value) -> bool) -> Value {
        let client = self.client("stats").await;
        let pattern = Pattern::new("$nyx/stats").expect("a pattern");
        let mut stats = client.subscribe(pattern, subscribe::Options::default()).await.expect("statistics");
        let wait = async {
            loop {
                let Item::State(state) = stats.recv().await.expect("statistics go on") else { continue };
                let value = stats.document(&state.topic.name).expect("a document").value();
                if is_enough(&value) {
                    return value;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("statistics never said: {what}"))
    }

    /// Waits until all that was published on `topic` was delivered to the subscribers of this name, or given up, and
    /// acknowledged.
    pub(crate) async fn settled(&self, topic: &str, name: &str) {
        let settled = |stats: &Value, one: &Value| {
            let delivered = at(one, &["delivered"]).and_then(Value::as_i64).unwrap_or(0);
            let drops =
                at(one, &["drops"]).and_then(Value::as_map).into_iter().flat_map(|drops| drops.values());
            let dropped: i64 = drops.filter_map(Value::as_i64).sum();
            let messages = at(stats, &["topics", topic, "messages"]).and_then(Value::as_i64);
            at(one, &["in_flight_bytes"]) == Some(&Value::from(0)) && messages == Some(delivered + dropped)
        };
        self.stats("everything is delivered or given up", |stats| {
            let all =
                at(stats, &["subscribers"]).and_then(Value::as_map).into_iter().flat_map(|all| all.values());
            let mut named =
                all.filter(|one| at(one, &["name"]).and_then(Value::as_str) == Some(name)).peekable();
            named.peek().is_some() && named.all(|one| settled(stats, one))
        })
        .await;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the daemon said:\n{}", self.said());
        }
    }
}

/// A client of the hub, or of a proxy before it, at `address`.
pub(crate) async fn connect(address: SocketAddr, name: &str) -> Client {
    let mut config = Config::default();
    config.name = name.to_owned();
    config.connect_timeout = PATIENCE;
    // A restarted hub is found again at once.
    config.backoff_max = Duration::from_millis(200);
    Client::connect(Address::from(address), config).await.expect("the hub answers")
}

/// One entry of a document, by path.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// What a process says on stderr.
struct Stderr {
    text: Arc<Mutex<String>>,
    lines: mpsc::Receiver<String>,
}

impl Stderr {
    /// The two addresses that it says it listens on.
    fn addresses(&self) -> (SocketAddr, SocketAddr) {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("the daemon did not say where it listens:\n{}", self.text.lock());
            };
            let Some(native) = after(&line, "nyx://") else { continue };
            let http = after(&line, "http://").expect("both addresses in one line");
            return (native, http);
        }
    }
}

fn after(line: &str, scheme: &str) -> Option<SocketAddr> {
    let rest = line.split_once(scheme)?.1;
    rest.split(|c: char| c.is_whitespace() || c == '/').next()?.parse().ok()
}

fn spawn(options: &[String], native: SocketAddr, http: SocketAddr) -> (Child, Stderr) {
    let mut child = Command::new(NYX)
        .args(options)
        .args(["--native", &native.to_string(), "--http", &http.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the daemon starts");
    let pipe = BufReader::new(child.stderr.take().expect("a pipe"));
    let text = Arc::<Mutex<String>>::default();
    let (said, lines) = mpsc::channel();
    let copy = text.clone();
    std::thread::spawn(move || {
        for line in pipe.lines().map_while(Result::ok) {
            let mut copy = copy.lock();
            copy.push_str(&line);
            copy.push('\n');
            // Nobody listens any more once the addresses are known.
            let _ = said.send(line);
        }
    });
    (child, Stderr { text, lines })
}
