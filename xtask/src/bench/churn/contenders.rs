//! Who watches the churn: nobody, the floor, other shapes of records, the agent, and tools of
//! others.
//!
//! Takes a [`Contender`] and a load; gives the [`Sample`] of one run. One contender is attached
//! at a time, and each is ended before its sample is given.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use observer_ebpf::wire::manifest::Hook;
use serde::Serialize;

use super::polled::Polled;
use super::sample::{Sample, Work};
use super::tool::{Line, Tool};
use crate::bench::agent::Observer;
use crate::bench::floor::Floor;
use crate::bench::load::Made;
use crate::bench::shapes::{Shape, Shaped, Shapes};

/// Each state change as a user would ask bpftrace for it.
const SCRIPT: &str = "tracepoint:sock:inet_sock_set_state { printf(\"%llu %p %d %s %d %d %d %d\\n\", \
     nsecs, args->skaddr, pid, comm, args->sport, args->dport, args->oldstate, args->newstate); }";

/// Of a CPU: less than the highest churn takes.
const BUDGET: &str = "5%";

/// A port that no connection of the load has.
const NOBODYS: &str = "1";

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Contender {
    /// Nobody.
    Bare,
    /// Empty programs on the agent's hooks.
    Floor,
    /// The agent.
    Agent,
    /// The agent that may use little of a CPU.
    Capped,
    /// The agent with a filter that lets none of the connections through.
    Filtered,
    Tcplife,
    Tcpstates,
    Bpftrace,
    /// `ss -tan` each second.
    Ss,
    /// Programs that send what the agent's do in some shape.
    #[serde(untagged)]
    Shape(Shape),
}

impl Contender {
    /// All that are compared as watchers.
    pub(super) const ALL: [Self; 8] = [
        Self::Bare,
        Self::Floor,
        Self::Agent,
        Self::Filtered,
        Self::Tcplife,
        Self::Tcpstates,
        Self::Bpftrace,
        Self::Ss,
    ];

    /// In how many slices its connections are made, with as many of nobody's between them: the
    /// floor adds so little that one slice would not tell it from noise.
    pub(super) fn slices(self) -> u64 {
        match self {
            Self::Bare | Self::Floor | Self::Filtered | Self::Shape(_) => 10,
            Self::Agent
            | Self::Capped
            | Self::Tcplife
            | Self::Tcpstates
            | Self::Bpftrace
            | Self::Ss => 1,
        }
    }

    /// As the tables call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Floor => "empty programs (the floor)",
            Self::Agent => "tcp-observer run",
            Self::Capped => "the same, --cpu-budget 5%",
            Self::Filtered => "the same, all filtered out",
            Self::Tcplife => "tcplife",
            Self::Tcpstates => "tcpstates",
            Self::Bpftrace => "bpftrace, each state change",
            Self::Ss => "ss -tan each second",
            Self::Shape(shape) => shape.name(),
        }
    }
}

/// What there is to run.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) agent: PathBuf,
    pub(super) tools: Tools,
    /// The hooks of the agent; without bpftool they are not known.
    pub(super) hooks: Option<Vec<Hook>>,
    /// Loaded only where shapes are compared.
    pub(super) shapes: Option<Shapes>,
}

/// Where the programs of others are, as far as they are installed.
#[derive(Clone, Debug, Default)]
pub struct Tools {
    /// Of libbpf-tools.
    pub tcplife: Option<PathBuf>,
    /// Of libbpf-tools.
    pub tcpstates: Option<PathBuf>,
    /// Runs a script.
    pub bpftrace: Option<PathBuf>,
    /// Tells what is attached.
    pub bpftool: Option<PathBuf>,
    /// Lists sockets.
    pub ss: Option<PathBuf>,
}

impl Stage {
    /// Why a contender cannot run here; `None` if it can.
    pub(super) fn missing(&self, contender: Contender) -> Option<&'static str> {
        let tools = &self.tools;
        let no_bpftool = tools.bpftool.is_none().then_some("bpftool is missing");
        let absent = |tool: &Option<PathBuf>, why| tool.is_none().then_some(why);
        match contender {
            Contender::Bare | Contender::Agent | Contender::Capped | Contender::Filtered => None,
            Contender::Floor => {
                no_bpftool.or_else(|| self.hooks.is_none().then_some("no hooks known"))
            }
            Contender::Tcplife => absent(&tools.tcplife, "tcplife is missing").or(no_bpftool),
            Contender::Tcpstates => absent(&tools.tcpstates, "tcpstates is missing").or(no_bpftool),
            Contender::Bpftrace => absent(&tools.bpftrace, "bpftrace is missing").or(no_bpftool),
            Contender::Ss => absent(&tools.ss, "ss is missing"),
            Contender::Shape(_) => no_bpftool
                .or_else(|| self.hooks.is_none().then_some("no hooks known"))
                .or_else(|| self.shapes.is_none().then_some("they are not built")),
        }
    }

    /// One run.
    pub(super) fn run(&self, contender: Contender, mut work: Work<'_>) -> Result<Sample> {
        let tool = |program: &Option<PathBuf>, arguments| {
            let program = program.clone().context("it is missing")?;
            Ok::<_, anyhow::Error>(Line { program, arguments })
        };
        let tools = &self.tools;
        match contender {
            Contender::Bare => Ok(silent(contender, work.go()?, Duration::ZERO)),
            Contender::Floor => {
                let floor = Floor::attach(self.hooks.as_ref().context("no hooks known")?)?;
                let made = work.go()?;
                drop(floor);
                Ok(silent(contender, made, Duration::ZERO))
            }
            Contender::Agent => self.observed(contender, &[], work),
            Contender::Capped => self.observed(contender, &["--cpu-budget", BUDGET], work),
            Contender::Filtered => self.filtered(work),
            Contender::Tcplife => self.traced(contender, &tool(&tools.tcplife, &[])?, work),
            Contender::Tcpstates => self.traced(contender, &tool(&tools.tcpstates, &[])?, work),
            Contender::Bpftrace => {
                self.traced(contender, &tool(&tools.bpftrace, &["-e", SCRIPT])?, work)
            }
            Contender::Ss => {
                let ss = tools.ss.as_ref().context("it is missing")?;
                let polled = Polled::start(ss, &work.load.netns())?;
                let made = work.go()?;
                Ok(silent(contender, made, polled.stop()?))
            }
            Contender::Shape(shape) => self.shaped(shape, work),
        }
    }

    /// A shape on the agent's hooks.
    pub(super) fn attach(&self, shape: Shape) -> Result<Shaped> {
        let shapes = self.shapes.as_ref().context("they are not built")?;
        shapes.attach(shape, self.hooks.as_ref().context("no hooks known")?)
    }

    fn shaped(&self, shape: Shape, mut work: Work<'_>) -> Result<Sample> {
        let shaped = self.attach(shape)?;
        let made = work.go()?;
        let outcome = shaped.stop()?;
        Ok(Sample {
            said_lost: outcome.lost,
            events: outcome.taken.records,
            bytes: outcome.taken.bytes,
            ..silent(Contender::Shape(shape), made, outcome.taken.cpu)
        })
    }

    fn observed(
        &self,
        contender: Contender,
        options: &[&str],
        mut work: Work<'_>,
    ) -> Result<Sample> {
        let agent = Observer::start(&self.agent, options)?;
        let before = agent.counted()?;
        let cpu = agent.cpu()?;
        let made = work.go()?;
        let (after_cpu, after) = agent.caught_up(before, 2 * made.connections)?;
        agent.stop()?;
        Ok(Sample {
            contender,
            made,
            bare_ns: 0.0,
            own_ns: nanoseconds(after_cpu.saturating_sub(cpu)),
            told: after.ended - before.ended,
            said_lost: after.lost - before.lost,
            events: after.events - before.events,
            bytes: 0,
        })
    }

    /// Nothing is told of the load, so that nothing is waited for.
    fn filtered(&self, mut work: Work<'_>) -> Result<Sample> {
        let agent = Observer::start(&self.agent, &["--filter.port", NOBODYS])?;
        let before = agent.counted()?;
        let cpu = agent.cpu()?;
        let made = work.go()?;
        let own = agent.cpu()?.saturating_sub(cpu);
        let after = agent.counted()?;
        agent.stop()?;
        Ok(Sample {
            told: after.ended - before.ended,
            said_lost: after.lost - before.lost,
            ..silent(Contender::Filtered, made, own)
        })
    }

    fn traced(&self, contender: Contender, line: &Line, mut work: Work<'_>) -> Result<Sample> {
        let bpftool = self.tools.bpftool.as_ref().context("bpftool is missing")?;
        let tool = Tool::start(line, bpftool)?;
        let cpu = tool.cpu()?;
        let made = work.go()?;
        let own = tool.caught_up()?.saturating_sub(cpu);
        let told = tool.stop()?;
        Ok(Sample {
            told: told.lines,
            said_lost: told.lost,
            ..silent(contender, made, own)
        })
    }
}

fn silent(contender: Contender, made: Made, own: Duration) -> Sample {
    Sample {
        contender,
        made,
        bare_ns: 0.0,
        own_ns: nanoseconds(own),
        told: 0,
        said_lost: 0,
        events: 0,
        bytes: 0,
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
