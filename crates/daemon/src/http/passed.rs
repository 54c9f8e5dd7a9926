//! Which hubs something has passed, as a header of what one forwards to another over HTTP: `x-nyx-passed`, numbers in hexadecimal digits with
//! commas between them.

use axum::http::header::{HeaderMap, HeaderName, HeaderValue};
use nyx_hub::Hub;
use nyx_protocol::trail::Trail;

use super::answer::{Code, Problem};

pub(crate) const NAME: HeaderName = HeaderName::from_static("x-nyx-passed");

/// The value of the header.
pub(crate) fn write(trail: &Trail) -> Option<HeaderValue> {
    let hubs: Vec<_> = trail.hubs().iter().map(|hub| format!("{hub:x}")).collect();
    HeaderValue::from_str(&hubs.join(",")).ok().filter(|_| !trail.is_empty())
}

/// What a request has passed, if it may come in.
pub(super) fn read(headers: &HeaderMap, hub: &Hub) -> Result<Trail, Problem> {
    let Some(value) = headers.get(NAME) else { return Ok(Trail::default()) };
    // One more than there may be: that is told as what it is.
    let hubs = value.to_str().ok().and_then(|text| {
        let hubs = text.split(',').take(Trail::HOPS_MAX + 1);
        hubs.map(|hub| u64::from_str_radix(hub.trim(), 16).ok()).collect::<Option<Vec<_>>>()
    });
    let Some(hubs) = hubs else {
        let text = "x-nyx-passed has numbers of hubs in hexadecimal digits, with commas between them";
        return Err(Problem::new(Code::BadRequest, text));
    };
    hub.trail(&hubs).map_err(|error| Problem::new(Code::Loop, error.to_string()))
}

#[cfg(test)]
mod tests {
    use nyx_hub::Config;

    use super::*;

    #[test]
    fn a_trail_is_read_as_it_was_written_unless_it_leads_home() {
        let hub = Hub::new(Config::default());
        let headers = |value: HeaderValue| HeaderMap::from_iter([(NAME, value)]);
        let trail = Trail::new(&[0, u64::MAX, 7]).unwrap();
        let written = write(&trail).unwrap();
        assert_eq!(written, "0,ffffffffffffffff,7");
        assert_eq!(read(&headers(written), &hub), Ok(trail.clone()));
        assert_eq!((write(&Trail::default()), read(&HeaderMap::new(), &hub)), (None, Ok(Trail::default())));
        let code = |value: &HeaderValue| read(&headers(value.clone()), &hub).unwrap_err().code;
        assert_eq!(code(&write(&trail.through(hub.id())).unwrap()), Code::Loop);
        let long = "1,".repeat(1000) + "2";
        assert_eq!(code(&HeaderValue::from_str(&long).unwrap()), Code::Loop);
        for bad in ["", ",", "1,,2", "g", "-1", "10000000000000000", "1 2"] {
            assert_eq!(code(&HeaderValue::from_static(bad)), Code::BadRequest, "{bad}");
        }
    }
}
