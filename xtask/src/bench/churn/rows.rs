//! The samples of all rounds as rows.
//!
//! Takes rounds; gives the table of costs and what is held against a limit. Pure.

use std::fmt::Write as _;

use anyhow::Result;

use super::contenders::{Contender, Stage};
use super::sample::Sample;
use crate::bench::Options;
use crate::bench::limits::{Check, Limit, Limits};
use crate::bench::stats::{Quartiles, number, ratio};

/// CPU that a contender added to a connection, in each round that has it, ns.
pub(super) fn added(rounds: &[Vec<Sample>], contender: Contender) -> Vec<f64> {
    each(rounds, |round| Some(find(round, contender)?.added_ns()))
}

/// What the agent added over what another did, in each round.
fn added_over(rounds: &[Vec<Sample>], other: Contender) -> Vec<f64> {
    each(rounds, |round| {
        let agent = find(round, Contender::Agent)?.added_ns();
        Some(ratio(agent, find(round, other)?.added_ns()))
    })
}

/// A contender's own CPU for a connection in each round, ns.
pub(super) fn own(rounds: &[Vec<Sample>], contender: Contender) -> Vec<f64> {
    each(rounds, |round| Some(find(round, contender)?.own_each_ns()))
}

pub(super) fn each(rounds: &[Vec<Sample>], value: impl Fn(&[Sample]) -> Option<f64>) -> Vec<f64> {
    rounds.iter().filter_map(|round| value(round)).collect()
}

pub(super) fn find(round: &[Sample], contender: Contender) -> Option<&Sample> {
    round.iter().find(|it| it.contender == contender)
}

/// As Markdown.
pub(super) fn table(
    stage: &Stage,
    rounds: &[Vec<Sample>],
    options: &Options,
    hooks: &[String],
) -> String {
    let mut text = format!(
        "## CPU for a connection over loopback\n\n\
         Connect, accept, close on both sides. Threads: {}; connections a run: {}; rounds of all \
         in turn: {}. Medians, with the quartiles in brackets. *Cost*: CPU of the load's own process \
         (`CLOCK_PROCESS_CPUTIME_ID`), the kernel's work and every probe in it. *Added*: over as \
         many connections by the same process, half just before and half just after, with nobody \
         watching (bare, the floor and what is filtered out: in ten slices); what bare \"adds\" is the error of that. \
         A ratio is within a round, and ∞ where the other added nothing. *Own*: user and system \
         time of the watcher. Where a kernel accounts for interrupts apart \
         (`CONFIG_IRQ_TIME_ACCOUNTING`), the clock leaves out what runs in softirqs, and these \
         figures are too low. The floor is one empty program on each \
         hook that the agent attached: {}.\n\n\
         | watcher | cost, µs | added, µs | agent's added, over its | own, µs |\n\
         |---|--:|--:|--:|--:|\n",
        options.threads,
        options.connections,
        rounds.len(),
        if hooks.is_empty() {
            "unknown".to_owned()
        } else {
            hooks.join(", ")
        }
    );
    for contender in Contender::ALL {
        let name = contender.name();
        let _infallible = match stage.missing(contender) {
            Some(why) => writeln!(text, "| {name} | {why} | – | – | – |"),
            None => writeln!(
                text,
                "| {name} | {} |",
                cells(rounds, contender).join(" | ")
            ),
        };
    }
    text.push_str(&events(rounds));
    text
}

fn cells(rounds: &[Vec<Sample>], contender: Contender) -> [String; 4] {
    let costs = each(rounds, |round| Some(find(round, contender)?.each_ns()));
    let watches = contender != Contender::Bare;
    let compared = watches && !matches!(contender, Contender::Agent | Contender::Filtered);
    let when = |applies: bool, values: Vec<f64>, unit| {
        let shown = Quartiles::of(&values).filter(|_| applies);
        shown.map_or_else(|| "–".to_owned(), |it| it.cell(unit))
    };
    [
        when(true, costs, 1e3),
        when(true, added(rounds, contender), 1e3),
        when(compared, added_over(rounds, contender), 1.0),
        when(
            watches && contender != Contender::Floor,
            own(rounds, contender),
            1e3,
        ),
    ]
}

/// What one event costs the agent itself.
fn events(rounds: &[Vec<Sample>]) -> String {
    let agents = |value: fn(&Sample) -> f64| {
        Quartiles::of(&each(rounds, |round| {
            Some(value(find(round, Contender::Agent)?))
        }))
    };
    let per_event = agents(|it| ratio(number(it.own_ns), number(it.events)));
    let of_each = agents(|it| ratio(number(it.events), number(it.made.connections)));
    match (per_event, of_each) {
        (Some(per_event), Some(of_each)) => format!(
            "\nThe agent's own CPU for one event: {} µs; {:.1} events a connection (both ends).\n",
            per_event.cell(1e3),
            of_each.median
        ),
        _ => String::new(),
    }
}

/// Everything that has a limit.
pub(super) fn checks(stage: &Stage, rounds: &[Vec<Sample>], limits: &Limits) -> Result<Vec<Check>> {
    let over = |limit, other: Contender| -> Result<Check> {
        let check = limits.check(limit, &added_over(rounds, other))?;
        Ok(check.for_want_of(stage.missing(other)))
    };
    let owns = own(rounds, Contender::Agent);
    let over_bare = |what: fn(&Sample) -> f64| {
        each(rounds, |round| {
            let agent = find(round, Contender::Agent)?;
            Some(ratio(what(agent), agent.bare_ns))
        })
    };
    let filtered = each(rounds, |round| {
        let filtered = find(round, Contender::Filtered)?;
        Some(ratio(filtered.added_ns(), filtered.bare_ns))
    });
    let micro: Vec<f64> = owns.iter().map(|own| own / 1e3).collect();
    let lost = each(rounds, |round| {
        Some(number(find(round, Contender::Agent)?.lost()))
    });
    // One lost event in one round is one too many.
    let lost = lost.into_iter().reduce(f64::max);
    let lost: Vec<f64> = lost.into_iter().collect();
    Ok(vec![
        limits.check(Limit::AddedOverBare, &over_bare(Sample::added_ns))?,
        over(Limit::AddedOverFloor, Contender::Floor)?,
        over(Limit::AddedOverTcplife, Contender::Tcplife)?,
        over(Limit::AddedOverTcpstates, Contender::Tcpstates)?,
        limits.check(Limit::FilteredOverBare, &filtered)?,
        limits.check(Limit::OwnOverBare, &over_bare(Sample::own_each_ns))?,
        limits.check(Limit::OwnPerConnection, &micro)?,
        limits.check(Limit::EventsLost, &lost)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::churn::contenders::Tools;
    use crate::bench::limits::Outcome;
    use crate::bench::load::Made;

    fn sample(contender: Contender, bare: u32, added_ns: u64, own_ns: u64) -> Sample {
        let (bare_ns, each_ns) = (f64::from(bare), u64::from(bare) + added_ns);
        let made = Made {
            connections: 1000,
            cpu_ns: 1000 * each_ns,
            ..Made::default()
        };
        Sample {
            contender,
            made,
            bare_ns,
            own_ns: 1000 * own_ns,
            told: 2000,
            said_lost: 0,
            events: 10_000,
            bytes: 0,
        }
    }

    /// Floor, agent and bare; the machine is slower in each round.
    fn rounds() -> Vec<Vec<Sample>> {
        let round = |bare: u32| {
            vec![
                sample(Contender::Floor, bare + 7, 1000, 0),
                sample(Contender::Agent, bare, 1500, 2000),
                sample(Contender::Bare, bare, 0, 0),
            ]
        };
        vec![round(20_000), round(30_000), round(40_000)]
    }

    fn stage() -> Stage {
        Stage {
            agent: "agent".into(),
            tools: Tools {
                bpftool: Some("bpftool".into()),
                ..Tools::default()
            },
            hooks: Some(Vec::new()),
            shapes: None,
        }
    }

    #[test]
    fn what_is_added_is_over_the_moments_beside_it_and_compared_within_a_round() {
        assert_eq!(added(&rounds(), Contender::Agent), [1500.0; 3]);
        assert_eq!(added_over(&rounds(), Contender::Floor), [1.5; 3]);
        assert_eq!(added_over(&rounds(), Contender::Tcplife), [0.0; 0]);
    }

    #[test]
    fn a_peer_that_is_missing_has_a_row_that_says_so() {
        let options = Options::default();
        let text = table(&stage(), &rounds(), &options, &["tp_btf a".to_owned()]);
        assert!(text.contains("\n| tcplife | tcplife is missing | – | – | – |\n"));
        let agent =
            "| tcp-observer run | 31.50 (26.50–36.50) | 1.50 (1.50–1.50) | – | 2.00 (2.00–2.00) |";
        assert!(text.contains(agent), "{text}");
        assert!(
            text.contains("for one event: 0.20 (0.20–0.20) µs; 10.0 events"),
            "{text}"
        );
    }

    #[test]
    fn one_lost_event_in_one_round_fails() {
        let limits = Limits::shipped().unwrap();
        let outcomes = |rounds: &[Vec<Sample>]| {
            let checks = checks(&stage(), rounds, &limits).unwrap();
            checks.iter().map(|it| it.outcome).collect::<Vec<_>>()
        };
        let (holds, not) = (Outcome::Holds, Outcome::NotMeasured);
        assert_eq!(
            outcomes(&rounds()),
            [holds, holds, not, not, not, holds, holds, holds]
        );
        let mut lossy = rounds();
        lossy[1][1].said_lost = 1;
        assert_eq!(outcomes(&lossy).last(), Some(&Outcome::Fails));
    }
}
