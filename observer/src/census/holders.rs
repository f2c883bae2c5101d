//! Who holds a socket now: every process with a file descriptor of it.
//!
//! Takes inode numbers of sockets; reads `/proc/PID/fd` of every process until all are read
//! or its time is over. An inode of a socket is unique on the host, whatever its network
//! namespace. What is in nobody's table of descriptors is not found: a socket on its way
//! over a Unix socket, one that io_uring keeps, one that the kernel made for itself.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{Dir, Mode, OFlags, open, openat, readlinkat_raw};
use rustix::io::Errno;

use super::process::{NEEDED, Process, processes};
use crate::clock::Clock;

/// Descriptors kept for one process; the rest is counted.
const MOST_DESCRIPTORS: usize = 64;

/// One process and its descriptors of the sockets in question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub process: Process,
    /// Descriptors, ascending; at most 64.
    pub fds: Vec<u32>,
    /// How many there are.
    pub count: usize,
}

/// Who holds each of the sockets that were asked for.
#[derive(Debug, Default)]
pub struct Holders {
    /// Inode to the pids that hold it.
    pids: HashMap<u32, Vec<(u32, u32)>>,
    processes: BTreeMap<u32, Process>,
    /// Processes that could not be looked into, for want of a privilege.
    unreadable: Vec<u32>,
    /// Its time was over before every process was looked at.
    cut_short: bool,
}

impl Holders {
    /// Looks for the holders of `inodes`, for as long as `patience`.
    pub fn find(inodes: &HashSet<u32>, clock: &Clock, patience: Duration) -> io::Result<Self> {
        let mut holders = Self::default();
        if inodes.is_empty() {
            return Ok(holders);
        }
        let end = clock.now().after(patience);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = open("/proc", flags, Mode::empty())?;
        for entry in Dir::read_from(&proc)? {
            let name = entry?.file_name().to_str().unwrap_or_default().to_owned();
            let Ok(pid) = name.parse() else { continue };
            if clock.now() > end {
                holders.cut_short = true;
                break;
            }
            let table = match openat(&proc, format!("{name}/fd"), flags, Mode::empty()) {
                Ok(table) => table,
                Err(Errno::ACCESS | Errno::PERM) => {
                    holders.unreadable.push(pid);
                    continue;
                }
                // It has ended meanwhile.
                Err(_) => continue,
            };
            holders.look_into(pid, &table, inodes);
        }
        let found: HashSet<u32> = holders
            .pids
            .values()
            .flatten()
            .map(|(pid, _)| *pid)
            .collect();
        let looked = found.iter().filter_map(|pid| Process::look(*pid));
        holders.processes = looked.map(|process| (process.pid, process)).collect();
        Ok(holders)
    }

    fn look_into(&mut self, pid: u32, table: &OwnedFd, inodes: &HashSet<u32>) {
        let Ok(entries) = Dir::read_from(table) else {
            self.unreadable.push(pid);
            return;
        };
        for entry in entries {
            // A process that ends takes its table along.
            let Ok(entry) = entry else { return };
            let Ok(fd) = entry.file_name().to_str().unwrap_or_default().parse() else {
                continue;
            };
            match socket_inode(table.as_fd(), entry.file_name()) {
                Ok(Some(inode)) if inodes.contains(&inode) => {
                    self.pids.entry(inode).or_default().push((pid, fd));
                }
                Err(Errno::ACCESS | Errno::PERM) => {
                    self.unreadable.push(pid);
                    return;
                }
                // Another file, or one that was closed meanwhile.
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Why not every holder was found, one sentence each.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.unreadable.is_empty() {
            missing.push(format!(
                "the descriptors of {}, so holders may be missing; {NEEDED}",
                processes(&self.unreadable)
            ));
        }
        if self.cut_short {
            let sentence = "some holders: the search for them took too long and was ended";
            missing.push(sentence.to_owned());
        }
        missing
    }

    /// Every process that holds this socket, by ascending pid.
    pub fn all(&self, inode: u32) -> impl Iterator<Item = &Process> {
        let pids = self.pids(inode).into_iter();
        pids.filter_map(|pid| self.processes.get(&pid))
    }

    /// The pids that hold this socket, ascending.
    pub fn pids(&self, inode: u32) -> Vec<u32> {
        let held = self.pids.get(&inode).into_iter().flatten();
        let mut pids: Vec<u32> = held.map(|(pid, _)| *pid).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Each process that holds any of these sockets, with its descriptors of them.
    pub fn of(&self, inodes: impl IntoIterator<Item = u32>) -> Vec<Holder> {
        let mut fds: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for inode in inodes.into_iter().collect::<BTreeSet<u32>>() {
            for (pid, fd) in self.pids.get(&inode).into_iter().flatten() {
                fds.entry(*pid).or_default().push(*fd);
            }
        }
        let holder = |(pid, mut fds): (u32, Vec<u32>)| {
            let process = self.processes.get(&pid)?.clone();
            fds.sort_unstable();
            let count = fds.len();
            fds.truncate(MOST_DESCRIPTORS);
            Some(Holder {
                process,
                fds,
                count,
            })
        };
        fds.into_iter().filter_map(holder).collect()
    }
}

/// The inode of `socket:[INODE]`; `None` for any other file.
fn socket_inode(table: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<Option<u32>, Errno> {
    let mut buffer = [0_u8; 32];
    let len = readlinkat_raw(table, name, buffer.as_mut_slice())?;
    let inode = buffer
        .get(..len)
        .and_then(|target| target.strip_prefix(b"socket:["))
        .and_then(|rest| rest.strip_suffix(b"]"))
        .and_then(|digits| str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok());
    Ok(inode)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::TcpListener;
    use std::os::fd::{AsFd as _, AsRawFd as _};
    use std::os::unix::fs::MetadataExt as _;
    use std::time::Duration;

    use super::Holders;
    use crate::clock::Clock;

    #[test]
    fn a_socket_is_found_under_every_descriptor_of_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let again = listener.as_fd().try_clone_to_owned().unwrap();
        let path = format!("/proc/self/fd/{}", listener.as_raw_fd());
        let inode = u32::try_from(std::fs::metadata(path).unwrap().ino()).unwrap();
        let wanted = HashSet::from([inode, u32::MAX]);
        let clock = Clock::new();
        let holders = Holders::find(&wanted, &clock, Duration::from_secs(30)).unwrap();
        let me = std::process::id();
        assert_eq!(holders.pids(inode), [me]);
        assert!(holders.pids(u32::MAX).is_empty());
        let held = holders.of([inode, u32::MAX]);
        assert_eq!((held.len(), held[0].count, held[0].process.pid), (1, 2, me));
        let mut fds =
            [listener.as_raw_fd(), again.as_raw_fd()].map(|fd| u32::try_from(fd).unwrap());
        fds.sort_unstable();
        assert_eq!(held[0].fds, fds);
        assert!(!held[0].process.comm.is_empty());
    }

    #[test]
    fn no_time_means_no_answer_and_says_so() {
        let clock = Clock::new();
        let holders = Holders::find(&HashSet::from([1]), &clock, Duration::ZERO).unwrap();
        assert!(holders.cut_short);
    }
}
