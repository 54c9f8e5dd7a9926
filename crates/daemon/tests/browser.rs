//! The console in a real browser: headless Chromium, driven over the DevTools protocol.

mod common {
    pub(crate) mod camera;
    pub(crate) mod cdp;
    pub(crate) mod command;
    pub(crate) mod daemon;
    pub(crate) mod slow_link;
    pub(crate) mod video;
    pub(crate) mod wait;
}

#[path = "page/addresses.rs"]
mod addresses;
#[path = "page/blocks.rs"]
mod blocks;

use std::process::Stdio;

use common::camera::Tripod;
use common::cdp::Page;
use common::command::Running;
use common::daemon::{Daemon, NYX, PATIENCE, at, connect};
use common::slow_link::SlowLink;
use common::video::{Video, images_in};
use common::wait::{alone, within};
use nyx_client::publish::Options;
use nyx_client::{Client, Config, Item, Name, Pattern, Token, Value, subscribe};
use sha1::{Digest as _, Sha1};

const CONNECTED: &str = "document.body.dataset.connected === 'true'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_hub_says_how_to_publish_and_what_is_published_appears() {
    let _alone = alone().await;
    let daemon = Daemon::start();
    let mut page = open(&daemon).await;
    page.until("document.body.dataset.empty === 'true'", "the page knows that nothing is published").await;
    page.until("document.getElementById('empty').checkVisibility()", "there is help").await;
    let shown = page.eval("document.getElementById('empty').innerText").await;
    let shown = shown.as_str().expect("text");
    assert!(shown.contains("nyx pub"), "{shown}");
    assert!(shown.contains("curl -X POST") && shown.contains(&daemon.http.to_string()), "{shown}");

    let publisher = daemon.client("publisher").await;
    let world = publisher.state(name("game/state"), Options::default()).await.expect("the topic is accepted");
    world.set(Value::map([("hello", "world")])).await.expect("a value is taken");
    page.until(
        "document.querySelector('[data-topic=\"game/state\"]')?.checkVisibility()",
        "the topic appears",
    )
    .await;
    page.until("!document.getElementById('empty').checkVisibility()", "the help goes").await;
    no_errors(&mut page);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_moves() {
    let _alone = alone().await;
    let daemon = Daemon::demo();
    let mut page = open(&daemon).await;
    for topic in ["game/world", "demo/card", "demo/melody"] {
        let rate = format!(
            "parseFloat(document.querySelector('[data-topic=\"{topic}\"] [data-cell=rate]')?.innerText) > 5"
        );
        page.until(&rate, &format!("{topic} has a rate")).await;
    }

    // Frames: more of them, and other pixels.
    select(&mut page, "demo/card").await;
    let frames = "Number(document.querySelector('canvas[data-frames]')?.dataset.frames ?? 0)";
    page.until(&format!("{frames} > 0"), "the first frame").await;
    let first = pixels(&mut page).await;
    page.until(&format!("{frames} > 30"), "a second of frames").await;
    assert_ne!(pixels(&mut page).await, first, "the picture changes");

    // The document: what the page shows is what a client holds, at some moment of both.
    select(&mut page, "game/world").await;
    page.until("document.querySelectorAll('[data-path] [data-value]').length > 20", "the document").await;
    let text = "document.querySelector('#detail-content').innerText";
    let before = page.eval(text).await;
    page.until(&format!("{text} !== {before}"), "the document changes").await;

    // Sound: something to listen to.
    select(&mut page, "demo/melody").await;
    let buttons =
        "[...document.querySelectorAll('#detail-content button')].map((button) => button.innerText).join()";
    page.until(&format!("/listen/i.test({buttons})"), "a listen button").await;
    no_errors(&mut page);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_view_shows_what_a_client_holds() {
    let _alone = alone().await;
    let daemon = Daemon::start();
    let publisher = daemon.client("publisher").await;
    let world = publisher.state(name("world"), Options::default()).await.expect("the topic is accepted");
    let reader = daemon.client("reader").await;
    let mut held = subscribe_to(&reader, "world").await;
    let mut page = Page::open(&format!("http://{}/#topic/world", daemon.http)).await;
    for round in 0..20_i64 {
        let score = Value::map([("ada", round), ("bob", 99 - round)]);
        let mut entries =
            vec![("round", Value::from(round)), ("score", score), ("list", Value::list([round, 1, 2]))];
        // Comes and goes.
        entries.extend((round % 2 == 0).then(|| ("even", Value::from(true))));
        world.set(Value::map(entries)).await.expect("a value is taken");
        let shown =
            |path: &str| format!("document.querySelector('[data-path=\"{path}\"] [data-value]')?.innerText");
        page.until(&format!("{} === '{round}'", shown("score/ada")), "a nested value follows").await;
        page.until(&format!("{} === '{}'", shown("score/bob"), 99 - round), "its neighbour, too").await;
        let even = format!("({} !== undefined) === {}", shown("even"), round % 2 == 0);
        page.until(&even, "what is removed goes, what is added comes").await;
        let value = within(PATIENCE, "the client has it", async {
            loop {
                let Item::State(state) = held.recv().await.expect("the subscription goes on") else {
                    continue;
                };
                let value = held.document(&state.topic.name).expect("a document").value();
                if value.get("round").and_then(Value::as_i64) == Some(round) {
                    return value;
                }
            }
        });
        let value = value.await;
        assert_eq!(value.get("even").is_some(), round % 2 == 0);
        assert_eq!(
            value.get("score").and_then(|score| score.get("ada")).and_then(Value::as_i64),
            Some(round)
        );
    }
    no_errors(&mut page);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_signs_in_sees_what_it_may_and_signs_out() {
    let _alone = alone().await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let tokens = folder.path().join("tokens.toml");
    let mint = |reach: &[&str]| {
        let minted = std::process::Command::new(NYX)
            .args(["token", "mint", "--tokens", &tokens.display().to_string()])
            .args(reach)
            .output()
            .expect("the program starts");
        String::from_utf8(minted.stdout).expect("text").trim().to_owned()
    };
    let viewer = mint(&["--subscribe", "game/**", "--subscribe", "$nyx/**", "--name", "viewer"]);
    let writer = mint(&["--publish", "**"]);
    let daemon = Daemon::with_config(&format!("[auth]\ntokens = {tokens:?}\n"));
    let mut config = Config::default();
    config.token = Some(Token::new(writer));
    let publisher = Client::connect(daemon.native.into(), config).await.expect("the token is good");
    let world = publisher.state(name("game/state"), Options::default()).await.expect("the topic is accepted");
    world.set(Value::map([("hello", "world")])).await.expect("a value is taken");

    let mut page = Page::open(&format!("http://{}", daemon.http)).await;
    page.until("document.getElementById('login').open", "the page asks for a token").await;
    let enter = |token: &str| {
        format!(
            "document.getElementById('token').value = '{token}'; document.querySelector('#login-form button').click()"
        )
    };
    page.eval(&enter("wrong")).await;
    page.until("document.getElementById('login-error').checkVisibility()", "a wrong one is refused").await;
    page.eval(&enter(&viewer)).await;
    page.until(CONNECTED, "a good one lets in").await;
    page.until("!document.getElementById('login').open", "the form goes").await;
    page.until("document.querySelector('[data-topic=\"game/state\"]')?.checkVisibility()", "topics").await;
    assert_eq!(page.eval("document.cookie").await, "", "no script sees the token");
    assert_eq!(page.eval("fetch('/v1/topics/game/state').then((answer) => answer.status)").await, 200);
    page.eval("document.getElementById('logout').click()").await;
    page.until("document.getElementById('login')?.open === true", "it asks again").await;
}

/// ffmpeg, `nyx pub`, `nyx serve`, and at once `nyx sub`, the console, and a page that speaks the plain image protocol
/// and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_video_reaches_a_file_and_two_pages_as_it_was_made() {
    const FRAMES: u32 = 240;
    let _alone = alone().await;
    let daemon = Daemon::with_config(
        "[[topic]]\nname = \"camera\"\nkind = \"frame\"\ncontent_type = \"image/jpeg\"\n",
    );
    let directory = tempfile::tempdir().expect("a temporary directory");
    let files = directory.path().display().to_string();
    let mut page = Page::open(&format!("http://{}/#topic/camera", daemon.http)).await;
    page.until(CONNECTED, "the page is connected").await;
    page.eval(PLAIN_CLIENT).await;
    let subscriber = Running::nyx("sub", daemon.native, &["camera", "--frames", &files], Stdio::null());
    let three = |stats: &Value| at(stats, &["topics", "camera", "subscribers"]) == Some(&Value::from(3));
    daemon.stats("file, console and plain page are there", three).await;

    let (made, summary) = Video::publish(daemon.native, "camera", FRAMES).ended().await;
    let sent = summary["items"].as_u64().expect("a count");
    daemon.settled("camera", "nyx sub camera").await;
    subscriber.terminate();
    let lines = subscriber.succeeded().await;
    let received = images_in(directory.path());
    let missing: u64 = lines.iter().filter_map(|line| line["gap"]["missing"].as_u64()).sum();
    assert_eq!(sent, received.len() as u64 + missing, "in files: sent = delivered + dropped");
    let made: Vec<String> = made.iter().map(|image| hash(image)).collect();
    let of_files: Vec<String> = received.iter().map(|image| hash(image)).collect();
    let last = page
        .until(&format!("hashes.at(-1) === '{}' && hashes", made[made.len() - 1]), "the last frame")
        .await;
    let of_page: Vec<String> = serde_json::from_value(last).expect("hashes");
    let shown = page
        .until("Number(document.querySelector('canvas[data-frames]')?.dataset.frames)", "the console draws")
        .await;
    println!(
        "{sent} sent, {} in files, {} in the page, {shown} drawn by the console",
        of_files.len(),
        of_page.len()
    );
    for images in [&of_files, &of_page] {
        let mut made = made.iter();
        assert!(
            images.iter().all(|image| made.any(|made| made == image)),
            "what arrives is what was made, in order"
        );
        assert!(images.len() as u64 > sent / 2, "nothing is slow here");
    }
    no_errors(&mut page);
}

/// Collects the SHA-1 of each image.
const PLAIN_CLIENT: &str = "new Promise((open, failed) => {
    window.hashes = [];
    let work = Promise.resolve();
    const digits = (byte) => byte.toString(16).padStart(2, '0');
    const hex = (digest) => [...new Uint8Array(digest)].map(digits).join('');
    const socket = new WebSocket(`ws://${location.host}/ws/page?topic=camera`);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => open(true);
    socket.onerror = failed;
    socket.onmessage = ({ data }) => {
        if (new DataView(data).getUint32(12) !== data.byteLength - 16) hashes.push('a wrong length');
        work = work.then(async () => hashes.push(hex(await crypto.subtle.digest('SHA-1', data.slice(16)))));
    };
})";

fn hash(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drops_appear_when_a_throttled_subscriber_joins() {
    let _alone = alone().await;
    let daemon = Daemon::start();
    let link = SlowLink::to(daemon.native, Some("500kB/s"));
    let camera = Tripod::at(daemon.native, "camera").await.shoot(60, 46_000);
    let mut page = open(&daemon).await;
    page.until("document.querySelector('[data-topic=camera]')", "the topic").await;
    let drops = "parseInt(document.querySelector('[data-topic=camera] [data-cell=drops]').innerText)";
    assert_eq!(page.eval(drops).await, 0, "nobody is slow yet");

    let throttled = connect(link.address, "throttled").await;
    let mut frames = subscribe_to(&throttled, "camera").await;
    let reader = tokio::spawn(async move { while frames.recv().await.is_ok() {} });
    let row =
        "[...document.querySelectorAll('[data-session]')].find((row) => row.innerText.includes('throttled'))";
    page.until(
        &format!("parseInt({row}?.querySelector('[data-cell=drops]').innerText) > 0"),
        "it has lost some",
    )
    .await;
    page.until(
        &format!("{row}.querySelector('[data-cell=drops]').innerText.includes('conflated')"),
        "and why",
    )
    .await;
    page.until(&format!("{drops} > 0"), "the topic says so, too").await;
    reader.abort();
    camera.stop().await;
    no_errors(&mut page);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_usable_by_keyboard() {
    let _alone = alone().await;
    let daemon = Daemon::start();
    let publisher = daemon.client("publisher").await;
    let mut topics = Vec::new();
    for topic in ["a/one", "b/two", "c/three"] {
        let state = publisher.state(name(topic), Options::default()).await.expect("the topic is accepted");
        state.set(Value::map([("name", topic)])).await.expect("a value is taken");
        topics.push(state);
    }
    let mut page = open(&daemon).await;
    page.until("document.querySelectorAll('[data-topic]').length >= 3", "the topics").await;
    let focused = "document.activeElement.dataset.topic";
    page.press("t").await;
    let first = page.until(focused, "a topic has the focus").await;
    page.press("ArrowDown").await;
    let second = page.until(&format!("{focused} !== {first} && {focused}"), "the next one has it").await;
    page.press("ArrowUp").await;
    page.until(&format!("{focused} === {first}"), "the first has it again").await;
    page.press("ArrowDown").await;
    page.press("Enter").await;
    page.until("document.body.dataset.open === 'true'", "it opens").await;
    assert_eq!(page.eval("document.getElementById('detail-name').innerText").await, second);
    page.press("Escape").await;
    page.until(
        "document.body.dataset.open === 'false' && document.getElementById('detail').hidden",
        "it closes",
    )
    .await;
    page.until(&format!("{focused} === {second}"), "the focus is where it was").await;
    page.press("/").await;
    page.until("document.activeElement.id === 'filter'", "the filter has the focus").await;
    for key in ["t", "h", "r"] {
        page.press(key).await;
    }
    page.until(
        "[...document.querySelectorAll('[data-topic]')].map((row) => row.dataset.topic).join() === 'c/three'",
        "one is left",
    )
    .await;
    page.press("Escape").await;
    page.until("document.querySelectorAll('[data-topic]').length >= 3", "all are there again").await;
    no_errors(&mut page);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn narrow_and_wide_and_dark_it_fits() {
    let _alone = alone().await;
    let daemon = Daemon::demo();
    let mut page = open(&daemon).await;
    page.until("document.querySelectorAll('[data-topic]').length >= 3", "the topics").await;
    for (width, height) in [(400, 800), (1600, 1000)] {
        page.resize(width, height).await;
        for topic in [None, Some("game/world"), Some("demo/card"), Some("demo/melody")] {
            match topic {
                Some(topic) => select(&mut page, topic).await,
                None => drop(page.eval("location.hash = ''").await),
            }
            let over = page.eval("document.documentElement.scrollWidth - innerWidth").await;
            assert!(
                over.as_f64().is_some_and(|over| over <= 0.0),
                "{topic:?} scrolls sideways by {over} at {width} px"
            );
        }
        page.eval("location.hash = ''").await;
    }
    let colours = "['backgroundColor', 'color'].map((which) => getComputedStyle(document.body)[which])";
    let lightness = format!(
        "{colours}.map((colour) => {{
            const canvas = document.createElement('canvas').getContext('2d');
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            return canvas.getImageData(0, 0, 1, 1).data.slice(0, 3).reduce((a, b) => a + b);
        }})"
    );
    for (scheme, is_dark) in [("light", false), ("dark", true)] {
        page.prefer(scheme).await;
        let shown = page.eval(&lightness).await;
        let [background, text] = [0, 1].map(|at| shown[at].as_f64().expect("a lightness"));
        assert_eq!(background < text, is_dark, "{scheme}: {shown}");
        assert!((background - text).abs() > 300.0, "{scheme}: text is readable: {shown}");
    }
    no_errors(&mut page);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_comes_back_after_the_daemon() {
    let _alone = alone().await;
    let mut daemon = Daemon::start();
    let publisher = daemon.client("publisher").await;
    let world = publisher.state(name("world"), Options::default()).await.expect("the topic is accepted");
    world.set(Value::map([("n", 1)])).await.expect("a value is taken");
    let mut page = Page::open(&format!("http://{}/#topic/world", daemon.http)).await;
    let shown = "document.querySelector('[data-path=\"n\"] [data-value]')?.innerText";
    page.until(&format!("{shown} === '1'"), "the value").await;
    no_errors(&mut page);

    daemon.kill();
    page.until("document.body.dataset.connected === 'false'", "the page notices").await;
    page.until("/disconnected/i.test(document.getElementById('connection-text').innerText)", "and says so")
        .await;
    world.set(Value::map([("n", 2)])).await.expect("a value is taken without a connection");
    daemon.restart();
    page.until(CONNECTED, "the page is back").await;
    page.until(&format!("{shown} === '2'"), "with what is new").await;
    // That it could not connect is no error of the page.
    let own: Vec<_> = page
        .take_errors()
        .into_iter()
        .filter(|error| {
            !error.contains("\"source\":\"network\"") && !error.contains("WebSocket connection to")
        })
        .collect();
    assert!(own.is_empty(), "{own:#?}");
}

async fn open(daemon: &Daemon) -> Page {
    let mut page = Page::open(&format!("http://{}/", daemon.http)).await;
    page.until(CONNECTED, "the page is connected").await;
    page
}

async fn select(page: &mut Page, topic: &str) {
    page.eval(&format!("location.hash = '#topic/{topic}'")).await;
    page.until(&format!("document.getElementById('detail-name').innerText === '{topic}'"), "the topic opens")
        .await;
}

/// The picture in the frame view, as text.
async fn pixels(page: &mut Page) -> serde_json::Value {
    page.until("document.querySelector('canvas[data-frames]').toDataURL()", "pixels").await
}

fn no_errors(page: &mut Page) {
    let errors = page.take_errors();
    assert!(errors.is_empty(), "the page logged errors: {errors:#?}");
}

async fn subscribe_to(client: &Client, pattern: &str) -> nyx_client::Subscription {
    let pattern = Pattern::new(pattern).expect("a pattern");
    client.subscribe(pattern, subscribe::Options::default()).await.expect("the subscription is accepted")
}

fn name(name: &str) -> Name {
    Name::new(name).expect("a topic")
}
