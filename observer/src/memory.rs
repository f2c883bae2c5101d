//! How the allocator is to keep memory.
//!
//! Takes nothing; sets where large pieces are, and gives pages that hold nothing back to the kernel.

/// Bytes from which on a piece has pages of its own.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 1 << 20;

/// Gives each large piece pages of its own: to grow one moves no byte, and leaves no hole. By itself
/// glibc takes what was freed once, up to 32 MiB, for small from then on (mallopt(3),
/// M_MMAP_THRESHOLD), and a table that grows leaves as much again in holes. Call it before there are
/// other threads.
pub fn keep_large_apart() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

/// Gives back what the allocator keeps of all that was freed. To attach, the agent reads the
/// kernel's BTF, of many megabytes in small pieces; what outlives them keeps their pages.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it moves nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
