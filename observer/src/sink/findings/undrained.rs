//! FINs of a service that the peers do not acknowledge.

use serde::Serialize;

use super::shared::{Count, For, Socket, closers, counts};
use crate::detect;
use crate::detect::Age;
use crate::sink::leaks::{connections, service, text};

/// `closing stall: 12 connections to local port 80 wait for their FIN to be acknowledged, ...`
pub(super) fn title(undrained: &detect::Undrained) -> String {
    let (service, oldest) = (service(undrained.service), text::age(undrained.oldest));
    let (connections, unacked) = (connections(undrained.count), undrained.unacked);
    let shut = match undrained.window_shut {
        0 => String::new(),
        count => format!(", {count} with a shut window"),
    };
    let closers = closers(&undrained.closed_by);
    format!(
        "closing stall: the peers of {connections} {service} acknowledge neither the FIN nor \
         {unacked} bytes before it{shut}, the oldest for {oldest}{closers}"
    )
}

#[derive(Debug, Serialize)]
pub(super) struct Undrained<'a> {
    id: &'a str,
    netns: u32,
    #[serde(flatten)]
    service: For,
    count: usize,
    orphans: usize,
    window_shut: usize,
    oldest: Age,
    unacked_bytes: u64,
    closed_by: Vec<Count>,
    peers: Vec<Count>,
    sockets: Vec<Socket>,
    remedy: &'static str,
}

impl<'a> Undrained<'a> {
    pub(super) fn new(id: &'a str, undrained: &detect::Undrained) -> Self {
        Self {
            id,
            netns: undrained.netns,
            service: For::new(undrained.service),
            count: undrained.count,
            orphans: undrained.orphans,
            window_shut: undrained.window_shut,
            oldest: undrained.oldest,
            unacked_bytes: undrained.unacked,
            closed_by: counts(&undrained.closed_by),
            peers: counts(&undrained.peers),
            sockets: undrained.sockets.iter().map(Socket::new).collect(),
            remedy: undrained.remedy(),
        }
    }
}
