//! The kernel's memory for the BPF maps of a process.
//!
//! Takes a process; gives bytes, of the ring apart, as the kernel says them in `fdinfo`.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, ensure};

/// `BPF_MAP_TYPE_RINGBUF` of the UAPI.
const RING: u64 = 27;

/// Bytes of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Maps {
    pub(super) ring: u64,
    pub(super) others: u64,
}

impl Maps {
    /// Those of a process.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let folder = format!("/proc/{pid}/fdinfo");
        let files = fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?;
        // What is closed meanwhile was none.
        let texts = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
        let maps = Self::among(texts);
        ensure!(maps.ring > 0, "process {pid} has no ring");
        Ok(maps)
    }

    /// Each map once, however many descriptors it has.
    fn among(texts: impl Iterator<Item = String>) -> Self {
        let maps: BTreeMap<u64, (bool, u64)> = texts.filter_map(|text| map(&text)).collect();
        let sum = |ring| maps.values().filter(|it| it.0 == ring).map(|it| it.1).sum();
        Self {
            ring: sum(true),
            others: sum(false),
        }
    }
}

/// The number of a map, whether it is a ring, and its bytes.
fn map(fdinfo: &str) -> Option<(u64, (bool, u64))> {
    let field = |name| {
        let mut lines = fdinfo.lines();
        let value = lines.find_map(|line| line.strip_prefix(name))?;
        value.trim().parse::<u64>().ok()
    };
    let is_ring = field("map_type:")? == RING;
    Some((field("map_id:")?, (is_ring, field("memlock:")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_map_counts_once_and_what_is_none_does_not() {
        let map = |kind, id, bytes| {
            format!("pos:\t0\nmap_type:\t{kind}\nkey_size:\t4\nmemlock:\t{bytes}\nmap_id:\t{id}\n")
        };
        let texts = [
            map(27, 5, 4096),
            map(27, 5, 4096),
            map(2, 6, 100),
            map(6, 7, 20),
            "pos:\t0\nmemlock:\t4096\nprog_id:\t5\n".to_owned(),
        ];
        let maps = Maps::among(texts.into_iter());
        let (ring, others) = (4096, 120);
        assert_eq!(maps, Maps { ring, others });
    }
}
