//! How much memory a minisock takes.
//!
//! Takes the text of `/proc/slabinfo`, which only root can read; gives a number of bytes. The
//! kernel never merges this cache with another one (it is `SLAB_TYPESAFE_BY_RCU`), so it is
//! always listed under its own name.

use std::fs;

/// Bytes of one minisock in TIME_WAIT or FIN_WAIT2; `None` if the kernel does not tell.
pub fn minisock_bytes() -> Option<u64> {
    object_size(&fs::read_to_string("/proc/slabinfo").ok()?, "tw_sock_TCP")
}

/// The fourth field of a cache's line.
fn object_size(slabinfo: &str, cache: &str) -> Option<u64> {
    let mut lines = slabinfo.lines().map(str::split_whitespace);
    let mut of_cache = lines.find_map(|mut line| (line.next()? == cache).then_some(line))?;
    of_cache.nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::object_size;

    #[test]
    fn the_size_is_found_under_the_name_of_the_cache() {
        let text = "slabinfo - version: 2.1\n\
                    # name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>\n\
                    tw_sock_TCPv6  32  32  288 16 1 : tunables 0 0 0 : slabdata 2 2 0\n\
                    tw_sock_TCP   144 208  256 16 1 : tunables 0 0 0 : slabdata 13 13 0\n";
        assert_eq!(object_size(text, "tw_sock_TCP"), Some(256));
        assert_eq!(object_size(text, "tw_sock"), None);
    }
}
