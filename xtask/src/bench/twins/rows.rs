//! What was found of the backends as tables.
//!
//! Takes each backend's figures; gives Markdown. Pure.

use std::fmt::Write as _;

use super::found::{Found, Program};
use crate::bench::stats::{Quartiles, number, ratio};

/// Costs of a connection, then programs.
pub(super) fn tables(release: &str, found: &[Found]) -> String {
    let mut text = format!(
        "In a guest with Linux {release} and one processor, emulated with a clock that counts \
         instructions: one a nanosecond. Misses of caches and of predictions do not show. The least \
         that any observer on the hooks of a backend adds is what empty programs there add. Medians of \
         slices, with the quartiles in brackets; what is added, over the slices just before and just \
         after with nobody watching.\n\n\
         | backend | instructions of a connection | empty programs add | tcp-observer adds | over \
         the floor's | its own |\n|---|--:|--:|--:|--:|--:|\n"
    );
    for it in found {
        of_connection(it, &mut text);
    }
    text += "\nBy `kernel.bpf_stats_enabled`, until the TIME_WAIT of each connection is over, both \
         programs of a hook attached at once. Two looks at the clock are part of each run, of ours \
         as of an empty one.\n\n\
         | backend | program | runs a connection | instructions a run | of an empty one | ratio |\n\
         |---|---|--:|--:|--:|--:|\n";
    for it in found {
        of_programs(it, &mut text);
    }
    let idle: Vec<String> = found.iter().flat_map(idle).collect();
    if !idle.is_empty() {
        let _infallible = writeln!(text, "\nNothing of this load runs {}.", idle.join(", "));
    }
    text
}

fn of_connection(found: &Found, text: &mut String) {
    let cost = &found.cost;
    let slices = [&cost.bare, &cost.floor_added, &cost.agent_added];
    let [bare, floor, agent] = slices.map(|it| Quartiles::of(it));
    let cell = |it: Option<Quartiles>| {
        it.map_or_else(
            || "–".to_owned(),
            |it| format!("{:.0} ({:.0}–{:.0})", it.median, it.lower, it.upper),
        )
    };
    let over = floor.zip(agent).map_or_else(
        || "–".to_owned(),
        |(floor, agent)| format!("{:.1}", ratio(agent.median, floor.median)),
    );
    let _infallible = writeln!(
        text,
        "| {} | {} | {} | {} | {over} | {:.0} |",
        found.backend,
        cell(bare),
        cell(floor),
        cell(agent),
        cost.own
    );
}

/// Those that ran, and all of them together for one connection.
fn of_programs(found: &Found, text: &mut String) {
    for it in &found.programs {
        let (Some(ours), Some(empty)) = (it.ours.each(), it.empty.each()) else {
            continue;
        };
        let _infallible = writeln!(
            text,
            "| {} | `{}` | {:.2} | {ours:.0} | {empty:.0} | {:.1} |",
            found.backend,
            it.name,
            ratio(number(it.ours.count), number(found.connections)),
            ratio(ours, empty)
        );
    }
    let (ours, empty) = found.whole();
    let _infallible = writeln!(
        text,
        "| {} | all, for a connection | | {ours:.0} | {empty:.0} | {:.1} |",
        found.backend,
        ratio(ours, empty)
    );
}

fn idle(found: &Found) -> impl Iterator<Item = String> {
    let never = |it: &&Program| it.ours.count == 0;
    let names = found.programs.iter().filter(never);
    names.map(|it| format!("`{}`", it.name))
}

#[cfg(test)]
mod tests {
    use super::super::found::{Cost, Runs};
    use super::*;

    #[test]
    fn a_backend_has_a_row_for_each_program_that_ran_and_one_for_all() {
        let program = |name: &str, count| Program {
            name: name.to_owned(),
            hook: format!("kprobe {name}"),
            ours: Runs {
                count,
                ns: 300 * count,
            },
            empty: Runs {
                count,
                ns: 20 * count,
            },
        };
        let found = Found {
            backend: "kprobe".to_owned(),
            connections: 10,
            programs: vec![program("a", 100), program("b", 0)],
            cost: Cost {
                bare: vec![50_000.0, 50_010.0, 50_020.0],
                floor_added: vec![900.0, 1_000.0, 1_100.0],
                agent_added: vec![4_000.0],
                own: 2_000.0,
            },
        };
        let text = tables("6.12", &[found]);
        let rows: Vec<&str> = text.lines().filter(|it| it.starts_with("| k")).collect();
        assert_eq!(
            rows,
            [
                "| kprobe | 50010 (50005–50015) | 1000 (950–1050) | 4000 (4000–4000) | 4.0 | 2000 |",
                "| kprobe | `a` | 10.00 | 300 | 20 | 15.0 |",
                "| kprobe | all, for a connection | | 3000 | 200 | 15.0 |",
            ]
        );
        assert!(text.ends_with("\nNothing of this load runs `b`.\n"));
    }
}
