//! Memory that is needed only for a while.
//!
//! Takes nothing; gives pages that hold nothing back to the kernel.

/// Gives back what the allocator keeps of all that was freed. To attach, the agent reads the
/// kernel's BTF, of many megabytes in small pieces; what outlives them keeps their pages.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it moves nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
