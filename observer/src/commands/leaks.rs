//! `tcp-observer leaks`: who holds sockets that the peer closed long ago. Needs no probe and
//! no agent: it asks the kernel once.

use std::collections::HashSet;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use crate::census::{self, Census, Holders, Looked, Scope, Seen, Sought};
use crate::cli::Leaks;
use crate::clock::Clock;
use crate::detect::{self, Age, CloseWait, Leak, Owner};
use crate::event::State;
use crate::selection::Wanted;
use crate::sink::leaks::{Report, json, text};

/// How long the search for holders may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks, and says what it found by its exit code too.
pub(super) fn leaks(arguments: &Leaks) -> ExitCode {
    let clock = Clock::new();
    let mut census = census::look(
        Scope::CloseWait,
        &Wanted::default(),
        &mut Sought::default(),
        &clock,
    );
    let leaks = find(&mut census, arguments.after, &clock);
    let looked = census.namespaces.values();
    let report = Report {
        taken_at: clock.wall(clock.now()),
        after: arguments.after,
        close_wait: looked.map(|it| it.tally.count(State::CloseWait)).sum(),
        leaks: &leaks,
        missing: &census.missing,
    };
    let page = if arguments.json {
        json::write(&report).unwrap_or_default()
    } else {
        text::write(&report)
    };
    // Where nobody reads the answer, the exit code still gives it.
    drop(std::io::stdout().write_all(page.as_bytes()));
    if !census.missing.is_empty() && !arguments.partial_ok {
        ExitCode::from(2)
    } else {
        ExitCode::from(u8::from(!leaks.is_empty()))
    }
}

/// Every leak of the host; what could not be seen on the way is added to the census.
fn find(census: &mut Census, after: Duration, clock: &Clock) -> Vec<Leak> {
    let mut sockets = Vec::new();
    for (netns, looked) in &census.namespaces {
        let aged = looked.tally.closing(State::CloseWait);
        sockets.extend(aged.filter_map(|seen| aged_socket(*netns, seen, looked, after)));
    }
    let wanted: HashSet<u32> = sockets.iter().map(|it| it.inode).collect();
    let holders = Holders::find(&wanted, clock, PATIENCE).unwrap_or_else(|error| {
        let sentence = format!("any holder: {error}; is /proc mounted?");
        census.missing.push(sentence);
        Holders::default()
    });
    for socket in &mut sockets {
        let mut all = holders.all(socket.inode);
        socket.owner = all.next().map_or(Owner::NotFound, Owner::of);
    }
    census.missing.extend(holders.missing());
    detect::leaks(sockets, |sockets| {
        holders.of(sockets.iter().map(|it| it.inode))
    })
}

/// A socket that has certainly waited for as long as `after`.
fn aged_socket(netns: u32, seen: &Seen, looked: &Looked, after: Duration) -> Option<CloseWait> {
    let age = seen.least_close_wait().filter(|age| *age >= after)?;
    Some(CloseWait::new(netns, *seen, looked, Age::at_least(age)))
}
