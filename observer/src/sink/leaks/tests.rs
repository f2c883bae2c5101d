//! How leaks read.

use std::time::Duration;

use expect_test::expect_file;

use super::{Report, json, text};
use crate::census::cgroup::Workload;
use crate::census::process::Process;
use crate::census::{Holder, Quiet, Seen};
use crate::detect::{Age, CloseWait, Leak, Matter, Owner, Service, leaks};
use crate::event::{Ends, State};

const MINUTE: Duration = Duration::from_mins(1);

fn process(pid: u32, comm: &str, cgroup: &str) -> Process {
    Process {
        pid,
        comm: comm.to_owned(),
        uid: 33,
        workload: Workload::of(cgroup),
    }
}

fn socket(owner: Option<&Process>, service: Service, index: u16, receive_queue: u32) -> CloseWait {
    let quiet = Quiet {
        data_sent: MINUTE,
        data_received: MINUTE,
        ack_received: MINUTE,
    };
    let seen = Seen {
        state: State::CloseWait,
        ends: Ends {
            local: "192.0.2.1:8080".parse().unwrap(),
            peer: format!("192.0.2.7:{}", 50_000 + index).parse().unwrap(),
        },
        cookie: u64::from(index),
        inode: u32::from(index),
        uid: 33,
        receive_queue,
        send_queue: 0,
        probes_window: false,
        minisock: None,
        cgroup: None,
        quiet: Some(quiet),
    };
    CloseWait {
        netns: 4_026_531_833,
        seen,
        age: Age::at_least(MINUTE * 12 + Duration::from_secs(u64::from(index))),
        service,
        opened_by: None,
        opening: None,
        accepted: receive_queue != 99,
        inode: u32::from(index),
        owner: owner.map_or(Owner::NotFound, Owner::of),
    }
}

/// A server that forgets, a client in a container that does not read, and a listener that
/// does not accept.
fn sample() -> Vec<Leak> {
    let server = process(4242, "python3", "/system.slice/shop.service");
    let id = "7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605";
    let client = process(77, "evil\x1b[31m", &format!("/docker/{id}"));
    let (here, there) = (
        Service::Local(8080),
        Service::Remote("[2001:db8::1]:443".parse().unwrap()),
    );
    let mut sockets: Vec<_> = (1..=3)
        .map(|index| socket(Some(&server), here, index, 0))
        .collect();
    sockets.push(socket(Some(&client), there, 4, 11));
    sockets.push(socket(Some(&server), here, 5, 99));
    sockets.push(socket(None, there, 6, 0));
    leaks(sockets, |sockets| {
        let holder = |process: &Process, fds: Vec<u32>| Holder {
            process: process.clone(),
            count: fds.len(),
            fds,
        };
        match sockets[0].owner.comm() {
            Some("python3") => vec![
                holder(&server, (5..=7).collect()),
                holder(&process(4300, "python3", ""), (5..=20).collect()),
            ],
            Some(_) => vec![holder(&client, vec![9])],
            None => Vec::new(),
        }
    })
}

fn report<'a>(leaks: &'a [Leak], missing: &'a [String]) -> Report<'a> {
    Report {
        taken_at: "2026-11-21T03:00:00Z".parse().unwrap(),
        after: MINUTE,
        close_wait: 8,
        leaks,
        missing,
    }
}

#[test]
fn leaks_read_as_recorded() {
    let leaks = sample();
    let missing = ["the network namespace /run/netns/x: that needs CAP_SYS_ADMIN".to_owned()];
    let text = text::write(&report(&leaks, &missing));
    expect_file!["../../../testdata/leaks.txt"].assert_eq(&text);
    assert!(!text.contains('\x1b'));
    let json = json::write(&report(&leaks, &missing)).unwrap();
    expect_file!["../../../testdata/leaks.json"].assert_eq(&json);
}

#[test]
fn the_readme_shows_what_is_written() {
    let server = process(4242, "python3", "/system.slice/shop.service");
    let here = Service::Local(8080);
    let sockets = (1..=3).map(|index| socket(Some(&server), here, index, 0));
    let leaks = leaks(sockets, |_| {
        vec![Holder {
            process: server.clone(),
            count: 3,
            fds: vec![5, 6, 7],
        }]
    });
    let report = Report {
        close_wait: 4,
        ..report(&leaks, &[])
    };
    let text = text::write(&report);
    let readme = include_str!("../../../../README.md");
    assert!(
        readme.contains(&format!("leaks --after 60s\n{text}```")),
        "{text}"
    );
}

#[test]
fn no_leak_is_said_with_its_limits() {
    let text = text::write(&report(&[], &[]));
    let first =
        "no leak: of 8 sockets in CLOSE_WAIT none has certainly waited for longer than 1m\n";
    assert!(text.starts_with(first), "{text}");
    assert!(text.contains("lower bounds"), "{text}");
}

#[test]
fn an_id_stays_the_same_and_can_stand_in_a_path() {
    let ids: Vec<String> = sample()
        .into_iter()
        .map(|leak| Matter::CloseWaitLeak(leak).id())
        .collect();
    assert_eq!(
        ids[0],
        "close_wait_leak/4026531833/python3~shop.service/local-8080"
    );
    assert!(
        ids.iter().all(|id| !id.contains(char::is_whitespace)),
        "{ids:?}"
    );
    assert!(
        ids.iter().any(|id| id.ends_with("/not-accepted")),
        "{ids:?}"
    );
}
