//! The books of namespaces, event by event.

mod counted;

use expect_test::expect;

use super::*;
use crate::classify::ResetCause;
use crate::track::Sight;

const OWN: u32 = 7;
const SECOND: u64 = 1_000_000_000;

fn facts(seen: bool) -> Facts {
    Facts {
        sight: Sight {
            close: seen,
            minisocks: seen,
            segment_of_reset: seen,
            teardown: seen,
            replies_beyond_sockets: seen,
            replies: true,
            resets_sent: true,
            reset_reasons: seen,
        },
        counts_minisocks_at_end: false,
    }
}

fn audit(facts: Facts) -> Audit {
    Audit::new(facts, [("own".to_owned(), OWN)])
}

fn at(seconds: u64) -> Timestamp {
    Timestamp(seconds * SECOND)
}

/// A reading at this second, which takes a millisecond.
fn reading(seconds: u64, counts: &[(&str, u64)]) -> Reading {
    let names: Vec<_> = counts.iter().map(|(name, _)| *name).collect();
    let values: Vec<_> = counts.iter().map(|(_, count)| count.to_string()).collect();
    let text = format!("Tcp: {}\nTcp: {}\n", names.join(" "), values.join(" "));
    Reading {
        from: at(seconds),
        to: Timestamp(seconds * SECOND + 1_000_000),
        netns: OWN,
        cookie: Some(1),
        counts: Counts::parse(&text, ""),
    }
}

/// One EstabResets at this time.
fn reset(audit: &mut Audit, when: Timestamp) {
    audit.note(OWN, when, Counter::EstabResets, 1);
}

fn line(audit: &Audit, counter: Counter) -> Line {
    let accounts = audit.accounts();
    let lines = &accounts[0].lines;
    *lines.iter().find(|line| line.counter == counter).unwrap()
}

fn take(audit: &mut Audit, seconds: u64, counts: &[(&str, u64)]) {
    assert_eq!(audit.take(0, Ok(reading(seconds, counts))), None);
}

#[test]
fn what_was_counted_before_the_first_reading_is_no_difference() {
    let mut audit = audit(facts(true));
    reset(&mut audit, at(1));
    take(&mut audit, 10, &[("EstabResets", 1000)]);
    reset(&mut audit, at(20));
    take(&mut audit, 40, &[("EstabResets", 1001)]);
    assert_eq!(audit.judge(at(40)).len(), 1, "the second is not ripe yet");
    assert_eq!(audit.judge(at(47)).len(), 1);
    let sum = line(&audit, Counter::EstabResets).since_start;
    assert_eq!(
        (sum.kernel, sum.observed, sum.difference),
        (Some(1), Some(1), 0)
    );
}

#[test]
fn a_verdict_that_comes_seconds_later_counts_when_it_happened() {
    let mut audit = audit(facts(true));
    take(&mut audit, 10, &[("EstabResets", 0)]);
    take(&mut audit, 40, &[("EstabResets", 1)]);
    assert!(audit.judge(at(43)).iter().all(|one| one.lines.is_empty()));
    reset(&mut audit, at(39));
    audit.judge(at(47));
    assert_eq!(line(&audit, Counter::EstabResets).interval.difference, 0);
}

#[test]
fn what_happens_during_a_reading_counts_on_the_side_that_fits() {
    for counted in 0..=3 {
        let mut audit = audit(facts(true));
        take(&mut audit, 10, &[("EstabResets", 0)]);
        take(&mut audit, 40, &[("EstabResets", counted)]);
        take(&mut audit, 70, &[("EstabResets", 3)]);
        for _ in 0..3 {
            reset(&mut audit, Timestamp(40 * SECOND + 500_000));
        }
        for now in [47, 77] {
            audit.judge(at(now));
            let line = line(&audit, Counter::EstabResets);
            assert_eq!(line.interval.difference, 0, "{line:?}");
            assert_eq!(line.since_start.difference, 0, "{line:?}");
        }
    }
}

#[test]
fn a_difference_is_warned_of_once_when_it_stays() {
    let mut audit = audit(facts(true));
    let mut warned = Vec::new();
    for (seconds, counted) in [(10, 0), (40, 5), (70, 5), (100, 6), (130, 6)] {
        take(&mut audit, seconds, &[("EstabResets", counted)]);
        let judged = audit.judge(at(seconds + 7));
        let mismatches = judged.into_iter().flat_map(|it| it.mismatches);
        warned.extend(mismatches.map(|it| (seconds, it.sum.unexplained)));
    }
    assert_eq!(warned, [(70, 5)]);
    let line = line(&audit, Counter::EstabResets);
    assert_eq!(
        (line.interval.unexplained, line.since_start.unexplained),
        (0, 6)
    );
}

#[test]
fn a_difference_that_went_away_is_warned_of_again_when_it_comes_back() {
    let mut audit = audit(facts(true));
    let mut warned = Vec::new();
    let counted = [0, 5, 5, 5, 5, 6, 6, 6];
    for (seconds, counted) in (10..).step_by(30).zip(counted) {
        if seconds == 100 {
            // What was missing is told late.
            (0..5).for_each(|_| reset(&mut audit, at(30)));
        }
        take(&mut audit, seconds, &[("EstabResets", counted)]);
        let judged = audit.judge(at(seconds + 7));
        let mismatches = judged.into_iter().flat_map(|it| it.mismatches);
        warned.extend(mismatches.map(|it| (seconds, it.sum.unexplained)));
    }
    assert_eq!(warned, [(70, 5), (190, 1)]);
}

#[test]
fn more_observed_than_counted_is_a_difference_too() {
    let mut audit = audit(facts(true));
    take(&mut audit, 10, &[("EstabResets", 9)]);
    reset(&mut audit, at(20));
    take(&mut audit, 40, &[("EstabResets", 9)]);
    audit.judge(at(47));
    let sum = line(&audit, Counter::EstabResets).since_start;
    assert_eq!((sum.difference, sum.unexplained), (-1, -1));
}

#[test]
fn an_allowance_explains_no_more_than_it_covers() {
    let mut audit = audit(facts(true));
    let first = [("AttemptFails", 0), ("EmbryonicRsts", 0), ("OutRsts", 0)];
    take(&mut audit, 10, &first);
    let loose = |netns| Output::LooseReset {
        cause: ResetCause::NoSocket,
        netns,
        at: at(20),
    };
    for output in [
        loose(None),
        loose(None),
        loose(Some(OWN)),
        loose(Some(OWN + 1)),
    ] {
        audit.note_output(&output);
    }
    let stillborn = Output::Stillborn {
        netns: OWN,
        at: at(20),
    };
    audit.note_output(&stillborn);
    let second = [("AttemptFails", 5), ("EmbryonicRsts", 3), ("OutRsts", 3)];
    take(&mut audit, 40, &second);
    audit.judge(at(47));
    let fails = line(&audit, Counter::AttemptFails).since_start;
    assert_eq!(
        (fails.observed, fails.difference, fails.unexplained),
        (Some(1), 4, 1)
    );
    let resets = line(&audit, Counter::OutRsts).since_start;
    assert_eq!(
        (resets.observed, resets.difference, resets.unexplained),
        (Some(1), 2, 0)
    );
}

#[test]
fn a_counter_that_goes_back_or_another_namespace_starts_the_books_anew() {
    let mut audit = audit(facts(true));
    take(&mut audit, 10, &[("EstabResets", 9)]);
    take(&mut audit, 40, &[("EstabResets", 3)]);
    take(&mut audit, 70, &[("EstabResets", 4)]);
    reset(&mut audit, at(50));
    audit.judge(at(77));
    let sum = line(&audit, Counter::EstabResets).since_start;
    assert_eq!((sum.kernel, sum.difference), (Some(1), 0));
    let other = Reading {
        netns: OWN + 1,
        ..reading(100, &[("EstabResets", 0)])
    };
    assert_eq!(audit.take(0, Ok(other)), Some(Change::Replaced));
    audit.judge(at(107));
    assert_eq!(
        (audit.accounts()[0].netns, audit.accounts()[0].lines.len()),
        (OWN + 1, 0)
    );
}

#[test]
fn a_counter_that_goes_back_but_not_below_the_start_starts_the_books_anew() {
    let mut audit = audit(facts(true));
    take(&mut audit, 10, &[("EstabResets", 0)]);
    take(&mut audit, 40, &[("EstabResets", 500)]);
    audit.judge(at(47));
    take(&mut audit, 70, &[("EstabResets", 3)]);
    audit.judge(at(77));
    take(&mut audit, 100, &[("EstabResets", 4)]);
    audit.judge(at(107));
    assert_eq!(
        line(&audit, Counter::EstabResets).since_start.kernel,
        Some(1)
    );
}

#[test]
fn a_namespace_that_goes_away_is_told_once_and_so_is_its_return() {
    let mut audit = audit(facts(true));
    let gone = || Err("gone".to_owned());
    assert_eq!(audit.take(0, gone()), Some(Change::Lost("gone".to_owned())));
    assert_eq!(audit.take(0, gone()), None);
    assert_eq!(audit.accounts()[0].problem.as_deref(), Some("gone"));
    let back = audit.take(0, Ok(reading(10, &[("EstabResets", 0)])));
    assert_eq!(
        (back, audit.accounts()[0].problem.is_none()),
        (Some(Change::Back), true)
    );
    assert_eq!(audit.take(1, gone()), None, "there is no second");
}

#[test]
fn another_namespace_with_the_same_inode_number_starts_new_books() {
    for (cookie, change, kernel) in [
        (Some(2), Change::Replaced, Some(1)),
        (Some(1), Change::Back, Some(6)),
    ] {
        let mut audit = audit(facts(true));
        take(&mut audit, 10, &[("EstabResets", 0)]);
        audit.judge(at(17));
        audit.take(0, Err("gone".to_owned()));
        // What it counted before it was first read is observed by nobody.
        let counted = [(40, 5), (70, 5), (100, 6)];
        let readings = counted.map(|(seconds, counted)| Reading {
            cookie,
            ..reading(seconds, &[("EstabResets", counted)])
        });
        assert_eq!(audit.take(0, Ok(readings[0])), Some(change));
        audit.judge(at(47));
        for later in &readings[1..] {
            assert_eq!(audit.take(0, Ok(*later)), None);
        }
        audit.judge(at(107));
        let sum = line(&audit, Counter::EstabResets).since_start;
        assert_eq!(sum.kernel, kernel);
    }
}

#[test]
fn where_namespaces_have_no_cookie_the_inode_number_tells_them_apart() {
    let mut audit = audit(facts(true));
    for (seconds, netns, change) in [
        (10, OWN, None),
        (40, OWN, None),
        (70, OWN + 1, Some(Change::Replaced)),
    ] {
        let reading = Reading {
            netns,
            cookie: None,
            ..reading(seconds, &[("EstabResets", 0)])
        };
        assert_eq!(audit.take(0, Ok(reading)), change);
    }
}

#[test]
fn memory_stays_bounded_whatever_is_read_and_observed() {
    let mut audit = audit(facts(true));
    for second in 0..5000 {
        reset(&mut audit, at(second));
        take(&mut audit, second, &[("EstabResets", second)]);
    }
    audit.judge(at(5000));
    let slots = &audit.ledgers[0].slots;
    assert!(slots.before(at(0)).get(Counter::EstabResets) > 4000);
    assert!(format!("{slots:?}").len() < 200_000);
}

#[test]
fn the_table_reads_as_recorded() {
    let rows = Counter::ALL.map(Counter::row);
    let names: Vec<_> = rows.iter().map(|row| row.name).collect();
    expect!["EstabResets OutRsts AttemptFails TCPAbortOnData TCPAbortOnClose TCPAbortOnMemory TCPAbortOnTimeout TCPAbortOnLinger TCPAbortFailed TW TWKilled TWRecycled TCPTimeWaitOverflow EmbryonicRsts"]
        .assert_eq(&names.join(" "));
    for (index, (row, counter)) in rows.iter().zip(Counter::ALL).enumerate() {
        assert_eq!(counter as usize, index);
        assert!(!row.may_differ.is_empty(), "{}", row.name);
    }
    for counter in classify::Counter::ALL {
        assert_eq!(counter.label(), of_an_end(counter).name());
    }
}
