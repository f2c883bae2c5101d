//! Events that the kernel did not show to a probe.
//!
//! Takes what is attached; gives counts. The kernel does not run a program that already runs on the
//! same CPU, in a task that was interrupted or preempted there; it counts that as
//! `recursion_misses` of the program, which `fdinfo` shows since 5.12. An event that is shown to
//! several programs is lost where all of them missed it.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};

use aya::Ebpf;
use observer_ebpf::wire::Kind;
use observer_ebpf::wire::manifest::Program;

use super::coverage::Outcome;

/// Indexed by `wire::Kind` number.
type PerKind = [u64; Kind::SLOTS as usize];

/// The programs whose misses are lost events, those of each kind together.
#[derive(Debug)]
pub(super) struct Misses(Vec<OfKind>);

#[derive(Debug)]
struct OfKind {
    kind: Kind,
    /// Descriptors that the loaded object keeps open for as long as the ring is read.
    programs: Vec<RawFd>,
    counts: Counts,
}

impl Misses {
    pub(super) fn new(outcomes: &[Outcome], ebpf: &Ebpf) -> Self {
        let descriptor = |program: &&Program| {
            let loaded = ebpf.program(program.name)?.fd().ok()?;
            Some(loaded.as_fd().as_raw_fd())
        };
        let of_kind = |outcome: &Outcome| {
            let programs: Vec<RawFd> = outcome.attached.iter().filter_map(descriptor).collect();
            let in_turn = outcome.attached.iter().any(|program| program.again);
            OfKind {
                kind: outcome.kind,
                counts: Counts::new(programs.len(), in_turn),
                programs,
            }
        };
        Self(outcomes.iter().map(of_kind).collect())
    }

    /// Events lost so far, indexed by `wire::Kind` number. `alone` is how many, of all kinds, no more
    /// than one of several programs was shown so far. Spans are to end after about a second; reads may
    /// come at any time.
    pub(super) fn read(&mut self, alone: u64, span_ends: bool) -> PerKind {
        let mut lost = PerKind::default();
        for of_kind in &mut self.0 {
            let missed = of_kind.missed();
            let number = usize::from(of_kind.kind as u16);
            of_kind.counts.look(Seen { missed, alone }, span_ends);
            if let Some(count) = lost.get_mut(number) {
                *count += of_kind.counts.lost;
            }
        }
        lost
    }
}

impl OfKind {
    /// So far; where it cannot be read, as before.
    fn missed(&self) -> Vec<u64> {
        let before = &self.counts.so_far.missed;
        let programs = self.programs.iter().zip(before);
        programs
            .map(|(program, before)| misses_of(*program).unwrap_or(*before))
            .collect()
    }
}

/// What the programs of one kind missed.
#[derive(Debug)]
struct Counts {
    /// Each event is shown to all of the programs, not to one of them.
    in_turn: bool,
    /// So far.
    so_far: Seen,
    /// Of that, in the span that is not over, and in the one before.
    spans: [Seen; 2],
    lost: u64,
}

/// What each program missed, and how many events a single one was shown.
#[derive(Clone, Debug)]
struct Seen {
    missed: Vec<u64>,
    alone: u64,
}

impl Seen {
    fn none(programs: usize) -> Self {
        Self {
            missed: vec![0; programs],
            alone: 0,
        }
    }

    fn with(&self, other: &Self, join: fn(u64, u64) -> u64) -> Self {
        let missed = self.missed.iter().zip(&other.missed);
        Self {
            missed: missed.map(|(one, other)| join(*one, *other)).collect(),
            alone: join(self.alone, other.alone),
        }
    }
}

impl Counts {
    fn new(programs: usize, in_turn: bool) -> Self {
        Self {
            in_turn,
            so_far: Seen::none(programs),
            spans: [Seen::none(programs), Seen::none(programs)],
            lost: 0,
        }
    }

    /// Takes what was seen so far.
    ///
    /// Of programs that are shown the same events as many are lost, at most, as each of them missed
    /// at about the same time, in a second or two: the counts are read one after the other, so what belongs together may
    /// show in two spans. None is where each event was shown to two of them at least: what takes one
    /// program away from a CPU leaves the rest for a while, before the next is taken away as well.
    /// Where there are but two, nothing can displace both.
    fn look(&mut self, so_far: Seen, span_ends: bool) {
        let programs = so_far.missed.len();
        let grew = so_far.with(&self.so_far, u64::saturating_sub);
        self.so_far = so_far;
        if !self.in_turn {
            self.lost += grew.missed.iter().sum::<u64>();
            return;
        }
        let [span, before] = &mut self.spans;
        *span = span.with(&grew, u64::saturating_add);
        let both = span.with(before, u64::saturating_add);
        let most = both.missed.iter().min().copied().unwrap_or_default();
        if most > 0 && both.alone > 0 {
            self.lost += most;
            // The rest may be of events that the others of these counts were read too early for.
            for (missed, before) in span.missed.iter_mut().zip(&mut before.missed) {
                let of_before = most.min(*before);
                *before -= of_before;
                *missed -= most - of_before;
            }
        }
        if span_ends {
            *before = std::mem::replace(span, Seen::none(programs));
        }
    }
}

fn misses_of(program: RawFd) -> Option<u64> {
    let fdinfo = fs::read_to_string(format!("/proc/self/fdinfo/{program}")).ok()?;
    Some(recursion_misses(&fdinfo))
}

/// The number after `recursion_misses:`; 0 on a kernel that does not count them.
fn recursion_misses(fdinfo: &str) -> u64 {
    fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Counts, Seen, recursion_misses};

    #[test]
    fn misses_are_read_where_the_kernel_counts_them() {
        let fdinfo = "pos:\t0\nprog_type:\t26\nrecursion_misses:\t7\nverified_insns:\t9\n";
        assert_eq!(recursion_misses(fdinfo), 7);
        assert_eq!(recursion_misses("pos:\t0\nprog_type:\t26\n"), 0);
    }

    /// A look a span.
    fn lost(in_turn: bool, looks: &[([u64; 3], u64)]) -> u64 {
        let mut counts = Counts::new(3, in_turn);
        for (missed, alone) in looks {
            counts.look(seen(*missed, *alone), true);
        }
        counts.lost
    }

    fn seen(missed: [u64; 3], alone: u64) -> Seen {
        let missed = missed.to_vec();
        Seen { missed, alone }
    }

    #[test]
    fn what_one_of_several_programs_missed_the_others_saw() {
        let looks = [([3, 0, 0], 0), ([9, 0, 2], 1), ([9, 0, 2], 1)];
        assert_eq!(lost(true, &looks), 0);
        assert_eq!(lost(false, &looks), 11);
    }

    #[test]
    fn what_all_missed_at_about_the_same_time_is_lost() {
        assert_eq!(lost(true, &[([5, 2, 3], 1)]), 2);
        let between = [([1, 0, 0], 1), ([1, 1, 1], 1)];
        assert_eq!(lost(true, &between), 1);
        let apart = [([1, 0, 0], 1), ([1, 0, 0], 1), ([1, 1, 1], 2)];
        assert_eq!(lost(true, &apart), 0);
        let twice = [([1, 1, 1], 1), ([2, 1, 1], 1), ([2, 2, 2], 2)];
        assert_eq!(lost(true, &twice), 2);
        let once = [([1, 0, 0], 1), ([1, 1, 1], 1), ([2, 1, 1], 2)];
        assert_eq!(lost(true, &once), 1);
    }

    #[test]
    fn looks_within_a_span_belong_together() {
        let mut counts = Counts::new(3, true);
        for missed in [[1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 1, 1]] {
            counts.look(seen(missed, 0), false);
        }
        assert_eq!(counts.lost, 0);
        counts.look(seen([1, 1, 1], 1), false);
        assert_eq!(counts.lost, 1, "a mark tells later that it was alone");
    }

    #[test]
    fn a_look_amid_many_misses_takes_none_of_them_away() {
        let looks = [([5, 24, 24], 1), ([24, 24, 24], 1)];
        assert_eq!(lost(true, &looks), 24);
        let at_once = [([24, 24, 5], 1), ([24, 24, 5], 1), ([24, 24, 24], 1)];
        assert_eq!(lost(true, &at_once), 5, "too late to belong together");
    }

    #[test]
    fn nothing_is_lost_where_two_programs_were_shown_each_event() {
        assert_eq!(lost(true, &[([5, 2, 3], 0), ([9, 9, 9], 0)]), 0);
    }
}
