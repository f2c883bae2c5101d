//! Outputs to scenario lines.

use std::fmt::Write as _;
use std::time::Duration;

use observer::classify::{Phase, Verdict, classify};
use observer::event::Task;
use observer::track::{Output, TimeWaitEnd};

pub(super) fn output(output: &Output) -> String {
    match output {
        Output::Closed(closed) => verdict(&classify(closed).with_evidence(closed)),
        Output::LooseReset { cause, netns, .. } => {
            let place = netns.map_or_else(String::new, |netns| format!(" in {netns}"));
            format!("=> loose reset: {}{place}\n", cause.label())
        }
        // The verdict says who holds TIME_WAIT, and what resets there were.
        Output::MinisockStarted { .. } | Output::ResetSent { .. } => String::new(),
        Output::UnknownExpired { netns, .. } => format!("=> unknown minisock expired in {netns}\n"),
        Output::Stillborn { netns, .. } => format!("=> stillborn in {netns}\n"),
        Output::TimeWaitEnded(end) => {
            let how = match end.how {
                TimeWaitEnd::Expired => "expired",
                TimeWaitEnd::Reused => "reused",
                TimeWaitEnd::Recycled => "recycled",
                TimeWaitEnd::Reset => "reset",
                TimeWaitEnd::Destroyed => "destroyed",
                TimeWaitEnd::Other => "other",
            };
            format!("=> time_wait ended: {how}\n")
        }
    }
}

fn verdict(verdict: &Verdict) -> String {
    let mut text = String::new();
    let initiator = verdict.initiator.map_or("-", |initiator| initiator.label());
    let closer = verdict.closer.map_or("-", |closer| closer.label());
    let half_closed = match verdict.half_closed {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    };
    let lost = verdict.left_behind;
    let bytes = |lost: Option<u32>| lost.map_or_else(|| "-".to_owned(), |lost| lost.to_string());
    let mut line = |line: String| {
        let _infallible = writeln!(text, "=> {line}");
    };
    line(format!(
        "{} role={}",
        verdict.ending.label(),
        verdict.role.label()
    ));
    line(format!(
        "  initiator={initiator} closer={closer} closed_by={} half_closed={half_closed} time_wait={}",
        by(verdict.closed_by.as_ref()),
        verdict.time_wait.label()
    ));
    line(format!(
        "  unread={} unsent={} unacked={} error={}",
        bytes(lost.unread),
        bytes(lost.unsent),
        bytes(lost.unacked),
        verdict.error
    ));
    line(format!(
        "  ended_at={} phases={}",
        seconds(verdict.ended_at.0),
        phases(verdict)
    ));
    let doubt = verdict
        .doubt
        .map_or_else(String::new, |doubt| format!(": {doubt}"));
    line(format!("  {}{doubt}", verdict.confidence.label()));
    let marks = marks(verdict);
    if !marks.is_empty() {
        line(format!("  {}", marks.join(" ")));
    }
    let moved: Vec<_> = verdict
        .counters
        .moved()
        .map(|(counter, count)| format!("{}+{count}", counter.label()))
        .collect();
    if !moved.is_empty() {
        line(format!("  {}", moved.join(" ")));
    }
    line(format!("  {}", timeline(verdict)));
    text
}

fn by(task: Option<&Task>) -> String {
    task.map_or_else(
        || "-".to_owned(),
        |task| format!("{}:{}", task.pid, task.comm),
    )
}

fn seconds(nanos: u64) -> String {
    format!("{:.3}", Duration::from_nanos(nanos).as_secs_f64())
}

fn phases(verdict: &Verdict) -> String {
    let spent = Phase::ALL
        .into_iter()
        .zip(verdict.phases)
        .filter_map(|(phase, time)| {
            let nanos = u64::try_from(time?.as_nanos()).ok()?;
            Some(format!("{}:{}", phase.label(), seconds(nanos)))
        });
    let spent: Vec<_> = spent.collect();
    if spent.is_empty() {
        "-".to_owned()
    } else {
        spent.join(",")
    }
}

fn marks(verdict: &Verdict) -> Vec<String> {
    let attributes = verdict.attributes;
    let mut marks: Vec<String> = [
        (attributes.linger_expired, "linger_expired"),
        (attributes.reset_sent, "reset_sent"),
        (attributes.time_wait_overflow, "time_wait_overflow"),
        (attributes.minisock, "minisock"),
        (verdict.reset_received, "reset_received"),
    ]
    .into_iter()
    .filter(|(set, _)| *set)
    .map(|(_, name)| name.to_owned())
    .collect();
    marks.extend(
        verdict
            .resets_sent
            .iter()
            .map(|cause| format!("sent={}", cause.label())),
    );
    marks.extend(
        verdict
            .reset_reason
            .as_ref()
            .map(|reason| format!("reason={reason}")),
    );
    marks
}

fn timeline(verdict: &Verdict) -> String {
    let steps = verdict.timeline.iter().map(|step| match &step.by {
        Some(task) => format!("{}({})", step.event, task.comm),
        None => step.event.to_owned(),
    });
    steps.collect::<Vec<_>>().join(" ")
}
