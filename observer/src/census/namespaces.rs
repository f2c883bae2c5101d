//! Every network namespace of this host that something leads to.
//!
//! Takes nothing; looks at the namespaces of all processes and at those that are mounted
//! (`ip netns add` does). Gives an open file of each, so that none goes away while it is
//! looked into. A namespace that only a socket or an open descriptor keeps alive is not found.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::netns::enter;

/// A network namespace, kept alive by this value.
#[derive(Debug)]
pub struct Namespace {
    /// Its inode number, as `lsns -t net` shows it.
    pub inode: u32,
    /// What led to it: a mounted file, or that of its process with the lowest pid.
    pub path: PathBuf,
    /// Every thread of this process is in it already.
    own: bool,
    file: File,
}

/// All that were found, and how many could not be opened.
#[derive(Debug, Default)]
pub struct Found {
    /// By inode number.
    pub namespaces: BTreeMap<u32, Namespace>,
    /// Processes whose namespace may not be seen, for want of a privilege.
    pub unreadable: Vec<u32>,
    /// Mounted namespaces that may not be seen, for want of a privilege.
    pub hidden: Vec<PathBuf>,
    /// Namespaces that exist and cannot be opened, and why.
    pub failed: BTreeMap<u32, io::Error>,
}

/// Looks for them.
pub fn find() -> io::Result<Found> {
    let mut found = Found::default();
    found.add(Path::new("/proc/thread-self/ns/net"))?;
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    for path in mounted(&String::from_utf8_lossy(&mounts)) {
        match found.add(&path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                found.hidden.push(path);
            }
            // What cannot be opened any more was taken away meanwhile, or is mounted over.
            Ok(()) | Err(_) => {}
        }
    }
    let mut pids: Vec<u32> = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    for pid in pids {
        let path = PathBuf::from(format!("/proc/{pid}/ns/net"));
        match found.add(&path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                found.unreadable.push(pid);
            }
            // It has ended meanwhile.
            Ok(()) | Err(_) => {}
        }
    }
    Ok(found)
}

impl Found {
    /// Adds the namespace at `path` unless it is known.
    fn add(&mut self, path: &Path) -> io::Result<()> {
        let inode =
            |metadata: fs::Metadata| u32::try_from(metadata.ino()).map_err(io::Error::other);
        let expected = inode(fs::metadata(path)?)?;
        if self.namespaces.contains_key(&expected) {
            return Ok(());
        }
        let file = match enter::open(path) {
            Ok(file) => file,
            Err(error) => {
                // It has gone away meanwhile, or may not be seen: so says whoever asks.
                let expected_errors = [libc::ENOENT, libc::ESRCH, libc::EACCES, libc::EPERM];
                if error
                    .raw_os_error()
                    .is_some_and(|it| expected_errors.contains(&it))
                {
                    return Err(error);
                }
                self.failed.insert(expected, error);
                return Ok(());
            }
        };
        let inode = inode(file.metadata()?)?;
        let namespace = Namespace {
            inode,
            path: path.to_owned(),
            // The own one is added before all others.
            own: self.namespaces.is_empty(),
            file,
        };
        self.namespaces.entry(inode).or_insert(namespace);
        Ok(())
    }
}

impl Namespace {
    /// Does `what` inside. The own one needs neither a thread nor a privilege for that.
    pub fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> io::Result<T> {
        if self.own {
            return Ok(what());
        }
        enter::inside(&self.file, what)
    }
}

/// The mounted namespaces among the lines of `/proc/PID/mountinfo` (proc(5)): file system
/// `nsfs` with a root of `net:[INODE]`.
fn mounted(mountinfo: &str) -> Vec<PathBuf> {
    let line = |line: &str| {
        let mut fields = line.split(' ');
        let (root, path) = (fields.nth(3)?, fields.next()?);
        let kind = line.split(" - ").nth(1)?.split(' ').next()?;
        (kind == "nsfs" && root.starts_with("net:[")).then(|| PathBuf::from(unescaped(path)))
    };
    mountinfo.lines().filter_map(line).collect()
}

/// Undoes the kernel's `\040` for a space and its like.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (byte, part.get(3..)) {
            (Some(byte), Some(rest)) => {
                whole.push(char::from(byte));
                whole.push_str(rest);
            }
            _ => whole.extend(["\\", part]),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::path::PathBuf;

    use super::{find, mounted};

    #[test]
    fn the_own_namespace_is_found_and_can_be_entered_by_root() {
        let found = find().unwrap();
        let own = std::fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
        let own = &found.namespaces[&u32::try_from(own).unwrap()];
        let inside = own.inside(|| std::fs::metadata("/proc/thread-self/ns/net").unwrap().ino());
        match inside {
            Ok(inode) => assert_eq!(inode, u64::from(own.inode)),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
        }
    }

    #[test]
    fn mounted_namespaces_are_told_from_other_mounts() {
        let text = "\
22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw\n\
300 22 0:4 net:[4026532219] /run/netns/a\\040b rw shared:5 - nsfs nsfs rw\n\
301 22 0:4 mnt:[4026532220] /run/x.mnt rw - nsfs nsfs rw\n\
302 22 0:4 net:[4026532221] /run/docker/netns/1 rw - tmpfs tmpfs rw\n";
        assert_eq!(mounted(text), [PathBuf::from("/run/netns/a b")]);
    }
}
