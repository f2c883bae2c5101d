//! What each observation counts for, and what is not judged for want of probes.

use super::*;
use crate::sink::sample;
use crate::track::TimeWaitOver;

#[test]
fn what_the_probes_cannot_see_is_shown_and_not_judged() {
    let mut audit = audit(facts(false));
    take(&mut audit, 10, &[("OutRsts", 0), ("TWRecycled", 0)]);
    take(&mut audit, 40, &[("OutRsts", 4), ("TWRecycled", 4)]);
    audit.judge(at(47));
    for counter in [Counter::OutRsts, Counter::TimeWaitsRecycled] {
        let line = line(&audit, counter);
        let sum = line.since_start;
        assert_eq!(
            (line.judged, sum.difference, sum.unexplained),
            (false, 4, 0)
        );
    }
}

/// The counters that are blind when this is not seen.
fn blind(without: impl FnOnce(&mut Sight), at_end: bool) -> String {
    let mut facts = Facts {
        counts_minisocks_at_end: at_end,
        ..facts(true)
    };
    without(&mut facts.sight);
    let blind = Counter::ALL
        .into_iter()
        .filter(|counter| facts.blind_to(*counter).is_some());
    blind.map(Counter::name).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_counter_needs_what_tells_its_ends_apart() {
    assert_eq!(blind(|_| (), true), "");
    expect!["OutRsts AttemptFails TCPAbortOnMemory TCPAbortOnLinger"]
        .assert_eq(&blind(|sight| sight.resets_sent = false, false));
    expect!["OutRsts TCPAbortOnData"].assert_eq(&blind(|sight| sight.replies = false, false));
    expect!["OutRsts"].assert_eq(&blind(|sight| sight.replies_beyond_sockets = false, false));
    let minisocks = |at_end| blind(|sight| sight.minisocks = false, at_end);
    expect!["TWRecycled TCPTimeWaitOverflow"].assert_eq(&minisocks(false));
    expect!["TW TWRecycled TCPTimeWaitOverflow"].assert_eq(&minisocks(true));
}

#[test]
fn what_the_agent_is_blind_to_is_no_mismatch_however_long_it_differs() {
    let mut facts = facts(true);
    facts.sight.resets_sent = false;
    let mut audit = audit(facts);
    for seconds in [10, 40, 70, 100] {
        take(&mut audit, seconds, &[("TCPAbortOnLinger", seconds)]);
        let judged = audit.judge(at(seconds + 7));
        assert!(judged.iter().all(|it| it.mismatches.is_empty()));
    }
    let line = line(&audit, Counter::AbortOnLinger);
    assert_eq!((line.judged, line.since_start.difference), (false, 90));
    assert!(line.blind_to.unwrap().contains("of its own accord"));
}

#[test]
fn minisocks_count_when_they_start_or_when_their_time_has_run_out() {
    for at_end in [false, true] {
        let mut audit = audit(Facts {
            counts_minisocks_at_end: at_end,
            ..facts(true)
        });
        take(
            &mut audit,
            10,
            &[("TW", 0), ("TWKilled", 0), ("TWRecycled", 0)],
        );
        for _ in 0..3 {
            audit.note_output(&Output::MinisockStarted {
                netns: OWN,
                at: at(20),
            });
        }
        for how in [
            TimeWaitEnd::Expired,
            TimeWaitEnd::Recycled,
            TimeWaitEnd::Reused,
        ] {
            let (netns, at) = (OWN, at(21));
            audit.note_output(&Output::TimeWaitEnded(TimeWaitOver { how, netns, at }));
        }
        let counted = if at_end { [1, 0] } else { [2, 1] };
        let [tw, killed] = counted;
        take(
            &mut audit,
            40,
            &[("TW", tw), ("TWKilled", killed), ("TWRecycled", 1)],
        );
        audit.judge(at(47));
        assert_eq!(line(&audit, Counter::TimeWaits).since_start.unexplained, 0);
        assert_eq!(
            line(&audit, Counter::TimeWaitsRecycled)
                .since_start
                .difference,
            0
        );
    }
}

#[test]
fn a_minisock_older_than_the_agent_counts_where_the_kernel_counts_at_the_end() {
    for (at_end, counted) in [(true, 1), (false, 0)] {
        let mut audit = audit(Facts {
            counts_minisocks_at_end: at_end,
            ..facts(true)
        });
        take(&mut audit, 10, &[("TW", 3), ("TWKilled", 0)]);
        audit.note_output(&Output::UnknownExpired {
            netns: OWN,
            at: at(20),
        });
        take(&mut audit, 40, &[("TW", 3 + counted), ("TWKilled", 0)]);
        audit.judge(at(47));
        let sum = line(&audit, Counter::TimeWaits).since_start;
        assert_eq!((sum.observed, sum.difference), (Some(counted), 0));
    }
}

#[test]
fn a_reset_counts_when_it_is_sent_and_not_again_at_the_end() {
    let verdict = Verdict {
        counters: classify::Counts::one(classify::Counter::OutRsts),
        netns: OWN,
        ended_at: at(60),
        ..sample::unknown()
    };
    let mut audit = audit(facts(true));
    take(&mut audit, 10, &[("OutRsts", 0)]);
    audit.note_output(&Output::ResetSent {
        netns: Some(OWN),
        at: at(20),
    });
    take(&mut audit, 40, &[("OutRsts", 1)]);
    audit.judge(at(47));
    assert_eq!(line(&audit, Counter::OutRsts).since_start.difference, 0);
    audit.note_verdict(&verdict);
    take(&mut audit, 70, &[("OutRsts", 1)]);
    audit.judge(at(77));
    assert_eq!(line(&audit, Counter::OutRsts).since_start.difference, 0);
}

#[test]
fn a_verdict_adds_what_its_end_moved_to_its_own_namespace() {
    let verdict = Verdict {
        counters: classify::Counts::one(classify::Counter::AbortOnClose),
        ..sample::reset_with_unread_data()
    };
    let mut audit = Audit::new(
        facts(true),
        [
            ("own".to_owned(), verdict.netns),
            ("other".to_owned(), verdict.netns + 1),
        ],
    );
    audit.note_verdict(&verdict);
    let observed = |index: usize| {
        let until = audit.ledgers[index].slots.until(verdict.ended_at);
        Counter::ALL.map(|counter| until.get(counter))
    };
    let mut one = [0; Counter::ALL.len()];
    one[Counter::AbortOnClose as usize] = 1;
    assert_eq!(observed(0), one);
    assert_eq!(observed(1), [0; Counter::ALL.len()]);
}
