//! Pages of `docs/` are held to the program: every setting stands in CONFIG, and every limit with metrics that there are; every metric in METRICS;
//! every code of an error in HTTP; every command in the README of the daemon.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use common::guarded::{Guarded, NYX};

const PAGE: &str = include_str!("../../../docs/CONFIG.md");
const METRICS: &str = include_str!("../../../docs/METRICS.md");
const HTTP: &str = include_str!("../../../docs/HTTP.md");
const README: &str = include_str!("../README.md");
const DEFAULTS: &str = include_str!("../nyx.toml");

/// The settings of the printed defaults, those that are commented out included, as `section.key`.
fn settings() -> BTreeSet<String> {
    let mut section = String::new();
    let mut settings = BTreeSet::new();
    for line in DEFAULTS.lines() {
        let line = line.trim_start_matches("# ");
        if let Some((name, _)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            section = name.trim_start_matches('[').to_owned();
            continue;
        }
        let key = line.split_once(" = ").map(|(key, _)| key);
        let is_key = |key: &&str| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if let Some(key) = key.filter(is_key) {
            settings.insert(format!("{section}.{key}"));
        }
    }
    settings
}

/// What stands between backticks in the page.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_setting_stands_in_the_page() {
    let (settings, quoted) = (settings(), quoted(PAGE));
    assert!(settings.len() > 40 && settings.contains("auth.jwt.key") && settings.contains("tls.client_ca"));
    let missing: Vec<_> = settings.iter().filter(|setting| !quoted.contains(&setting[..])).collect();
    assert!(missing.is_empty(), "docs/CONFIG.md says nothing of {missing:?}");
    let sections: BTreeSet<_> =
        settings.iter().filter_map(|setting| setting.split_once('.')).map(|(s, _)| s).collect();
    let is_setting = |text: &&&str| {
        text.split_once('.').is_some_and(|(section, key)| sections.contains(section) && !key.contains(' '))
    };
    let gone: Vec<_> = quoted
        .iter()
        .filter(is_setting)
        .filter(|text| !settings.contains(**text) && **text != "topic.name")
        .collect();
    assert!(gone.is_empty(), "docs/CONFIG.md tells of {gone:?}, which there are not");
}

/// What `/metrics` says of a hub with tokens, datagrams and a service to forward to.
fn metrics() -> String {
    let more = "[listen]\nudp = \"127.0.0.1:0\"\n[[forward]]\ntopics = \"a\"\nto = \"tcp://127.0.0.1:9\"\n";
    let hub = Guarded::start(more);
    let minted = hub.mint(&["--all"]);
    // Some are there when there is something to count.
    assert_eq!(hub.post("a", &minted.token).status(), 202);
    let serve = ["reply", "s", "--exec", "cat"];
    let mut server = nyx(&hub, &minted.token, &serve).stderr(Stdio::piped()).spawn().unwrap();
    BufReader::new(server.stderr.take().unwrap()).read_line(&mut String::new()).unwrap();
    assert!(nyx(&hub, &minted.token, &["request", "s", "hello"]).status().unwrap().success());
    server.kill().unwrap();
    server.wait().unwrap();
    hub.get("/metrics", &minted.token).text().to_owned()
}

fn nyx(hub: &Guarded, token: &str, args: &[&str]) -> Command {
    let mut command = Command::new(NYX);
    let server = format!("nyx://{}", hub.server.native());
    command.args(args).env("NYX_SERVER", server).env("NYX_TOKEN", token).stdout(Stdio::null());
    command
}

/// The metrics that there are, without `_total`.
fn families(page: &str) -> BTreeSet<&str> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    // Those of TLS are on the same page where there is TLS.
    let of_tls = ["nyx_tls_failed", "nyx_certificate_reloads"];
    types.filter_map(|line| line.split(' ').next()).chain(of_tls).collect()
}

/// Without labels and `_total`.
fn family(metric: &str) -> &str {
    let name = metric.split('{').next().unwrap_or(metric);
    name.strip_suffix("_total").unwrap_or(name)
}

#[test]
fn every_limit_stands_with_a_metric_that_there_is() {
    let page = metrics();
    let known = families(&page);
    let rows = PAGE.lines().filter(|line| line.starts_with("| `limits."));
    let mut limits = 0;
    for row in rows {
        limits += 1;
        let metrics: Vec<_> = quoted(row).into_iter().filter(|text| text.starts_with("nyx_")).collect();
        assert!(!metrics.is_empty(), "no metric in: {row}");
        for metric in metrics {
            assert!(known.contains(family(metric)), "{metric} is not one of {known:?}");
        }
    }
    assert_eq!(limits, settings().iter().filter(|setting| setting.starts_with("limits.")).count());
}

#[test]
fn every_metric_and_every_code_of_an_error_stands_in_its_page() {
    let page = metrics();
    let told = quoted(METRICS).into_iter().filter(|text| text.starts_with("nyx_")).map(family).collect();
    assert_eq!(families(&page), told);
    let codes: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("nyx_http_refused_total{code=\"")?.split('"').next())
        .collect();
    assert!(codes.len() > 10, "{codes:?}");
    let (_, errors) = HTTP.split_once("## Errors").unwrap();
    let missing: Vec<_> = codes.iter().filter(|code| !quoted(errors).contains(*code)).collect();
    assert!(missing.is_empty(), "docs/HTTP.md says nothing of {missing:?}");
}

#[test]
fn every_command_stands_in_the_readme() {
    let help = Command::new(NYX).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let commands: Vec<_> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"serve"), "{commands:?}");
    let stands = |command: &&str| README.lines().any(|line| line.starts_with(&format!("nyx {command} ")));
    let missing: Vec<_> =
        commands.into_iter().filter(|command| *command != "help" && !stands(command)).collect();
    assert!(missing.is_empty(), "crates/daemon/README.md says nothing of {missing:?}");
}
