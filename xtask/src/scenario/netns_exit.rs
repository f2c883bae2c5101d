//! A network namespace that ends with connections in it.
//!
//! An open socket keeps its namespace alive, and so does an orphan until it is given up. Only
//! minisocks go with the namespace: the kernel purges them without a word.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use super::clock::{CEILING, now, wait_for};
use super::link::{CABLE, no_veth, pair_of_devices};
use super::net::{Net, State};
use super::pair::close;
use super::peer::Peer;
use super::scripted::{client_of, server_of};
use super::segment::{ACK, FIN};
use super::truth::{Closer, End};
use super::{Beside, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario::new(
    "namespace_exits",
    "a namespace ends with an orphan, a FIN_WAIT2 and a TIME_WAIT minisock",
    namespace_exits,
)
.beside(&[Beside {
    counter: "TCPAbortOnTimeout",
    count: -1,
    reason: "counted by a namespace that is gone",
}])
// Another scenario could be given the inode number of the namespace that ended.
.host_wide()
.unless(no_veth)];

/// How long the kernel may take to free a number.
const FREED: Duration = Duration::from_secs(30);

fn namespace_exits(net: &Net) -> Result<Vec<End>> {
    let (inode, ends) = in_a_thread("passing", || {
        let home = net.file()?;
        let passing = Net::enter()?;
        let there = passing.file()?;
        setns(&home, CloneFlags::CLONE_NEWNET).context("cannot come back")?;
        // The cable goes with the namespace: its near end tells when that is.
        pair_of_devices(&there)?;
        setns(&there, CloneFlags::CLONE_NEWNET).context("cannot go there")?;
        let ends = leave_behind(&passing)?;
        Ok((passing.inode, ends))
    })?;
    wait_for("the end of a namespace", CEILING * 3, || {
        let devices = fs::read_to_string("/proc/thread-self/net/dev")?;
        Ok((!devices.contains(CABLE)).then_some(()))
    })?;
    net.remember(inode);
    occupy(net, inode)?;
    Ok(ends.into_iter().map(|end| end.inside(inode)).collect())
}

fn leave_behind(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_orphan_retries", "1")?;
    Ok(vec![
        fin_wait2(net, peer(net, 7001)?)?,
        time_wait(net, peer(net, 7002)?)?,
        orphan(net, peer(net, 7003)?)?,
    ])
}

fn peer(net: &Net, port: u16) -> Result<Peer> {
    let mut peer = Peer::new(net)?;
    peer.address.set_port(port);
    Ok(peer)
}

fn fin_wait2(net: &Net, mut peer: Peer) -> Result<End> {
    let server = peer.connect(net)?;
    let end = server_of(&peer, "dropped_silently").closed_here(Closer::Close);
    close(server);
    peer.expect(FIN | ACK)?;
    peer.send(ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::FinWait2)?;
    Ok(end)
}

fn time_wait(net: &Net, mut peer: Peer) -> Result<End> {
    let client = peer.accept(net)?;
    let end = client_of(&peer, "active_close").closed_here(Closer::Close);
    close(client);
    peer.expect(FIN | ACK)?;
    peer.send(FIN | ACK, b"")?;
    net.wait_minisock(peer.real, peer.address, State::TimeWait)?;
    Ok(end)
}

fn orphan(net: &Net, mut peer: Peer) -> Result<End> {
    let client = peer.accept(net)?;
    let end = client_of(&peer, "timeout_orphan").closed_here(Closer::Close);
    close(client);
    net.wait_state(peer.real, peer.address, State::FinWait1)?;
    Ok(end)
}

/// Sees to it that no later namespace is given this inode number. The kernel gives the lowest
/// that is free, to namespaces and to their files alike, and frees this one a moment after the
/// cable.
fn occupy(net: &Net, inode: u64) -> Result<()> {
    let start = now();
    while start.elapsed() < FREED {
        let next = in_a_thread("next", Net::enter_plain)?;
        if next.inode > inode {
            thread::sleep(Duration::from_millis(500));
            continue;
        }
        let reached = next.inode == inode;
        net.keep(next);
        if reached {
            break;
        }
    }
    Ok(())
}

fn in_a_thread<T: Send>(name: &str, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, run)?
            .join()
            .map_err(|_panic| anyhow!("the thread {name} panicked"))?
    })
}
