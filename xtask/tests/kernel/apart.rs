//! A network namespace with traffic, and an agent that is asked from another one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sched::{CloneFlags, setns};
use serde_json::Value;
use xtask::scenario::clock::wait_for;
use xtask::scenario::net::Net;

use crate::leak_truth::Resident;
use xtask::watching::{CENSUS_CEILING, Watching, findings as of};

/// A network namespace apart from the one that the agent is asked in: asking makes connections,
/// which leave TIME_WAIT and take ports.
pub(crate) struct Apart {
    pub(crate) net: Net,
    pub(crate) listener: TcpListener,
    _resident: Resident,
    _agents: Net,
    pub(crate) watching: Watching,
}

impl Apart {
    /// With a listener at a port that no client is given.
    pub(crate) fn start(agent: &Path, backend: &str, sysctl: (&str, &str)) -> Result<Self> {
        let net = Net::enter()?;
        let resident = Resident::start()?;
        net.set(sysctl.0, sysctl.1)?;
        // A slow machine sends a FIN again; the reset that answers it would end TIME_WAIT
        // (RFC 1337), and give back its port.
        net.set("tcp_rfc1337", "1")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 8444))?;
        let agents = Net::enter_plain()?;
        let watching = Watching::start(agent, &["--backend", backend])?;
        watching.next()?;
        Ok(Self {
            net,
            listener,
            _resident: resident,
            _agents: agents,
            watching,
        })
    }

    /// Runs it there, in a thread of this name.
    pub(crate) fn inside<T: Send>(
        &self,
        name: &str,
        run: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        let namespace = self.net.file()?;
        named(name, move || {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            run()
        })
    }

    pub(crate) fn at(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// The finding of this kind on the next page.
    pub(crate) fn told(&self, kind: &str) -> Result<Option<Value>> {
        self.told_on(&self.watching.next()?, kind)
    }

    /// The finding of this kind on a page.
    pub(crate) fn told_on(&self, page: &Value, kind: &str) -> Result<Option<Value>> {
        let kind = Value::from(kind);
        let findings = of(page, &self.net)?.into_iter();
        let mut of_kind = findings.filter(|it| it.get("kind") == Some(&kind));
        let found = of_kind.next().cloned();
        ensure!(of_kind.next().is_none(), "told twice: {page:#}");
        Ok(found)
    }

    /// Waits for one that fits.
    pub(crate) fn wait_told(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = None;
        let told = wait_for(kind, CENSUS_CEILING, || {
            last = self.told(kind)?;
            Ok(last.clone().filter(&fits))
        });
        told.with_context(|| format!("the last was {last:#?}"))
    }
}

/// Runs it in a thread of this name.
pub(crate) fn named<T: Send>(name: &str, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.to_owned());
        let joined = thread.spawn_scoped(scope, run)?.join();
        joined.map_err(|_panic| anyhow!("the thread {name} panicked"))?
    })
}

/// A number in a finding.
pub(crate) fn number(value: &Value, pointer: &str) -> Result<u64> {
    let number = value.pointer(pointer).and_then(Value::as_u64);
    number.with_context(|| format!("no {pointer} in {value:#}"))
}

/// The value of one of the agent's series.
pub(crate) fn value(metrics: &str, series: &str) -> Result<f64> {
    let prefix = format!("tcp_observer_{series} ");
    let line = metrics.lines().find_map(|it| it.strip_prefix(&prefix));
    let value = line.with_context(|| format!("no {series} in {metrics}"))?;
    Ok(value.parse()?)
}
