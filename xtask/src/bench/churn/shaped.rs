//! What the shape of records costs: all in full, or thin, or one for a whole connection.
//!
//! Takes the agent and the object of the shapes; gives samples and a table, in the same rounds
//! as the floor and the agent. Holds nothing against a limit: it is there to choose by.

use std::fmt::Write as _;
use std::path::Path;
use std::process;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::contenders::{Contender, Stage};
use super::sample::Sample;
use super::{rounds, rows, stage};
use crate::bench::agent::Observer;
use crate::bench::floor::Floor;
use crate::bench::probes::{self, Row};
use crate::bench::shapes::{Shape, Shapes};
use crate::bench::stats::{Quartiles, number, ratio};
use crate::bench::{Options, Section, say};

/// Who runs in each round.
const ALL: [Contender; 7] = [
    Contender::Bare,
    Contender::Floor,
    Contender::Shape(Shape::Fat),
    Contender::Shape(Shape::Thin),
    Contender::Shape(Shape::Stored),
    Contender::Shape(Shape::Hashed),
    Contender::Agent,
];

/// Measures it.
pub(in crate::bench) fn measure(agent: &Path, options: &Options) -> Result<Section> {
    let (Some(object), Some(bpftool)) = (&options.shapes, &options.tools.bpftool) else {
        return Ok(Section {
            name: "shapes",
            table: "## Shapes of records\n\nNot measured: bpftool or the programs are missing.\n"
                .to_owned(),
            data: json!(null),
            checks: Vec::new(),
        });
    };
    let stage = Stage {
        shapes: Some(Shapes::new(object, bpftool)?),
        ..stage(agent, &options.tools)?
    };
    let allowed = allowed(&stage)?;
    let rounds = rounds(&stage, &allowed, options)?;
    let mut programs = Vec::new();
    for contender in allowed {
        let rows = in_programs(&stage, contender, bpftool, options)?;
        let ns = rows.iter().map(|row| row.ns_a_connection).sum::<f64>();
        say(&format!("in programs: {:28} {ns:.0} ns", contender.name()))?;
        programs.push((contender, rows));
    }
    Ok(Section {
        name: "shapes",
        table: table(&rounds, &programs, options),
        data: json!({
            "threads": options.threads,
            "connections": options.connections,
            "hooks": super::named(&stage),
            "rounds": rounds,
            "programs": programs,
        }),
        checks: Vec::new(),
    })
}

/// All but the shapes that this kernel refuses; says why it does.
fn allowed(stage: &Stage) -> Result<Vec<Contender>> {
    let mut allowed = Vec::new();
    for contender in ALL {
        if let Contender::Shape(shape) = contender {
            match stage.attach(shape) {
                Ok(shaped) => drop(shaped.stop()?),
                Err(error) => {
                    say(&format!("{}: {error:#}", shape.name()))?;
                    continue;
                }
            }
        }
        allowed.push(contender);
    }
    Ok(allowed)
}

/// Run times of a contender's programs, in a run of its own.
fn in_programs(
    stage: &Stage,
    contender: Contender,
    bpftool: &Path,
    options: &Options,
) -> Result<Vec<Row>> {
    let ran = |pid| Ok(probes::of_process(pid, bpftool, options)?.1);
    let own = process::id();
    match contender {
        Contender::Floor => {
            let floor = Floor::attach(stage.hooks.as_ref().context("no hooks known")?)?;
            let rows = ran(own);
            drop(floor);
            rows
        }
        Contender::Shape(shape) => {
            let shaped = stage.attach(shape)?;
            let rows = ran(own);
            shaped.stop()?;
            rows
        }
        Contender::Agent => {
            let agent = Observer::start(&stage.agent, &[])?;
            let rows = ran(agent.pid());
            agent.stop()?;
            rows
        }
        Contender::Bare
        | Contender::Capped
        | Contender::Filtered
        | Contender::Tcplife
        | Contender::Tcpstates
        | Contender::Bpftrace
        | Contender::Ss => Ok(Vec::new()),
    }
}

/// As Markdown.
fn table(rounds: &[Vec<Sample>], programs: &[(Contender, Vec<Row>)], options: &Options) -> String {
    let mut text = format!(
        "## Shapes of records\n\n\
         The same load; threads: {}, connections a run: {}, rounds of all in turn: {}. Small \
         programs on the tracepoints of state changes and of the end of a socket, empty ones on \
         the agent's other hooks, and a reader that only counts: each step in full, as the agent \
         has it; the first in full and the rest in 32 bytes; all steps kept with the socket and \
         one record at its close. What bare \"adds\" is the error of what is added. \
         *Over the floor's*: added, within a round; ∞ where \
         the floor added nothing. *In programs*: \
         by `kernel.bpf_stats_enabled` in one more run, two looks at the clock with each call, \
         without what the kernel does afterwards. Records and bytes are of a connection (both \
         ends), with the ring's own 8 of each.\n\n\
         | sends | added, µs | over the floor's | in programs, µs | own, µs | records | bytes |\n\
         |---|--:|--:|--:|--:|--:|--:|\n",
        options.threads,
        options.connections,
        rounds.len(),
    );
    for contender in ALL {
        let rows = programs.iter().find(|(it, _)| *it == contender);
        let name = contender.name();
        let _infallible = match rows {
            None => writeln!(text, "| {name} | refused here | – | – | – | – | – |"),
            Some((_, rows)) => {
                let cells = cells(rounds, rows, contender).join(" | ");
                writeln!(text, "| {name} | {cells} |")
            }
        };
    }
    text
}

fn cells(rounds: &[Vec<Sample>], programs: &[Row], contender: Contender) -> [String; 6] {
    let sends = !matches!(contender, Contender::Bare | Contender::Floor);
    let median = |applies: bool, value: fn(&Sample) -> u64| {
        let each = rows::each(rounds, |round| {
            let sample = rows::find(round, contender)?;
            Some(ratio(
                number(value(sample)),
                number(sample.made.connections),
            ))
        });
        let shown = Quartiles::of(&each).filter(|_| applies);
        shown.map_or_else(|| "–".to_owned(), |it| format!("{:.1}", it.median))
    };
    let spread = |applies: bool, values: &[f64], unit| {
        let shown = Quartiles::of(values).filter(|_| applies);
        shown.map_or_else(|| "–".to_owned(), |it| it.cell(unit))
    };
    let over = over_floor(rounds, contender);
    let inside: f64 = programs.iter().map(|row| row.ns_a_connection).sum();
    [
        spread(true, &rows::added(rounds, contender), 1e3),
        spread(sends, &over, 1.0),
        if programs.is_empty() {
            "–".to_owned()
        } else {
            format!("{:.2}", inside / 1e3)
        },
        spread(sends, &rows::own(rounds, contender), 1e3),
        median(sends, |it| it.events),
        // The agent does not say.
        median(matches!(contender, Contender::Shape(_)), |it| it.bytes),
    ]
}

/// What a contender added over what empty programs did, in each round.
fn over_floor(rounds: &[Vec<Sample>], contender: Contender) -> Vec<f64> {
    rows::each(rounds, |round| {
        let added = rows::find(round, contender)?.added_ns();
        Some(ratio(
            added,
            rows::find(round, Contender::Floor)?.added_ns(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::load::Made;

    fn sample(contender: Contender, added: u64) -> Sample {
        let made = Made {
            connections: 1000,
            cpu_ns: 1000 * (20_000 + added),
            ..Made::default()
        };
        Sample {
            contender,
            made,
            bare_ns: 20_000.0,
            own_ns: 1_000_000,
            told: 0,
            said_lost: 0,
            events: 11_000,
            bytes: 1_720_000,
        }
    }

    #[test]
    fn a_shape_is_held_against_the_floor_of_its_round() {
        let fat = Contender::Shape(Shape::Fat);
        let rounds = vec![vec![sample(Contender::Floor, 500), sample(fat, 1500)]];
        let programs = [(Contender::Floor, Vec::new()), (fat, Vec::new())];
        let text = table(&rounds, &programs, &Options::default());
        let refused = "| one at the end, from a hash | refused here | – | – | – | – | – |";
        assert!(text.contains(refused), "{text}");
        let floor = "| empty programs (the floor) | 0.50 (0.50–0.50) | – | – | – | – | – |";
        let row = "| each step in full | 1.50 (1.50–1.50) | 3.00 (3.00–3.00) | – | 1.00 (1.00–1.00) \
                   | 11.0 | 1720.0 |";
        assert!(text.contains(floor), "{text}");
        assert!(text.contains(row), "{text}");
    }
}
