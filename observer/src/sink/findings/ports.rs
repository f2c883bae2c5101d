//! A client that runs out of local ports for a destination.

use serde::Serialize;

use super::buildup;
use crate::census::process::Process;
use crate::detect::Headroom;
use crate::sink::page::printable;

/// `port exhaustion: 9 of 100 local ports left from 192.0.2.1 to 192.0.2.7:443; 80 in TIME_WAIT`
pub(super) fn title(headroom: &Headroom) -> String {
    let (left, all, time_wait) = (headroom.left(), headroom.all, headroom.ports.time_wait);
    let (source, peer) = (headroom.destination.source, headroom.destination.peer);
    let soon = headroom.exhausted_in.map_or_else(String::new, |time| {
        format!(", none in {} s at this rate", time.as_secs())
    });
    let failed = match headroom.failed {
        0 => String::new(),
        1 => "; a connect failed of late".to_owned(),
        failed => format!("; {failed} connects failed of late"),
    };
    let clients = match &headroom.holders[..] {
        [holder, ..] => format!(" by {}", printable(&holder.comm)),
        [] => buildup::names(" by ", &headroom.clients),
    };
    format!(
        "port exhaustion: {left} of {all} local ports left from {source} to {peer}{clients}{soon}; \
         {time_wait} in TIME_WAIT{failed}"
    )
}

/// Processes named that hold one of the connections.
const MOST_HOLDERS: usize = 64;

#[derive(Debug, Serialize)]
pub(super) struct Ports<'a> {
    id: String,
    netns: u32,
    source: String,
    remote: String,
    /// That the kernel can give to clients.
    #[serde(rename = "ports")]
    all: u32,
    left: u32,
    open: u32,
    time_wait: u32,
    exhausted_in_seconds: Option<f64>,
    failed_connects: u64,
    clients: &'a [Box<str>],
    /// Of one of the open connections.
    holders: Vec<Holder<'a>>,
    holder_count: usize,
    remedy: &'static str,
}

#[derive(Debug, Serialize)]
struct Holder<'a> {
    pid: u32,
    comm: &'a str,
}

impl<'a> Holder<'a> {
    fn new(process: &'a Process) -> Self {
        Self {
            pid: process.pid,
            comm: &process.comm,
        }
    }
}

impl<'a> Ports<'a> {
    pub(super) fn new(id: &str, headroom: &'a Headroom) -> Self {
        let some = headroom.holders.iter().take(MOST_HOLDERS);
        Self {
            id: id.to_owned(),
            netns: headroom.netns,
            source: headroom.destination.source.to_string(),
            remote: headroom.destination.peer.to_string(),
            all: headroom.all,
            left: headroom.left(),
            open: headroom.ports.open,
            time_wait: headroom.ports.time_wait,
            exhausted_in_seconds: headroom.exhausted_in.map(|time| time.as_secs_f64()),
            failed_connects: headroom.failed,
            clients: &headroom.clients,
            holders: some.map(Holder::new).collect(),
            holder_count: headroom.holders.len(),
            remedy: headroom.remedy(),
        }
    }
}
