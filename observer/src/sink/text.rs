//! One ended connection as one line for people.
//!
//! Columns are as wide as what usually stands in them, so that lines stand below each other;
//! a longer value pushes the rest of its line to the right and is never cut.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::classify::{Closer, Confidence, TimeWait, Verdict};
use crate::clock::Clock;
use crate::event::Task;
use crate::sink::page::printable;

/// Appends the line, line end included.
pub fn write(verdict: &Verdict, clock: &Clock, zone: &TimeZone, out: &mut Vec<u8>) {
    let time = clock.wall(verdict.ended_at).to_zoned(zone.clone());
    let mut line = format!(
        "{} {:<24} {:<7} {:<22} {:<46} {:>9}  ",
        time.strftime("%H:%M:%S.%6f"),
        verdict.ending.label(),
        verdict.role.label(),
        who(verdict.closed_by.as_ref().or(verdict.opened_by.as_ref())),
        ends(verdict),
        verdict
            .born_at
            .map_or_else(|| "?".to_owned(), |born| span(verdict.ended_at.since(born))),
    );
    line.push_str(&remarks(verdict).join(", "));
    line.truncate(line.trim_end().len());
    line.push('\n');
    out.extend_from_slice(line.as_bytes());
}

fn who(task: Option<&Task>) -> String {
    let Some(task) = task else {
        return "-".to_owned();
    };
    format!("{}/{}", task.pid, printable(&task.comm))
}

fn ends(verdict: &Verdict) -> String {
    verdict.ends.map_or_else(
        || "- → -".to_owned(),
        |ends| format!("{} → {}", ends.local, ends.peer),
    )
}

fn call(closer: Closer) -> &'static str {
    match closer {
        Closer::Close => "close()",
        Closer::Shutdown => "shutdown()",
        Closer::Exit => "process exit",
    }
}

/// Three significant digits and a unit.
fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = if seconds < 1e-3 {
        (seconds * 1e6, "µs")
    } else if seconds < 1.0 {
        (seconds * 1e3, "ms")
    } else {
        (seconds, "s")
    };
    let digits = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.digits$}{unit}")
}

fn remarks(verdict: &Verdict) -> Vec<String> {
    let mut remarks = Vec::new();
    let by = verdict
        .initiator
        .map(|initiator| format!("by {}", initiator.label()));
    remarks.extend(by);
    remarks.extend(verdict.closer.map(|closer| call(closer).to_owned()));
    if verdict.half_closed == Some(true) {
        remarks.push("half-closed".to_owned());
    }
    let left = verdict.left_behind;
    for (queue, bytes) in
        super::names::QUEUES
            .into_iter()
            .zip([left.unread, left.unsent, left.unacked])
    {
        remarks.extend(
            bytes
                .filter(|bytes| *bytes > 0)
                .map(|bytes| format!("{queue} {bytes} B")),
        );
    }
    if !matches!(verdict.time_wait, TimeWait::None | TimeWait::Unknown) {
        remarks.push(format!("TIME_WAIT {}", verdict.time_wait.label()));
    }
    remarks.extend(
        super::attributes(verdict.attributes)
            .into_iter()
            .map(str::to_owned),
    );
    match (verdict.confidence, verdict.doubt) {
        (Confidence::Exact, _) => {}
        (confidence, None) => remarks.push(confidence.label().to_owned()),
        (confidence, Some(doubt)) => {
            let mut remark = confidence.label().to_owned();
            let _written = write!(remark, ": {doubt}");
            remarks.push(remark);
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;
    use crate::sink::sample;

    fn line(verdict: &Verdict) -> String {
        let mut out = Vec::new();
        let clock = Clock::with_wall_offset(1_700_000_000_000_000_000);
        write(verdict, &clock, &TimeZone::UTC, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_read_as_recorded() {
        let mut old = sample::unknown();
        old.doubt = Some("older than the agent");
        let lines = line(&sample::reset_with_unread_data()) + &line(&old);
        expect_file!["../../testdata/lines.txt"].assert_eq(&lines);
    }

    #[test]
    fn a_name_cannot_command_the_terminal() {
        let mut verdict = sample::reset_with_unread_data();
        verdict.closed_by.as_mut().unwrap().comm = "\u{1b}[2Jx\n".into();
        let line = line(&verdict);
        assert!(line.contains("?[2Jx?"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn spans_have_three_digits() {
        for (time, text) in [
            (Duration::from_nanos(9_870), "9.87µs"),
            (Duration::from_micros(12_345), "12.3ms"),
            (Duration::from_secs(4_000), "4000s"),
        ] {
            assert_eq!(span(time), text);
        }
    }
}
