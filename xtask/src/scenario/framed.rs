//! System calls from functions that have frame pointers whatever the compiler does elsewhere,
//! so that the kernel finds the way from the call to the function.
//!
//! Takes sockets; gives what the kernel answers. Two functions deep: the kernel is told where
//! each function returns to, and so does not see the name of an outermost one.

use std::arch::naked_asm;
use std::ffi::{c_int, c_long, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;

use socket2::SockAddr;

/// `connect()` from [`opens_by_connect`].
pub fn connect(socket: impl AsFd, to: &SockAddr) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads the address, whose length goes with it.
    let answer = unsafe { opens_by_connect(fd, to.as_ptr().cast(), to.len().into()) };
    check(answer).map(drop)
}

/// `accept()` from [`opens_by_accept`].
pub fn accept(listener: impl AsFd) -> io::Result<OwnedFd> {
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: nobody wants the address.
    let answer = unsafe { opens_by_accept(fd, ptr::null(), 0) };
    // SAFETY: the descriptor is new.
    check(answer).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A system call answers with a negative errno.
fn check(answer: c_long) -> io::Result<c_int> {
    let errno = || c_int::try_from(-answer).unwrap_or_default();
    c_int::try_from(answer)
        .ok()
        .filter(|answer| *answer >= 0)
        .ok_or_else(|| io::Error::from_raw_os_error(errno()))
}

/// # Safety
/// As `connect()` of libc.
#[unsafe(naked)]
unsafe extern "C" fn opens_by_connect(fd: c_int, to: *const c_void, len: u64) -> c_long {
    #[cfg(target_arch = "x86_64")]
    naked_asm!(
        "push rbp", "mov rbp, rsp", "mov eax, 42", "call {}", "pop rbp", "ret",
        sym in_kernel
    );
    #[cfg(target_arch = "aarch64")]
    naked_asm!(
        "stp x29, x30, [sp, #-16]!", "mov x29, sp", "mov x8, #203", "bl {}",
        "ldp x29, x30, [sp], #16", "ret",
        sym in_kernel
    );
}

/// # Safety
/// As `accept()` of libc.
#[unsafe(naked)]
unsafe extern "C" fn opens_by_accept(fd: c_int, from: *const c_void, len: u64) -> c_long {
    #[cfg(target_arch = "x86_64")]
    naked_asm!(
        "push rbp", "mov rbp, rsp", "mov eax, 43", "call {}", "pop rbp", "ret",
        sym in_kernel
    );
    #[cfg(target_arch = "aarch64")]
    naked_asm!(
        "stp x29, x30, [sp, #-16]!", "mov x29, sp", "mov x8, #202", "bl {}",
        "ldp x29, x30, [sp], #16", "ret",
        sym in_kernel
    );
}

/// The system call whose number its caller left in the register for it.
///
/// # Safety
/// As that call.
#[unsafe(naked)]
unsafe extern "C" fn in_kernel() {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("push rbp", "mov rbp, rsp", "syscall", "pop rbp", "ret");
    #[cfg(target_arch = "aarch64")]
    naked_asm!(
        "stp x29, x30, [sp, #-16]!",
        "mov x29, sp",
        "svc #0",
        "ldp x29, x30, [sp], #16",
        "ret"
    );
}
