//! The running kernel's types, read where they lie.
//!
//! Takes the bytes of `/sys/kernel/btf/vmlinux` (format:
//! <https://docs.kernel.org/bpf/btf.html>); gives types by id and members by path. Borrows
//! from the bytes and copies nothing: a kernel has more than a hundred thousand types, and
//! the agent wants a few dozen. Never panics on bytes that are not BTF.

use std::iter;

/// The types of a BTF blob.
#[derive(Debug)]
pub(super) struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type starts in `types`; type ids start at 1.
    starts: Vec<u32>,
}

/// A kind of type that the agent looks at; the numbers are those of `BTF_KIND_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `struct` or `union`.
    Record,
    /// `enum` with values of 32 bits.
    Enum,
    /// A pointer.
    Pointer,
    /// `typedef`, `const`, `volatile`, `restrict` or a tag: another name for a type.
    Alias,
    /// A function.
    Function,
    /// What a function takes and returns.
    Prototype,
    /// Anything else.
    Other,
}

/// One type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Type<'a> {
    /// What it is.
    pub(super) kind: Kind,
    /// Its name; empty if it has none.
    pub(super) name: &'a str,
    /// The id of the type that it points to or stands for.
    pub(super) of: u32,
    /// Bit fields have their size in the upper byte of their offset.
    has_bit_fields: bool,
    /// Its members, values or parameters.
    parts: &'a [u8],
}

/// Where a member lies in its struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Bits from the start.
    pub(super) bits: u32,
    /// It is a bit field: what lies around it is read with it.
    pub(super) bit_field: bool,
}

/// Bytes that are not BTF, or of a later sort; what is wrong with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotBtf(&'static str);

const MAGIC: u16 = 0xeb9f;
const TYPE_BYTES: usize = 12;

impl<'a> Btf<'a> {
    /// Finds where every type starts.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, NotBtf> {
        let cut = NotBtf("it ends too early");
        let magic = bytes.first_chunk().ok_or(cut)?;
        if u16::from_ne_bytes(*magic) != MAGIC {
            return Err(NotBtf("it does not start with the magic number of BTF"));
        }
        let header = |position| word(bytes, position).ok_or(cut);
        let section = |offset, length| {
            let from = header(4)?.checked_add(offset).ok_or(cut)? as usize;
            let to = from.checked_add(length as usize).ok_or(cut)?;
            bytes.get(from..to).ok_or(cut)
        };
        let types = section(header(8)?, header(12)?)?;
        let strings = section(header(16)?, header(20)?)?;
        let starts = starts(types)?;
        Ok(Self {
            types,
            strings,
            starts,
        })
    }

    /// Every type with its id.
    pub(super) fn types(&self) -> impl Iterator<Item = (u32, Type<'a>)> {
        (1..)
            .zip(&self.starts)
            .filter_map(|(id, start)| Some((id, self.at(*start)?)))
    }

    /// The type with this id.
    pub(super) fn get(&self, id: u32) -> Option<Type<'a>> {
        let index = id.checked_sub(1)? as usize;
        self.at(*self.starts.get(index)?)
    }

    /// The type with this id, other names for it resolved.
    pub(super) fn resolve(&self, mut id: u32) -> Option<Type<'a>> {
        // Bounded, so that a loop in broken BTF ends.
        for _ in 0..32 {
            let one = self.get(id)?;
            if one.kind != Kind::Alias {
                return Some(one);
            }
            id = one.of;
        }
        None
    }

    /// The values of an enum: name and number.
    pub(super) fn values(&self, one: Type<'a>) -> impl Iterator<Item = (&'a str, u32)> {
        rows::<8>(one.parts).filter_map(|row| Some((self.name(word(row, 0)?)?, word(row, 4)?)))
    }

    /// The ids of the types of a prototype's parameters.
    pub(super) fn parameters(one: Type<'a>) -> impl Iterator<Item = u32> {
        rows::<8>(one.parts).filter_map(|row| word(row, 4))
    }

    /// Where a member lies. The path names members, separated by dots; anonymous members are
    /// looked through.
    pub(super) fn place_of(&self, one: Type<'a>, path: &str) -> Option<Place> {
        let (name, rest) = path
            .split_once('.')
            .map_or((path, None), |(name, rest)| (name, Some(rest)));
        self.member(one, name, rest, 8)
    }

    fn member(&self, one: Type<'a>, name: &str, rest: Option<&str>, depth: u8) -> Option<Place> {
        let depth = depth.checked_sub(1)?;
        rows::<12>(one.parts).find_map(|row| {
            let found = self.name(word(row, 0)?)?;
            let offset = word(row, 8)?;
            let (width, bits) = if one.has_bit_fields {
                (offset >> 24, offset & 0x00ff_ffff)
            } else {
                (0, offset)
            };
            let inner = || {
                self.resolve(word(row, 4)?)
                    .filter(|of| of.kind == Kind::Record)
            };
            let further = if found.is_empty() {
                self.member(inner()?, name, rest, depth)?
            } else if found != name {
                return None;
            } else if let Some(rest) = rest {
                self.place_of(inner()?, rest)?
            } else {
                let bit_field = width != 0;
                Place { bits: 0, bit_field }
            };
            let bits = bits.checked_add(further.bits)?;
            Some(Place { bits, ..further })
        })
    }

    fn at(&self, start: u32) -> Option<Type<'a>> {
        let bytes = self.types.get(start as usize..)?;
        let info = word(bytes, 4)?;
        let length = parts_bytes(info)?;
        Some(Type {
            kind: kind(info),
            name: self.name(word(bytes, 0)?)?,
            of: word(bytes, 8)?,
            has_bit_fields: info >> 31 == 1,
            parts: bytes.get(TYPE_BYTES..TYPE_BYTES + length)?,
        })
    }

    fn name(&self, offset: u32) -> Option<&'a str> {
        let bytes = self.strings.get(offset as usize..)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(bytes.get(..end)?).ok()
    }
}

fn starts(types: &[u8]) -> Result<Vec<u32>, NotBtf> {
    let cut = NotBtf("its types end too early");
    let mut starts = Vec::new();
    let mut at = 0;
    while at < types.len() {
        starts.push(u32::try_from(at).ok().ok_or(cut)?);
        let bytes = types.get(at..).ok_or(cut)?;
        let info = word(bytes, 4).ok_or(cut)?;
        let parts = parts_bytes(info).ok_or(NotBtf("it has a kind of type of a later sort"))?;
        at += TYPE_BYTES + parts;
    }
    Ok(starts)
}

/// Bytes that follow a type of this sort; `None` for a kind that BTF did not have.
fn parts_bytes(info: u32) -> Option<usize> {
    let count = (info & 0xffff) as usize;
    Some(match kind_number(info) {
        2 | 7..=12 | 16 | 18 => 0,
        1 | 14 | 17 => 4,
        3 => 12,
        4 | 5 | 15 | 19 => count * 12,
        6 | 13 => count * 8,
        _ => return None,
    })
}

fn kind(info: u32) -> Kind {
    match kind_number(info) {
        2 => Kind::Pointer,
        4 | 5 => Kind::Record,
        6 => Kind::Enum,
        8..=11 | 18 => Kind::Alias,
        12 => Kind::Function,
        13 => Kind::Prototype,
        _ => Kind::Other,
    }
}

fn kind_number(info: u32) -> u32 {
    info >> 24 & 0x1f
}

fn word(bytes: &[u8], position: usize) -> Option<u32> {
    let bytes = bytes.get(position..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

fn rows<const SIZE: usize>(mut parts: &[u8]) -> impl Iterator<Item = &[u8]> {
    iter::from_fn(move || {
        let (row, rest) = parts.split_at_checked(SIZE)?;
        parts = rest;
        Some(row)
    })
}

#[cfg(test)]
mod tests;
