//! What the filters let through, and what they refuse to be.

use super::*;
use crate::event::State;

fn seen(local: &str, peer: &str) -> Seen {
    Seen {
        state: State::Established,
        ends: Ends {
            local: local.parse().unwrap(),
            peer: peer.parse().unwrap(),
        },
        cookie: 1,
        inode: 2,
        uid: 0,
        receive_queue: 0,
        send_queue: 0,
        probes_window: false,
        minisock: None,
        cgroup: Some(7),
        quiet: None,
    }
}

fn has(selection: &Selection, local: &str, peer: &str) -> bool {
    selection.now().has(5, &seen(local, peer))
}

#[test]
fn without_filters_everything_is_wanted_and_no_global_is_set() {
    let all = Selection::default();
    assert!(all.is_all() && all.words().is_empty());
    let globals = all.globals();
    assert_eq!((globals.any, globals.loopback), (0, 0));
    assert_eq!(globals.ports, [0; FILTER_SLOTS]);
    assert!(has(&all, "127.0.0.1:1", "127.0.0.1:2"));
}

#[test]
fn a_port_is_that_of_either_end() {
    let selection = || Selection {
        ports: vec![443, 80],
        ..Selection::default()
    };
    assert!(has(&selection(), "10.0.0.1:443", "10.0.0.2:5"));
    assert!(has(&selection(), "10.0.0.1:5", "10.0.0.2:80"));
    assert!(!has(&selection(), "10.0.0.1:5", "10.0.0.2:8080"));
}

#[test]
fn an_address_is_that_of_either_end_and_of_its_own_version() {
    let selection = |text: &str| Selection {
        networks: vec![network(text).unwrap()],
        ..Selection::default()
    };
    for (text, local, peer, wanted) in [
        ("10.1.2.3/8", "10.9.9.9:1", "192.0.2.1:2", true),
        ("10.0.0.0/8", "192.0.2.1:2", "10.9.9.9:1", true),
        ("10.0.0.0/8", "11.0.0.1:2", "192.0.2.1:1", false),
        ("192.0.2.1", "192.0.2.1:2", "198.51.100.1:1", true),
        ("192.0.2.1", "192.0.2.2:2", "198.51.100.1:1", false),
        ("::ffff:10.0.0.0/104", "10.9.9.9:1", "192.0.2.1:2", true),
        ("0.0.0.0/0", "10.9.9.9:1", "192.0.2.1:2", true),
        ("0.0.0.0/0", "[2001:db8::1]:1", "[2001:db8::2]:2", false),
        ("::/0", "[2001:db8::1]:1", "[2001:db8::2]:2", true),
        ("::/0", "10.9.9.9:1", "192.0.2.1:2", false),
    ] {
        assert_eq!(
            has(&selection(text), local, peer),
            wanted,
            "{text} {local} {peer}"
        );
    }
}

#[test]
fn this_host_with_itself_is_known_by_its_addresses() {
    let selection = || Selection {
        no_loopback: true,
        ..Selection::default()
    };
    for (local, peer, wanted) in [
        ("127.0.0.1:1", "127.0.0.2:2", false),
        ("127.0.0.1:1", "10.0.0.1:2", false),
        ("10.0.0.1:2", "127.0.0.1:1", false),
        ("[::1]:1", "[::1]:2", false),
        ("10.0.0.1:1", "10.0.0.1:2", false),
        ("10.0.0.1:1", "10.0.0.2:2", true),
        ("[2001:db8::1]:1", "[2001:db8::2]:2", true),
    ] {
        assert_eq!(has(&selection(), local, peer), wanted, "{local} {peer}");
    }
}

#[test]
fn sorts_of_filters_are_joined_by_and() {
    let selection = |netns| Selection {
        ports: vec![80],
        netns: vec![netns],
        ..Selection::default()
    };
    assert!(has(&selection(5), "10.0.0.1:80", "10.0.0.2:5"));
    assert!(!has(&selection(6), "10.0.0.1:80", "10.0.0.2:5"));
    assert!(!has(&selection(5), "10.0.0.1:81", "10.0.0.2:5"));
}

#[test]
fn a_network_is_told_to_the_probes_as_it_lies_in_memory() {
    let words = |text| words_of(&network(text).unwrap()).map(u32::from_be);
    assert_eq!(
        words("10.1.0.0/16")[1..],
        [0, 0, 0, 0x0a01_0000, 0, 0, 0, 0xffff_0000]
    );
    assert_eq!(
        words("2001:db8::/32")[1..],
        [0x2001_0db8, 0, 0, 0, u32::MAX, 0, 0, 0]
    );
    assert_eq!(words_of(&network("::ffff:10.1.0.0/112").unwrap())[0], 4);
    assert_eq!(words_of(&network("::1").unwrap())[0], 6);
}

#[test]
fn what_is_no_network_is_told_what_would_be_one() {
    for text in ["", "10.0.0.0/33", "10.0.0/8", "host", "10.0.0.0/8,::1"] {
        let error = network(text).unwrap_err();
        assert!(error.contains("10.0.0.0/8"), "{text}: {error}");
    }
}

#[test]
fn more_than_the_probes_take_is_refused() {
    let selection = |count: u16| Selection {
        ports: (1..=count).collect(),
        ..Selection::default()
    };
    selection(16).checked().unwrap();
    let error = selection(17).checked().unwrap_err().to_string();
    assert!(error.starts_with("--filter.port has 17 values"), "{error}");
}

#[test]
fn a_file_of_another_sort_is_named_with_what_would_be_accepted() {
    let error = netns(Path::new("/proc/self/status")).unwrap_err();
    assert!(error.to_string().contains("/run/netns/NAME"), "{error}");
    let error = cgroup(Path::new("/nowhere/at/all")).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("No such file") && text.contains("cgroup v2"),
        "{text}"
    );
    let error = cgroup(Path::new("/proc")).unwrap_err();
    assert!(error.to_string().contains("another file system"), "{error}");
    netns(Path::new("/proc/self/ns/mnt")).unwrap_err();
    for number in ["0", "1234", "4026532177000"] {
        let error = netns(Path::new(number)).unwrap_err().to_string();
        assert!(error.contains("stat -Lc %i"), "{error}");
    }
    let own = netns(Path::new("/proc/self/ns/net")).unwrap();
    assert_eq!(netns(Path::new(&own.to_string())).unwrap(), own);
}

#[test]
fn a_tree_has_its_root_and_no_more_levels_than_the_probes_look_at() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let id = |path: &str| fs::metadata(top.join(path)).unwrap().st_ino();
    let all = ["", "http", "http/page", "lib.rs"].map(id);
    for (levels, expected) in [
        (0, [false; 4]),
        (1, [true, false, false, false]),
        (2, [true, true, false, false]),
        (usize::MAX, [true, true, true, false]),
    ] {
        let mut ids = HashSet::new();
        add_tree(&top, levels, &mut ids);
        assert_eq!(all.map(|it| ids.contains(&it)), expected, "{levels}");
    }
}

#[test]
fn a_cgroup_that_is_gone_is_not_taken_for_another() {
    let wanted = |existing: &[u64]| Wanted {
        selection: Selection {
            cgroups: vec![Cgroup {
                path: "/sys/fs/cgroup/wanted".into(),
                id: 3,
            }],
            ..Selection::default()
        },
        cgroups: HashSet::from([3, 4]),
        existing: existing.iter().copied().collect(),
    };
    let of = |cgroup| Seen {
        cgroup,
        ..seen("10.0.0.1:1", "10.0.0.2:2")
    };
    assert!(wanted(&[3, 4, 7]).has(5, &of(Some(3))) && wanted(&[3, 4, 7]).has(5, &of(Some(4))));
    assert!(!wanted(&[3, 4, 7]).has(5, &of(Some(7))));
    assert!(wanted(&[3, 4]).has(5, &of(Some(7))), "it is gone");
    assert!(wanted(&[3, 4, 7]).has(5, &of(None)), "it has none");
}
