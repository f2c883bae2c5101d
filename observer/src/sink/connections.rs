//! Sockets in CLOSE_WAIT as one JSON object.
//!
//! Takes what the last census found and a query; gives the page at `/api/v1/connections`, or a
//! sentence that says what would be accepted.

use std::time::Duration;

use serde::Serialize;

use super::board::Survey;
use super::json::SCHEMA;
use super::leaks::json::Socket;
use super::paging::{Paging, parts};
use crate::settings;

/// Connections on a page unless told otherwise, and at most.
const LIMIT: usize = 100;

#[derive(Debug, Serialize)]
struct Page {
    schema: u32,
    /// When the census was over.
    taken_at: String,
    complete: bool,
    state: &'static str,
    /// In that state, however young.
    count: usize,
    /// Of those, how many are old enough.
    matched: usize,
    offset: usize,
    connections: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    netns: u32,
    #[serde(flatten)]
    socket: Socket,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    older_than: Duration,
    paging: Paging,
}

impl Query {
    /// Reads `state=close_wait&older-than=60s&limit=100&offset=0`; each may be left out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut query = Self {
            older_than: Duration::ZERO,
            paging: Paging::first(LIMIT),
        };
        for (key, value) in parts(text) {
            match key {
                "state" if value == "close_wait" => {}
                "state" => return Err(format!("state={value}: expected close_wait")),
                "older-than" => {
                    let span = settings::duration(value);
                    query.older_than = span.map_err(|why| format!("older-than={value}: {why}"))?;
                }
                _ if query.paging.read(key, value)? => {}
                _ => {
                    return Err(format!(
                        "{key}: expected state, older-than, limit or offset"
                    ));
                }
            }
        }
        Ok(query)
    }
}

/// The page, line end included.
pub fn page(survey: &Survey, query: Query) -> serde_json::Result<String> {
    let old_enough = survey
        .listed
        .partition_point(|it| it.age.time >= query.older_than);
    let matched = survey.listed.iter().take(old_enough);
    let some = query.paging.of(matched);
    let page = Page {
        schema: SCHEMA,
        taken_at: survey.at.to_string(),
        complete: survey.missing.is_empty() && survey.close_wait == survey.listed.len(),
        state: "close_wait",
        count: survey.close_wait,
        matched: survey.ages.partition_point(|age| *age >= query.older_than),
        offset: query.paging.offset,
        connections: some
            .map(|it| Line {
                netns: it.netns,
                socket: Socket::new(it),
            })
            .collect(),
    };
    Ok(serde_json::to_string_pretty(&page)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_are_old_enough_are_counted_however_few_are_listed() {
        let survey = Survey {
            close_wait: 3,
            ages: [90, 60, 5].map(Duration::from_secs).to_vec(),
            ..Survey::empty()
        };
        let text = page(&survey, Query::parse("older-than=60s").unwrap()).unwrap();
        let page: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&page["count"], &page["matched"]), (&3.into(), &2.into()));
    }

    #[test]
    fn a_query_is_read_and_a_wrong_one_is_answered_with_what_would_do() {
        let asked = Query::parse("state=close_wait&older-than=1m&limit=7&offset=3");
        let asked = asked.map(|it| (it.older_than, it.paging.offset));
        assert_eq!(asked, Ok((Duration::from_mins(1), 3)));
        for (text, hint) in [
            ("state=established", "close_wait"),
            ("older-than=60", "unit"),
            ("limit=x", "number"),
            ("port=80", "older-than"),
        ] {
            let error = Query::parse(text).unwrap_err();
            assert!(error.contains(hint), "{error}");
        }
    }
}
