//! Where the running kernel keeps what the probes read.
//!
//! Takes what bpftool says of the kernel's BTF; gives the offset globals of the objects. The
//! agent finds them by itself; no library here looks into a struct.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use observer_ebpf::wire::settings::{ABSENT, MEMBERS, Member as Wanted, Need, REPAIR_MASK};
use serde::Deserialize;

use crate::bench::bpftool;

/// Global of the only bit field that is read.
const REPAIR: &str = "TCP_REPAIR";
/// As bpftool calls what has no name.
const ANONYMOUS: &str = "(anon)";
/// No struct has that many around a member.
const DEPTH: u32 = 16;

/// Names of globals and what they are to hold.
pub(super) type Offsets = Vec<(&'static str, u32)>;

#[derive(Deserialize)]
struct Dump {
    types: Vec<Type>,
}

#[derive(Deserialize)]
struct Type {
    id: u32,
    kind: String,
    name: String,
    /// What another name stands for.
    #[serde(rename = "type_id")]
    of: Option<u32>,
    #[serde(default)]
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    name: String,
    type_id: u32,
    bits_offset: u32,
    #[serde(default)]
    bitfield_size: u32,
}

struct Place {
    bits: u32,
    bit_field: bool,
}

/// Asks bpftool.
pub(super) fn read(bpftool: &Path) -> Result<Offsets> {
    let dump = ["btf", "dump", "file", "/sys/kernel/btf/vmlinux"];
    of(&bpftool::ask(bpftool, &dump)?)
}

fn of(dump: &str) -> Result<Offsets> {
    let dump: Dump = serde_json::from_str(dump).context("odd BTF")?;
    let types = Types(dump.types.iter().map(|it| (it.id, it)).collect());
    let mut structs = HashMap::new();
    for one in dump.types.iter().filter(|it| it.kind == "STRUCT") {
        structs.entry(one.name.as_str()).or_insert(one);
    }
    let mut offsets = Vec::new();
    for wanted in MEMBERS {
        let place = structs
            .get(wanted.of)
            .and_then(|one| types.place(one, wanted.path, DEPTH));
        if let Some(place) = place.as_ref().filter(|_| wanted.global == REPAIR) {
            offsets.push((REPAIR_MASK, 1 << (place.bits % 8)));
        }
        offsets.push((wanted.global, offset(wanted, place.as_ref())?));
    }
    Ok(offsets)
}

fn offset(wanted: &Wanted, place: Option<&Place>) -> Result<u32> {
    match place {
        Some(place) if wanted.global == REPAIR || !place.bit_field => Ok(place.bits / 8),
        _ if wanted.need == Need::Optional => Ok(ABSENT),
        _ => bail!("no {} in struct {}", wanted.path, wanted.of),
    }
}

struct Types<'a>(HashMap<u32, &'a Type>);

impl Types<'_> {
    /// Where the member of a path is; what has no name is looked through.
    fn place(&self, of: &Type, path: &str, depth: u32) -> Option<Place> {
        let depth = depth.checked_sub(1)?;
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        of.members.iter().find_map(|member| {
            let inner = |path| self.place(self.resolved(member.type_id)?, path, depth);
            let further = if member.name == ANONYMOUS {
                inner(path)?
            } else if member.name != name {
                return None;
            } else if let Some(rest) = rest {
                inner(rest)?
            } else {
                Place {
                    bits: 0,
                    bit_field: member.bitfield_size != 0,
                }
            };
            Some(Place {
                bits: member.bits_offset + further.bits,
                ..further
            })
        })
    }

    /// A type behind its other names.
    fn resolved(&self, mut id: u32) -> Option<&Type> {
        for _ in 0..DEPTH {
            let one = *self.0.get(&id)?;
            match one.kind.as_str() {
                "TYPEDEF" | "CONST" | "VOLATILE" | "RESTRICT" | "TYPE_TAG" => id = one.of?,
                _ => return Some(one),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = r#"{"types":[
        {"id":1,"kind":"INT","name":"int","size":4},
        {"id":2,"kind":"STRUCT","name":"(anon)","members":[
            {"name":"a","type_id":1,"bits_offset":0},
            {"name":"b","type_id":1,"bits_offset":33,"bitfield_size":1}]},
        {"id":3,"kind":"TYPEDEF","name":"t","type_id":2},
        {"id":4,"kind":"STRUCT","name":"s","members":[
            {"name":"(anon)","type_id":2,"bits_offset":64},
            {"name":"t","type_id":3,"bits_offset":128}]}]}"#;

    fn check(path: &str, expected: Option<(u32, bool)>) {
        let dump: Dump = serde_json::from_str(DUMP).unwrap();
        let types = Types(dump.types.iter().map(|it| (it.id, it)).collect());
        let place = types.place(types.0[&4], path, DEPTH);
        assert_eq!(place.map(|it| (it.bits, it.bit_field)), expected, "{path}");
    }

    #[test]
    fn a_member_is_found_through_other_names_and_what_has_none() {
        check("a", Some((64, false)));
        check("b", Some((97, true)));
        check("t.a", Some((128, false)));
        check("t.c", None);
    }

    #[test]
    fn what_must_be_there_and_is_not_is_named() {
        let error = of(DUMP).unwrap_err().to_string();
        assert_eq!(error, "no skc_family in struct sock_common");
    }
}
