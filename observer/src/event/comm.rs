//! The name of a thread.
//!
//! As the kernel keeps it: at most 15 bytes, so that it needs no memory of its own.

use std::fmt;
use std::ops::Deref;
use std::str;

/// The bytes that the kernel has for it, the zero at the end included.
const BYTES: usize = 16;

/// A thread's name. Bytes that are not UTF-8 are replaced, each by a `?`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Comm([u8; BYTES]);

impl Comm {
    /// The name in a record: what stands behind the first zero means nothing.
    #[inline]
    pub fn new(bytes: [u8; BYTES]) -> Self {
        let name = without_rest(bytes);
        if name.is_ascii() {
            Self(name)
        } else {
            Self(replaced(name))
        }
    }

    /// Whether it is the name of a worker of the kernel.
    pub fn is_kworker(&self) -> bool {
        self.0.starts_with(b"kworker")
    }
}

/// With zeros from the first on.
fn without_rest(bytes: [u8; BYTES]) -> [u8; BYTES] {
    const ONES: u128 = u128::from_le_bytes([0x01; BYTES]);
    const TOPS: u128 = u128::from_le_bytes([0x80; BYTES]);
    let all = u128::from_le_bytes(bytes);
    // The top bit of a byte is set if it is zero, and for none before the first that is.
    let zeros = all.wrapping_sub(ONES) & !all & TOPS;
    let before = zeros.trailing_zeros() / 8 * 8;
    let mask = 1u128.checked_shl(before).map_or(u128::MAX, |bit| bit - 1);
    (all & mask).to_le_bytes()
}

fn replaced(name: [u8; BYTES]) -> [u8; BYTES] {
    let mut valid = [0; BYTES];
    let end = name.iter().position(|byte| *byte == 0);
    let name = name.get(..end.unwrap_or(BYTES)).unwrap_or_default();
    for (place, byte) in valid.iter_mut().zip(readable(name).bytes()) {
        *place = byte;
    }
    valid
}

/// A name that may be longer than a record has room for, in the same words.
pub fn readable(name: &[u8]) -> String {
    let mut valid = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        valid.push_str(chunk.valid());
        valid.extend(chunk.invalid().iter().map(|_| '?'));
    }
    valid
}

impl Deref for Comm {
    type Target = str;

    fn deref(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0);
        let name = self.0.get(..end.unwrap_or(BYTES)).unwrap_or_default();
        str::from_utf8(name).unwrap_or_default()
    }
}

/// As much of it as the kernel would keep.
impl From<&str> for Comm {
    fn from(name: &str) -> Self {
        let mut bytes = [0; BYTES];
        for (byte, of_name) in bytes.iter_mut().take(BYTES - 1).zip(name.bytes()) {
            *byte = of_name;
        }
        Self::new(bytes)
    }
}

impl From<String> for Comm {
    fn from(name: String) -> Self {
        name.as_str().into()
    }
}

impl fmt::Display for Comm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self)
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::{Comm, readable};

    #[test]
    fn a_name_ends_at_its_first_zero() {
        let name = |bytes: &[u8; 16]| Comm::new(*bytes).to_string();
        assert_eq!(name(b"nginx\0garbage\0\0\0"), "nginx");
        assert_eq!(name(b"\0garbage\0\0\0\0\0\0\0\0"), "");
        assert_eq!(name(b"\x01\0\x01\0garbage\0\0\0\0\0"), "\u{1}");
        assert_eq!(name(b"sixteen-bytes-it"), "sixteen-bytes-it");
        assert_eq!(Comm::new(*b"nginx\0garbage\0\0\0"), Comm::from("nginx"));
    }

    #[test]
    fn what_is_not_utf8_is_replaced_byte_by_byte() {
        let name = |bytes: &[u8; 16]| Comm::new(*bytes).to_string();
        assert_eq!(name(b"caf\xc3\xa9\0\0\0\0\0\0\0\0\0\0\0"), "café");
        // The kernel cuts a name off within a character.
        assert_eq!(name(b"fourteen-byte-\xc3\0"), "fourteen-byte-?");
        assert_eq!(name(&[0xff; 16]), "?".repeat(16));
        assert_eq!(
            readable(b"caf\xe9 of more than 16\xff"),
            "caf? of more than 16?"
        );
    }
}
