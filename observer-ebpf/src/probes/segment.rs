//! The segment that a hook was called for.
//!
//! Takes the kernel's `struct sk_buff`; gives whether its TCP header carries RST.

use super::kernel::{Pointer, SKB_HEAD, SKB_TRANSPORT_HEADER, read, read_byte};

/// Offset of the flags in a TCP header (RFC 9293 §3.1).
const FLAGS: usize = 13;
const RST: u8 = 4;

/// Whether the segment carries RST. Its transport header must be set.
#[inline(always)]
pub(super) fn is_reset(segment: Pointer) -> bool {
    let head = read::<u64>(segment, &SKB_HEAD) as Pointer;
    let transport: u16 = read(segment, &SKB_TRANSPORT_HEADER);
    read_byte(head, usize::from(transport) + FLAGS) & RST != 0
}
