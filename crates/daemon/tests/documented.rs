//! `docs/CONFIG.md` is held to the program: every setting stands there, and every limit with metrics that there are.

mod common;

use std::collections::BTreeSet;

use common::Server;

const PAGE: &str = include_str!("../../../docs/CONFIG.md");
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

#[test]
fn every_limit_stands_with_a_metric_that_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("hub.toml");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.path().join("hub.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("hub.key"), key.serialize_pem()).unwrap();
    std::fs::write(&config, "").unwrap();
    // Metrics of TLS are there with TLS alone; their page is the same function.
    let plain = Server::start_with(&["--config", config.to_str().unwrap()]);
    let page = plain.get("/metrics");
    let known: BTreeSet<_> = page
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let is_known = |metric: &str| {
        let family = metric.split('{').next().unwrap_or(metric);
        let only_with_tls = ["nyx_tls_failed", "nyx_certificate_reloads"];
        let family = family.strip_suffix("_total").unwrap_or(family);
        known.contains(family) || only_with_tls.contains(&family)
    };
    let rows = PAGE.lines().filter(|line| line.starts_with("| `limits."));
    let mut limits = 0;
    for row in rows {
        limits += 1;
        let metrics: Vec<_> = quoted(row).into_iter().filter(|text| text.starts_with("nyx_")).collect();
        assert!(!metrics.is_empty(), "no metric in: {row}");
        for metric in metrics {
            assert!(is_known(metric), "{metric} is not one of {known:?}");
        }
    }
    assert_eq!(limits, settings().iter().filter(|setting| setting.starts_with("limits.")).count());
}
