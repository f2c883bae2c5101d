//! TIME_WAIT of the network namespaces with the most as one JSON object, finding or not.
//!
//! Takes what the last census found and a query; gives the page at `/api/v1/time-wait`, or a
//! sentence that says what would be accepted.

use serde::Serialize;

use super::board::Survey;
use super::findings::Population;
use super::json::SCHEMA;
use super::paging::Paging;

/// Namespaces on a page unless told otherwise, and at most.
const LIMIT: usize = 100;

#[derive(Debug, Serialize)]
struct Page {
    schema: u32,
    /// When the census was over.
    taken_at: String,
    complete: bool,
    /// Namespaces that have minisocks, or left some out of late; fewer may be told of.
    count: usize,
    offset: usize,
    /// Those with the most, the most first.
    namespaces: Vec<Population>,
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
        count: survey.with_minisocks,
        offset: paging.offset,
        namespaces: paging
            .of(survey.time_wait.iter())
            .map(Population::new)
            .collect(),
    };
    Ok(serde_json::to_string_pretty(&page)? + "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{asked, page};
    use crate::detect::{Buildup, Maker, Service};
    use crate::sink::board::Survey;

    fn of(netns: u32) -> Buildup {
        Buildup {
            netns,
            limit: 262_144,
            minisocks: 200_000,
            of_clients: 0,
            of_servers: 200_000,
            memory_bytes: Some(51_200_000),
            per_minute: Some(3000.0),
            overflows: 0,
            makers: vec![Maker {
                service: Service::Local(80),
                time_wait: 200_000,
                per_minute: Some(3000.0),
                closed_by: vec![("nginx".into(), 3000)],
            }],
        }
    }

    #[test]
    fn who_makes_time_wait_is_told_though_there_is_room() {
        let survey = Survey {
            with_minisocks: 3,
            time_wait: vec![of(1), of(2), of(3)],
            ..Survey::empty()
        };
        let text = page(&survey, asked("limit=1&offset=2").unwrap()).unwrap();
        let page: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&page["count"], &page["offset"]), (&json!(3), &json!(2)));
        let [one] = &page["namespaces"].as_array().unwrap()[..] else {
            panic!("{text}")
        };
        assert_eq!((&one["netns"], &one["limit"]), (&json!(3), &json!(262_144)));
        let closed_by = &one["services"][0]["closed_by"];
        assert_eq!(closed_by, &json!([{"name": "nginx", "count": 3000}]));
        let wrong = asked("port=80").unwrap_err();
        assert_eq!(wrong, "port: expected limit or offset");
    }
}
