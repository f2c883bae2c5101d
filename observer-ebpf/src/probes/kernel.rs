//! Reading the kernel's structures.
//!
//! Takes an address and a global that holds an offset; gives the value there. A member that
//! the running kernel lacks reads as zero. Never writes.

use core::ffi::c_void;

use aya_ebpf::{Global, helpers::generated};
use observer_ebpf::{for_each_member, wire::settings::ABSENT};

/// Where a member lies in its struct.
pub(super) type Offset = Global<u32>;

/// A kernel pointer, never dereferenced as such.
pub(super) type Pointer = *const c_void;

macro_rules! statics {
    ($($global:ident: $of:literal, $path:literal, $need:ident;)*) => {
        $(
            #[doc = concat!("Offset of `", $of, ".", $path, "`.")]
            #[unsafe(no_mangle)]
            pub(super) static $global: Offset = Global::new(ABSENT);
        )*
    };
}

for_each_member!(statics);

/// Mask of `tcp_sock.repair` in the byte at [`TCP_REPAIR`].
#[unsafe(no_mangle)]
pub(super) static TCP_REPAIR_MASK: Global<u32> = Global::new(0);

/// Number of `TCP_TW_SUCCESS`.
#[unsafe(no_mangle)]
pub(super) static TW_SUCCESS: Global<u32> = Global::new(0);

/// How members of the struct that a hook's argument points to are read.
pub(super) trait Read {
    /// The `T` at `offset` from `base`.
    ///
    /// # Safety
    /// `base` is the hook's own argument or was read from there, and `offset` that of a member of
    /// the struct that BTF says it points to.
    unsafe fn read<T: Copy + Default>(base: Pointer, offset: &Offset) -> T;

    /// The same socket as a `struct tcp_sock`, of which a hook's argument is only the first
    /// member; NULL where it is none.
    ///
    /// # Safety
    /// `sock` is the hook's own argument, a `struct sock`.
    unsafe fn tcp(sock: Pointer) -> Pointer;
}

/// A load that the verifier allows because it knows the argument's type from BTF.
pub(super) enum Direct {}

impl Read for Direct {
    #[inline(always)]
    unsafe fn read<T: Copy + Default>(base: Pointer, offset: &Offset) -> T {
        let offset = offset.load();
        if offset == ABSENT {
            return T::default();
        }
        // SAFETY: the caller vouches for the member; the kernel handles a fault of such a
        // load by giving zero.
        unsafe { base.byte_add(offset as usize).cast::<T>().read_volatile() }
    }

    #[inline(always)]
    unsafe fn tcp(sock: Pointer) -> Pointer {
        // SAFETY: the helper looks what sort of socket it is.
        unsafe { generated::bpf_skc_to_tcp_sock(sock.cast_mut()) }.cast()
    }
}

/// A copy through `bpf_probe_read_kernel`, from any address.
pub(super) enum Copied {}

impl Read for Copied {
    #[inline(always)]
    unsafe fn read<T: Copy + Default>(base: Pointer, offset: &Offset) -> T {
        read(base, offset)
    }

    #[inline(always)]
    unsafe fn tcp(sock: Pointer) -> Pointer {
        sock
    }
}

/// The `T` at `offset` from any address; zero if it cannot be read.
#[inline(always)]
pub(super) fn read<T: Copy + Default>(base: Pointer, offset: &Offset) -> T {
    let mut value = T::default();
    copy(&raw mut value, base, offset);
    value
}

/// Copies the `T` at `offset` from any address to `target`: zeros if it cannot be read,
/// nothing if the running kernel lacks the member.
#[inline(always)]
pub(super) fn copy<T>(target: *mut T, base: Pointer, offset: &Offset) {
    let offset = offset.load();
    if offset == ABSENT {
        return;
    }
    let from = base.wrapping_byte_add(offset as usize);
    // SAFETY: the helper checks the source address, and zeroes the target if that faults;
    // every target is a whole `T`.
    let _status =
        unsafe { generated::bpf_probe_read_kernel(target.cast(), size_of::<T>() as u32, from) };
}

/// The byte at a distance that is not a member's; zero if it cannot be read.
#[inline(always)]
pub(super) fn read_byte(base: Pointer, distance: usize) -> u8 {
    let mut value = 0_u8;
    // SAFETY: the helper checks the source address; the target is one byte.
    let _status = unsafe {
        generated::bpf_probe_read_kernel(
            (&raw mut value).cast(),
            1,
            base.wrapping_byte_add(distance),
        )
    };
    value
}

/// A hook's argument as a plain number, read from its context.
///
/// The verifier believes that a pointer argument of a BTF tracepoint is never NULL (before
/// 6.13) or refuses to add to it (since); it knows nothing about a number.
#[inline(always)]
pub(super) fn argument_of_unknown_type(context: *mut c_void, position: usize) -> Pointer {
    let mut value = 0_u64;
    // SAFETY: the helper checks the source address; the target is a whole u64.
    unsafe {
        let _status = generated::bpf_probe_read_kernel(
            (&raw mut value).cast(),
            size_of::<u64>() as u32,
            context.byte_add(position * size_of::<u64>()),
        );
    }
    value as Pointer
}
