//! Plays a scenario file: parses its event lines, feeds the tracker, prints what comes out.
//!
//! A file has sections; each starts with `== TITLE` and a line `sight BACKEND [without WORD…]`.
//! Every other line is an event (`TIME SOCK KIND WORD… KEY=VALUE…`), `TIME timeout`,
//! `TIME loss`, a `#` comment, or an expected output that starts with `=>`.

mod parse;
mod print;
mod values;

use std::fmt::Write as _;

use observer::event::Timestamp;
use observer::track::{Limits, Tracker};

const LIMITS: Limits = Limits {
    connections: 100,
    records: 100,
    steps: 32,
};

/// The script with its `=>` lines replaced by what the core says.
pub(crate) fn play(script: &str) -> Result<String, String> {
    let mut played = String::new();
    let mut tracker: Option<Tracker> = None;
    for (index, line) in script.lines().enumerate() {
        if line.starts_with("=>") {
            continue;
        }
        let at_line = |error: String| format!("line {}: {error}", index + 1);
        if line.starts_with("== ") {
            finish(&mut tracker, &mut played);
        }
        played.push_str(line);
        played.push('\n');
        if line.trim().is_empty() || line.starts_with('#') || line.starts_with("== ") {
            continue;
        }
        if let Some(sight) = line.strip_prefix("sight ") {
            let sight = parse::sight(sight).map_err(at_line)?;
            tracker = Some(Tracker::new(sight, LIMITS));
            continue;
        }
        let tracker = tracker
            .as_mut()
            .ok_or_else(|| at_line("no sight yet".to_owned()))?;
        match parse::line(line).map_err(at_line)? {
            parse::Line::Event(event) => tracker.handle(&event),
            parse::Line::Timeout(at) => tracker.handle_timeout(at),
            parse::Line::Loss(at) => tracker.handle_loss(at),
        }
        say(tracker, &mut played);
    }
    finish(&mut tracker, &mut played);
    Ok(played)
}

fn say(tracker: &mut Tracker, played: &mut String) {
    while let Some(output) = tracker.next_output() {
        played.push_str(&print::output(&output));
    }
}

/// The end of a section: everything that waits is due, and what is left is told.
fn finish(tracker: &mut Option<Tracker>, played: &mut String) {
    if let Some(mut tracker) = tracker.take() {
        // Outputs stand right after the line that caused them.
        let blank = played.ends_with("\n\n");
        if blank {
            played.pop();
        }
        tracker.handle_timeout(Timestamp(u64::MAX));
        say(&mut tracker, played);
        let _infallible = writeln!(played, "=> tracked {}", tracker.tracked().all());
        if blank {
            played.push('\n');
        }
    }
}
