//! Where the running kernel keeps things, from its BTF.
//!
//! Takes the bytes of `/sys/kernel/btf/vmlinux`; gives the offset globals, the signatures of
//! the hooks and the [`Vocabulary`]. Never guesses: a member that must exist and does not is
//! an error.

use std::collections::{BTreeMap, BTreeSet};

use observer_ebpf::wire::manifest::{Hook, PROGRAMS};
use observer_ebpf::wire::settings::{ABSENT, MEMBERS, Member, Need, REPAIR_MASK, TW_SUCCESS};

use super::StartError;
use super::btf::{Btf, Kind, NotBtf, Place, Type};
use crate::event::Vocabulary;
use crate::selection::Selection;

/// The one member that the probes read as a bit field, so that its place in its byte matters
/// too.
const REPAIR: &str = "TCP_REPAIR";

/// What the probes and the plan need to know about the running kernel.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The globals of the object, by name.
    pub(super) globals: Vec<(&'static str, u32)>,
    /// The shapes of the manifest's hooks, as far as BTF knows them.
    pub(super) shapes: Shapes,
    /// The running kernel's numbers.
    pub(super) vocabulary: Vocabulary,
    /// Optional members that are bit fields here, which the probes would misread; they do not
    /// read them.
    pub(super) misread: Vec<String>,
}

/// The shapes of hooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shapes {
    /// Kernel functions by name.
    pub(super) functions: BTreeMap<String, Shape>,
    /// Tracepoints by name.
    pub(super) tracepoints: BTreeMap<String, Shape>,
}

/// The arguments of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// How many.
    pub(super) args: usize,
    /// The position of the one of type `enum sk_rst_reason`.
    pub(super) reason_at: Option<usize>,
}

/// Why the BTF cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum LayoutError {
    /// Not BTF, or BTF of a later sort.
    #[error("the kernel's BTF cannot be read: {0}")]
    NotBtf(#[from] NotBtf),
    /// A struct, member or enum that must exist.
    #[error("the kernel's BTF has no `{0}`")]
    Missing(String),
    /// A member that must be read, in a form that would be misread.
    #[error("the kernel's BTF has `{0}` as a bit field, which the probes would misread")]
    BitField(String),
    /// A number that is larger than what it numbers.
    #[error("the kernel's BTF numbers {name} as {number}")]
    Strange {
        /// The value's name.
        name: &'static str,
        /// Its number.
        number: u32,
    },
}

impl Layout {
    /// Whether the probes can tell what these filters ask.
    pub(super) fn allows(&self, selection: &Selection) -> Result<(), StartError> {
        let lacks = |members: &[&str]| {
            let mut globals = self.globals.iter();
            globals.any(|(name, offset)| members.contains(name) && *offset == ABSENT)
        };
        let refused = |option, why| {
            let text = format!("{option} does not work here: {why}");
            Err(StartError::Kernel(text))
        };
        if !selection.cgroups.is_empty() && lacks(&OF_CGROUPS) {
            return refused(
                "--filter.cgroup",
                "this kernel keeps the cgroup v2 of a socket in one place with other things (Linux \
                 5.15 and later do not); --filter.port, --filter.cidr and --filter.netns work",
            );
        }
        if !selection.netns.is_empty() && lacks(&OF_NETNS) {
            return refused(
                "--filter.netns",
                "this kernel is built without network namespaces; leave it out, as there is one",
            );
        }
        Ok(())
    }
}

/// What it takes to know the cgroups of a socket, and its network namespace.
const OF_CGROUPS: [&str; 5] = [
    "SK_CGROUP",
    "CGROUP_KN",
    "KERNFS_ID",
    "CGROUP_SELF",
    "CSS_PARENT",
];
const OF_NETNS: [&str; 2] = ["SKC_NET", "NET_INUM"];

/// Reads all that is needed out of vmlinux BTF.
pub(super) fn read(bytes: &[u8]) -> Result<Layout, LayoutError> {
    let btf = Btf::parse(bytes)?;
    let index = Index::new(&btf);
    let vocabulary = vocabulary(&btf, &index)?;
    let (mut globals, misread) = offsets(&btf, &index)?;
    globals.push((TW_SUCCESS, vocabulary.tw_success));
    Ok(Layout {
        globals,
        shapes: shapes(&btf, &index),
        vocabulary,
        misread,
    })
}

/// The types that matter, by name; of several with one name the first.
#[derive(Default)]
struct Index<'a> {
    records: BTreeMap<&'a str, Type<'a>>,
    enums: BTreeMap<&'a str, Type<'a>>,
    functions: BTreeMap<&'a str, Type<'a>>,
    tracepoints: BTreeMap<&'a str, Type<'a>>,
}

const ENUMS: [&str; 3] = ["sock_flags", "sk_rst_reason", "tcp_tw_status"];

impl<'a> Index<'a> {
    fn new(btf: &Btf<'a>) -> Self {
        let records: BTreeSet<&str> = MEMBERS.iter().map(|member| member.of).collect();
        let hooks: BTreeSet<&str> = PROGRAMS.iter().map(|one| one.hook.target()).collect();
        let mut index = Self::default();
        for (_, one) in btf.types() {
            let name = one.name;
            match one.kind {
                Kind::Record if records.contains(name) => {
                    index.records.entry(name).or_insert(one);
                }
                Kind::Enum if ENUMS.contains(&name) => {
                    index.enums.entry(name).or_insert(one);
                }
                Kind::Function if hooks.contains(name) => {
                    index.functions.entry(name).or_insert(one);
                }
                Kind::Alias => {
                    if let Some(name) = name.strip_prefix("btf_trace_") {
                        index.tracepoints.entry(name).or_insert(one);
                    }
                }
                Kind::Record
                | Kind::Enum
                | Kind::Function
                | Kind::Pointer
                | Kind::Prototype
                | Kind::Other => {}
            }
        }
        index
    }
}

type Offsets = (Vec<(&'static str, u32)>, Vec<String>);

/// The offset globals, and the members that are left out because they would be misread.
fn offsets(btf: &Btf<'_>, index: &Index<'_>) -> Result<Offsets, LayoutError> {
    let (mut globals, mut misread) = (Vec::new(), Vec::new());
    let mut repair_mask = 0;
    for member in MEMBERS {
        let record = index.records.get(member.of);
        let place = record.and_then(|record| btf.place_of(*record, member.path));
        let offset = offset(member, place)?;
        if place.is_some() && offset == ABSENT {
            misread.push(name(member));
        }
        if let (REPAIR, Some(place)) = (member.global, place) {
            repair_mask = 1 << (place.bits % 8);
        }
        globals.push((member.global, offset));
    }
    globals.push((REPAIR_MASK, repair_mask));
    Ok((globals, misread))
}

/// The offset of a member in bytes, or [`ABSENT`] if it is not there or would be misread.
fn offset(member: &Member, place: Option<Place>) -> Result<u32, LayoutError> {
    match place {
        Some(place) if member.global == REPAIR || !place.bit_field => Ok(place.bits / 8),
        _ if member.need == Need::Optional => Ok(ABSENT),
        Some(_) => Err(LayoutError::BitField(name(member))),
        None => Err(LayoutError::Missing(name(member))),
    }
}

fn name(member: &Member) -> String {
    format!("struct {}.{}", member.of, member.path)
}

fn shapes(btf: &Btf<'_>, index: &Index<'_>) -> Shapes {
    let mut shapes = Shapes::default();
    for program in PROGRAMS {
        let name = program.hook.target();
        if let Hook::Tracepoint(_) = program.hook {
            // The typedef is of a pointer to a function with one more argument in front.
            let pointer = index
                .tracepoints
                .get(name)
                .and_then(|one| btf.resolve(one.of));
            if let Some(shape) = pointer.and_then(|one| shape(btf, one.of, 1)) {
                shapes.tracepoints.insert(name.to_owned(), shape);
            }
        } else if let Some(one) = index.functions.get(name)
            && let Some(shape) = shape(btf, one.of, 0)
        {
            shapes.functions.insert(name.to_owned(), shape);
        }
    }
    shapes
}

fn shape(btf: &Btf<'_>, prototype: u32, skip: usize) -> Option<Shape> {
    let prototype = btf.get(prototype)?;
    if prototype.kind != Kind::Prototype {
        return None;
    }
    let parameters: Vec<u32> = Btf::parameters(prototype).skip(skip).collect();
    let is_reason = |id: &u32| {
        btf.resolve(*id)
            .is_some_and(|one| one.kind == Kind::Enum && one.name == "sk_rst_reason")
    };
    Some(Shape {
        args: parameters.len(),
        reason_at: parameters.iter().position(is_reason),
    })
}

fn vocabulary(btf: &Btf<'_>, index: &Index<'_>) -> Result<Vocabulary, LayoutError> {
    let number = |of, name| number(btf, index, of, name);
    let flag = |name| {
        let number = number("sock_flags", name)?;
        u8::try_from(number).map_err(|_too_large| LayoutError::Strange { name, number })
    };
    Ok(Vocabulary {
        sock_dead: flag("SOCK_DEAD")?,
        sock_done: flag("SOCK_DONE")?,
        sock_keepopen: flag("SOCK_KEEPOPEN")?,
        sock_linger: flag("SOCK_LINGER")?,
        reset_reasons: reset_reasons(btf, index),
        tw_success: number("tcp_tw_status", "TCP_TW_SUCCESS")?,
        tw_rst: number("tcp_tw_status", "TCP_TW_RST")?,
        tw_ack: number("tcp_tw_status", "TCP_TW_ACK")?,
        tw_syn: number("tcp_tw_status", "TCP_TW_SYN")?,
        tw_kill: index
            .records
            .get("inet_timewait_sock")
            .is_some_and(|minisock| btf.place_of(*minisock, "tw_kill").is_some()),
    })
}

fn number(btf: &Btf<'_>, index: &Index<'_>, of: &str, name: &str) -> Result<u32, LayoutError> {
    values(btf, index, of)
        .find(|(value, _)| *value == name)
        .map(|(_, number)| number)
        .ok_or_else(|| LayoutError::Missing(format!("{name} in enum {of}")))
}

fn reset_reasons(btf: &Btf<'_>, index: &Index<'_>) -> Vec<(u32, Box<str>)> {
    values(btf, index, "sk_rst_reason")
        .filter_map(|(name, number)| {
            let name = name.strip_prefix("SK_RST_REASON_")?;
            Some((number, name.to_ascii_lowercase().into_boxed_str()))
        })
        .collect()
}

fn values<'a>(btf: &Btf<'a>, index: &Index<'a>, of: &str) -> impl Iterator<Item = (&'a str, u32)> {
    let one = index.enums.get(of).copied();
    one.into_iter().flat_map(|one| btf.values(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset_of(global: &str, bit_field: bool) -> Result<u32, LayoutError> {
        let member = MEMBERS.iter().find(|member| member.global == global);
        let bits = 8 * 100 + if bit_field { 3 } else { 0 };
        offset(member.unwrap(), Some(Place { bits, bit_field }))
    }

    #[test]
    fn a_bit_field_is_read_only_where_the_probes_know_its_bit() {
        assert_eq!(offset_of("TCP_IS_MPTCP", false).unwrap(), 100);
        assert_eq!(offset_of("TCP_IS_MPTCP", true).unwrap(), ABSENT);
        assert_eq!(offset_of(REPAIR, true).unwrap(), 100);
        let error = offset_of("SK_SHUTDOWN", true).unwrap_err().to_string();
        assert!(
            error.contains("`struct sock.sk_shutdown` as a bit field"),
            "{error}"
        );
    }
}
