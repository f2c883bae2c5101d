//! The ring's size, and what the verifier says of probes on a kernel that lacks something.
//!
//! Takes the running kernel's BTF; loads programs, attaches none. Never changes the host.

use aya::programs::{BtfTracePoint, ProgramError};
use observer_ebpf::wire::settings::{ABSENT, MEMBERS, MOST_FILTERED, Need};

use super::*;
use crate::selection::{Cgroup, Selection, network};

#[test]
fn the_ring_grows_with_the_cpus_within_bounds() {
    let mib = [0, 1, 8, 9, 17, 32, 33, 4096, usize::MAX].map(default_ring_bytes);
    let mib = mib.map(|bytes| bytes >> 20);
    assert_eq!(mib, [32, 32, 32, 64, 128, 128, 128, 128, 128]);
}

#[test]
fn counts_have_a_place_for_the_highest_cpu() {
    let after = ["0\n", "0-3\n", "0,2-15\n", "0-3,8\n", "\n"].map(after_last);
    assert_eq!(after, [Some(1), Some(4), Some(16), Some(9), None]);
}

/// Tracepoints, which every kernel has that can load them at all.
const PROGRAMS: [(&str, &str); 3] = [
    ("tp_inet_sock_set_state", "inet_sock_set_state"),
    ("tp_inet_sock_set_state_2", "inet_sock_set_state"),
    ("tp_tcp_destroy_sock", "tcp_destroy_sock"),
];

/// The verifier follows the globals as constants, so that each missing member makes other code;
/// it refuses a load from what it knows to be NULL.
#[test]
fn the_verifier_takes_probes_that_lack_a_member() {
    let bytes = kernel::btf().unwrap();
    let layout = layout::read(&bytes).unwrap();
    let btf = Btf::parse(&bytes, Endianness::default()).unwrap();
    let optional = MEMBERS.iter().filter(|it| it.need == Need::Optional);
    for absent in optional.map(|it| it.global) {
        let mut layout = layout.clone();
        let global = layout.globals.iter_mut().find(|(name, _)| *name == absent);
        global.unwrap().1 = ABSENT;
        for selection in [Selection::default(), all_filters()] {
            let options = Options {
                selection,
                ..Options::default()
            };
            let mut loaded = match object(&options, 1 << 16, &kernel::facts(), &layout, &btf) {
                Err(StartError::Privileges(why)) => {
                    println!("skipped: {why}");
                    return;
                }
                loaded => loaded.unwrap(),
            };
            for program in PROGRAMS {
                verify(&mut loaded, program, &btf, absent);
            }
        }
    }
}

/// Every filter that there can be, as many of each as there can be.
fn all_filters() -> Selection {
    let most = u16::try_from(MOST_FILTERED).unwrap();
    let cgroup = |id: u16| Cgroup {
        path: "/sys/fs/cgroup".into(),
        id: id.into(),
    };
    let networks = (1..=most).map(|it| match it % 2 {
        0 => network(&format!("10.{it}.0.0/16")).unwrap(),
        _ => network(&format!("2001:db8:{it}::/48")).unwrap(),
    });
    Selection {
        ports: (1..=most).collect(),
        networks: networks.collect(),
        netns: (1..=most).map(u32::from).collect(),
        cgroups: (1..=most).map(cgroup).collect(),
        no_loopback: true,
    }
}

/// Panics with the verifier's log if it refuses.
fn verify(ebpf: &mut Ebpf, (name, tracepoint): (&str, &str), btf: &Btf, absent: &str) {
    let program: &mut BtfTracePoint = ebpf.program_mut(name).unwrap().try_into().unwrap();
    match program.load(tracepoint, btf) {
        Err(ProgramError::LoadError { verifier_log, .. }) => {
            panic!("{name} without {absent}: {verifier_log}")
        }
        loaded => loaded.unwrap(),
    }
}
