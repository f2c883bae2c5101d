//! Two real ends in two namespaces, and a cable between them that is cut: each vanishes for
//! the other.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use anyhow::Result;

use super::Scenario;
use super::keepalive::watch;
use super::link::{FAR, Far, cut, no_veth};
use super::net::{Net, State};
use super::pair::{close, read_end, send};
use super::truth::{Closer, End};

/// Knobs of a namespace in which nothing waits long.
const HASTE: [(&str, &str); 2] = [("tcp_retries2", "1"), ("tcp_orphan_retries", "1")];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "cut_while_idle",
        "a cut cable; keepalive on both ends",
        while_idle,
    )
    .counters(&[("TCPAbortOnTimeout", 2), ("EstabResets", 2)])
    .unless(no_veth),
    Scenario::new(
        "cut_before_data",
        "a cut cable; one end sends, the other has keepalive",
        before_data,
    )
    .counters(&[("TCPAbortOnTimeout", 2), ("EstabResets", 2)])
    .unless(no_veth),
    Scenario::new(
        "cut_before_close",
        "a cut cable; both ends close",
        before_close,
    )
    .counters(&[("TCPAbortOnTimeout", 2), ("EstabResets", 0)])
    .unless(no_veth),
    Scenario::new(
        "cut_half_closed",
        "a cable is cut under a half-closed connection",
        half_closed,
    )
    .counters(&[("TCPAbortOnTimeout", 2), ("EstabResets", 0)])
    .unless(no_veth),
];

/// A connection from here to the far namespace.
struct Cable {
    far: Far,
    near_end: TcpStream,
    far_end: TcpStream,
    near_at: SocketAddr,
    far_at: SocketAddr,
}

impl Cable {
    fn connect(net: &Net) -> Result<Self> {
        let far = Far::join(net)?;
        for (name, value) in HASTE {
            net.set(name, value)?;
            far.inside(|| net.set(name, value))?;
        }
        let listener = far.inside(|| Ok(TcpListener::bind((FAR, 0))?))?;
        let near_end = TcpStream::connect(listener.local_addr()?)?;
        let (far_end, near_at) = listener.accept()?;
        let far_at = listener.local_addr()?;
        net.wait_state(near_at, far_at, State::Established)?;
        Ok(Self {
            far,
            near_end,
            far_end,
            near_at,
            far_at,
        })
    }

    fn near(&self, net: &Net, ending: &'static str) -> End {
        End::client(self.near_at, self.far_at, ending).inside(net.inode)
    }

    fn far(&self, ending: &'static str) -> End {
        End::server(self.far_at, self.near_at, ending).inside(self.far.inode)
    }

    fn wait_gone(&self, net: &Net) -> Result<()> {
        net.wait_gone(self.near_at, self.far_at)?;
        self.far.inside(|| net.wait_gone(self.far_at, self.near_at))
    }
}

fn while_idle(net: &Net) -> Result<Vec<End>> {
    let cable = Cable::connect(net)?;
    for socket in [&cable.near_end, &cable.far_end] {
        watch(socket, 1)?;
    }
    cut()?;
    cable.wait_gone(net)?;
    Ok(vec![
        cable.near(net, "timeout_keepalive"),
        cable.far("timeout_keepalive"),
    ])
}

/// Only the near end sends: whether what the far end sends counts as in flight depends on how
/// soon the kernel tells its device that the carrier is gone.
fn before_data(net: &Net) -> Result<Vec<End>> {
    let cable = Cable::connect(net)?;
    watch(&cable.far_end, 1)?;
    cut()?;
    send(&cable.near_end, b"12345")?;
    cable.wait_gone(net)?;
    let near = End {
        unsent: None,
        unacked: None,
        ..cable.near(net, "timeout_retransmit")
    };
    Ok(vec![near, cable.far("timeout_keepalive")])
}

fn before_close(net: &Net) -> Result<Vec<End>> {
    let cable = Cable::connect(net)?;
    cut()?;
    let ends = vec![
        cable.near(net, "timeout_orphan").closed_here(Closer::Close),
        cable.far("timeout_orphan").closed_here(Closer::Close),
    ];
    let Cable {
        far,
        near_end,
        far_end,
        near_at,
        far_at,
    } = cable;
    close(near_end);
    close(far_end);
    net.wait_gone(near_at, far_at)?;
    far.inside(|| net.wait_gone(far_at, near_at))?;
    Ok(ends)
}

fn half_closed(net: &Net) -> Result<Vec<End>> {
    let cable = Cable::connect(net)?;
    cable.near_end.shutdown(Shutdown::Write)?;
    read_end(&cable.far_end)?;
    net.wait_state(cable.near_at, cable.far_at, State::FinWait2)?;
    cut()?;
    watch(&cable.near_end, 1)?;
    let ends = vec![
        cable
            .near(net, "timeout_keepalive")
            .closed_here(Closer::Shutdown)
            .half_closed(Some(true)),
        cable.far("timeout_orphan").closed_here(Closer::Close),
    ];
    let Cable {
        far,
        near_end,
        far_end,
        near_at,
        far_at,
    } = cable;
    close(far_end);
    net.wait_gone(near_at, far_at)?;
    far.inside(|| net.wait_gone(far_at, near_at))?;
    close(near_end);
    Ok(ends)
}
