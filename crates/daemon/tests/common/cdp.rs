//! A headless Chromium and one page in it, driven over the DevTools protocol.
#![allow(dead_code, reason = "each suite uses a part")]

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::daemon::PATIENCE;
use super::wait::{eventually, within};

/// A page, in a browser of its own that ends with it.
pub(crate) struct Page {
    socket: WebSocketStream<TcpStream>,
    session: String,
    calls: u64,
    /// What went wrong in the page so far: exceptions, and what was logged as an error.
    errors: Vec<String>,
    browser: Child,
    profile: TempDir,
}

impl Page {
    /// Starts a browser and opens `url`.
    pub(crate) async fn open(url: &str) -> Self {
        Self::open_by(Command::new("chromium"), url).await
    }

    /// As [`open`](Self::open), in an environment that `chromium` has already.
    pub(crate) async fn open_by(mut chromium: Command, url: &str) -> Self {
        let profile = tempfile::tempdir().expect("a temporary directory");
        let mut browser = chromium
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"])
            .args([
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
                "--disable-dev-shm-usage",
            ])
            .args(["--remote-debugging-port=0", "--window-size=1280,900"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromium starts");
        let (port, path) = eventually(3 * PATIENCE, "chromium listens", async || {
            assert!(browser.try_wait().is_ok_and(|ended| ended.is_none()), "chromium ended");
            let said = std::fs::read_to_string(profile.path().join("DevToolsActivePort")).ok()?;
            let (port, path) = said.split_once('\n')?;
            Some((port.parse::<u16>().ok()?, path.trim().to_owned()))
        })
        .await;
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("chromium listens");
        let opened = client_async(format!("ws://127.0.0.1:{port}{path}"), stream).await;
        let (socket, _) = opened.expect("chromium speaks the DevTools protocol");
        let (session, errors) = (String::new(), Vec::new());
        let mut page = Self { socket, session, calls: 0, errors, browser, profile };
        let target = page.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = page.call("Target.attachToTarget", target).await;
        page.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            page.call(&format!("{domain}.enable"), json!({})).await;
        }
        page.navigate(url).await;
        page
    }

    /// Goes to `url`, and waits until it has loaded.
    pub(crate) async fn navigate(&mut self, url: &str) {
        let answer = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(answer.get("errorText").is_none(), "{url}: {answer}");
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'", "the page loads")
            .await;
    }

    /// The value of a JavaScript expression; a promise is waited for.
    pub(crate) async fn eval(&mut self, expression: &str) -> Value {
        let call = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", call).await;
        if let Some(exception) = answer.get("exceptionDetails") {
            panic!("{expression}: {exception}");
        }
        answer["result"]["value"].take()
    }

    /// Evaluates again and again until there is something truthy, and returns it.
    pub(crate) async fn until(&mut self, expression: &str, what: &str) -> Value {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let value = self.eval(expression).await;
            let is_falsy = match &value {
                Value::Null | Value::Bool(false) => true,
                Value::Number(number) => number.as_f64() == Some(0.0),
                Value::String(text) => text.is_empty(),
                _ => false,
            };
            if !is_falsy {
                return value;
            }
            if Instant::now() >= give_up {
                let text = self.eval("document.body.innerText").await;
                panic!(
                    "not within {PATIENCE:?}: {what}\n{}\n{:?}",
                    text.as_str().unwrap_or_default(),
                    self.errors
                );
            }
            // The page draws a few times a second.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Presses a key, such as `Enter` or `/`.
    pub(crate) async fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "ArrowDown" => (40, ""),
            "ArrowUp" => (38, ""),
            "Tab" => (9, ""),
            other => (other.bytes().next().map_or(0, i32::from), other),
        };
        let mut event = json!({ "type": "keyDown", "key": key, "windowsVirtualKeyCode": code });
        if !text.is_empty() {
            event["text"] = text.into();
        }
        self.call("Input.dispatchKeyEvent", event.clone()).await;
        event["type"] = "keyUp".into();
        self.call("Input.dispatchKeyEvent", event).await;
    }

    /// Gives the page a size in CSS pixels.
    pub(crate) async fn resize(&mut self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
        self.until(&format!("innerWidth === {width}"), "the page has its size").await;
    }

    /// Says whether the system is dark.
    pub(crate) async fn prefer(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// What went wrong in the page since this was last asked.
    pub(crate) fn take_errors(&mut self) -> Vec<String> {
        std::mem::take(&mut self.errors)
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": params });
        if !self.session.is_empty() {
            call["sessionId"] = self.session.as_str().into();
        }
        self.socket.send(Message::text(call.to_string())).await.expect("chromium reads");
        loop {
            let message = within(3 * PATIENCE, method, self.socket.next()).await.expect("chromium stays");
            let Message::Text(text) = message.expect("chromium stays") else { continue };
            let mut message: Value = serde_json::from_str(&text).expect("JSON");
            if message["id"] == self.calls {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            self.note(&message);
        }
    }

    /// Keeps an event if it tells of something that went wrong.
    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.errors.push(params["exceptionDetails"].to_string()),
            Some("Runtime.consoleAPICalled") if params["type"] == "error" => {
                self.errors.push(params["args"].to_string())
            }
            Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                self.errors.push(params["entry"].to_string())
            }
            _ => {}
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // With the processes that it has started, which would go on writing into the profile for a moment.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.browser.id())]).status();
        let _ = self.browser.kill();
        let _ = self.browser.wait();
        for _ in 0..REMOVALS_MAX {
            if std::fs::remove_dir_all(self.profile.path()).is_ok() {
                break;
            }
        }
    }
}

/// Tries to delete the profile: one fails when a process that is being killed has just written something.
const REMOVALS_MAX: usize = 100;
