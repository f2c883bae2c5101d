//! Draws what crossed the wire: this end on the left, the peer on the right, time downwards.

use std::fmt::Write as _;

use crate::classify::{Lane, Step, Wire};
use crate::event::State;

/// Columns of what stands left of the wire, and of the wire itself.
const HERE: usize = 26;
const WIRE: usize = 24;

/// The drawing, with a head and a key to its marks.
pub(super) fn draw(steps: &[Step]) -> String {
    let mut text = format!("  {:>HERE$} {:WIRE$}   peer\n", "this end", "");
    for step in steps {
        let Step {
            here,
            wire,
            there,
            decides,
        } = step;
        let line = format!(
            "{} {:>HERE$} │{}│ {}",
            if *decides { '*' } else { ' ' },
            near(*here, Side::Here),
            across(*wire),
            near(*there, Side::There),
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str("* decides the ending");
    if steps
        .iter()
        .any(|step| matches!(step.wire, Wire::SentLost(_)))
    {
        text.push_str("      x lost, or not answered");
    }
    text.push('\n');
    text
}

#[derive(Clone, Copy)]
enum Side {
    Here,
    There,
}

/// The state stands next to the wire, the act outside.
fn near(lane: Lane, side: Side) -> String {
    let state = lane.state.map_or("", State::name);
    let between = if lane.act.is_empty() || state.is_empty() {
        ""
    } else {
        "  "
    };
    match side {
        Side::Here => [lane.act, between, state].concat(),
        Side::There => [state, between, lane.act].concat(),
    }
}

fn across(wire: Wire) -> String {
    match wire {
        Wire::Sent(what) => format!(" {}> ", dashes(what, WIRE - 3)),
        Wire::Received(what) => format!(" <{} ", dashes(what, WIRE - 3)),
        Wire::SentLost(what) => format!(" {}x     ", dashes(what, WIRE - 7)),
        Wire::Quiet(what) => format!("{what:^WIRE$}"),
    }
}

/// `what` in the middle of a line.
fn dashes(what: &str, width: usize) -> String {
    let mut line = String::new();
    let _infallible = write!(line, "{:─^width$}", format!(" {what} "));
    line
}
