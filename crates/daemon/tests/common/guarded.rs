//! A hub that asks for tokens.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use nyx_client::{Address, Client, Config, ConnectError, Token};
use tempfile::TempDir;

use super::{PATIENCE, Response, Server};

/// The program under test.
pub(crate) const NYX: &str = env!("CARGO_BIN_EXE_nyx");

/// A token file, and a hub that follows it.
pub(crate) struct Guarded {
    pub(crate) folder: TempDir,
    pub(crate) server: Server,
}

impl Guarded {
    pub(crate) fn start(more: &str) -> Self {
        Self::with_files(&[], more)
    }

    pub(crate) fn with_files(files: &[(&str, &str)], more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        std::fs::write(folder.path().join("tokens.toml"), "").unwrap();
        std::fs::write(folder.path().join("hub.toml"), format!("[auth]\ntokens = \"tokens.toml\"\n{more}"))
            .unwrap();
        let config = folder.path().join("hub.toml");
        let server = Server::start_with(&["--config", config.to_str().unwrap()]);
        Self { folder, server }
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.folder.path().join("tokens.toml")
    }

    /// Mints a token, and waits until the hub knows it.
    pub(crate) fn mint(&self, reach: &[&str]) -> Minted {
        let read_again = || self.server.log().matches("tokens.toml again").count();
        let (tokens, before) = (self.tokens(), read_again());
        let minted =
            nyx(&[&["token", "mint", "--json", "--tokens", tokens.to_str().unwrap()], reach].concat());
        let told: serde_json::Value = serde_json::from_slice(&minted.stdout).expect("JSON");
        let text = |field: &str| told[field].as_str().expect("a text").to_owned();
        self.server.until("the file was read again", || (read_again() > before).then_some(()));
        Minted { id: text("id"), token: text("token") }
    }

    pub(crate) fn revoke(&self, id: &str) {
        nyx(&["token", "revoke", "--tokens", self.tokens().to_str().unwrap(), id]);
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Response {
        self.server.request("GET", path, &[("authorization", &format!("Bearer {token}"))], b"")
    }

    pub(crate) fn post(&self, topic: &str, token: &str) -> Response {
        let headers = [("authorization", &*format!("Bearer {token}")), ("content-type", "text/plain")];
        self.server.request("POST", &format!("/v1/topics/{topic}"), &headers, b"hello")
    }

    pub(crate) async fn connect(&self, token: &str) -> Result<Client, ConnectError> {
        connect(Address::from(self.server.native()), token).await
    }
}

/// A token, and what it is called in the file.
pub(crate) struct Minted {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// Runs a command that has to succeed.
pub(crate) fn nyx(args: &[&str]) -> Output {
    let output = Command::new(NYX).args(args).env_remove("NYX_TOKEN").output().expect("it was built");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Connects as the bearer of a token, or of none where it is empty.
pub(crate) async fn connect(hub: Address, token: &str) -> Result<Client, ConnectError> {
    let mut config = Config::default();
    config.token = (!token.is_empty()).then(|| Token::new(token));
    config.connect_timeout = PATIENCE;
    config.backoff_max = Duration::from_millis(200);
    Client::connect(hub, config).await
}
