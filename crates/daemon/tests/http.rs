//! The HTTP surface, as clients of all sorts meet it: a real daemon, real sockets.

mod common;

use common::{Connection, Server, contains};
use serde_json::json;

const JPEG: &[u8] = b"\xff\xd8 not quite a picture \xff\xd9";

#[test]
fn state_is_published_merged_and_read() {
    let server = Server::start();
    let posted =
        server.post("/v1/topics/game/world", "application/json", br#"{"tick":1,"who":{"a":1,"b":2}}"#);
    assert_eq!(posted.status(), 202);
    assert_eq!(posted.json(), json!({"topic": "game/world", "kind": "state", "bytes": 30, "changed": true}));

    let merge = [("content-type", "application/merge-patch+json")];
    let merged = server.request("PATCH", "/v1/topics/game/world", &merge, br#"{"tick":2,"who":{"b":null}}"#);
    assert_eq!((merged.status(), &merged.json()["changed"]), (202, &json!(true)));
    assert_eq!(server.get("/v1/topics/game/world").json(), json!({"tick": 2, "who": {"a": 1}}));

    let put =
        server.request("PUT", "/v1/topics/game/world", &[("content-type", "application/json")], b"[1.5]");
    assert_eq!(put.status(), 202);
    let latest = server.get("/v1/topics/game/world");
    assert_eq!((latest.json(), latest.header("content-type")), (json!([1.5]), "application/json"));
}

#[test]
fn frames_and_events_are_read_as_they_were_published() {
    let server = Server::start();
    let stamped = [("content-type", "image/jpeg"), ("x-nyx-timestamp", "1700000000000001")];
    assert_eq!(server.request("POST", "/v1/topics/camera", &stamped, JPEG).status(), 202);
    let frame = server.get("/v1/topics/camera");
    assert_eq!((&frame.body[..], frame.header("content-type")), (JPEG, "image/jpeg"));
    assert_eq!((frame.header("x-nyx-sequence"), frame.header("x-nyx-timestamp")), ("0", "1700000000000001"));
    let tags = format!("\"other\", W/{}", frame.header("etag"));
    let known = server.request("GET", "/v1/topics/camera", &[("if-none-match", &tags)], b"");
    assert_eq!((known.status(), known.body.len()), (304, 0));

    for (content_type, body) in [("text/plain", "hello"), ("application/octet-stream", "\0\u{1}")] {
        assert_eq!(server.post("/v1/topics/log", content_type, body.as_bytes()).status(), 202);
        let event = server.get("/v1/topics/log");
        assert!(event.header("content-type").starts_with(content_type), "{event:?}");
        assert_eq!(event.text(), body);
    }
    // JSON on a topic of events is an event.
    assert_eq!(server.post("/v1/topics/log", "application/json", b"[1]").json()["kind"], "event");
    let list = server.get("/v1/topics").json();
    let topic = |place: usize, key: &str| list["topics"][place][key].clone();
    assert_eq!(
        (topic(0, "name"), topic(0, "kind"), topic(0, "content_type")),
        (json!("camera"), json!("frame"), json!("image/jpeg"))
    );
    assert_eq!(
        (topic(1, "name"), topic(1, "messages"), topic(1, "subscribers")),
        (json!("log"), json!(3), json!(0))
    );
}

#[test]
fn what_a_publisher_sends_is_no_page_of_the_console() {
    let server = Server::start();
    server.request("POST", "/v1/topics/x", &[("content-type", "image/svg+xml")], b"<svg onload='alert(1)'/>");
    let frame = server.get("/v1/topics/x");
    assert_eq!(frame.header("x-content-type-options"), "nosniff");
    assert!(frame.header("content-security-policy").contains("sandbox"));
}

#[test]
fn bad_requests_get_typed_errors_and_change_nothing() {
    let server = Server::start();
    let error = |method: &str, path: &str, content_type: &str, body: &[u8]| {
        let (status, code) = server.request(method, path, &[("content-type", content_type)], body).error();
        (status, code)
    };
    server.post("/v1/topics/state", "application/json", b"{}");
    let json = "application/json";
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let deeper = format!("{}{}", "[".repeat(600), "]".repeat(600));
    for (expected, found) in [
        ((400, "bad_topic"), error("POST", "/v1/topics/a//b", json, b"{}")),
        ((400, "bad_topic"), error("POST", "/v1/topics/a/*", json, b"{}")),
        ((400, "bad_topic"), error("POST", "/v1/topics/a%ff", json, b"{}")),
        ((400, "bad_topic"), error("POST", "/v1/topics/$nyx/x", json, b"{}")),
        ((400, "bad_json"), error("POST", "/v1/topics/new", json, b"{\"a\":")),
        ((400, "bad_json"), error("POST", "/v1/topics/new?kind=event", json, b"nonsense")),
        ((400, "bad_request"), error("POST", "/v1/topics/new?kind=video", json, b"{}")),
        ((400, "bad_request"), error("POST", "/v1/topics/new?knid=event", json, b"{}")),
        ((400, "bad_request"), error("POST", "/v1/topics/new", "text/plain", b"\xff")),
        ((400, "bad_request"), error("POST", "/v1/topics/new", "image/png", b"")),
        ((409, "kind_mismatch"), error("POST", "/v1/topics/state", "text/plain", b"x")),
        ((409, "kind_mismatch"), error("POST", "/v1/topics/state", "image/png", b"x")),
        ((415, "unsupported_media"), error("POST", "/v1/topics/new", "audio/wav", b"RIFF")),
        (
            (415, "unsupported_media"),
            error("POST", "/v1/topics/new", "application/x-www-form-urlencoded", b"{}"),
        ),
        ((415, "unsupported_media"), error("PUT", "/v1/topics/new", "text/plain", b"{}")),
        ((415, "unsupported_media"), error("PATCH", "/v1/topics/new", "image/png", b"{}")),
        ((422, "bad_document"), error("POST", "/v1/topics/new", json, deep.as_bytes())),
        ((422, "bad_document"), error("POST", "/v1/topics/new", json, deeper.as_bytes())),
        ((404, "not_found"), error("GET", "/v1/topics/new", "", b"")),
        ((404, "not_found"), error("GET", "/v1/stream/new", "", b"")),
        ((404, "not_found"), error("GET", "/v2", "", b"")),
        ((405, "method_not_allowed"), error("DELETE", "/v1/topics/state", "", b"")),
        ((405, "method_not_allowed"), error("POST", "/metrics", "", b"")),
        ((400, "bad_request"), error("GET", "/v1/stream/state?max_age=soon", "", b"")),
        ((426, "upgrade_required"), error("GET", "/v1/ws", "", b"")),
        ((426, "upgrade_required"), error("GET", "/ws/me", "", b"")),
    ] {
        assert_eq!((expected.0, expected.1.to_owned()), found);
    }
    let with = |method: &str, path: &str, headers: &[(&str, &str)]| {
        server.request(method, path, headers, if method == "POST" { b"{}" } else { b"" })
    };
    let encoded = [("content-type", json), ("content-encoding", "gzip")];
    assert_eq!(with("POST", "/v1/topics/new", &encoded).error(), (415, "unsupported_media".into()));
    let opening = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(with("OPTIONS", "/v1/ws", &opening).status(), 405);
    let mut head = Connection::open(server.http());
    head.send("HEAD", "/v1/ws", &opening, b"");
    assert_eq!(head.head().status, 400);
    let missing = server.get("/v1/topics/new");
    assert!(missing.text().contains("there are `state`"), "{}", missing.text());
    assert_eq!(
        server.request("DELETE", "/v1/topics/state", &[], b"").header("allow"),
        "GET,HEAD,POST,PUT,PATCH"
    );
    let upgrade = server.get("/v1/ws");
    assert_eq!((upgrade.header("upgrade"), upgrade.header("sec-websocket-version")), ("websocket", "13"));
    assert_eq!(server.get("/v1/topics").json()["topics"].as_array().map(Vec::len), Some(1));
    assert!(server.get("/metrics").text().contains(r#"nyx_http_refused_total{code="bad_document"} 2"#));
}

#[test]
fn bodies_over_the_limit_are_refused_while_they_come() {
    let server = Server::start();
    let mut said = Connection::open(server.http());
    said.send(
        "POST",
        "/v1/topics/big",
        &[("content-type", "image/png"), ("content-length", "99999999999")],
        b"",
    );
    assert_eq!(said.response().error(), (413, "too_large".into()));

    let mut chunked = Connection::open(server.http());
    let head = format!(
        "POST /v1/topics/big HTTP/1.1\r\nhost: {}\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n\r\n",
        server.http()
    );
    chunked.write(head.as_bytes());
    let chunk = [b"100000\r\n", &vec![0; 1 << 20][..], b"\r\n"].concat();
    (0..17).for_each(|_| chunked.write(&chunk));
    assert_eq!(chunked.response().error(), (413, "too_large".into()));
    assert_eq!(server.get("/v1/topics").json(), json!({"topics": []}));
}

#[test]
fn pages_from_elsewhere_and_rebound_names_are_refused() {
    let server = Server::start();
    let post = |head: &[(&str, &str)]| {
        let head = [head, &[("content-type", "application/json")]].concat();
        let response = server.request("POST", "/v1/topics/a", &head, b"{}");
        if response.status() == 202 { (202, String::new()) } else { response.error() }
    };
    let own = format!("http://{}", server.http());
    assert_eq!(post(&[("origin", "https://evil.example")]), (403, "forbidden_origin".into()));
    assert_eq!(
        post(&[("host", "evil.example"), ("origin", "http://evil.example")]),
        (403, "forbidden_host".into())
    );
    assert_eq!(post(&[("origin", &own)]).0, 202);
    assert_eq!(server.request("GET", "/", &[("host", "evil.example")], b"").error().1, "forbidden_host");
    let upgrade = [("origin", "https://evil.example"), ("connection", "upgrade"), ("upgrade", "websocket")];
    assert_eq!(server.request("GET", "/v1/ws", &upgrade, b"").error(), (403, "forbidden_origin".into()));
    for what in ["https://evil.example", "`evil.example`"] {
        let is_told = || server.log().lines().any(|line| line.contains("refused=") && line.contains(what));
        server.until(what, || is_told().then_some(()));
    }
}

#[test]
fn listed_origins_may_publish_and_read() {
    let server = Server::configured("[http]\nallowed_origins = [\"https://dash.example\"]\n");
    let origin = ("origin", "https://dash.example");
    let asked = [origin, ("access-control-request-method", "POST")];
    let preflight = server.request("OPTIONS", "/v1/topics/a", &asked, b"");
    assert_eq!(
        (preflight.status(), preflight.header("access-control-allow-origin")),
        (204, "https://dash.example")
    );
    let posted =
        server.request("POST", "/v1/topics/a", &[origin, ("content-type", "application/json")], b"{}");
    assert_eq!(
        (posted.status(), posted.header("access-control-allow-origin")),
        (202, "https://dash.example")
    );
}

#[test]
fn the_console_is_served_under_a_strict_policy() {
    let server = Server::start();
    let page = server.get("/");
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'"));
    assert!(page.text().contains("console/app.js"));
    let script = server.get("/console/app.js");
    assert!(script.header("content-type").starts_with("text/javascript"));
    let again = server.request("GET", "/console/app.js", &[("if-none-match", script.header("etag"))], b"");
    assert_eq!(again.status(), 304);
    assert_eq!(server.get("/console/wire.test.mjs").status(), 404);
}

#[test]
fn health_and_metrics_tell_how_it_is() {
    let server = Server::start();
    assert_eq!((server.get("/healthz").text(), server.get("/readyz").text()), ("alive\n", "ready\n"));
    server.post("/v1/topics/log", "text/plain", b"one");
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    for line in [
        r#"nyx_topic_messages_total{topic="log"} 1"#,
        r#"nyx_topic_subscribers{topic="log"} 0"#,
        r#"nyx_sessions{transport="ws"} 0"#,
        "nyx_resident_bytes ",
        "nyx_uptime_seconds ",
    ] {
        assert!(metrics.text().contains(line), "{line} in {}", metrics.text());
    }
}

#[test]
fn what_the_daemon_counts_is_on_the_page_of_metrics() {
    let server = Server::start();
    assert_eq!(server.get("/healthz").status(), 200);
    server.post("/v1/topics/log", "text/plain", b"one");
    let mut stream = Connection::open(server.http());
    stream.send("GET", "/v1/stream/log", &[], b"");
    stream.head();
    stream.body_until(|body| contains(body, &["retry: "]));
    server.post("/v1/topics/log", "text/plain", b"two");
    stream.body_until(|body| contains(body, &["data: two\n\n"]));
    let page = server.get("/metrics");
    let metrics = page.text();
    for line in [
        "# TYPE nyx_http_request_seconds histogram\n# UNIT nyx_http_request_seconds seconds\n",
        "nyx_http_request_seconds_bucket{route=\"health\",le=\"+Inf\"} 1\n",
        "nyx_http_request_seconds_count{route=\"topics\"} 2\n",
        "nyx_http_request_seconds_count{route=\"websocket\"} 0\n",
        "nyx_connections_accepted_total{transport=\"tcp\"} 0\n",
        "nyx_connections_refused_total{transport=\"http\"} 0\n",
        "# TYPE nyx_received_bytes counter\n# UNIT nyx_received_bytes bytes\n",
        "nyx_delivery_age_seconds_count 1\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    // Each family is told once, and nothing comes after the end.
    let mut families: Vec<_> = metrics.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let count = families.len();
    families.sort_unstable();
    families.dedup();
    assert_eq!(families.len(), count);
    assert!(metrics.ends_with("# EOF\n"));
}

#[test]
fn an_image_tag_follows_frames() {
    let server = Server::start();
    server.post("/v1/topics/camera", "image/jpeg", b"first");
    let mut stream = Connection::open(server.http());
    stream.send("GET", "/v1/stream/camera?max_age=30s", &[], b"");
    let head = stream.head();
    let boundary =
        head.header("content-type").unwrap().split_once("multipart/x-mixed-replace; boundary=").unwrap().1;
    let part = |body: &str| format!("content-length: {}\r\n", body.len());
    let ends = |body: &str| format!("\r\n\r\n{body}\r\n--{boundary}\r\n");
    // A part ends at once: a browser shows it then.
    stream.body_until(|body| contains(body, &[&part("first"), &ends("first")]));
    server.post("/v1/topics/camera", "image/jpeg", b"the second");
    stream.body_until(|body| {
        contains(
            body,
            &["content-type: image/jpeg", &part("the second"), "x-nyx-sequence: 1", &ends("the second")],
        )
    });
}

#[test]
fn an_event_source_follows_state() {
    let server = Server::start();
    server.post("/v1/topics/world", "application/json", br#"{"a":1}"#);
    let mut stream = Connection::open(server.http());
    stream.send("GET", "/v1/stream/world", &[], b"");
    assert_eq!(stream.head().header("content-type"), Some("text/event-stream"));
    stream.body_until(|body| contains(body, &["event: state\nid: 1\ndata: {\"a\":1}\n\n"]));
    server.request("PATCH", "/v1/topics/world", &[("content-type", "application/json")], br#"{"b":[2]}"#);
    stream.body_until(|body| contains(body, &["event: state\nid: 2\ndata: {\"a\":1,\"b\":[2]}\n\n"]));
}

#[test]
fn an_event_source_goes_on_where_it_was() {
    let server = Server::start();
    server.post("/v1/topics/log", "text/plain", b"one");
    let mut stream = Connection::open(server.http());
    stream.send("GET", "/v1/stream/log", &[], b"");
    stream.head();
    stream.body_until(|body| contains(body, &["retry: "]));
    server.post("/v1/topics/log", "text/plain", b"two\nlines");
    let seen = stream.body_until(|body| contains(body, &["event: message\n", "data: two\ndata: lines\n\n"]));
    let id = seen.split_once("id: ").unwrap().1.split_once('\n').unwrap().0.to_owned();
    drop(stream);
    server.post("/v1/topics/log", "application/json", b"3");
    server.post("/v1/topics/log", "application/octet-stream", b"\xff");
    let mut again = Connection::open(server.http());
    again.send("GET", "/v1/stream/log", &[("last-event-id", &id)], b"");
    again.head();
    let seen = again.body_until(|body| contains(body, &["data: 3\n\n", "event: binary\n", "data: /w==\n\n"]));
    assert!(!seen.contains("two"), "{seen}");
}

#[test]
fn each_line_of_a_body_has_its_own_result() {
    let server = Server::start();
    let lines = |body: &str| server.post("/v1/topics/orders", "application/x-ndjson", body.as_bytes());
    let all = lines("{\"id\":1}\n{\"id\":2}\n\n{\"id\":3}");
    assert_eq!((all.status(), &all.json()["accepted"]), (202, &json!(3)));
    assert_eq!(all.json()["results"], json!([{ "sequence": 0 }, { "sequence": 1 }, { "sequence": 2 }]));
    let some = lines("[4]\nnonsense\r\n[5]\r\n");
    assert_eq!((some.status(), &some.json()["refused"]), (207, &json!(1)));
    let results = some.json()["results"].clone();
    assert_eq!((&results[0], &results[2]), (&json!({ "sequence": 3 }), &json!({ "sequence": 4 })));
    assert_eq!(results[1]["error"]["code"], "bad_json");
    assert_eq!(server.get("/v1/topics/orders").json(), json!([5]));
    assert_eq!(lines(" \n\n").error(), (400, "bad_request".into()));
    assert_eq!(lines(&"1\n".repeat(10_001)).error(), (413, "too_large".into()));
    server.post("/v1/topics/state", "application/json", b"{}");
    let state = server.post("/v1/topics/state", "application/x-ndjson", b"{}");
    assert_eq!(state.error(), (409, "kind_mismatch".into()));
}

#[test]
fn lines_over_a_quota_are_refused_one_by_one() {
    let server = Server::configured("[limits]\npublish_messages = \"1/min burst 3\"\n");
    let answer = server.post("/v1/topics/a", "application/x-ndjson", b"1\n2\n3\n4\n5\n");
    assert_eq!((answer.status(), &answer.json()["accepted"]), (207, &json!(3)));
    assert_eq!(answer.json()["results"][4]["error"]["code"], "rate_limited");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 1);
}

#[test]
fn a_head_that_drips_is_cut_off_and_nobody_else_notices() {
    let server = Server::configured("[limits]\nhandshake = \"200ms\"\n");
    let mut heads: Vec<_> = (0..20).map(|_| Connection::open(server.http())).collect();
    heads.iter_mut().for_each(|slow| slow.write(b"GET / HTTP/1.1\r\nx-slow: "));
    let mut body = Connection::open(server.http());
    body.send(
        "POST",
        "/v1/topics/a",
        &[("content-type", "text/plain"), ("content-length", "100")],
        b"ten bytes.",
    );
    assert_eq!(server.get("/healthz").status(), 200);
    assert_eq!(body.response().error(), (408, "timeout".into()));
    heads.iter_mut().for_each(|slow| drop(slow.rest()));
}

#[test]
fn garbage_is_answered_with_400() {
    let server = Server::start();
    let mut garbage = Connection::open(server.http());
    garbage.write(b"\x00\x01\x02 not http at all\r\n\r\n");
    garbage.finish();
    assert!(garbage.rest().starts_with(b"HTTP/1.1 400"));
    assert_eq!(server.get("/healthz").status(), 200);
}
