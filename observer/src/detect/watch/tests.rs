//! A census after the other, with and without what the tracker knows.

use std::time::Duration;

use super::Watch;
use crate::census::{Census, Quiet, Seen};
use crate::detect::sample::{self, NETNS, at, ends, standing};
use crate::detect::{Age, CloseWait, Service};
use crate::event::{State, Timestamp};
use crate::track::{Origin, Standing};

const AFTER: Duration = Duration::from_mins(1);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A socket that nothing was heard of for so long, and no data for twice that.
fn seen(cookie: u64, quiet: Duration) -> Seen {
    Seen {
        quiet: Some(Quiet {
            data_sent: quiet,
            data_received: quiet * 2,
            ack_received: quiet,
        }),
        ..sample::seen(State::CloseWait, cookie)
    }
}

fn census(now: Timestamp, sockets: &[Seen]) -> Census {
    sample::census(now, sockets, &sample::SYSCTLS)
}

fn look(watch: &mut Watch, census: &Census, standing: &[Standing]) -> Vec<CloseWait> {
    let mut looked = census.namespaces.values();
    let start = looked.next().map(|it| it.from).unwrap_or_default();
    watch.look(census, standing, start)
}

fn ages(sockets: &[CloseWait]) -> Vec<Age> {
    sockets.iter().map(|it| it.age).collect()
}

#[test]
fn an_age_is_exact_where_the_fin_was_seen() {
    let mut watch = Watch::new(AFTER);
    let now = at(1000);
    let leaked = look(
        &mut watch,
        &census(now, &[seen(5, seconds(65))]),
        &[standing(at(930))],
    );
    assert_eq!(ages(&leaked), [Age::exactly(seconds(70))]);
}

#[test]
fn an_age_is_a_lower_bound_where_it_was_not_and_grows_though_the_peer_acknowledges() {
    let mut watch = Watch::new(AFTER);
    let leaked = look(&mut watch, &census(at(1000), &[seen(5, seconds(65))]), &[]);
    assert_eq!(ages(&leaked), [Age::at_least(seconds(65))]);
    // A keep-alive of this side was answered meanwhile.
    let leaked = look(&mut watch, &census(at(1015), &[seen(5, seconds(3))]), &[]);
    assert_eq!(ages(&leaked), [Age::at_least(seconds(80))]);
}

#[test]
fn what_was_seen_once_stays_known() {
    let mut watch = Watch::new(AFTER);
    let first = census(at(990), &[seen(5, seconds(55))]);
    drop(look(&mut watch, &first, &[standing(at(930))]));
    let leaked = look(&mut watch, &census(at(1000), &[seen(5, seconds(65))]), &[]);
    assert_eq!(ages(&leaked), [Age::exactly(seconds(70))]);
}

#[test]
fn what_another_connection_with_these_ends_did_is_not_taken_for_this_ones() {
    let census = census(at(1000), &[seen(5, seconds(2))]);
    // Data came 4 s ago, so this FIN did not come 900 s ago.
    let mut watch = Watch::new(AFTER);
    let waiting = look(&mut watch, &census, &[standing(at(100))]);
    assert_eq!(ages(&waiting), [Age::at_least(seconds(2))]);
    assert_eq!(watch.leaked(waiting, at(1000)), []);
    let other = Standing {
        cookie: Some(6),
        ..standing(at(997))
    };
    let mut watch = Watch::new(seconds(1));
    let leaked = look(&mut watch, &census, &[other]);
    assert_eq!(ages(&leaked), [Age::at_least(seconds(2))]);
}

#[test]
fn what_the_kernel_does_not_show_is_never_told() {
    let mut watch = Watch::new(AFTER);
    let nothing = census(at(1000), &[]);
    let leaked = look(&mut watch, &nothing, &[standing(at(100))]);
    assert_eq!(leaked, []);
}

#[test]
fn a_socket_that_came_unseen_is_counted_once_and_one_older_than_the_agent_is_not() {
    let mut watch = Watch::new(AFTER);
    drop(look(
        &mut watch,
        &census(at(1000), &[seen(5, seconds(65))]),
        &[],
    ));
    assert_eq!(watch.missed(), 0);
    let both = [seen(5, seconds(80)), seen(6, seconds(10))];
    drop(look(&mut watch, &census(at(1015), &both), &[]));
    drop(look(&mut watch, &census(at(1030), &both), &[]));
    assert_eq!(watch.missed(), 1);
    // Its event may have come while that census was taken.
    drop(look(
        &mut watch,
        &census(at(1045), &[seen(7, seconds(1))]),
        &[],
    ));
    assert_eq!(watch.missed(), 1);
    drop(look(
        &mut watch,
        &census(at(1060), &[seen(7, seconds(16))]),
        &[],
    ));
    assert_eq!(watch.missed(), 2, "it had not");
}

#[test]
fn what_is_half_closed_and_in_use_is_no_leak() {
    let mut watch = Watch::new(AFTER);
    let mut streaming = seen(5, seconds(1));
    streaming.quiet = streaming.quiet.map(|quiet| Quiet {
        data_received: seconds(300),
        ..quiet
    });
    let waiting = look(
        &mut watch,
        &census(at(1000), &[streaming]),
        &[standing(at(800))],
    );
    assert_eq!(ages(&waiting), [Age::exactly(seconds(200))]);
    assert_eq!(watch.leaked(waiting, at(1000)), []);
    let quiet = look(&mut watch, &census(at(1100), &[seen(5, seconds(101))]), &[]);
    assert_eq!(
        ages(&watch.leaked(quiet, at(1100))),
        [Age::exactly(seconds(300))]
    );
}

#[test]
fn what_nobody_could_look_at_is_not_young_the_next_time() {
    let mut watch = Watch::new(AFTER);
    drop(look(
        &mut watch,
        &census(at(1000), &[seen(5, seconds(65))]),
        &[],
    ));
    let mut blind = Census::default();
    blind.failed.insert(NETNS);
    drop(look(&mut watch, &blind, &[]));
    let again = look(&mut watch, &census(at(1030), &[seen(5, seconds(2))]), &[]);
    assert_eq!(ages(&again), [Age::at_least(seconds(95))]);
    assert_eq!(watch.missed(), 0);
}

#[test]
fn what_was_there_at_the_first_look_that_succeeds_did_not_come_unseen() {
    let mut watch = Watch::new(AFTER);
    let mut blind = Census::default();
    blind.failed.insert(NETNS);
    drop(look(&mut watch, &blind, &[]));
    let first = census(at(1015), &[seen(5, seconds(65))]);
    drop(look(&mut watch, &first, &[]));
    assert_eq!(watch.missed(), 0);
    let both = [seen(5, seconds(80)), seen(6, seconds(10))];
    drop(look(&mut watch, &census(at(1030), &both), &[]));
    assert_eq!(watch.missed(), 1);
}

#[test]
fn how_a_connection_began_says_what_it_is_for() {
    let mut watch = Watch::new(AFTER);
    let connected = Standing {
        origin: Origin::Connected,
        ..standing(at(930))
    };
    let waiting = look(
        &mut watch,
        &census(at(1000), &[seen(5, seconds(65))]),
        &[connected],
    );
    // Its local port is one that the kernel gives to nobody.
    assert_eq!(waiting[0].service, Service::Remote(ends().peer));
    let later = look(&mut watch, &census(at(1015), &[seen(5, seconds(80))]), &[]);
    assert_eq!(later[0].service, Service::Remote(ends().peer));
}

#[test]
fn what_is_used_more_rarely_than_the_threshold_stays_told_until_it_is_used_often_or_gone() {
    let mut watch = Watch::new(AFTER);
    let mut told = |now: u64, quiet: Option<u64>| {
        let sockets: Vec<Seen> = quiet
            .map(|quiet| seen(5, seconds(quiet)))
            .into_iter()
            .collect();
        let waiting = look(&mut watch, &census(at(now), &sockets), &[]);
        watch.leaked(waiting, at(now)).len()
    };
    assert_eq!([told(1000, Some(59)), told(1015, Some(74))], [0, 1]);
    // It sends every 70 s.
    assert_eq!([told(1030, Some(5)), told(1060, Some(35))], [1, 1]);
    assert_eq!([told(1090, Some(65)), told(1105, Some(10))], [1, 1]);
    // It sends every 20 s.
    assert_eq!([told(1120, Some(5)), told(1151, Some(16))], [1, 0]);
    assert_eq!([told(1215, Some(80)), told(1230, None)], [1, 0]);
}
