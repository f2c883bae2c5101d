//! Local ports of clients by destination as one JSON object, finding or not.
//!
//! Takes what the last census found and a query; gives the page at `/api/v1/ports`, or a sentence
//! that says what would be accepted.

use serde::Serialize;

use super::board::Survey;
use super::json::SCHEMA;
use super::paging::Paging;
use crate::detect::Headroom;

/// Destinations on a page unless told otherwise, and at most.
const LIMIT: usize = 100;

#[derive(Debug, Serialize)]
struct Page<'a> {
    schema: u32,
    /// When the census was over.
    taken_at: String,
    complete: bool,
    /// Destinations that have many ports in use; fewer may be told of.
    count: usize,
    offset: usize,
    /// Those with the highest share taken, that first.
    destinations: Vec<Line<'a>>,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    netns: u32,
    source: String,
    remote: String,
    /// That the kernel can give to clients.
    ports: u32,
    left: u32,
    taken_ratio: f64,
    open: u32,
    time_wait: u32,
    exhausted_in_seconds: Option<f64>,
    failed_connects: u64,
    clients: &'a [Box<str>],
}

/// Reads what is asked for: `limit=100&offset=0`; each may be left out.
pub fn asked(query: &str) -> Result<Paging, String> {
    Paging::alone(query, LIMIT)
}

/// The page, line end included.
pub fn page(survey: &Survey, paging: Paging) -> serde_json::Result<String> {
    let page = Page {
        schema: SCHEMA,
        taken_at: survey.at.to_string(),
        complete: survey.missing.is_empty(),
        count: survey.ports.count,
        offset: paging.offset,
        destinations: paging
            .of(survey.ports.fullest.iter())
            .map(Line::new)
            .collect(),
    };
    Ok(serde_json::to_string_pretty(&page)? + "\n")
}

impl<'a> Line<'a> {
    fn new(headroom: &'a Headroom) -> Self {
        Self {
            netns: headroom.netns,
            source: headroom.destination.source.to_string(),
            remote: headroom.destination.peer.to_string(),
            ports: headroom.all,
            left: headroom.left(),
            taken_ratio: headroom.share_taken(),
            open: headroom.ports.open,
            time_wait: headroom.ports.time_wait,
            exhausted_in_seconds: headroom.exhausted_in.map(|time| time.as_secs_f64()),
            failed_connects: headroom.failed,
            clients: &headroom.clients,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{asked, page};
    use crate::census::{Destination, Ports, TwReuse};
    use crate::detect::{Followed, Headroom};
    use crate::sink::board::Survey;

    fn to(peer: &str, open: u32) -> Headroom {
        Headroom {
            netns: 1,
            destination: Destination {
                source: "192.0.2.1".parse().unwrap(),
                peer: peer.parse().unwrap(),
            },
            all: 200,
            ports: Ports {
                open,
                time_wait: 7,
                ..Ports::default()
            },
            taken: open,
            exhausted_in: None,
            tw_reuse: TwReuse::Yes,
            failed: 0,
            clients: vec!["curl".into()],
            holders: Vec::new(),
        }
    }

    #[test]
    fn a_destination_is_told_with_what_is_left_though_it_has_enough() {
        let survey = Survey {
            ports: Followed {
                count: 9,
                fullest: vec![to("192.0.2.7:443", 50), to("[2001:db8::7]:80", 20)],
            },
            ..Survey::empty()
        };
        let text = page(&survey, asked("limit=1").unwrap()).unwrap();
        let page: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(page["count"], json!(9));
        let line = json!({
            "netns": 1,
            "source": "192.0.2.1",
            "remote": "192.0.2.7:443",
            "ports": 200,
            "left": 150,
            "taken_ratio": 0.25,
            "open": 50,
            "time_wait": 7,
            "exhausted_in_seconds": null,
            "failed_connects": 0,
            "clients": ["curl"],
        });
        assert_eq!(page["destinations"], json!([line]));
        let wrong = asked("port=80").unwrap_err();
        assert_eq!(wrong, "port: expected limit or offset");
    }
}
