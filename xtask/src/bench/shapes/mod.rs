//! Programs that send the same in another shape: each step in full, the first in full and the
//! rest thin, or one record for a whole connection at its end.
//!
//! Takes the object that holds them and the agent's hooks; gives [`Shaped`], which is attached
//! until it is stopped. Where a shape has no program it has an empty one: under the load such a
//! hook is called as often as under the agent.

mod offsets;
mod reader;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use aya::maps::{Array, RingBuf};
use aya::programs::BtfTracePoint;
use aya::util::nr_cpus;
use aya::{Btf, Ebpf, EbpfLoader};
use observer_ebpf::wire::Kind;
use observer_ebpf::wire::manifest::{DROPS, EVENTS, Hook, WAITING};
use serde::Serialize;

use super::floor::Floor;
use offsets::Offsets;
use reader::{Reader, Taken};

/// The agent's of few CPUs.
const RING_BYTES: u32 = 32 << 20;

const STATE: &str = "inet_sock_set_state";
const END: &str = "tcp_destroy_sock";

/// What is sent of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shape {
    /// Each step in full.
    Fat,
    /// The first step in full, of the others what is new.
    Thin,
    /// All steps in one record at the end, kept in the socket's own storage.
    Stored,
    /// The same, kept in a hash.
    Hashed,
}

impl Shape {
    /// As the tables call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fat => "each step in full",
            Self::Thin => "the first in full, the rest thin",
            Self::Stored => "one at the end, from sk_storage",
            Self::Hashed => "one at the end, from a hash",
        }
    }

    /// Its programs and their tracepoints.
    fn programs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Fat => &[("fat_state", STATE), ("fat_end", END)],
            Self::Thin => &[("thin_state", STATE), ("thin_end", END)],
            Self::Stored => &[("stored_state", STATE)],
            Self::Hashed => &[("hashed_state", STATE)],
        }
    }
}

/// The object, and what the running kernel asks of it.
#[derive(Clone, Debug)]
pub(super) struct Shapes {
    object: PathBuf,
    offsets: Offsets,
}

/// A shape, attached and read.
#[derive(Debug)]
pub(super) struct Shaped {
    attached: Ebpf,
    _floor: Floor,
    reader: Reader,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) taken: Taken,
    /// Records that found the ring full.
    pub(super) lost: u64,
}

impl Shapes {
    pub(super) fn new(object: &Path, bpftool: &Path) -> Result<Self> {
        Ok(Self {
            object: object.to_owned(),
            offsets: offsets::read(bpftool)?,
        })
    }

    /// Attaches one shape, and empty programs to all other hooks.
    pub(super) fn attach(&self, shape: Shape, hooks: &[Hook]) -> Result<Shaped> {
        let btf = Btf::from_sys_fs().context("cannot read the kernel's BTF")?;
        let object = fs::read(&self.object);
        let object = object.with_context(|| format!("cannot read {}", self.object.display()))?;
        let mut loader = EbpfLoader::new();
        let cpus = nr_cpus().map_err(|(what, error)| anyhow!("{what}: {error}"))?;
        loader
            .btf(Some(&btf))
            .map_max_entries(EVENTS, RING_BYTES)
            .map_max_entries(DROPS, u32::try_from(cpus)?);
        for (global, value) in &self.offsets {
            // Those that no shape reads are not in the object.
            loader.override_global(global, value, false);
        }
        let mut loaded = loader.load(&object).context("cannot read the shapes")?;
        for (name, tracepoint) in shape.programs() {
            let program = loaded
                .program_mut(name)
                .context("it is not in the object")?;
            let program: &mut BtfTracePoint = program.try_into()?;
            program
                .load(tracepoint, &btf)
                .and_then(|()| program.attach())
                .with_context(|| format!("no {name} on {tracepoint}"))?;
        }
        let own = |it: &&Hook| {
            shape
                .programs()
                .iter()
                .any(|(_, own)| **it == Hook::Tracepoint(own))
        };
        let others: Vec<Hook> = hooks.iter().filter(|it| !own(it)).copied().collect();
        let floor = Floor::attach(&others)?;
        let mut map = |name| {
            loaded
                .take_map(name)
                .with_context(|| format!("no map {name}"))
        };
        let ring = RingBuf::try_from(map(EVENTS)?)?;
        let reader = Reader::start(ring, Array::try_from(map(WAITING)?)?)?;
        Ok(Shaped {
            attached: loaded,
            _floor: floor,
            reader,
        })
    }
}

impl Shaped {
    /// Reads the rest, and detaches all.
    pub(super) fn stop(self) -> Result<Outcome> {
        let taken = self.reader.stop()?;
        let drops = self.attached.map(DROPS).context("no map of drops")?;
        let drops = Array::<_, [u64; Kind::SLOTS as usize]>::try_from(drops)?;
        let mut lost = 0;
        for of_one in drops.iter() {
            lost += of_one?.iter().sum::<u64>();
        }
        Ok(Outcome { taken, lost })
    }
}
