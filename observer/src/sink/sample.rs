//! Verdicts that tests of the sinks share.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::audit::{self, Account, Audit, Facts, Reading};
use crate::classify::{
    Attributes, Closer, Confidence, Counts, Ending, Initiator, LeftBehind, Phase, ResetCause,
    ResetCauses, Role, TimeWait, Verdict,
};
use crate::event::{Ends, State, Task, Timestamp};
use crate::probe::{Answer, Coverage};
use crate::track::{Output, Sight, Step};

/// The books of a namespace in which one listener's child died at birth and two requests were
/// dropped.
pub(crate) fn account() -> Account {
    let sight = coverage().sight;
    let facts = Facts {
        sight,
        counts_minisocks_at_end: false,
    };
    let mut audit = Audit::new(facts, [("own".to_owned(), 4_026_531_840)]);
    let at = |seconds: u64| Timestamp(seconds * 1_000_000_000);
    for (seconds, fails, embryonic) in [(10, 5, 0), (40, 8, 2)] {
        let snmp = format!("Tcp: AttemptFails EstabResets OutRsts\nTcp: {fails} 1 1\n");
        let netstat = format!("TcpExt: EmbryonicRsts TW TWKilled\nTcpExt: {embryonic} 0 0\n");
        let reading = Reading {
            from: at(seconds),
            to: at(seconds),
            netns: 4_026_531_840,
            cookie: Some(1),
            counts: audit::Counts::parse(&snmp, &netstat),
        };
        audit.take(0, Ok(reading));
    }
    audit.note_output(&Output::Stillborn {
        netns: 4_026_531_840,
        at: at(20),
    });
    audit.judge(at(60));
    audit.accounts().remove(0)
}

/// A server that closed with data unread.
pub(crate) fn reset_with_unread_data() -> Verdict {
    let nginx = Task {
        pid: 4321,
        comm: "nginx".into(),
        exiting: false,
    };
    let mut phases = [None; Phase::ALL.len()];
    phases[Phase::Connecting as usize] = Some(Duration::from_micros(120));
    phases[Phase::Established as usize] = Some(Duration::from_millis(1_500));
    let step = |at, event, state, by| Step {
        at: Timestamp(at),
        event,
        state,
        by,
    };
    Verdict {
        ending: Ending::ResetUnreadData,
        role: Role::Server,
        initiator: Some(Initiator::Local),
        closer: Some(Closer::Close),
        half_closed: Some(false),
        time_wait: TimeWait::None,
        left_behind: LeftBehind {
            unread: Some(512),
            unsent: Some(0),
            unacked: Some(0),
        },
        phases,
        confidence: Confidence::Exact,
        resets_sent: [ResetCause::UnreadData].into_iter().collect(),
        ended_at: Timestamp(11_500_120_000),
        born_at: Some(Timestamp(10_000_000_000)),
        ends: Some(Ends {
            local: "[2001:db8::1]:443".parse().unwrap(),
            peer: "[2001:db8::2]:50000".parse().unwrap(),
        }),
        netns: 4_026_531_840,
        cgroup: Some(77),
        cookie: Some(5),
        closed_by: Some(nginx),
        opened_by: Some(nginx),
        reset_reason: Some("tcp_abort_on_close".into()),
        timeline: vec![
            step(10_000_000_000, "syn_received", Some(State::SynRecv), None),
            step(
                10_000_120_000,
                "established",
                Some(State::Established),
                None,
            ),
            step(11_500_100_000, "close_called", None, Some(nginx)),
            step(11_500_120_000, "reset_sent", Some(State::Close), None),
        ],
        ..unknown()
    }
}

/// A verdict of which nothing is known.
pub(crate) fn unknown() -> Verdict {
    Verdict {
        ending: Ending::Unknown,
        role: Role::Unknown,
        initiator: None,
        closer: None,
        half_closed: None,
        time_wait: TimeWait::Unknown,
        left_behind: LeftBehind::default(),
        phases: [None; Phase::ALL.len()],
        confidence: Confidence::Partial,
        doubt: None,
        attributes: Attributes::default(),
        resets_sent: ResetCauses::default(),
        counters: Counts::default(),
        reset_received: false,
        ended_at: Timestamp(1_000_000_000),
        born_at: None,
        ends: None,
        netns: 0,
        cgroup: None,
        cookie: None,
        closed_by: None,
        opened_by: None,
        reset_reason: None,
        error: 0,
        timeline: Vec::new(),
        timeline_dropped: 0,
    }
}

/// A kernel without trampolines and kprobes.
pub(crate) fn coverage() -> Coverage {
    let answer = |question, asks, twin, blind_to| Answer {
        question,
        asks,
        twin,
        programs: Vec::new(),
        kinds: BTreeMap::new(),
        left_out: Vec::new(),
        failures: Vec::new(),
        blind_to,
    };
    let mut state = answer(
        "state",
        "a connection changed state",
        Some("tracepoint"),
        None,
    );
    state.programs.push("state_tracepoint");
    let programs = state.programs.clone();
    state.kinds.insert("state_changed", programs);
    state
        .failures
        .push("state_fentry: the kernel refuses trampolines (EPERM)".to_owned());
    let blind = Some("close() is inferred from the state");
    let mut close = answer("close", "the application let go", None, blind);
    close.kinds.insert("close_called", Vec::new());
    close.left_out.push("close_called");
    Coverage {
        filters: vec!["--filter.port 443".to_owned()],
        answers: vec![state, close],
        sight: Sight {
            close: false,
            minisocks: false,
            segment_of_reset: false,
            teardown: false,
            replies_beyond_sockets: true,
            replies: true,
            resets_sent: true,
            reset_reasons: true,
        },
    }
}
