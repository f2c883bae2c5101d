//! A small host for the tests of detection.

use std::time::Duration;

use crate::census::{Census, Looked, Seen, Sysctls, Tally, TwReuse};
use crate::event::{Ends, SockId, State, Timestamp};
use crate::track::{Origin, Standing};

/// Its one network namespace.
pub(super) const NETNS: u32 = 4_026_531_833;

/// The kernel's defaults.
pub(super) const SYSCTLS: Sysctls = Sysctls {
    ephemeral: 32_768..=60_999,
    reserved: Vec::new(),
    tw_reuse: TwReuse::LoopbackOnly,
    tw_reuse_delay: Duration::from_secs(1),
    max_tw_buckets: u64::MAX,
};

pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp(seconds * 1_000_000_000)
}

pub(super) fn ends() -> Ends {
    Ends {
        local: "192.0.2.1:8080".parse().unwrap(),
        peer: "192.0.2.7:50000".parse().unwrap(),
    }
}

/// A full socket of which nothing more is known.
pub(super) fn seen(state: State, cookie: u64) -> Seen {
    Seen {
        state,
        ends: ends(),
        cookie,
        inode: 7,
        uid: 0,
        receive_queue: 0,
        send_queue: 0,
        probes_window: false,
        minisock: None,
        cgroup: None,
        quiet: None,
    }
}

/// All of its sockets at one time.
pub(super) fn census(now: Timestamp, sockets: &[Seen], sysctls: &Sysctls) -> Census {
    let mut tally = Tally::after(0);
    for seen in sockets {
        tally.add(*seen, sysctls);
    }
    let looked = Looked {
        path: "/proc/1/ns/net".into(),
        from: now,
        to: now,
        cpu: Duration::ZERO,
        tally,
        sysctls: sysctls.clone(),
        orphans: None,
        overflows: Some(0),
    };
    Census {
        namespaces: [(NETNS, looked)].into(),
        ..Census::default()
    }
}

/// What the tracker knows of the socket: it has been in CLOSE_WAIT since then.
pub(super) fn standing(since: Timestamp) -> Standing {
    Standing {
        sock: SockId(1),
        first_at: at(1),
        netns: NETNS,
        ends: ends(),
        cookie: None,
        state: State::CloseWait,
        since,
        origin: Origin::Unseen,
        opened_by: None,
        closed_by: None,
        opening: None,
    }
}
