//! The one way into a network namespace.
//!
//! Takes its open file and what is to be done there; does it on a thread that ends with it, so
//! that no other code ever finds itself in the wrong namespace.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Opens a namespace's file. A FIFO that nobody writes to must not hold up the agent.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// Does `what` inside. Fails with `EPERM` without `CAP_SYS_ADMIN`, with `EINVAL` if the file is
/// no network namespace (setns(2)), and with `EAGAIN` if no thread can be started.
pub(crate) fn inside<T: Send>(file: &File, what: impl FnOnce() -> T + Send) -> io::Result<T> {
    let there = || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(what())
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("netns".to_owned());
        let panicked = |_panic| Err(io::Error::other("its thread panicked"));
        thread
            .spawn_scoped(scope, there)?
            .join()
            .unwrap_or_else(panicked)
    })
}
