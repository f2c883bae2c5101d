//! Which connections are observed.
//!
//! Takes what was typed; gives the filters in the words of the probes, which leave the rest out
//! inside the kernel, and in those of the census. Looks at the files that name a namespace or a
//! cgroup, and never holds them open.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::linux::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ipnet::{IpNet, Ipv4Net};
use observer_ebpf::wire::settings::{CGROUP_LEVELS, FILTER_SLOTS, MOST_FILTERED, NETWORK_WORDS};
use rustix::fs::statfs;

use crate::census::Seen;
use crate::event::Ends;
use crate::netns::{self, enter};

/// `CGROUP2_SUPER_MAGIC` of include/uapi/linux/magic.h.
const CGROUP2: i64 = 0x6367_7270;

/// Bits in front of an IPv4 address that is mapped into IPv6 (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// The filters. Those of one sort are joined by or, the sorts by and; a sort without any lets all
/// through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// One end has one of these ports.
    pub ports: Vec<u16>,
    /// An address of one end is in one of these.
    pub networks: Vec<IpNet>,
    /// Inode numbers of network namespaces.
    pub netns: Vec<u32>,
    /// The socket was made in one of these or below.
    pub cgroups: Vec<Cgroup>,
    /// Connections of this host with itself are left out.
    pub no_loopback: bool,
}

/// A cgroup v2 at its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Where it is in the file system.
    pub path: PathBuf,
    /// The kernel's id of it: the inode number.
    pub id: u64,
}

/// The filters as the globals of the probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Globals {
    pub(crate) any: u32,
    pub(crate) ports: [u32; FILTER_SLOTS],
    pub(crate) networks: [[u32; NETWORK_WORDS]; FILTER_SLOTS],
    pub(crate) netns: [u32; FILTER_SLOTS],
    pub(crate) cgroups: [u64; FILTER_SLOTS],
    pub(crate) loopback: u32,
}

/// What the filters let through of what exists now.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    selection: Selection,
    /// Ids of the cgroups and of all below them.
    cgroups: HashSet<u64>,
    /// Of all that there are, if that matters.
    existing: HashSet<u64>,
}

/// Why a filter cannot be used. Each message names it and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    /// More than the probes take.
    #[error(
        "{0} has {1} values, and the probes take at most {MOST_FILTERED}: name what holds several of \
         them (a network, a slice), or leave the filter out"
    )]
    TooMany(&'static str, usize),
    /// A file that is not what it must be, or cannot be looked at.
    #[error("{option} {path}: {error}; {hint}", path = .path.display())]
    File {
        /// The option.
        option: &'static str,
        /// What was typed.
        path: PathBuf,
        /// What the kernel says.
        error: io::Error,
        /// What would be accepted.
        hint: &'static str,
    },
}

const NETNS: &str = "--filter.netns";
const NETNS_HINT: &str = "it takes a network namespace: a file such as /run/netns/NAME (`ip netns \
                          list`) or /proc/PID/ns/net, or its inode number (`stat -Lc %i FILE`)";

/// Inode numbers of namespaces are above: include/linux/proc_ns.h for the first of each sort, and
/// `PROC_DYNAMIC_FIRST` of fs/proc/generic.c for the rest.
const LEAST_NETNS: u32 = 0xefff_ff00;

const CGROUP: &str = "--filter.cgroup";
const CGROUP_HINT: &str = "it takes a directory of cgroup v2 such as \
                           /sys/fs/cgroup/system.slice/nginx.service (`systemctl show -p \
                           ControlGroup UNIT`)";

/// The inode number of the network namespace that a file or a number names.
pub fn netns(text: &Path) -> Result<u32, SelectionError> {
    let failed = |error| SelectionError::File {
        option: NETNS,
        path: text.to_owned(),
        hint: netns::hint(&error).unwrap_or(NETNS_HINT),
        error,
    };
    let number = text.to_str().and_then(|it| it.parse::<u64>().ok());
    if let Some(number) = number {
        let inode = u32::try_from(number).ok();
        let inode = inode.filter(|it| *it >= LEAST_NETNS);
        let none = || failed(io::Error::other("no namespace has this inode number"));
        return inode.ok_or_else(none);
    }
    let inode = || {
        let file = enter::open(text)?;
        // Fails if it is none.
        enter::inside(&file, || ())?;
        u32::try_from(file.metadata()?.st_ino()).map_err(io::Error::other)
    };
    inode().map_err(failed)
}

/// The cgroup at a path.
pub fn cgroup(path: &Path) -> Result<Cgroup, SelectionError> {
    let failed = |error| SelectionError::File {
        option: CGROUP,
        path: path.to_owned(),
        error,
        hint: CGROUP_HINT,
    };
    let found = || {
        // The way up to the root of the file system must be one of directories, not of links.
        let path = fs::canonicalize(path)?;
        let metadata = fs::metadata(&path)?;
        if statfs(&path)?.f_type != CGROUP2 {
            return Err(io::Error::other("it is on another file system"));
        }
        if !metadata.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Cgroup {
            id: metadata.st_ino(),
            path,
        })
    };
    found().map_err(failed)
}

/// A network, or an address alone. Bits behind the network's own do not matter.
pub fn network(text: &str) -> Result<IpNet, String> {
    let alone = text.parse::<IpAddr>().map(IpNet::from);
    let network: IpNet = alone
        .or_else(|_no_address| text.parse())
        .map_err(|_neither| {
            "expected a network such as 10.0.0.0/8 or 2001:db8::/32, or an address".to_owned()
        })?;
    Ok(unmapped(network.trunc()))
}

/// The kernel tells an IPv4 address in the same way whether a socket of IPv4 or of IPv6 has it.
fn unmapped(network: IpNet) -> IpNet {
    let v4 = || {
        let IpNet::V6(v6) = network else { return None };
        let bits = v6.prefix_len().checked_sub(MAPPED_BITS)?;
        Ipv4Net::new(v6.network().to_ipv4_mapped()?, bits).ok()
    };
    v4().map_or(network, IpNet::V4)
}

impl Selection {
    /// Refuses more than the probes take.
    pub fn checked(self) -> Result<Self, SelectionError> {
        for (option, count) in [
            ("--filter.port", self.ports.len()),
            ("--filter.cidr", self.networks.len()),
            ("--filter.netns", self.netns.len()),
            ("--filter.cgroup", self.cgroups.len()),
        ] {
            if count > MOST_FILTERED {
                return Err(SelectionError::TooMany(option, count));
            }
        }
        Ok(self)
    }

    /// Nothing is left out.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The filters as they may be typed.
    pub fn words(&self) -> Vec<String> {
        let ports = self.ports.iter().map(|it| format!("--filter.port {it}"));
        let networks = self.networks.iter();
        let networks = networks.map(|it| format!("--filter.cidr {it}"));
        let netns = self.netns.iter().map(|it| format!("--filter.netns {it}"));
        let cgroups = self.cgroups.iter();
        let cgroups = cgroups.map(|it| format!("--filter.cgroup {}", it.path.display()));
        let loopback = self.no_loopback.then(|| "--no-loopback".to_owned());
        let all = ports.chain(networks).chain(netns).chain(cgroups);
        all.chain(loopback).collect()
    }

    /// In the words of the probes.
    pub(crate) fn globals(&self) -> Globals {
        Globals {
            any: u32::from(!self.is_all()),
            ports: filled(self.ports.iter().map(|it| u32::from(*it))),
            networks: filled(self.networks.iter().map(words_of)),
            netns: filled(self.netns.iter().copied()),
            cgroups: filled(self.cgroups.iter().map(|it| it.id)),
            loopback: u32::from(self.no_loopback),
        }
    }

    /// With the cgroups that exist now.
    pub fn now(&self) -> Wanted {
        let mut wanted = Wanted {
            selection: self.clone(),
            ..Wanted::default()
        };
        if self.cgroups.is_empty() {
            return wanted;
        }
        for cgroup in &self.cgroups {
            wanted.cgroups.insert(cgroup.id);
            // What is made anew at the path is another.
            let same = fs::metadata(&cgroup.path).is_ok_and(|it| it.st_ino() == cgroup.id);
            if same {
                add_tree(&cgroup.path, CGROUP_LEVELS, &mut wanted.cgroups);
            }
        }
        if let Some(root) = self.cgroups.iter().find_map(|it| root(&it.path)) {
            add_tree(root, usize::MAX, &mut wanted.existing);
        }
        wanted
    }
}

/// The directory that cgroup v2 is mounted at, of one in it.
fn root(path: &Path) -> Option<&Path> {
    let is_of_it = |it: &&Path| statfs(*it).is_ok_and(|it| it.f_type == CGROUP2);
    path.ancestors().take_while(is_of_it).last()
}

/// The values, and nothing behind them.
fn filled<T: Copy + Default, const N: usize>(values: impl Iterator<Item = T>) -> [T; N] {
    let mut all = [T::default(); N];
    all.iter_mut().zip(values).for_each(|(at, it)| *at = it);
    all
}

/// A network in the words of the probes, each word as it lies in memory.
fn words_of(network: &IpNet) -> [u32; NETWORK_WORDS] {
    let (version, address, mask) = match network {
        IpNet::V4(it) => (
            4,
            [0, 0, 0, word(it.network())],
            [0, 0, 0, word(it.netmask())],
        ),
        IpNet::V6(it) => (6, words(it.network()), words(it.netmask())),
    };
    let words = [version].into_iter().chain(address).chain(mask);
    filled(words)
}

fn word(address: Ipv4Addr) -> u32 {
    u32::from_ne_bytes(address.octets())
}

fn words(address: Ipv6Addr) -> [u32; 4] {
    zerocopy::transmute!(address.octets())
}

/// A directory and those below it, so many levels with its own. Those that cannot be read are gone.
fn add_tree(path: &Path, levels: usize, ids: &mut HashSet<u64>) {
    let Some(below) = levels.checked_sub(1) else {
        return;
    };
    let (Ok(own), Ok(entries)) = (fs::metadata(path), fs::read_dir(path)) else {
        return;
    };
    ids.insert(own.st_ino());
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            add_tree(&entry.path(), below, ids);
        }
    }
}

impl Wanted {
    /// Whether the filters let this socket through.
    pub fn has(&self, netns: u32, seen: &Seen) -> bool {
        let Selection {
            ports,
            networks,
            netns: namespaces,
            cgroups,
            no_loopback,
        } = &self.selection;
        let Ends { local, peer } = seen.ends;
        let ends = [local, peer];
        let one_of = |it: &IpNet| ends.iter().any(|end| it.contains(&end.ip()));
        (namespaces.is_empty() || namespaces.contains(&netns))
            && (ports.is_empty() || ends.iter().any(|end| ports.contains(&end.port())))
            && (networks.is_empty() || networks.iter().any(one_of))
            && (cgroups.is_empty() || seen.cgroup.is_none_or(|it| self.has_cgroup(it)))
            && !(*no_loopback && is_here(local.ip(), peer.ip()))
    }

    /// The kernel still knows above whom a cgroup was that is gone, and nobody else does: what is
    /// left of a unit that was stopped is told in any case. A minisock has no cgroup.
    fn has_cgroup(&self, id: u64) -> bool {
        self.cgroups.contains(&id) || !self.existing.contains(&id)
    }
}

fn is_here(local: IpAddr, peer: IpAddr) -> bool {
    local.is_loopback() || peer.is_loopback() || local == peer
}
