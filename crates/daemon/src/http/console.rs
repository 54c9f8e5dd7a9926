//! The console: one page and its files, which are part of the program.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};

use super::answer::{self, Code, Problem};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($name:literal: $content_type:expr),* $(,)?) => {
        &[$(($name, $content_type, include_str!(concat!("../../console/", $name)))),*]
    };
}

/// Name, content type and content.
const FILES: &[(&str, &str, &str)] = files! {
    "index.html": HTML,
    "style.css": CSS,
    "icon.svg": SVG,
    "app.js": JS,
    "audio.js": JS,
    "bits.js": JS,
    "block.js": JS,
    "bytes.js": JS,
    "charts.js": JS,
    "compression.js": JS,
    "control.js": JS,
    "crc32.js": JS,
    "detail.js": JS,
    "dictionary.js": JS,
    "document.js": JS,
    "events.js": JS,
    "format.js": JS,
    "frame.js": JS,
    "fse.js": JS,
    "huffman.js": JS,
    "item.js": JS,
    "linear.js": JS,
    "literals.js": JS,
    "login.js": JS,
    "numbers.js": JS,
    "opus.js": JS,
    "sequences.js": JS,
    "session.js": JS,
    "states.js": JS,
    "tables.js": JS,
    "tree.js": JS,
    "unpacking.js": JS,
    "wire.js": JS,
    "zstd.js": JS,
};

/// Nothing inline, nothing from elsewhere, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static TAGS: LazyLock<Vec<String>> =
    LazyLock::new(|| FILES.iter().map(|(_, _, content)| tag(content)).collect());

pub(super) async fn page(headers: HeaderMap) -> Result<Response<Body>, Problem> {
    serve("index.html", &headers)
}

pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response<Body>, Problem> {
    serve(&name, &headers)
}

fn serve(name: &str, headers: &HeaderMap) -> Result<Response<Body>, Problem> {
    let found = FILES.iter().zip(&*TAGS).find(|((file, ..), _)| *file == name);
    let Some((&(_, content_type, content), tag)) = found else {
        return Err(Problem::new(Code::NotFound, format!("the console has no file `{name}`: open /")));
    };
    let known = answer::is_known(headers, tag);
    let mut response = Response::new(if known { Body::empty() } else { Body::from(content) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // The files may have changed with the program: ask each time, transfer when they did.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    answer::no_sniffing(headers);
    Ok(response)
}

/// FNV-1a: it tells versions of a file apart, and guards against nobody.
fn tag(content: &str) -> String {
    let hash = content.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("\"{hash:016x}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_console_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/console");
        let mut present: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".test.mjs"))
            .collect();
        let mut served: Vec<_> = FILES.iter().map(|(name, ..)| (*name).to_owned()).collect();
        present.sort_unstable();
        served.sort_unstable();
        assert_eq!(served, present);
    }

    #[test]
    fn a_file_that_the_browser_has_is_not_sent_again() {
        let first = serve("app.js", &HeaderMap::new()).unwrap();
        let tag = first.headers()[header::ETAG].clone();
        let known = HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]);
        assert_eq!(serve("app.js", &known).unwrap().status(), StatusCode::NOT_MODIFIED);
        assert_eq!(serve("style.css", &known).unwrap().status(), StatusCode::OK);
    }
}
