//! A real `nyx serve` for tests, and just enough HTTP to speak with it.
#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod guarded;
pub(crate) mod udp_peer;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long anything may take before a test fails: far more than it does on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon on ports of its own, which ends with the test.
pub(crate) struct Server {
    child: Child,
    native: SocketAddr,
    http: SocketAddr,
    log: Arc<Mutex<String>>,
    /// Disconnected when it has ended.
    running: mpsc::Receiver<()>,
}

impl Server {
    /// Starts a daemon with the defaults.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a daemon with this configuration.
    pub(crate) fn configured(toml: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("nyx-test-{}-{}.toml", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, toml).expect("a place for temporary files");
        let server = Self::start_with(&["--config", file.to_str().expect("a path of text")]);
        std::fs::remove_file(&file).expect("it is ours");
        server
    }

    /// Starts a daemon with more arguments, such as `--config FILE`.
    pub(crate) fn start_with(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nyx"))
            .args(["serve", "--native", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon was built");
        let log = Arc::new(Mutex::new(String::new()));
        let (told, listening) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let (alive, running) = mpsc::channel();
        std::thread::spawn({
            let log = log.clone();
            move || {
                // Its end closes stderr.
                let _alive: mpsc::Sender<()> = alive;
                for line in stderr.lines().map_while(Result::ok) {
                    log.lock().unwrap().extend([&line, "\n"]);
                    if let Some(addresses) = addresses(&line) {
                        let _ = told.send(addresses);
                    }
                }
            }
        });
        let Ok((native, http)) = listening.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            panic!("the daemon does not listen; it said:\n{}", log.lock().unwrap());
        };
        Self { child, native, http, log, running }
    }

    /// Where it speaks the native protocol.
    pub(crate) fn native(&self) -> SocketAddr {
        self.native
    }

    /// Where it speaks HTTP and WebSocket.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it takes datagrams, which has to be configured.
    pub(crate) fn udp(&self) -> SocketAddr {
        let log = self.log();
        let udp = log.split_once("udp://").and_then(|(_, rest)| rest.split_whitespace().next());
        udp.and_then(|udp| udp.parse().ok()).expect("it says where it takes datagrams")
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on stderr so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Asks it to end, without waiting.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Asks it to read its files again.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.id().to_string()]).status();
        assert!(done.is_ok_and(|status| status.success()), "kill");
    }

    /// Waits until `found` finds what it looks for.
    pub(crate) fn until<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        const PAUSE: Duration = Duration::from_millis(20);
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            if let Some(found) = found() {
                return found;
            }
            if self.running.recv_timeout(PAUSE) == Err(RecvTimeoutError::Disconnected) {
                break;
            }
        }
        panic!("{what} never came; the daemon said:\n{}", self.log());
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.terminate();
        self.wait()
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let ended = self.running.recv_timeout(PATIENCE);
        let said = self.log();
        assert_eq!(ended, Err(RecvTimeoutError::Disconnected), "the daemon does not end; it said:\n{said}");
        self.child.wait().expect("it is our child")
    }

    /// One request on a connection of its own.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut connection = Connection::open(self.http);
        connection.send(method, path, &[headers, &[("connection", "close")]].concat(), body);
        connection.response()
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Response {
        self.request("POST", path, &[("content-type", content_type)], body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the daemon said:\n{}", self.log());
        }
    }
}

fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (native, http) = line
        .split_once("nyx://")
        .and_then(|(_, rest)| rest.split_once(" and http://"))
        .or_else(|| line.split_once("nyxs://").and_then(|(_, rest)| rest.split_once(" and https://")))?;
    // What it says of datagrams stands behind.
    Some((native.parse().ok()?, http.split_whitespace().next()?.parse().ok()?))
}

/// A connection that speaks HTTP/1.1.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
}

impl Connection {
    pub(crate) fn open(host: SocketAddr) -> Self {
        let stream = TcpStream::connect(host).expect("the daemon listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream: BufReader::new(stream), host }
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", self.host);
        }
        if !headers.iter().any(|(name, _)| *name == "content-length") {
            head += &format!("content-length: {}\r\n", body.len());
        }
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        self.write(format!("{head}\r\n").as_bytes());
        self.write(body);
    }

    /// Writes bytes as they are. A server that has closed already is no failure: what it said can be read.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// The head of the response.
    pub(crate) fn head(&mut self) -> Head {
        let status = self.line();
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        Head { status: status.expect("a status line"), headers }
    }

    /// The whole response.
    pub(crate) fn response(&mut self) -> Response {
        let head = self.head();
        let mut body = Vec::new();
        if let Some(length) = head.header("content-length") {
            body.resize(length.parse().unwrap(), 0);
            self.stream.read_exact(&mut body).expect("a whole body");
        } else if head.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk() {
                body.extend(chunk);
            }
        }
        Response { head, body }
    }

    /// The next chunk of a body that is streamed; `None` at its end.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(self.line().trim(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).ok()?;
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// Reads a streamed body until `found` finds what it looks for in all that has come.
    pub(crate) fn body_until<T>(&mut self, mut found: impl FnMut(&[u8]) -> Option<T>) -> T {
        let mut body = Vec::new();
        loop {
            if let Some(found) = found(&body) {
                return found;
            }
            match self.chunk() {
                Some(chunk) => body.extend(chunk),
                None => panic!("the body ended after: {}", String::from_utf8_lossy(&body)),
            }
        }
    }

    /// A line without its end; empty at the end of the stream.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("an answer in time");
        line.truncate(line.trim_end().len());
        line
    }

    /// What comes until the server closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = self.stream.read_to_end(&mut rest);
        rest
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }
}

/// Status and headers.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(present, _)| present == name).map(|(_, value)| &value[..])
    }
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.head.header(name).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Status and the error's code.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status(), self.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// The text of a body once it has all these parts.
pub(crate) fn contains(body: &[u8], parts: &[&str]) -> Option<String> {
    let text = String::from_utf8_lossy(body).into_owned();
    parts.iter().all(|part| text.contains(part)).then_some(text)
}
