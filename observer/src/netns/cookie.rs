//! The number that the kernel gives no second network namespace.
//!
//! Takes the calling thread's namespace; gives its cookie, unlike an inode number never used
//! again. Kernels before 5.14 have none.

use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;

/// The cookie of the namespace that the calling thread is in; `None`: this kernel has none.
pub(super) fn own() -> Option<u64> {
    let socket = UnixDatagram::unbound().ok()?;
    let mut cookie = 0_u64;
    let mut size = libc::socklen_t::try_from(size_of::<u64>()).ok()?;
    // SAFETY: the socket is open, and the kernel writes at most `size` bytes, which is as many as
    // `cookie` has.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut size,
        )
    };
    (outcome == 0 && cookie != 0).then_some(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_keeps_its_cookie() {
        assert_eq!(own(), own());
    }
}
