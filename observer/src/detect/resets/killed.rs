//! Connections that were established and reset, because the listener closed before anybody
//! accepted them (`inet_csk_listen_stop`).

use crate::detect::{Happening, Lately, Matter, Owner, Service};

use super::OVER;

/// What one listener left in its accept queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KilledInQueue {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// The port that it listened on.
    pub port: u16,
    /// Who closed it, if that was seen.
    pub comm: Option<String>,
    /// How many connections in the last minute.
    pub count: u64,
}

/// One is enough to be told: each is a client that was let in and thrown out.
pub(super) fn look(lately: &Lately) -> Vec<Matter> {
    let sums = lately.sums(Happening::ListenerClosed, OVER).into_iter();
    let killed = sums.filter_map(|(what, count)| {
        let Some(Service::Local(port)) = what.service else {
            return None;
        };
        Some(Matter::ListenerClosed(KilledInQueue {
            netns: what.netns,
            port,
            comm: what.comm.as_deref().map(str::to_owned),
            count,
        }))
    });
    killed.collect()
}

impl KilledInQueue {
    /// A part of a finding's id: the same for as long as process and port are.
    pub(in crate::detect) fn id(&self) -> String {
        let owner = self
            .comm
            .as_ref()
            .map_or(Owner::NotFound, |comm| Owner::Held {
                comm: comm.clone(),
                workload: crate::census::cgroup::Workload::default(),
            });
        format!("{}/{}", owner.id(), Service::Local(self.port).id())
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        "the process closed its listener, or ended, with connections in the accept queue, and the \
         kernel reset them: hand the listening socket over at a restart (socket activation, or an \
         inherited descriptor), or accept until the queue is empty before it is closed; with \
         several SO_REUSEPORT listeners, net.ipv4.tcp_migrate_req=1 moves them to another"
    }
}
