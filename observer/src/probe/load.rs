//! The object, from its bytes to attached programs.
//!
//! Takes the wish and the facts; gives what is attached, or the reason why nothing is.

use aya::maps::{Array, MapData, PerCpuArray, RingBuf};
use aya::{Btf, Ebpf, EbpfLoader, Endianness};
use observer_ebpf::wire::manifest::{DROPS, EVENTS, WAITING};
use observer_ebpf::wire::settings::STACKS;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::coverage::Outcome;
use super::kernel::{self, Facts};
use super::layout::{self, Layout};
use super::{Options, StartError, attach, obstacle, plan};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/observer-probes"));

/// aya-log's names for "nothing" and "everything".
const LOG_NOTHING: u8 = 0;
const LOG_EVERYTHING: u8 = u8::MAX;

/// The loaded object with what is attached of it.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) ebpf: Ebpf,
    pub(super) layout: Layout,
    pub(super) outcomes: Vec<Outcome>,
}

/// Loads the object and attaches what can be attached.
pub(super) fn load(options: &Options, facts: &Facts) -> Result<Attached, StartError> {
    if let Some(obstacle) = obstacle::obstacle(facts) {
        return Err(obstacle);
    }
    raise_memory_limit();
    let bytes = kernel::btf().map_err(|error| {
        let path = kernel::BTF;
        StartError::Kernel(format!(
            "reading {path} failed: {error}; the probes find the kernel's structures there"
        ))
    })?;
    let layout = layout::read(&bytes).map_err(|error| {
        StartError::Kernel(format!(
            "{error} (kernel {}); please report it with the output of `tcp-observer check`",
            facts.release
        ))
    })?;
    let btf = Btf::parse(&bytes, Endianness::default()).map_err(|error| {
        StartError::Kernel(format!("the kernel's BTF cannot be parsed: {error}"))
    })?;
    drop(bytes);
    let mut ebpf = object(options, &layout, &btf)?;
    let plan = plan::plan(options.backend, &options.without, facts, &layout.shapes);
    let outcomes = attach::carry_out(&plan, &mut ebpf, &btf);
    if let Some(nothing) = obstacle::nothing_works(&outcomes) {
        return Err(nothing);
    }
    Ok(Attached {
        ebpf,
        layout,
        outcomes,
    })
}

/// Makes the maps and sets the globals.
fn object(options: &Options, layout: &Layout, btf: &Btf) -> Result<Ebpf, StartError> {
    let log_level = if options.kernel_log {
        LOG_EVERYTHING
    } else {
        LOG_NOTHING
    };
    let stacks = u32::from(options.stacks);
    let mut loader = EbpfLoader::new();
    loader
        .btf(Some(btf))
        .map_max_entries(EVENTS, options.ring_bytes)
        .override_global(aya_log::LEVEL, &log_level, true)
        .override_global(STACKS, &stacks, true);
    for (global, value) in &layout.globals {
        loader.override_global(global, value, true);
    }
    loader
        .load(OBJECT)
        .map_err(|error| obstacle::not_loaded(&error))
}

/// Before 5.11 the kernel counts BPF maps as locked memory of the user. Where the limit cannot
/// be raised, the load itself says so.
fn raise_memory_limit() {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    if let Err(error) = setrlimit(Resource::Memlock, unlimited) {
        tracing::debug!(%error, "RLIMIT_MEMLOCK could not be raised");
    }
}

/// The maps that the agent reads, and the one in which it says that it sleeps.
pub(super) struct Maps {
    pub(super) events: RingBuf<MapData>,
    pub(super) drops: PerCpuArray<MapData, u64>,
    pub(super) waiting: Array<MapData, u32>,
}

/// Takes them out of the object.
pub(super) fn maps(ebpf: &mut Ebpf) -> Result<Maps, StartError> {
    let mut take = |name| {
        ebpf.take_map(name)
            .ok_or_else(|| StartError::Load(format!("the object has no map {name}")))
    };
    let unusable = |error| StartError::Load(format!("a map of the object is unusable: {error}"));
    Ok(Maps {
        events: RingBuf::try_from(take(EVENTS)?).map_err(unusable)?,
        drops: PerCpuArray::try_from(take(DROPS)?).map_err(unusable)?,
        waiting: Array::try_from(take(WAITING)?).map_err(unusable)?,
    })
}
