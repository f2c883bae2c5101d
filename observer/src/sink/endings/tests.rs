//! What of the last minutes is told, and for how long.

use serde_json::{Value, json};

use super::{History, Notes, Query, page};
use crate::classify::{Ending, Role, Verdict};
use crate::clock::Clock;
use crate::event::Timestamp;
use crate::sink::sample;

fn at(seconds: u64) -> Timestamp {
    Timestamp(seconds * 1_000_000_000)
}

fn ended(ending: Ending, role: Role, seconds: u64) -> Verdict {
    Verdict {
        ending,
        role,
        ended_at: at(seconds),
        ..sample::reset_with_unread_data()
    }
}

fn note(history: &History, now: Timestamp, verdict: &Verdict) {
    let mut notes = Notes::default();
    notes.note(verdict);
    history.add(now, &mut notes);
}

fn told(history: &History, query: &str, seconds: u64) -> Value {
    let clock = Clock::with_wall_offset(1_700_000_000_000_000_000);
    let query = Query::parse(query).unwrap();
    let text = page(history, query, at(seconds), &clock).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn an_ending_is_counted_for_a_minute_and_for_fifteen_and_then_no_more() {
    let history = History::default();
    history.begin(at(1000));
    for role in [Role::Client, Role::Server, Role::Server] {
        note(&history, at(1000), &ended(Ending::ActiveClose, role, 1000));
    }
    let sums = |seconds| {
        let page = told(&history, "", seconds);
        let sums = |it: &Value| {
            ["last_minute", "last_5_minutes", "last_15_minutes"].map(|key| it[key].as_u64())
        };
        (sums(&page["groups"][0]), page["endings"].get(0).map(sums))
    };
    let [all, some, none] = [[3, 3, 3], [0, 3, 3], [0, 0, 0]].map(|it| it.map(Some));
    assert_eq!(sums(1060), (all, Some(all)));
    assert_eq!(sums(1070), (some, Some(some)));
    assert_eq!(sums(1909).0[2], Some(3));
    assert_eq!(sums(1910), (none, None));
    let page = told(&history, "", 1060);
    let by_role = json!({"client": 1, "server": 2, "unknown": 0});
    assert_eq!(page["endings"][0]["by_role"], by_role);
    assert_eq!(page["endings"][0]["meaning"], Ending::ActiveClose.meaning());
    assert_eq!(page["since"], "2023-11-14T22:30:00Z");
    let slots = page["groups"][0]["slots"].as_array().unwrap();
    assert_eq!((slots.len(), &slots[84]), (91, &json!(3)));
}

#[test]
fn a_slot_of_an_hour_ago_is_not_taken_for_one_of_these_minutes() {
    let history = History::default();
    note(
        &history,
        at(1000),
        &ended(Ending::PeerReset, Role::Client, 1000),
    );
    // The same place in the ring, one round later.
    assert_eq!(told(&history, "", 1910)["groups"][2]["last_minute"], 0);
    note(
        &history,
        at(1910),
        &ended(Ending::PeerReset, Role::Client, 1910),
    );
    let page = told(&history, "", 1910);
    assert_eq!(page["groups"][2]["last_15_minutes"], 1);
}

#[test]
fn many_of_one_ending_do_not_push_out_the_one_of_another() {
    let history = History::default();
    let timeout = ended(Ending::TimeoutConnect, Role::Client, 10);
    note(&history, at(10), &timeout);
    note(
        &history,
        at(10),
        &ended(Ending::PassiveClose, Role::Client, 10),
    );
    for seconds in 11..1000 {
        note(
            &history,
            at(seconds),
            &ended(Ending::PeerReset, Role::Server, seconds),
        );
    }
    let page = told(&history, "", 1000);
    assert_eq!((&page["count"], &page["matched"]), (&json!(17), &json!(17)));
    assert_eq!(page["recent"][0]["ended_at"], "2023-11-14T22:29:59.000Z");
    assert_eq!(page["recent"][16]["ending"], "timeout_connect");
    assert_eq!(page["endings"].as_array().unwrap().len(), 1, "{page:#}");
    let page = told(&history, "group=gave_up", 1000);
    assert_eq!((&page["count"], &page["matched"]), (&json!(17), &json!(1)));
    let page = told(&history, "ending=peer_reset&limit=1&offset=15", 1000);
    assert_eq!(page["recent"].as_array().unwrap().len(), 1);
    assert_eq!(page["recent"][0]["ended_at"], "2023-11-14T22:29:44.000Z");
}

#[test]
fn who_and_where_is_told_in_the_words_of_the_events_file() {
    let history = History::default();
    let verdict = sample::reset_with_unread_data();
    note(&history, at(12), &verdict);
    let line = &told(&history, "", 12)["recent"][0];
    let clock = Clock::with_wall_offset(1_700_000_000_000_000_000);
    let whole = serde_json::to_value(crate::sink::json::Line::new(&verdict, &clock)).unwrap();
    for (key, value) in line.as_object().unwrap() {
        if !["ended_at", "group"].contains(&key.as_str()) {
            assert_eq!(Some(value), whole.get(key), "{key}");
        }
    }
    assert_eq!(line["comm"], "nginx");
    assert_eq!(line["group"], "reset_sent");
}

#[test]
fn a_loss_is_told_as_long_as_it_may_matter() {
    let history = History::default();
    assert_eq!(told(&history, "", 100)["complete"], true);
    history.note_loss(at(100));
    assert_eq!(told(&history, "", 1000)["complete"], false);
    assert_eq!(told(&history, "", 1010)["complete"], true);
}

#[test]
fn a_wrong_query_is_answered_with_what_would_do() {
    for (text, hint) in [
        ("ending=reset", "tcp-observer explain"),
        ("group=resets", "reset_received"),
        ("limit=x", "number"),
        ("port=80", "ending, group, limit or offset"),
    ] {
        let error = Query::parse(text).unwrap_err();
        assert!(error.contains(hint), "{error}");
    }
}
