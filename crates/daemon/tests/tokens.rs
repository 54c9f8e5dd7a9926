//! Who may come in, and what they may do: over HTTP, the native protocol and the command line, with a real daemon.

mod common;

#[path = "sound/refused.rs"]
mod refused;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use common::guarded::{Guarded, Minted, NYX, nyx};
use common::{Connection, PATIENCE, contains};
use nyx_client::{ConnectError, ErrorCode, Item, Name, Pattern, SubscribeError, publish, subscribe};

fn name(topic: &str) -> Name {
    Name::new(topic).unwrap()
}

fn pattern(topics: &str) -> Pattern {
    Pattern::new(topics).unwrap()
}

#[test]
fn without_a_token_there_is_nothing_to_see_but_that_it_lives() {
    let hub = Guarded::start("");
    for path in ["/", "/console/app.js", "/healthz", "/readyz"] {
        assert_eq!(hub.server.get(path).status(), 200, "{path}");
    }
    for path in ["/v1/topics", "/v1/topics/a", "/v1/stream/a", "/metrics", "/v1/login"] {
        let refused = hub.server.get(path);
        assert_eq!(refused.error(), (401, "unauthorized".to_owned()), "{path}");
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"nyx\"");
    }
    for method in ["POST", "PUT", "PATCH"] {
        let refused =
            hub.server.request(method, "/v1/topics/a", &[("content-type", "application/json")], b"{}");
        assert_eq!(refused.status(), 401, "{method}");
    }
    let other = "nyx_000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for credentials in [other, "garbage", ""] {
        assert_eq!(hub.get("/v1/topics", credentials).status(), 401, "{credentials}");
    }
    let basic = hub.server.request("GET", "/v1/topics", &[("authorization", "Basic YTpi")], b"");
    assert_eq!(basic.status(), 401);
    let images = hub.server.request("GET", "/ws/me?topic=a", &OPENING, b"");
    assert_eq!(images.status(), 401);
}

const OPENING: [(&str, &str); 4] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

#[test]
fn a_token_reaches_as_far_as_its_patterns() {
    let hub = Guarded::start("");
    let camera = hub.mint(&["--publish", "camera/**", "--subscribe", "chat"]).token;
    let admin = hub.mint(&["--all"]).token;
    assert_eq!(hub.post("camera/1", &camera).status(), 202);
    assert_eq!(hub.post("secret", &admin).status(), 202);
    assert_eq!(hub.post("chat", &admin).status(), 202);
    assert_eq!(hub.post("chat", &camera).error(), (403, "forbidden".to_owned()));
    assert_eq!(hub.get("/v1/topics/chat", &camera).text(), "hello");

    // What may not be read is refused alike whether it is there or not, and named nowhere.
    for topic in ["secret", "nothing", "camera/1"] {
        for what in ["topics", "stream"] {
            let refused = hub.get(&format!("/v1/{what}/{topic}"), &camera);
            assert_eq!(refused.error(), (403, "forbidden".to_owned()), "{what} {topic}");
            assert!(!refused.text().contains("secret"));
        }
    }
    let listed = hub.get("/v1/topics", &camera);
    assert!(listed.text().contains("chat") && !listed.text().contains("secret"), "{}", listed.text());
    assert!(hub.get("/v1/topics", &admin).text().contains("secret"));
    assert_eq!(hub.get("/metrics", &camera).status(), 403);
    let metrics = hub.get("/metrics", &admin);
    assert!(metrics.text().contains("nyx_tokens 2"), "{}", metrics.text());
    assert!(metrics.text().contains("nyx_http_refused_total{code=\"forbidden\"}"));
    hub.server.until("a line of the log", || hub.server.log().contains("publish chat").then_some(()));
    assert!(!hub.server.log().contains(&camera), "no token is logged");
}

#[test]
fn a_page_signs_in_with_a_form_and_keeps_a_cookie_that_scripts_can_t_read() {
    let hub = Guarded::start("");
    let admin = hub.mint(&["--all", "--name", "ann"]).token;
    hub.post("chat", &admin);
    let sign_in = |token: &str| {
        hub.server.post("/v1/login", "application/x-www-form-urlencoded", format!("token={token}").as_bytes())
    };
    assert_eq!(sign_in("wrong").error(), (401, "unauthorized".to_owned()));
    let signed_in = sign_in(&admin);
    assert_eq!(signed_in.status(), 204);
    let cookie = signed_in.header("set-cookie").to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap();
    let with = |headers: &[(&str, &str)], path: &str| {
        hub.server.request("GET", path, &[&[("cookie", pair)], headers].concat(), b"")
    };
    assert_eq!(with(&[], "/v1/topics/chat").text(), "hello");
    assert!(with(&[], "/v1/login").text().contains("ann"));
    assert_eq!(with(&[], "/v1/topics/chat").header("cross-origin-resource-policy"), "same-origin");
    // A page of another site has no use of it.
    let foreign = [("origin", "https://evil.example"), ("content-type", "text/plain"), ("cookie", pair)];
    assert_eq!(hub.server.request("POST", "/v1/topics/chat", &foreign, b"x").status(), 403);
    let signed_out = hub.server.post("/v1/logout", "text/plain", b"");
    assert!(signed_out.header("set-cookie").contains("Max-Age=0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_native_protocol_asks_in_its_hello() {
    let hub = Guarded::start("");
    let viewer = hub.mint(&["--subscribe", "chat/*"]).token;
    for (token, what) in [("", "asks for a token"), ("garbage", "is no token")] {
        match hub.connect(token).await {
            Err(ConnectError::Refused(refusal)) => {
                assert_eq!(refusal.code, ErrorCode::Unauthorized);
                assert!(refusal.message.contains(what), "{refusal}");
            }
            other => panic!("{token}: {other:?}"),
        }
    }
    let client = hub.connect(&viewer).await.expect("a good token");
    client.subscribe(pattern("**"), subscribe::Options::default()).await.expect("what there is for it");
    let refused = client.subscribe(pattern("secret/**"), subscribe::Options::default()).await;
    assert!(
        matches!(&refused, Err(SubscribeError::Refused(refusal)) if refusal.code == ErrorCode::Forbidden)
    );
    let refused = client.events(name("chat/1"), publish::Options::default()).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("does not allow")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_revoked_ends_its_sessions_while_others_go_on() {
    let hub = Guarded::start("");
    let doomed = hub.mint(&["--subscribe", "chat"]);
    let viewer = hub.mint(&["--subscribe", "chat"]);
    let writer = hub.mint(&["--publish", "chat", "--subscribe", "$nyx/**"]);
    let publisher = hub.connect(&writer.token).await.expect("a good token");
    let chat = publisher.events(name("chat"), publish::Options::default()).await.expect("a topic");
    let client = hub.connect(&doomed.token).await.expect("a good token");
    let mut ended = client.subscribe(pattern("chat"), subscribe::Options::default()).await.unwrap();
    let other = hub.connect(&viewer.token).await.expect("a good token");
    let mut others = other.subscribe(pattern("chat"), subscribe::Options::default()).await.unwrap();
    let mut stream = Connection::open(hub.server.http());
    stream.send("GET", "/v1/stream/chat", &[("authorization", &format!("Bearer {}", doomed.token))], b"");
    assert_eq!(stream.head().status, 200);
    stream.body_until(|body| contains(body, &["retry:"]));

    hub.revoke(&doomed.id);
    hub.server.until("the session ends", || (!client.stats().connected).then_some(()));
    hub.server.until("it is not let in again", || {
        client.stats().last_error.filter(|error| error.contains("does not take the token"))
    });
    let item = tokio::time::timeout(PATIENCE, ended.recv()).await.expect("in time").expect("it tries again");
    assert!(
        matches!(&item, Item::Refused(refusal) if refusal.code == ErrorCode::Unauthorized),
        "its user is told: {item:?}"
    );
    // The stream of HTTP ends as well.
    while stream.chunk().is_some() {}
    assert_eq!(hub.get("/v1/topics/chat", &doomed.token).status(), 401);

    chat.send("still here".as_bytes().to_vec()).await.expect("it is taken");
    let item = tokio::time::timeout(PATIENCE, others.recv()).await.expect("in time").expect("it goes on");
    assert!(matches!(item, Item::Event(_)), "{item:?}");
    assert_eq!((other.stats().reconnects, publisher.stats().reconnects), (0, 0));
    let metrics = hub.get("/metrics", &writer.token);
    assert!(metrics.text().contains("nyx_sessions_expelled_total 2"), "{}", metrics.text());
}

#[test]
fn a_token_file_that_is_broken_changes_nothing() {
    let hub = Guarded::start("");
    let admin = hub.mint(&["--all"]).token;
    let good = std::fs::read_to_string(hub.tokens()).unwrap();
    std::fs::write(hub.tokens(), "[[token]\n").unwrap();
    let failures =
        || hub.get("/metrics", &admin).text().contains("nyx_token_file_failures_total 1").then_some(());
    hub.server.until("the failure is counted", failures);
    assert_eq!(hub.get("/v1/topics", &admin).status(), 200);
    std::fs::write(hub.tokens(), good).unwrap();
    assert_eq!(hub.get("/v1/topics", &admin).status(), 200);
}

#[test]
fn a_token_that_expires_is_worth_nothing_any_more() {
    let hub = Guarded::start("");
    let tokens = hub.tokens();
    let minted = nyx(&["token", "mint", "--all", "--expires", "1s", "--tokens", tokens.to_str().unwrap()]);
    let token = String::from_utf8(minted.stdout).unwrap();
    let told = hub.server.until("it is over", || {
        let answer = hub.get("/v1/topics", token.trim());
        answer.text().contains("has expired").then(|| answer.status())
    });
    assert_eq!(told, 401);
}

#[test]
fn jwts_are_taken_from_who_is_configured_and_can_be_revoked() {
    const SECRET: &str = "a secret of more than enough bytes for the hash\n";
    let hub = Guarded::with_files(
        &[("secret.txt", SECRET), ("other.txt", "another secret, of as many bytes as it takes\n")],
        "[[auth.jwt]]\nalgorithm = \"HS256\"\nkey = \"secret.txt\"\naudience = \"nyx\"\n",
    );
    let sign = |key: &str, audience: &str| {
        let key = hub.folder.path().join(key);
        let key = ["--jwt-key", key.to_str().unwrap(), "--algorithm", "HS256", "--audience", audience];
        let rest = ["--publish", "chat", "--subscribe", "chat", "--name", "ann", "--json"];
        let minted = nyx(&[&["token", "mint"], &key[..], &rest[..]].concat());
        let told: serde_json::Value = serde_json::from_slice(&minted.stdout).unwrap();
        Minted {
            id: told["id"].as_str().unwrap().to_owned(),
            token: told["token"].as_str().unwrap().to_owned(),
        }
    };
    let ann = sign("secret.txt", "nyx");
    assert_eq!(hub.post("chat", &ann.token).status(), 202);
    assert_eq!(hub.get("/v1/topics/chat", &ann.token).text(), "hello");
    assert_eq!(hub.post("other", &ann.token).status(), 403);
    for bad in [sign("other.txt", "nyx"), sign("secret.txt", "web")] {
        assert_eq!(hub.post("chat", &bad.token).error(), (401, "unauthorized".to_owned()));
    }
    nyx(&["token", "revoke", "--tokens", hub.tokens().to_str().unwrap(), "--jti", &ann.id]);
    let told = hub.server.until("it is revoked", || {
        let answer = hub.get("/v1/topics/chat", &ann.token);
        (answer.status() == 401).then(|| answer.text().to_owned())
    });
    assert!(told.contains("was revoked"), "{told}");
    assert_eq!(hub.post("chat", &sign("secret.txt", "nyx").token).status(), 202);
}

/// The key that made the token is not kept; it was of `openssl genrsa 2048`, and the signature of `openssl dgst -sha256 -sign`. Both files
/// hold its public half, as `-pubout` and as `-RSAPublicKey_out` write it. The token is good until 2100.
#[test]
fn a_jwt_that_openssl_signed_with_rsa_is_taken_and_none_that_was_changed() {
    const TOKEN: &str = include_str!("rs256/token.txt");
    const KEYS: [&str; 2] = [include_str!("rs256/public.pem"), include_str!("rs256/pkcs1.pem")];
    for key in KEYS {
        let hub = Guarded::with_files(
            &[("issuer.pem", key)],
            "[[auth.jwt]]\nalgorithm = \"RS256\"\nkey = \"issuer.pem\"\nissuer = \"https://issuer.example\"\naudience = \"nyx\"\nkid = \"one\"\n",
        );
        let token = TOKEN.trim();
        assert_eq!(hub.post("chat", token).status(), 202);
        assert_eq!(hub.get("/v1/topics/chat", token).text(), "hello");
        assert_eq!(hub.post("other", token).status(), 403);
        // One letter of the claims, and one of the signature.
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let middle = signed.len() - 20;
        for at in [middle, signed.len() + 1 + signature.len() / 2] {
            let letter = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
            let changed = [&token[..at], letter, &token[at + 1..]].concat();
            assert_eq!(hub.post("chat", &changed).error(), (401, "unauthorized".to_owned()));
        }
    }
}

#[test]
fn guessers_are_held_up_and_the_log_says_so() {
    let hub = Guarded::start("[limits]\nfailures_per_peer = \"1/min burst 3\"\n");
    let bad = "nyx_000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for _ in 0..3 {
        assert_eq!(hub.get("/v1/topics", bad).status(), 401);
    }
    assert_eq!(hub.get("/v1/topics", bad).error(), (429, "rate_limited".to_owned()));
    hub.server.until("a line of the log", || hub.server.log().contains("too many bad tokens").then_some(()));
}

#[test]
fn nobody_listens_to_the_world_without_tokens_and_tls() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("hub.toml");
    std::fs::write(folder.path().join("tokens.toml"), "").unwrap();
    let refused = |text: &str, what: &str| {
        std::fs::write(&config, text).unwrap();
        let output = Command::new(NYX)
            .args(["serve", "--native", "0.0.0.0:0", "--http", "127.0.0.1:0", "--config"])
            .arg(&config)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(what), "{said}");
    };
    refused("", "nobody who connects is asked");
    refused("[auth]\ntokens = \"tokens.toml\"\n", "could read tokens");
    let datagrams =
        "[listen]\nudp = \"127.0.0.1:0\"\n[tls]\ncertificate = \"a\"\nkey = \"b\"\nclient_ca = \"c\"\n";
    refused(datagrams, "over datagrams nobody shows a certificate");
    refused("[auth]\ntokens = \"gone.toml\"\n[tls]\ncertificate = \"a\"\nkey = \"b\"\n", "gone.toml");
}

#[test]
fn tokens_are_minted_listed_inspected_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.toml");
    let file = file.to_str().unwrap();
    let text = |output: Output| String::from_utf8(output.stdout).unwrap();
    let token =
        text(nyx(&["token", "mint", "--tokens", file, "--name", "camera 3", "--publish", "camera/3"]));
    let token = token.trim();
    assert!(token.starts_with("nyx_"), "{token}");
    assert!(!std::fs::read_to_string(file).unwrap().contains(&token[17..]), "the file keeps no secret");

    let listed = text(nyx(&["token", "list", "--tokens", file]));
    assert!(listed.contains("camera 3") && listed.contains("publishes camera/3"), "{listed}");
    nyx(&["token", "mint", "--tokens", file, "--name", "x\u{1b}[2J\u{202e}y", "--all"]);
    let listed = text(nyx(&["token", "list", "--tokens", file]));
    assert!(listed.contains("x\\u{1b}[2J\\u{202e}y") && !listed.contains(['\u{1b}', '\u{202e}']), "{listed}");
    let inspect = |stdin: &str| {
        let mut child = Command::new(NYX)
            .args(["token", "inspect", "--tokens", file])
            .env_remove("NYX_TOKEN")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let told = text(inspect(token));
    assert!(told.contains("camera/3"), "{told}");
    let id = &token[4..16];
    nyx(&["token", "revoke", "--tokens", file, id]);
    let gone = inspect(token);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("was revoked"));
    assert_eq!(gone.status.code(), Some(1));
    let nothing = Command::new(NYX).args(["token", "mint", "--tokens", file]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2), "a token that allows nothing");
}

#[test]
fn what_no_hub_would_take_is_not_minted_and_no_revocation_is_told_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, key) = (path("tokens.toml"), path("key.txt"));
    std::fs::write(&key, "a secret of more than enough bytes for the hash").unwrap();
    let jwt = ["--jwt-key", &key, "--algorithm", "HS256"];
    let refused = |command: &str, args: &[&str]| {
        let output =
            Command::new(NYX).args(["token", command, "--tokens", &file]).args(args).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{args:?}: {told}");
    };
    for time in ["0s", "999ms", "9000y", "500000000000y"] {
        let args = ["--all", "--expires", time];
        refused("mint", &args);
        refused("mint", &[&args[..], &jwt[..]].concat());
    }
    let many: Vec<String> = (0..257).map(|number| format!("--publish={number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    refused("mint", &[&many[..], &jwt[..]].concat());
    let long: Vec<String> = (0..60).map(|number| format!("--publish={number}/{}", "x".repeat(200))).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    refused("mint", &[&long[..], &jwt[..]].concat());
    refused("revoke", &["--jti", "7", "--until", "2020-01-01T00:00:00Z"]);
    assert!(!std::path::Path::new(&file).exists());
}

#[test]
fn a_command_takes_its_token_from_the_environment_or_a_file() {
    let hub = Guarded::start("");
    let admin = hub.mint(&["--all"]).token;
    let file = hub.folder.path().join("my.token");
    std::fs::write(&file, format!("{admin}\n")).unwrap();
    let address = format!("nyx://{}", hub.server.native());
    let publish = |more: &dyn Fn(&mut Command)| {
        let mut command = Command::new(NYX);
        command.args(["pub", "chat", "--kind", "event", "--server", &address]);
        command.env_remove("NYX_TOKEN").env_remove("NYX_TOKEN_FILE");
        more(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
        child.wait_with_output().unwrap()
    };
    let refused = publish(&|_| {});
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("asks for a token"));
    let ways: [&dyn Fn(&mut Command); 3] = [
        &|command| _ = command.env("NYX_TOKEN", &admin),
        &|command| _ = command.env("NYX_TOKEN_FILE", &file),
        &|command| _ = command.arg("--token-file").arg(&file),
    ];
    for more in ways {
        let done = publish(more);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}
