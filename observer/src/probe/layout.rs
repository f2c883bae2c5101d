//! Where the running kernel keeps things, from its BTF.
//!
//! Takes the bytes of `/sys/kernel/btf/vmlinux`; gives the offset globals, the signatures of
//! the hooks and the [`Vocabulary`]. Never guesses: a member that must exist and does not is
//! an error.

use std::collections::{BTreeMap, BTreeSet};

use btfparse::{Integer32Value, Offset, Readable, TypeInformation, TypeVariant};
use observer_ebpf::wire::manifest::{Hook, PROGRAMS};
use observer_ebpf::wire::settings::{ABSENT, MEMBERS, Need, REPAIR_MASK, TW_SUCCESS};

use crate::event::Vocabulary;

/// What the probes and the plan need to know about the running kernel.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The globals of the object, by name.
    pub(super) globals: Vec<(&'static str, u32)>,
    /// The shapes of the manifest's hooks, as far as BTF knows them.
    pub(super) shapes: Shapes,
    /// The running kernel's numbers.
    pub(super) vocabulary: Vocabulary,
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
    #[error("the kernel's BTF cannot be parsed: {0}")]
    Parse(String),
    /// A struct, member or enum that must exist.
    #[error("the kernel's BTF has no `{0}`")]
    Missing(String),
}

/// Reads all that is needed out of vmlinux BTF.
pub(super) fn read(btf: &[u8]) -> Result<Layout, LayoutError> {
    let types = TypeInformation::new(&Bytes(btf))
        .map_err(|error| LayoutError::Parse(error.message().to_owned()))?;
    let index = Index::new(&types);
    let vocabulary = vocabulary(&index)?;
    let mut globals = offsets(&types, &index)?;
    globals.push((TW_SUCCESS, vocabulary.tw_success));
    Ok(Layout {
        globals,
        shapes: shapes(&types, &index),
        vocabulary,
    })
}

struct Bytes<'a>(&'a [u8]);

impl Readable for Bytes<'_> {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> btfparse::Result<()> {
        let from = usize::try_from(offset).ok();
        let slice = from.and_then(|from| self.0.get(from..from.checked_add(buffer.len())?));
        let Some(slice) = slice else {
            return Err(btfparse::Error::new(
                btfparse::ErrorKind::IOError,
                "a read past the end",
            ));
        };
        buffer.copy_from_slice(slice);
        Ok(())
    }
}

/// The types that matter, by name; of several with one name the first.
#[derive(Default)]
struct Index<'a> {
    structs: BTreeMap<&'a str, u32>,
    enums: BTreeMap<&'a str, &'a btfparse::Enum>,
    functions: BTreeMap<&'a str, u32>,
    typedefs: BTreeMap<&'a str, u32>,
}

impl<'a> Index<'a> {
    fn new(types: &'a TypeInformation) -> Self {
        let structs: BTreeSet<&str> = MEMBERS.iter().map(|member| member.of).collect();
        let hooks: BTreeSet<&str> = PROGRAMS.iter().map(|one| one.hook.target()).collect();
        let mut index = Self::default();
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "all other kinds of types are of no interest"
        )]
        for (id, kind) in types.get() {
            match kind {
                TypeVariant::Struct(one) => {
                    if let Some(name) = one.name().as_deref().filter(|name| structs.contains(name))
                    {
                        index.structs.entry(name).or_insert(*id);
                    }
                }
                TypeVariant::Enum(one) => {
                    if let Some(name) = one.name().as_deref() {
                        index.enums.entry(name).or_insert(one);
                    }
                }
                TypeVariant::Func(one) => {
                    if let Some(name) = one.name().as_deref().filter(|name| hooks.contains(name)) {
                        index
                            .functions
                            .entry(name)
                            .or_insert_with(|| *one.prototype_tid());
                    }
                }
                TypeVariant::Typedef(one) => {
                    let name = one.name().as_deref();
                    if let Some(name) = name.and_then(|name| name.strip_prefix("btf_trace_")) {
                        index.typedefs.entry(name).or_insert_with(|| *one.tid());
                    }
                }
                _ => {}
            }
        }
        index
    }
}

fn offsets(
    types: &TypeInformation,
    index: &Index<'_>,
) -> Result<Vec<(&'static str, u32)>, LayoutError> {
    let mut globals = Vec::new();
    let mut repair_mask = 0;
    for member in MEMBERS {
        let found = index
            .structs
            .get(member.of)
            .and_then(|id| types.offset_of(*id, member.path).ok());
        let offset = match found {
            Some((_, Offset::ByteOffset(bytes))) => bytes,
            Some((_, Offset::BitOffsetAndSize(bits, _))) => {
                // `tcp_sock.repair` is the only bit field of the table.
                repair_mask = 1 << (bits % 8);
                bits / 8
            }
            None if member.need == Need::Optional => ABSENT,
            None => {
                let name = format!("struct {}.{}", member.of, member.path);
                return Err(LayoutError::Missing(name));
            }
        };
        globals.push((member.global, offset));
    }
    globals.push((REPAIR_MASK, repair_mask));
    Ok(globals)
}

fn shapes(types: &TypeInformation, index: &Index<'_>) -> Shapes {
    let mut shapes = Shapes::default();
    for program in PROGRAMS {
        let name = program.hook.target();
        if let Hook::Tracepoint(_) = program.hook {
            // The typedef is of a pointer to a function with one more argument in front.
            let prototype = index.typedefs.get(name);
            let prototype = prototype.and_then(|id| types.pointee_tid(*id).ok());
            if let Some(shape) = prototype.and_then(|id| shape(types, id, 1)) {
                shapes.tracepoints.insert(name.to_owned(), shape);
            }
        } else if let Some(shape) = index
            .functions
            .get(name)
            .and_then(|id| shape(types, *id, 0))
        {
            shapes.functions.insert(name.to_owned(), shape);
        }
    }
    shapes
}

fn shape(types: &TypeInformation, prototype: u32, skip: usize) -> Option<Shape> {
    let TypeVariant::FuncProto(prototype) = types.from_id(prototype)? else {
        return None;
    };
    let parameters = prototype.parameter_list().get(skip..)?;
    Some(Shape {
        args: parameters.len(),
        reason_at: parameters
            .iter()
            .position(|parameter| is_reason(types, parameter.tid())),
    })
}

fn is_reason(types: &TypeInformation, id: u32) -> bool {
    match types.from_id(id) {
        Some(TypeVariant::Const(inner)) => is_reason(types, *inner.tid()),
        Some(TypeVariant::Enum(one)) => one.name().as_deref() == Some("sk_rst_reason"),
        _ => false,
    }
}

fn vocabulary(index: &Index<'_>) -> Result<Vocabulary, LayoutError> {
    let flag = |name| {
        let number = number(index, "sock_flags", name)?;
        u8::try_from(number)
            .map_err(|error| LayoutError::Parse(format!("{name} is {number}: {error}")))
    };
    Ok(Vocabulary {
        sock_dead: flag("SOCK_DEAD")?,
        sock_done: flag("SOCK_DONE")?,
        sock_keepopen: flag("SOCK_KEEPOPEN")?,
        sock_linger: flag("SOCK_LINGER")?,
        reset_reasons: reset_reasons(index),
        tw_success: number(index, "tcp_tw_status", "TCP_TW_SUCCESS")?,
        tw_rst: number(index, "tcp_tw_status", "TCP_TW_RST")?,
        tw_ack: number(index, "tcp_tw_status", "TCP_TW_ACK")?,
        tw_syn: number(index, "tcp_tw_status", "TCP_TW_SYN")?,
    })
}

fn number(index: &Index<'_>, of: &str, name: &str) -> Result<u32, LayoutError> {
    values(index, of)
        .find(|(value, _)| *value == name)
        .map(|(_, number)| number)
        .ok_or_else(|| LayoutError::Missing(format!("{name} in enum {of}")))
}

fn reset_reasons(index: &Index<'_>) -> Vec<(u32, Box<str>)> {
    values(index, "sk_rst_reason")
        .filter_map(|(name, number)| {
            let name = name.strip_prefix("SK_RST_REASON_")?;
            Some((number, name.to_ascii_lowercase().into_boxed_str()))
        })
        .collect()
}

fn values<'a>(index: &Index<'a>, of: &str) -> impl Iterator<Item = (&'a str, u32)> {
    let values = index.enums.get(of).map(|one| one.named_value_list());
    values.into_iter().flatten().map(|value| {
        let number = match value.value {
            Integer32Value::Signed(number) => number.cast_unsigned(),
            Integer32Value::Unsigned(number) => number,
        };
        (value.name.as_str(), number)
    })
}
