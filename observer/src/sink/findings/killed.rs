//! Connections that a closing listener reset.

use serde::Serialize;

use crate::detect;
use crate::sink::page::printable;

/// `accept queue: nginx closed its listener at local port 80 and so reset 7 connections`
pub(super) fn title(killed: &detect::KilledInQueue) -> String {
    let comm = killed.comm.as_deref();
    let who = comm.map_or_else(|| "somebody".to_owned(), printable);
    let (count, port) = (killed.count, killed.port);
    format!(
        "accept queue: {who} closed the listener at local port {port} with {count} connections \
         that nobody had accepted, and they were reset"
    )
}

#[derive(Debug, Serialize)]
pub(super) struct Killed<'a> {
    id: &'a str,
    netns: u32,
    comm: Option<&'a str>,
    local_port: u16,
    count: u64,
    remedy: &'static str,
}

impl<'a> Killed<'a> {
    pub(super) fn new(id: &'a str, killed: &'a detect::KilledInQueue) -> Self {
        Self {
            id,
            netns: killed.netns,
            comm: killed.comm.as_deref(),
            local_port: killed.port,
            count: killed.count,
            remedy: killed.remedy(),
        }
    }
}
