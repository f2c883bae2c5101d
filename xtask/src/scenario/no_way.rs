//! Connects over a cable that lead nowhere.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context as _, Result};

use super::Scenario;
use super::link::{FAR, Far, NEAR, cut, no_veth, route_through_far};
use super::net::Net;
use super::pair::deafen;
use super::peer::start_connect_from;
use super::truth::End;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "cut_before_connect",
        "a cut cable; the far end connects",
        cut_before_connect,
    )
    .counters(&[("TCPAbortOnTimeout", 1), ("AttemptFails", 1)])
    .unless(no_veth),
    Scenario::new(
        "cut_while_connecting",
        "a cable is cut before the SYN is answered: no route says the kernel, again and again",
        cut_while_connecting,
    )
    .counters(&[("TCPAbortOnTimeout", 1), ("AttemptFails", 1)])
    .unless(no_veth),
    Scenario::new(
        "nobody_has_the_address",
        "no host of the network answers for the address",
        nobody_has_the_address,
    )
    .counters(&[("TCPAbortOnTimeout", 0), ("AttemptFails", 1)])
    .unless(no_veth),
    Scenario::new(
        "router_without_route",
        "a router answers each SYN with an ICMP error, the first inside connect()",
        router_without_route,
    )
    .counters(&[("TCPAbortOnTimeout", 0), ("AttemptFails", 1)])
    .unless(no_veth),
];

fn cut_before_connect(net: &Net) -> Result<Vec<End>> {
    let far = Far::join(net)?;
    far.inside(|| {
        net.set("tcp_syn_retries", "1")?;
        net.set_if_there("tcp_syn_linear_timeouts", "0")
    })?;
    cut()?;
    let to = SocketAddr::from((NEAR, 7000));
    far.inside(|| {
        let client = start_connect_from(FAR.into(), to)?;
        let local = client.local_addr()?;
        net.wait_gone(local, to)?;
        Ok(vec![
            End::client(local, to, "timeout_connect").inside(far.inode),
        ])
    })
}

fn cut_while_connecting(net: &Net) -> Result<Vec<End>> {
    net.set("tcp_syn_retries", "1")?;
    net.set_if_there("tcp_syn_linear_timeouts", "0")?;
    let far = Far::join(net)?;
    let listener = far.inside(|| Ok(TcpListener::bind((FAR, 0))?))?;
    deafen(&listener)?;
    let to = listener.local_addr()?;
    let client = start_connect_from(NEAR.into(), to)?;
    let local = client.local_addr()?;
    cut()?;
    let end = End::client(local, to, "timeout_connect").inside(net.inode);
    failed_with_icmp(net, &client, to)?;
    Ok(vec![end])
}

fn nobody_has_the_address(net: &Net) -> Result<Vec<End>> {
    let _far = Far::join(net)?;
    unreachable(net, Ipv4Addr::new(10, 8, 8, 99))
}

fn router_without_route(net: &Net) -> Result<Vec<End>> {
    let far = Far::join(net)?;
    far.inside(|| net.set("ip_forward", "1"))?;
    let nowhere = Ipv4Addr::new(192, 0, 2, 1);
    route_through_far(nowhere)?;
    unreachable(net, nowhere)
}

fn unreachable(net: &Net, ip: Ipv4Addr) -> Result<Vec<End>> {
    let to = SocketAddr::from((ip, 7000));
    let client = start_connect_from(NEAR.into(), to)?;
    let end = End::client(client.local_addr()?, to, "unreachable").inside(net.inode);
    failed_with_icmp(net, &client, to)?;
    Ok(vec![end])
}

/// Waits for the end, whose error is what ICMP or the route said.
fn failed_with_icmp(net: &Net, client: &TcpStream, to: SocketAddr) -> Result<()> {
    net.wait_gone(client.local_addr()?, to)?;
    let error = client.take_error()?.context("it failed without an error")?;
    match error.raw_os_error() {
        Some(libc::EHOSTUNREACH | libc::ENETUNREACH) => Ok(()),
        _ => Err(error).context("expected an ICMP error"),
    }
}
