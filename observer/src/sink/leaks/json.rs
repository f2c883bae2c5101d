//! Leaks as one JSON object. A key is never missing: what is not known is null.

use serde::Serialize;

use super::Report;
use crate::census::Holder;
use crate::detect::{Age, CloseWait, Leak, Matter, Service};
use crate::event::Task;
use crate::sink::json::SCHEMA;

/// The object.
#[derive(Debug, Serialize)]
struct Page<'a> {
    schema: u32,
    taken_at: String,
    after_seconds: f64,
    close_wait: u64,
    leaked: usize,
    complete: bool,
    not_seen: &'a [String],
    leaks: Vec<One<'a>>,
}

#[derive(Debug, Serialize)]
pub(in crate::sink) struct One<'a> {
    id: String,
    netns: u32,
    comm: Option<&'a str>,
    unit: Option<String>,
    container: Option<String>,
    pod: Option<String>,
    local_port: Option<u16>,
    remote: Option<String>,
    accepted: bool,
    count: usize,
    oldest: Age,
    unread_bytes: u64,
    unacked_bytes: u64,
    not_read_to_end: usize,
    #[serde(flatten)]
    held: HeldBy<'a>,
    sockets: Vec<Socket>,
    remedy: &'static str,
}

/// Holders told one by one; all are counted.
const MOST_HOLDERS: usize = 64;

/// Whoever holds any of the sockets.
#[derive(Debug, Serialize)]
pub(in crate::sink) struct HeldBy<'a> {
    holders: Vec<Held<'a>>,
    holder_count: usize,
}

#[derive(Debug, Serialize)]
struct Held<'a> {
    pid: u32,
    comm: &'a str,
    uid: u32,
    fds: &'a [u32],
    fd_count: usize,
}

#[derive(Debug, Serialize)]
pub(in crate::sink) struct Socket {
    local: String,
    peer: String,
    cookie: u64,
    inode: u32,
    age: Age,
    opened_by: Option<By>,
    unread_bytes: u32,
    unacked_bytes: u32,
    read_to_end: bool,
}

#[derive(Debug, Serialize)]
pub(in crate::sink) struct By {
    pid: u32,
    comm: String,
}

impl By {
    pub(in crate::sink) fn new(task: &Task) -> Self {
        Self {
            pid: task.pid,
            comm: task.comm.to_string(),
        }
    }
}

/// The whole report, line end included.
pub fn write(report: &Report<'_>) -> serde_json::Result<String> {
    let page = Page {
        schema: SCHEMA,
        taken_at: report.taken_at.to_string(),
        after_seconds: report.after.as_secs_f64(),
        close_wait: report.close_wait,
        leaked: report.leaked(),
        complete: report.missing.is_empty(),
        not_seen: report.missing,
        leaks: report.leaks.iter().map(One::new).collect(),
    };
    Ok(serde_json::to_string_pretty(&page)? + "\n")
}

/// The local port of what is served here, or the address of what is served elsewhere.
pub(in crate::sink) fn port_or_remote(service: Service) -> (Option<u16>, Option<String>) {
    match service {
        Service::Local(port) => (Some(port), None),
        Service::Remote(peer) => (None, Some(peer.to_string())),
        Service::ManyRemotes => (None, None),
    }
}

impl<'a> One<'a> {
    pub(in crate::sink) fn new(leak: &'a Leak) -> Self {
        let workload = leak.owner.workload();
        let (local_port, remote) = port_or_remote(leak.service);
        Self {
            id: Matter::CloseWaitLeak(leak.clone()).id(),
            netns: leak.netns,
            comm: leak.owner.comm(),
            unit: workload.unit,
            container: workload.container,
            pod: workload.pod,
            local_port,
            remote,
            accepted: leak.accepted,
            count: leak.count,
            oldest: leak.oldest,
            unread_bytes: leak.unread,
            unacked_bytes: leak.unacked,
            not_read_to_end: leak.not_read_to_end,
            held: HeldBy::new(&leak.holders),
            sockets: leak.sockets.iter().map(Socket::new).collect(),
            remedy: leak.remedy(),
        }
    }
}

impl<'a> HeldBy<'a> {
    pub(in crate::sink) fn new(holders: &'a [Holder]) -> Self {
        let some = holders.iter().take(MOST_HOLDERS);
        Self {
            holders: some.map(Held::new).collect(),
            holder_count: holders.len(),
        }
    }
}

impl<'a> Held<'a> {
    fn new(holder: &'a Holder) -> Self {
        Self {
            pid: holder.process.pid,
            comm: &holder.process.comm,
            uid: holder.process.uid,
            fds: &holder.fds,
            fd_count: holder.count,
        }
    }
}

impl Socket {
    pub(in crate::sink) fn new(socket: &CloseWait) -> Self {
        let seen = &socket.seen;
        Self {
            local: seen.ends.local.to_string(),
            peer: seen.ends.peer.to_string(),
            cookie: seen.cookie,
            inode: seen.inode,
            age: socket.age,
            opened_by: socket.opened_by.as_ref().map(By::new),
            unread_bytes: seen.unread(),
            unacked_bytes: seen.send_queue,
            read_to_end: seen.has_read_to_end(),
        }
    }
}
