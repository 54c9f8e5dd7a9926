//! When a service says that it can be asked again (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// How long to wait, by `retry-after` in seconds or as a date. `None` where it says nothing, or nothing that can be read. A date is taken by the
/// service's own clock, if it tells what that is, and else by ours, which shows `unix_seconds`.
pub(super) fn read(headers: &HeaderMap, unix_seconds: u64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time, too.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let now = date(headers, DATE).unwrap_or_else(|| UNIX_EPOCH + Duration::from_secs(unix_seconds));
    // One that has passed means now.
    Some(at.duration_since(now).unwrap_or_default())
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// 6 November 1994, 08:49:37, the date of RFC 9110.
    const NOW: u64 = 784_111_777;

    fn told(retry_after: &[u8], date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_bytes(retry_after).ok()?);
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        read(&headers, NOW).map(|pause| pause.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        assert_eq!(told(b"120", None), Some(120));
        assert_eq!(told(b" 0 ", None), Some(0));
        assert_eq!(told(b"99999999999999999999999", None), Some(u64::MAX));
        assert_eq!(told(b"Sun, 06 Nov 1994 08:50:37 GMT", None), Some(60));
        assert_eq!(told(b"Sunday, 06-Nov-94 08:50:37 GMT", None), Some(60));
        assert_eq!(told(b"Sun Nov  6 08:50:37 1994", None), Some(60));
        assert_eq!(told(b"Sun, 06 Nov 1994 08:49:00 GMT", None), Some(0));
    }

    #[test]
    fn a_date_is_by_the_clock_of_the_service() {
        let an_hour_ahead = Some("Sun, 06 Nov 1994 09:49:37 GMT");
        assert_eq!(told(b"Sun, 06 Nov 1994 09:49:47 GMT", an_hour_ahead), Some(10));
        assert_eq!(told(b"Sun, 06 Nov 1994 08:49:47 GMT", Some("yesterday")), Some(10));
    }

    #[test]
    fn what_can_not_be_read_says_nothing() {
        for text in ["", "soon", "-1", "1.5", "1e3", "0x10", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(told(text.as_bytes(), None), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_left(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            told(&text, None);
        }

        #[test]
        fn every_number_of_seconds_is_that_number(seconds in any::<u64>()) {
            prop_assert_eq!(told(seconds.to_string().as_bytes(), None), Some(seconds));
        }
    }
}
