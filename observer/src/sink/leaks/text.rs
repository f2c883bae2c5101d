//! Leaks for people.

use super::{LIMITS, Report, title};
use crate::census::Holder;
use crate::detect::{Age, Leak};
use crate::sink::page::{Page, printable};

/// Processes named of one leak, and descriptors of one process.
const MOST_SHOWN: usize = 8;

/// The whole report.
pub fn write(report: &Report<'_>) -> String {
    let mut page = Page::default();
    let after = span(report.after.as_secs());
    page.paragraph(
        0,
        &match report.leaked() {
            0 => format!(
                "no leak: of {} in CLOSE_WAIT none has certainly waited for longer than {after}",
                sockets(report.close_wait)
            ),
            leaked => format!(
                "{leaked} of {} in CLOSE_WAIT have waited for longer than {after}: the peer has \
                 closed, and this side has not",
                sockets(report.close_wait)
            ),
        },
    );
    for leak in report.leaks {
        write_leak(&mut page, leak);
    }
    if report.close_wait > 0 {
        page.line("");
        page.paragraph(0, LIMITS);
    }
    for sentence in report.missing {
        page.line("");
        page.paragraph(0, &format!("not seen: {sentence}"));
    }
    page.text
}

fn write_leak(page: &mut Page, leak: &Leak) {
    page.line("");
    page.paragraph(0, &title(leak));
    if let Some(oldest) = leak.sockets.first() {
        let ends = oldest.seen.ends;
        let text = format!("{}, {} ← {}", age(oldest.age), ends.local, ends.peer);
        page.wrap("  oldest  ", 10, &text);
    }
    for holder in leak.holders.iter().take(MOST_SHOWN) {
        page.wrap("  holder  ", 10, &held_by(holder));
    }
    if let Some(more) = leak
        .holders
        .len()
        .checked_sub(MOST_SHOWN)
        .filter(|it| *it > 0)
    {
        page.wrap("  holder  ", 10, &format!("and {more} more processes"));
    }
    page.wrap("  data    ", 10, &data(leak));
    page.wrap("  remedy  ", 10, leak.remedy());
}

/// `python3/4242, user 33, 3 descriptors: 5 6 7`.
fn held_by(holder: &Holder) -> String {
    let process = &holder.process;
    let fds: Vec<String> = holder
        .fds
        .iter()
        .take(MOST_SHOWN)
        .map(u32::to_string)
        .collect();
    let more = if holder.count > fds.len() { " …" } else { "" };
    let descriptors = match holder.count {
        1 => "descriptor".to_owned(),
        count => format!("{count} descriptors:"),
    };
    let (comm, pid, uid) = (printable(&process.comm), process.pid, process.uid);
    format!(
        "{comm}/{pid}, user {uid}, {descriptors} {}{more}",
        fds.join(" ")
    )
}

fn data(leak: &Leak) -> String {
    let count = leak.count;
    let read = match leak.not_read_to_end {
        0 => "all read to the end of file".to_owned(),
        all if all == count => "none read to the end of file".to_owned(),
        some => format!("{some} of {count} not read to the end of file"),
    };
    format!(
        "{} bytes unread, {} bytes not acknowledged by the peer; {read}",
        leak.unread, leak.unacked
    )
}

fn sockets(count: u64) -> String {
    format!("{count} {}", if count == 1 { "socket" } else { "sockets" })
}

/// `at least 12m 3s`.
pub(in crate::sink) fn age(age: Age) -> String {
    let bound = if age.at_least { "at least " } else { "" };
    format!("{bound}{}", span(age.time.as_secs()))
}

/// The two largest units that count.
fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, unit) in units {
        let count = rest / size;
        rest %= size;
        if count > 0 || (size == 1 && parts.is_empty()) {
            parts.push(format!("{count}{unit}"));
        }
    }
    parts.truncate(2);
    parts.join(" ")
}
