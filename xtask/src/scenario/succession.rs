//! Connections that follow each other at once, on the memory of the one before.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::Scenario;
use super::clock::{CEILING, now, wait_for};
use super::net::Net;
use super::pair::{Pair, close, linger_zero, read_end, send, wait_error, wait_unread};
use super::raw::set_number;
use super::truth::{Closer, End};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario::new(
    "many_endings_one_cpu",
    "1,000 short connections of five endings, one after the other on one CPU",
    many_endings,
)];

const ROUNDS: usize = 200;

/// Ends a connection.
type Make = fn(Pair) -> Result<[End; 2]>;

const EACH_ROUND: [Make; 5] = [
    client_first,
    server_unread,
    late_data,
    server_first,
    client_reset,
];

/// The kernel gives a new connection the memory of the one before, on one CPU at once.
fn many_endings(net: &Net) -> Result<Vec<End>> {
    stay_on_one_cpu()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let to = listener.local_addr()?;
    let start = now();
    let mut ends = Vec::new();
    for _round in 0..ROUNDS {
        // A slow machine makes fewer, in the time of any other step.
        if start.elapsed() > CEILING {
            break;
        }
        for make in EACH_ROUND {
            ends.extend(make(Pair::through(&listener, to)?)?);
        }
    }
    close(listener);
    wait_for("the last ACK", CEILING, || {
        Ok((net.unfinished()? == 0).then_some(()))
    })?;
    Ok(ends)
}

fn stay_on_one_cpu() -> Result<()> {
    let this_thread = Pid::from_raw(0);
    let allowed = sched_getaffinity(this_thread)?;
    let first = (0..CpuSet::count())
        .find(|cpu| allowed.is_set(*cpu).unwrap_or(false))
        .context("no CPU is allowed")?;
    let mut one = CpuSet::new();
    one.set(first)?;
    Ok(sched_setaffinity(this_thread, &one)?)
}

fn client_first(pair: Pair) -> Result<[End; 2]> {
    let ends = [
        pair.client_end("active_close").closed_here(Closer::Close),
        pair.server_end("passive_close").closed_here(Closer::Close),
    ];
    close(pair.client);
    read_end(&pair.server)?;
    close(pair.server);
    Ok(ends)
}

fn server_first(pair: Pair) -> Result<[End; 2]> {
    let ends = [
        pair.client_end("passive_close").closed_here(Closer::Close),
        pair.server_end("active_close").closed_here(Closer::Close),
    ];
    close(pair.server);
    read_end(&pair.client)?;
    close(pair.client);
    Ok(ends)
}

fn server_unread(pair: Pair) -> Result<[End; 2]> {
    let ends = [
        pair.client_end("peer_reset"),
        pair.server_end("reset_unread_data")
            .closed_here(Closer::Close)
            .left(1, 0, 0),
    ];
    send(&pair.client, b"x")?;
    wait_unread(&pair.server, 1)?;
    close(pair.server);
    wait_error(&pair.client, libc::ECONNRESET)?;
    close(pair.client);
    Ok(ends)
}

/// The full socket waits in FIN_WAIT2 itself, and its reset comes after it is destroyed.
fn late_data(pair: Pair) -> Result<[End; 2]> {
    let ends = [
        pair.client_end("reset_data_after_close")
            .closed_here(Closer::Close),
        pair.server_end("peer_reset_after_fin")
            .half_closed(Some(true))
            .left(0, 0, 1),
    ];
    set_number(&pair.client, libc::IPPROTO_TCP, libc::TCP_LINGER2, 120)?;
    close(pair.client);
    read_end(&pair.server)?;
    send(&pair.server, b"x")?;
    wait_error(&pair.server, libc::EPIPE)?;
    close(pair.server);
    Ok(ends)
}

fn client_reset(pair: Pair) -> Result<[End; 2]> {
    let ends = [
        pair.client_end("reset_linger_zero")
            .closed_here(Closer::Close),
        pair.server_end("peer_reset"),
    ];
    linger_zero(&pair.client)?;
    close(pair.client);
    wait_error(&pair.server, libc::ECONNRESET)?;
    close(pair.server);
    Ok(ends)
}
