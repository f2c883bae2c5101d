//! Programs that are shown the same events in turn, while one of them is left out.
//!
//! Takes the running kernel; attaches tracepoints, and makes connects that are refused. Never
//! changes the host.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use aya::programs::BtfTracePoint;
use observer_ebpf::wire::manifest::{PROGRAMS, Program};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::*;
use crate::event::{Body, Decoder, State, Vocabulary};

/// The kernel gives the next socket the address of the last, so that all of them look alike.
const CONNECTS: usize = 300;
/// The name of the thread that connects.
const COMM: &str = "shown-in-turn";

/// As where a task is displaced for long in that one.
#[test]
fn an_event_is_told_once_whichever_program_is_left_out() {
    let all: Vec<&Program> = PROGRAMS
        .iter()
        .filter(|it| it.name.starts_with("tp_inet_sock_set_state"))
        .collect();
    assert_eq!(all.len(), 3);
    let facts = Facts {
        preempts: true,
        ..kernel::facts()
    };
    let bytes = kernel::btf().unwrap();
    let layout = layout::read(&bytes).unwrap();
    let btf = Btf::parse(&bytes, Endianness::default()).unwrap();
    for left_out in 0..=all.len() {
        let ebpf = match object(&Options::default(), 1 << 22, &facts, &layout, &btf) {
            Err(StartError::Privileges(why)) => {
                println!("skipped: {why}");
                return;
            }
            loaded => loaded.unwrap(),
        };
        let mut shown = all.clone();
        if left_out < all.len() {
            shown.remove(left_out);
        }
        let told = told(ebpf, &btf, &shown);
        assert_eq!(told, [CONNECTS, CONNECTS], "without number {left_out}");
    }
}

/// How often connects were told to start, and to be refused.
fn told(mut ebpf: Ebpf, btf: &Btf, shown: &[&Program]) -> [usize; 2] {
    for Program { name, .. } in shown {
        let program: &mut BtfTracePoint = ebpf.program_mut(name).unwrap().try_into().unwrap();
        program.load("inet_sock_set_state", btf).unwrap();
        program.attach().unwrap();
    }
    let mut maps = maps(&mut ebpf).unwrap();
    let connects = thread::Builder::new().name(COMM.to_owned());
    let nobody = connects.spawn(connect_in_vain).unwrap().join().unwrap();
    let decoder = Decoder::new(Vocabulary::mainline());
    let mut told = [0, 0];
    while let Some(record) = maps.events.next() {
        let event = decoder.decode(&record).unwrap();
        let Body::StateChanged {
            old,
            new,
            task,
            ends,
            ..
        } = event.body
        else {
            panic!("only state changes are hooked");
        };
        // The refusal may come in whatever task the kernel finds there.
        let starts = new == State::SynSent && task.comm.to_string() == COMM;
        let refused = old == State::SynSent && ends.is_some_and(|ends| ends.peer == nobody);
        told[0] += usize::from(starts);
        told[1] += usize::from(refused);
    }
    told
}

/// On one CPU, as marks are; gives where nobody listens.
fn connect_in_vain() -> SocketAddr {
    let mut cpus = CpuSet::new();
    cpus.set(0);
    sched_setaffinity(None, &cpus).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    for _ in 0..CONNECTS {
        TcpStream::connect(nobody).unwrap_err();
    }
    nobody
}
