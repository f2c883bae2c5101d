//! Socket calls that no library offers.
//!
//! Takes any socket; gives success or the kernel's error. Never touches a file descriptor
//! that it was not lent.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

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

/// Puts a connected socket into a map of its own, from which programs could redirect what it
/// carries: the socket's calls go through `tcp_bpf_prots` from then on, until it closes.
pub fn put_into_sockmap(socket: impl AsFd) -> io::Result<OwnedFd> {
    const MAP_CREATE: libc::c_long = 0;
    const MAP_UPDATE_ELEM: libc::c_long = 2;
    const SOCKMAP: u32 = 15;
    let (place, fd) = (0_u32, socket.as_fd().as_raw_fd());
    let size = u32::try_from(size_of::<u32>()).map_err(io::Error::other)?;
    // SAFETY: nothing in these attributes is a pointer.
    let map = unsafe { bpf(MAP_CREATE, &[SOCKMAP, size, size, 1]) }?;
    // SAFETY: the kernel has just made it, and nobody else knows its number.
    let map = unsafe { OwnedFd::from_raw_fd(map) };
    let number = u64::try_from(map.as_raw_fd()).map_err(io::Error::other)?;
    let at = |pointer: *const u8| u64::try_from(pointer.addr()).map_err(io::Error::other);
    let (key, value) = (at((&raw const place).cast())?, at((&raw const fd).cast())?);
    // SAFETY: both pointers are those of numbers on this stack, which the kernel only reads.
    unsafe { bpf(MAP_UPDATE_ELEM, &[number, key, value, 0]) }?;
    Ok(map)
}

/// `bpf()` with the beginning of `union bpf_attr`; the rest of it is 0.
///
/// # Safety
///
/// What the command takes for a pointer must be one, for as long as the call takes.
unsafe fn bpf<T>(command: libc::c_long, attributes: &[T]) -> io::Result<i32> {
    let length = size_of_val(attributes);
    // SAFETY: the pointer and the length are those of a slice that outlives the call; the rest
    // is the caller's promise.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), length) };
    let answer = i32::try_from(answer).map_err(io::Error::other)?;
    check(answer.min(0))?;
    Ok(answer)
}

fn check(answer: i32) -> io::Result<()> {
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
