//! The object, from its bytes to attached programs.
//!
//! Takes the wish and the facts; gives what is attached, or the reason why nothing is.

#[cfg(test)]
mod in_turn;
#[cfg(test)]
mod tests;

use std::fs;

use aya::maps::{MapData, RingBuf};
use aya::util::online_cpus;
use aya::{Btf, Ebpf, EbpfLoader, Endianness};
use observer_ebpf::wire::Kind;
use observer_ebpf::wire::manifest::{ALONE, DROPS, EVENTS, SHED, WAITING};
use observer_ebpf::wire::settings::{self, IN_THREE, STACKS};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::coverage::Outcome;
use super::kernel::{self, Facts};
use super::layout::{self, Layout};
use super::shared::Shared;
use super::{Options, StartError, attach, obstacle, plan};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/observer-probes"));

/// aya-log's names for "nothing" and "everything".
const LOG_NOTHING: u8 = 0;
const LOG_EVERYTHING: u8 = u8::MAX;

/// About 25,000 records.
const RING_PER_CPU: u32 = 4 << 20;
/// Of few CPUs: about half a second of what two make at their most.
const LEAST_RING: u32 = 32 << 20;
/// The kernel keeps all of it in memory.
const MOST_RING: u32 = 128 << 20;

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
    layout.allows(&options.selection)?;
    let mut ebpf = sized_object(options, facts, &layout, &btf)?;
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

/// With the ring that was asked for, or the one that fits the CPUs. A memory limit of the agent's
/// own may have no room for that one.
fn sized_object(
    options: &Options,
    facts: &Facts,
    layout: &Layout,
    btf: &Btf,
) -> Result<Ebpf, StartError> {
    if let Some(asked_for) = options.ring_bytes {
        return object(options, asked_for, facts, layout, btf);
    }
    // What cannot be counted is taken for few.
    let fits = default_ring_bytes(online_cpus().map_or(1, |cpus| cpus.len()));
    let loaded = object(options, fits, facts, layout, btf);
    match loaded {
        Err(error) if fits > LEAST_RING => {
            tracing::warn!(%error, "no ring of {} MiB; trying one of {}", fits >> 20, LEAST_RING >> 20);
            object(options, LEAST_RING, facts, layout, btf)
        }
        loaded => loaded,
    }
}

/// Makes the maps and sets the globals.
fn object(
    options: &Options,
    ring_bytes: u32,
    facts: &Facts,
    layout: &Layout,
    btf: &Btf,
) -> Result<Ebpf, StartError> {
    let log_level = if options.kernel_log {
        LOG_EVERYTHING
    } else {
        LOG_NOTHING
    };
    let stacks = u32::from(options.stacks);
    let in_three = u32::from(facts.preempts);
    let filters = options.selection.globals();
    let mut loader = EbpfLoader::new();
    loader
        .btf(Some(btf))
        .map_max_entries(EVENTS, ring_bytes)
        .map_max_entries(DROPS, possible_cpus())
        .map_max_entries(ALONE, possible_cpus())
        .override_global(aya_log::LEVEL, &log_level, true)
        .override_global(STACKS, &stacks, true)
        .override_global(IN_THREE, &in_three, true)
        .override_global(settings::FILTERS, &filters.any, true)
        .override_global(settings::FILTER_PORTS, &filters.ports, true)
        .override_global(settings::FILTER_NETWORKS, &filters.networks, true)
        .override_global(settings::FILTER_NETNS, &filters.netns, true)
        .override_global(settings::FILTER_CGROUPS, &filters.cgroups, true)
        .override_global(settings::FILTER_LOOPBACK, &filters.loopback, true);
    for (global, value) in &layout.globals {
        loader.override_global(global, value, true);
    }
    loader
        .load(OBJECT)
        .map_err(|error| obstacle::not_loaded(&error))
}

/// Each CPU can fill its share, and the agent may have to wait for a CPU for so long.
fn default_ring_bytes(cpus: usize) -> u32 {
    let share = u32::try_from(cpus).map_or(MOST_RING, |cpus| cpus.saturating_mul(RING_PER_CPU));
    share.clamp(LEAST_RING, MOST_RING).next_power_of_two()
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

/// The maps that the agent reads, and those in which it says that it sleeps and what it sheds.
pub(super) struct Maps {
    pub(super) events: RingBuf<MapData>,
    pub(super) drops: Shared,
    pub(super) alone: Shared,
    pub(super) waiting: Shared,
    pub(super) shed: Shared,
}

/// Takes them out of the object.
pub(super) fn maps(ebpf: &mut Ebpf) -> Result<Maps, StartError> {
    let mut take = |name| {
        ebpf.take_map(name)
            .ok_or_else(|| StartError::Load(format!("the object has no map {name}")))
    };
    let events = take(EVENTS)?.try_into();
    let events = events
        .map_err(|error| StartError::Load(format!("a map of the object is unusable: {error}")))?;
    let mut mapped = |name, words| {
        Shared::new(&take(name)?, words)
            .map_err(|error| StartError::Load(format!("{name} cannot be mapped: {error}")))
    };
    let counts = possible_cpus() as usize * Kind::SLOTS as usize;
    Ok(Maps {
        events,
        drops: mapped(DROPS, counts)?,
        alone: mapped(ALONE, counts)?,
        waiting: mapped(WAITING, 1)?,
        shed: mapped(SHED, 1)?,
    })
}

/// One more than the highest number of a CPU. What cannot be read is taken for many.
fn possible_cpus() -> u32 {
    const MANY: u32 = 1024;
    let ranges = fs::read_to_string("/sys/devices/system/cpu/possible");
    ranges.ok().and_then(|it| after_last(&it)).unwrap_or(MANY)
}

/// Of ranges like `0,2-3`.
fn after_last(ranges: &str) -> Option<u32> {
    let last = ranges.trim_end().rsplit([',', '-']).next()?;
    last.parse::<u32>().ok()?.checked_add(1)
}
