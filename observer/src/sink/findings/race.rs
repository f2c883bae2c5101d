//! Requests that crossed the close of a server.

use serde::Serialize;

use super::shared::{Count, closers, counts};
use crate::detect;

/// `keep-alive race: 4 clients of local port 80 sent more just after it was closed`
pub(super) fn title(race: &detect::Race) -> String {
    let (count, port) = (race.count, race.port);
    let closers = closers(&race.closed_by);
    format!(
        "keep-alive race: {count} times in the last minute a client of local port {port} sent \
         more while the server closed, and was reset{closers}"
    )
}

#[derive(Debug, Serialize)]
pub(super) struct Race<'a> {
    id: &'a str,
    netns: u32,
    local_port: u16,
    count: u64,
    closed_by: Vec<Count>,
    remedy: &'static str,
}

impl<'a> Race<'a> {
    pub(super) fn new(id: &'a str, race: &detect::Race) -> Self {
        Self {
            id,
            netns: race.netns,
            local_port: race.port,
            count: race.count,
            closed_by: counts(&race.closed_by),
            remedy: race.remedy(),
        }
    }
}
