//! Sockets in FIN_WAIT2 that a process holds.

use serde::Serialize;

use super::shared::{For, Socket};
use crate::detect;
use crate::detect::Age;
use crate::sink::leaks::json::HeldBy;
use crate::sink::leaks::{connections, owner, service, text};

/// `FIN_WAIT2 stall: curl holds 2 connections to 192.0.2.7:80 that it has shut down, ...`
pub(super) fn title(half: &detect::HalfClosed) -> String {
    let (owner, service) = (owner(&half.owner), service(half.service));
    let (connections, oldest) = (connections(half.count), text::age(half.oldest));
    format!(
        "FIN_WAIT2 stall: {owner} has shut down and not closed {connections} {service}, the \
         oldest for {oldest}; the peer has not closed"
    )
}

#[derive(Debug, Serialize)]
pub(super) struct HalfClosed<'a> {
    id: &'a str,
    netns: u32,
    comm: Option<&'a str>,
    unit: Option<String>,
    container: Option<String>,
    pod: Option<String>,
    #[serde(flatten)]
    service: For,
    count: usize,
    oldest: Age,
    unread_bytes: u64,
    #[serde(flatten)]
    held: HeldBy<'a>,
    sockets: Vec<Socket>,
    remedy: &'static str,
}

impl<'a> HalfClosed<'a> {
    pub(super) fn new(id: &'a str, half: &'a detect::HalfClosed) -> Self {
        let workload = half.owner.workload();
        Self {
            id,
            netns: half.netns,
            comm: half.owner.comm(),
            unit: workload.unit,
            container: workload.container,
            pod: workload.pod,
            service: For::new(half.service),
            count: half.count,
            oldest: half.oldest,
            unread_bytes: half.unread,
            held: HeldBy::new(&half.holders),
            sockets: half.sockets.iter().map(Socket::new).collect(),
            remedy: half.remedy(),
        }
    }
}
