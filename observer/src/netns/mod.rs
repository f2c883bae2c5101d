//! Network namespaces, and what the kernel counted in each.
//!
//! Takes paths; gives [`Reading`]s from a thread of its own, so that neither a slow file
//! system nor a slow kernel ever holds up the event loop. It keeps no namespace alive:
//! between two readings it holds neither a file of it nor a thread in it.

mod cookie;
pub(crate) mod enter;
mod reader;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::audit::{Counts, Reading};
use crate::clock::Clock;
use crate::sink::names::OTHER;

pub use reader::{Look, Reader};

/// What the agent's own namespace is called.
pub const OWN: &str = "own";

/// The most namespaces that can be named.
pub const MOST: usize = 64;

/// The namespace of the thread that opens it.
const OWN_FILE: &str = "/proc/thread-self/ns/net";

/// A network namespace that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// `own`, or the path.
    pub name: String,
    /// Its inode number when it was first opened.
    pub inode: u32,
    /// `None`: the agent's own.
    path: Option<PathBuf>,
}

/// Why a namespace cannot be audited. Each message names it and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// More than [`MOST`].
    #[error("--netns was given {0} times; at most {MOST} network namespaces can be audited")]
    TooMany(usize),
    /// The file cannot be opened.
    #[error(
        "cannot open the network namespace {0}: {1}; --netns takes a file such as \
         /run/netns/NAME (`ip netns list`) or /proc/PID/ns/net"
    )]
    Open(PathBuf, io::Error),
    /// It cannot be entered.
    #[error(
        "cannot enter the network namespace {0}: {1}; {hint}",
        hint = hint(.1).unwrap_or("--netns takes a file such as /run/netns/NAME or /proc/PID/ns/net")
    )]
    Enter(PathBuf, io::Error),
    /// Its counters cannot be read.
    #[error(
        "cannot read the TCP counters of the network namespace {0}: {1}; \
         is /proc mounted, with net/snmp and net/netstat?"
    )]
    Read(String, io::Error),
}

/// What helps where a file may well be a network namespace, but cannot be entered.
pub(crate) fn hint(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error() {
        Some(libc::EPERM) => Some("that needs CAP_SYS_ADMIN; run as root"),
        Some(libc::EAGAIN) => Some("no thread can be started; raise the limit of processes"),
        _ => None,
    }
}

/// The agent's own namespace and those at `paths`, each read once to see that it can be.
pub fn open(paths: &[PathBuf], clock: &Clock) -> Result<Vec<Namespace>, NamespaceError> {
    if paths.len() > MOST {
        return Err(NamespaceError::TooMany(paths.len()));
    }
    let mut namespaces = vec![Namespace {
        name: OWN.to_owned(),
        inode: 0,
        path: None,
    }];
    for path in paths {
        let mut name = path.display().to_string();
        // What has no series of its own is counted under a word that no path may be.
        if [OWN, OTHER].contains(&name.as_str()) {
            name.insert_str(0, "./");
        }
        if !namespaces.iter().any(|it| it.name == name) {
            namespaces.push(Namespace {
                name,
                inode: 0,
                path: Some(path.clone()),
            });
        }
    }
    for namespace in &mut namespaces {
        namespace.inode = namespace.read(clock)?.netns;
    }
    Ok(namespaces)
}

impl Namespace {
    /// Reads its counters. Another namespace is entered by a thread that ends with it.
    fn read(&self, clock: &Clock) -> Result<Reading, NamespaceError> {
        let Some(path) = &self.path else {
            return self.read_here(clock);
        };
        let file = enter::open(path);
        let file = file.map_err(|error| NamespaceError::Open(path.clone(), error))?;
        enter::inside(&file, || self.read_here(clock))
            .map_err(|error| NamespaceError::Enter(path.clone(), error))?
    }

    /// Reads those of the namespace that the calling thread is in.
    fn read_here(&self, clock: &Clock) -> Result<Reading, NamespaceError> {
        let failed = |error| NamespaceError::Read(self.name.clone(), error);
        let inode = fs::metadata(OWN_FILE).map_err(failed)?.ino();
        let from = clock.now();
        let snmp = fs::read_to_string("/proc/thread-self/net/snmp").map_err(failed)?;
        let netstat = fs::read_to_string("/proc/thread-self/net/netstat").map_err(failed)?;
        let to = clock.now();
        let counts = Counts::parse(&snmp, &netstat);
        if counts.is_empty() {
            return Err(failed(io::Error::other("there are none")));
        }
        Ok(Reading {
            from,
            to,
            netns: u32::try_from(inode)
                .map_err(io::Error::other)
                .map_err(failed)?,
            cookie: cookie::own(),
            counts,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_own_namespace_is_read_at_once_and_at_every_interval() {
        let clock = Arc::new(Clock::new());
        let namespaces = open(&[], &clock).unwrap();
        assert_eq!((namespaces[0].name.as_str(), namespaces.len()), (OWN, 1));
        let start = clock.now();
        let interval = Duration::from_millis(50);
        let reader = Reader::start(namespaces.clone(), interval, Arc::clone(&clock)).unwrap();
        let mut readings = Vec::new();
        while readings.len() < 3 {
            assert!(clock.now().since(start) < Duration::from_secs(30));
            if let Some((0, look)) = reader.next() {
                readings.push(look.unwrap());
            }
            thread::sleep(Duration::from_millis(1));
        }
        assert!(readings.iter().all(|it| it.netns == namespaces[0].inode));
        // The first reading may be late, and the third comes two intervals after it was due.
        assert!(readings[2].from.since(start) >= 2 * interval);
    }

    #[test]
    fn a_path_is_never_taken_for_what_stands_for_another_namespace() {
        for name in [OWN, OTHER] {
            let error = open(&[name.into()], &Clock::new()).unwrap_err();
            assert!(matches!(error, NamespaceError::Open(..)), "{error}");
        }
    }

    #[test]
    fn what_is_no_namespace_is_refused_by_its_name_and_with_a_remedy() {
        let clock = Clock::new();
        let missing = open(&["/nowhere/at/all".into()], &clock).unwrap_err();
        let text = missing.to_string();
        assert!(
            text.contains("/nowhere/at/all") && text.contains("/run/netns/NAME"),
            "{text}"
        );
        let file = open(&["/proc/self/status".into()], &clock).unwrap_err();
        let text = file.to_string();
        assert!(text.contains("/proc/self/status"), "{text}");
        assert!(
            text.contains("root") || text.contains("/run/netns/NAME"),
            "{text}"
        );
        let many = open(&vec![PathBuf::from("/proc/self/ns/net"); 65], &clock).unwrap_err();
        assert!(many.to_string().contains("65 times; at most 64"), "{many}");
    }
}
