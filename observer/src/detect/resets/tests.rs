//! What happened in the last minute, and what is made of it.

use std::time::Duration;

use super::resets;
use crate::census::Census;
use crate::classify::{Ending, Initiator, Phase, Role, Verdict};
use crate::detect::sample::at;
use crate::detect::{Findings, Lately, Matter, Recent, Service};
use crate::event::{Ends, Task};
use crate::sink::sample;

/// One agent, and what it was told so far.
struct Agent {
    lately: Lately,
    findings: Findings,
}

impl Agent {
    fn new() -> Self {
        Self {
            lately: Lately::new(at(1000)),
            findings: Findings::default(),
        }
    }

    /// What is the matter after these ended and so many seconds went by.
    fn after(&mut self, seconds: u64, ended: &[(u32, Verdict)]) -> Vec<Matter> {
        let mut recent = Recent::default();
        for (times, verdict) in ended {
            for _ in 0..*times {
                recent.note(verdict);
            }
        }
        let now = at(1000 + seconds);
        self.lately.add(now, recent);
        let matters = resets(&self.lately, &self.findings);
        drop(
            self.findings
                .conclude(matters.clone(), &Census::default(), now),
        );
        matters
    }
}

/// A server's end.
fn ended(ending: Ending) -> Verdict {
    Verdict {
        ending,
        role: Role::Server,
        initiator: Some(Initiator::Local),
        netns: 7,
        closed_by: Some(Task {
            pid: 1,
            comm: "nginx".into(),
            exiting: false,
        }),
        ends: Some(Ends {
            local: "192.0.2.1:8080".parse().unwrap(),
            peer: "192.0.2.7:50000".parse().unwrap(),
        }),
        ..sample::unknown()
    }
}

/// Data came so long after the server's FIN.
fn crossed(after: Duration) -> Verdict {
    let mut verdict = ended(Ending::ResetDataAfterClose);
    verdict.phases[Phase::FinWait1 as usize] = Some(Duration::ZERO);
    verdict.phases[Phase::FinWait2 as usize] = Some(after);
    verdict
}

const SOON: Duration = Duration::from_millis(200);

#[test]
fn requests_that_cross_the_close_of_a_server_are_told_until_there_are_none() {
    let mut agent = Agent::new();
    assert_eq!(agent.after(15, &[(2, crossed(SOON))]), []);
    let matters = agent.after(30, &[(1, crossed(SOON))]);
    let [Matter::KeepaliveRace(race)] = &matters[..] else {
        panic!("{matters:?}")
    };
    assert_eq!((race.netns, race.port, race.count), (7, 8080, 3));
    assert_eq!(race.closed_by, [("nginx".to_owned(), 3)]);
    assert_eq!(matters[0].id(), "keepalive_race/7/local-8080");
    assert_eq!(agent.after(95, &[(1, crossed(SOON))]).len(), 1);
    assert_eq!(agent.after(200, &[]), []);
}

#[test]
fn what_comes_long_after_the_close_or_to_a_client_crossed_nothing() {
    let mut agent = Agent::new();
    let late = crossed(Duration::from_secs(6));
    let client = Verdict {
        role: Role::Client,
        ..crossed(SOON)
    };
    let peer_first = Verdict {
        initiator: Some(Initiator::Peer),
        ..crossed(SOON)
    };
    let none = [(9, late), (9, client), (9, peer_first)];
    assert_eq!(agent.after(15, &none), []);
}

#[test]
fn most_of_many_ends_reset_is_a_storm_with_its_ending_until_half_of_them_are() {
    let mut agent = Agent::new();
    let orderly = ended(Ending::PassiveClose);
    let (linger, peer) = (ended(Ending::ResetLingerZero), ended(Ending::PeerReset));
    let calm = [(60, linger.clone()), (39, peer.clone())];
    assert_eq!(agent.after(15, &calm), [], "not many");
    let mut agent = Agent::new();
    let busy = [(100, linger.clone()), (101, orderly.clone())];
    assert_eq!(agent.after(15, &busy), [], "not most");
    let mut agent = Agent::new();
    let most = [(60, linger.clone()), (40, peer), (100, orderly.clone())];
    let matters = agent.after(15, &most);
    let [Matter::ResetStorm(storm)] = &matters[..] else {
        panic!("{matters:?}")
    };
    assert_eq!((storm.count, storm.ended), (100, 200));
    assert_eq!(storm.service, Service::Local(8080));
    let endings = [(Ending::ResetLingerZero, 60), (Ending::PeerReset, 40)];
    assert_eq!(storm.endings, endings);
    assert_eq!(storm.by, [("nginx".to_owned(), 100)]);
    assert!(storm.remedy().contains("SO_LINGER"), "{}", storm.remedy());
    assert_eq!(matters[0].id(), "reset_storm/7/local-8080");
    let half = [(50, linger.clone()), (150, orderly.clone())];
    assert_eq!(agent.after(120, &half).len(), 1);
    assert_eq!(agent.after(240, &[(49, linger), (49, orderly)]), []);
}

#[test]
fn what_a_closing_listener_reset_is_told_for_a_minute_and_is_no_storm() {
    let mut agent = Agent::new();
    let killed = ended(Ending::ResetListenerClosed);
    let matters = agent.after(15, &[(200, killed)]);
    let [Matter::ListenerClosed(told)] = &matters[..] else {
        panic!("{matters:?}")
    };
    assert_eq!((told.port, told.count), (8080, 200));
    assert_eq!(told.comm.as_deref(), Some("nginx"));
    assert_eq!(matters[0].id(), "listener_closed/7/nginx/local-8080");
    assert_eq!(agent.after(40, &[]).len(), 1);
    assert_eq!(agent.after(120, &[]), []);
}
