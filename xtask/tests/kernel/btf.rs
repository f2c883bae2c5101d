//! What the running kernel's BTF says of its functions.
//!
//! Takes a function's name, gives the number of its parameters. Reads no more of BTF than that
//! needs: no split BTF of modules.

use std::fs;

/// Sizes of the format: header, one type, one name.
const TYPE: usize = 12;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;

/// How many parameters a kernel function has; `None` where the kernel does not say. Without
/// BTF no agent starts, and every case fails for that.
pub(crate) fn parameters(function: &str) -> Option<usize> {
    parameters_in(&fs::read("/sys/kernel/btf/vmlinux").ok()?, function)
}

fn parameters_in(btf: &[u8], function: &str) -> Option<usize> {
    let header = |at| usize::try_from(word(btf, at)?).ok();
    let start = header(4)?;
    let (types, names) = (start + header(8)?, start + header(16)?);
    let types = btf.get(types..types + header(12)?)?;
    let name_of = |offset: u32| {
        let name = btf.get(names + usize::try_from(offset).ok()?..)?;
        name.split(|byte| *byte == 0).next()
    };
    // Type 0 is void and has no entry.
    let mut prototypes = vec![None];
    let mut wanted = None;
    let mut at = 0;
    while at < types.len() {
        let info = word(types, at + 4)?;
        let (kind, members) = ((info >> 24) & 0x1f, usize::try_from(info & 0xffff).ok()?);
        if kind == FUNC && name_of(word(types, at)?) == Some(function.as_bytes()) {
            wanted = usize::try_from(word(types, at + 8)?).ok();
        }
        prototypes.push((kind == FUNC_PROTO).then_some(members));
        at += TYPE + tail(kind, members)?;
    }
    *prototypes.get(wanted?)?
}

/// The bytes after a type's common part.
fn tail(kind: u32, members: usize) -> Option<usize> {
    let bytes = match kind {
        // Pointer, forward, typedef, volatile, const, restrict, function, float, type tag.
        2 | 7..=FUNC | 16 | 18 => 0,
        // Integer, variable, declaration tag.
        1 | 14 | 17 => 4,
        // Array.
        3 => 12,
        // Structure, union, section, wide enumeration.
        4 | 5 | 15 | 19 => 12 * members,
        // Enumeration.
        6 | FUNC_PROTO => 8 * members,
        _ => return None,
    };
    Some(bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(word.try_into().ok()?))
}
