//! Socket calls that no library offers.
//!
//! Takes any socket; gives success or the kernel's error. Never touches a file descriptor
//! that it was not lent.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

/// `setsockopt()` with any value.
pub fn set_option(socket: impl AsFd, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let length = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    // SAFETY: the pointer and the length are those of a slice that outlives the call, and the
    // kernel only reads it.
    let answer = unsafe { libc::setsockopt(fd, level, name, value.as_ptr().cast(), length) };
    check(answer)
}

/// `setsockopt()` with an integer.
pub fn set_number(socket: impl AsFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    set_option(socket, level, name, &value.to_ne_bytes())
}

/// How many connections wait in a listener's accept queue.
pub fn queued(listener: impl AsFd) -> io::Result<u32> {
    // `tcpi_unacked`, after eight bytes and four numbers of `struct tcp_info`.
    const QUEUED: usize = 8 + 4 * 4;
    let info = tcp_info(listener)?;
    let number = info.get(QUEUED..).and_then(|rest| rest.first_chunk());
    number
        .map(|bytes| u32::from_ne_bytes(*bytes))
        .ok_or_else(|| io::Error::other("tcp_info is too short"))
}

/// The number of a socket's state, `tcpi_state`.
pub fn state(socket: impl AsFd) -> io::Result<u8> {
    let [state, ..] = tcp_info(socket)?;
    Ok(state)
}

/// The beginning of `struct tcp_info`.
fn tcp_info(socket: impl AsFd) -> io::Result<[u8; 64]> {
    let mut info = [0_u8; 64];
    let mut length = libc::socklen_t::try_from(info.len()).map_err(io::Error::other)?;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the pointer and the length are those of an array that outlives the call, and the
    // kernel writes no more than `length` bytes.
    let answer = unsafe {
        libc::getsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    check(answer)?;
    Ok(info)
}

/// `connect()` with `AF_UNSPEC`, which dissolves a connection.
pub fn disconnect(socket: impl AsFd) -> io::Result<()> {
    let unspecified = [0_u8; size_of::<libc::sockaddr>()];
    let length = libc::socklen_t::try_from(unspecified.len()).map_err(io::Error::other)?;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: all bytes of a sockaddr may be zero, which is AF_UNSPEC; the kernel only reads
    // `length` bytes of it.
    let answer = unsafe { libc::connect(fd, unspecified.as_ptr().cast(), length) };
    check(answer)
}

fn check(answer: i32) -> io::Result<()> {
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
