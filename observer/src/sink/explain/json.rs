//! What an ending means, as one JSON object.
//!
//! The fields are the keys. A key is never missing: what there is none of is null or an empty
//! array.

use serde::Serialize;

use crate::classify::{Ending, KernelCounter, Lane, Myth, Setting, Wire};
use crate::event::State;
use crate::sink::json::SCHEMA;

use super::Look;

/// The object of `explain --json` without an ending.
#[derive(Serialize)]
struct List {
    schema: u32,
    endings: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    ending: &'static str,
    group: &'static str,
    meaning: &'static str,
}

/// The object of `explain --json ENDING`.
#[derive(Serialize)]
struct Page {
    schema: u32,
    ending: &'static str,
    group: &'static str,
    meaning: &'static str,
    problem: &'static str,
    wire: Vec<Step>,
    application: &'static str,
    causes: Vec<&'static str>,
    look_next: Vec<Look>,
    settings: Vec<Term>,
    counters: Vec<Moves>,
    counters_command: Option<String>,
    wrong_advice: Vec<Wrong>,
    other_end: Vec<&'static str>,
}

#[derive(Serialize)]
struct Step {
    here: Side,
    /// `sent`, `received`, or null where nothing crossed.
    direction: Option<&'static str>,
    what: &'static str,
    lost: bool,
    there: Side,
    decides: bool,
}

#[derive(Serialize)]
struct Side {
    act: Option<&'static str>,
    state: Option<&'static str>,
}

#[derive(Serialize)]
struct Term {
    name: &'static str,
    effect: &'static str,
}

#[derive(Serialize)]
struct Moves {
    name: &'static str,
    moves: &'static str,
}

#[derive(Serialize)]
struct Wrong {
    advice: &'static str,
    truth: &'static str,
}

/// Everything that is known of this ending.
pub fn page(ending: Ending) -> serde_json::Result<String> {
    let known = ending.explanation();
    let term = |it: &Setting| Term {
        name: it.name,
        effect: it.effect,
    };
    let moves = |it: &KernelCounter| Moves {
        name: it.name,
        moves: it.moves,
    };
    let wrong = |it: &Myth| Wrong {
        advice: it.advice,
        truth: it.truth,
    };
    print(&Page {
        schema: SCHEMA,
        ending: ending.label(),
        group: ending.group().label(),
        meaning: ending.meaning(),
        problem: known.problem,
        wire: known.drawing.iter().map(step).collect(),
        application: known.application,
        causes: [ending.cause()]
            .into_iter()
            .chain(known.causes.iter().copied())
            .collect(),
        look_next: super::look_next(ending).collect(),
        settings: known.settings.iter().map(term).collect(),
        counters: known.counters.iter().map(moves).collect(),
        counters_command: super::nstat(ending),
        wrong_advice: known.myths.iter().map(wrong).collect(),
        other_end: known.other_end.iter().map(|it| it.label()).collect(),
    })
}

/// Every ending with its meaning, in the order of the table.
pub fn list() -> serde_json::Result<String> {
    let row = |ending: Ending| Row {
        ending: ending.label(),
        group: ending.group().label(),
        meaning: ending.meaning(),
    };
    print(&List {
        schema: SCHEMA,
        endings: Ending::ALL.into_iter().map(row).collect(),
    })
}

fn print(object: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(object)? + "\n")
}

fn step(step: &crate::classify::Step) -> Step {
    let (direction, what) = match step.wire {
        Wire::Sent(what) | Wire::SentLost(what) => (Some("sent"), what),
        Wire::Received(what) => (Some("received"), what),
        Wire::Quiet(what) => (None, what),
    };
    Step {
        here: side(step.here),
        direction,
        what,
        lost: matches!(step.wire, Wire::SentLost(_)),
        there: side(step.there),
        decides: step.decides,
    }
}

fn side(lane: Lane) -> Side {
    Side {
        act: Some(lane.act).filter(|act| !act.is_empty()),
        state: lane.state.map(State::name),
    }
}
