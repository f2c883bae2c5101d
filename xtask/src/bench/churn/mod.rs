//! What watching costs a connection: every contender under the same load, in turn.
//!
//! Takes a [`Stage`] and how many rounds; gives samples, tables and checks. What a contender adds is
//! held against the moments before and after it, and those of one round against each other only,
//! so that a machine that grows slower meanwhile changes no ratio.

mod contenders;
mod highest;
mod polled;
mod rows;
mod sample;
mod shaped;
mod tool;

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::agent::Observer;
use super::limits::Limits;
use super::load::Churn;
use super::stats::number;
use super::{Options, Section, bpftool, floor, say};
use contenders::{Contender, Stage};
use sample::{Sample, Work};

pub use contenders::Tools;
pub(super) use highest::measure as highest;
pub(super) use shaped::measure as shapes;

/// A run ends after so many seconds, however few connections it made.
const SECONDS: u64 = 300;
/// The kernel takes the last namespace apart.
const REST: Duration = Duration::from_millis(300);

/// Everything there is to run; asks the agent for its hooks.
fn stage(agent: &Path, tools: &Tools) -> Result<Stage> {
    let hooks = match &tools.bpftool {
        None => None,
        Some(bpftool) => {
            let running = Observer::start(agent, &[])?;
            let programs = bpftool::attached_by(bpftool, running.pid())?;
            running.stop()?;
            let names: Vec<&str> = programs.iter().map(|it| it.name.as_str()).collect();
            Some(floor::hooks(&names)?)
        }
    };
    Ok(Stage {
        agent: agent.to_owned(),
        tools: tools.clone(),
        hooks,
        shapes: None,
    })
}

/// Measures what watchers cost.
pub(super) fn measure(agent: &Path, options: &Options, limits: &Limits) -> Result<Section> {
    let stage = stage(agent, &options.tools)?;
    let rounds = rounds(&stage, &Contender::ALL, options)?;
    let hooks = named(&stage);
    Ok(Section {
        name: "churn",
        table: rows::table(&stage, &rounds, options, &hooks),
        data: json!({
            "threads": options.threads,
            "connections": options.connections,
            "hooks": hooks,
            "rounds": rounds,
        }),
        checks: rows::checks(&stage, &rounds, limits)?,
    })
}

/// The hooks of the agent.
fn named(stage: &Stage) -> Vec<String> {
    let hooks = stage.hooks.iter().flatten();
    hooks.map(|it| floor::name(*it)).collect()
}

/// All contenders that can run, in every round, in an order that moves on by one each round.
fn rounds(stage: &Stage, all: &[Contender], options: &Options) -> Result<Vec<Vec<Sample>>> {
    let present = |it: &Contender| stage.missing(*it).is_none();
    let mut order: Vec<Contender> = all.iter().copied().filter(present).collect();
    let mut rounds = Vec::new();
    for round in 1..=options.rounds {
        let mut samples = Vec::new();
        for contender in &order {
            let sample = one(stage, *contender, options)?;
            say(&format!(
                "round {round}: {:28} {:7.2} µs, {:+7.2} added, own {:6.2}",
                contender.name(),
                sample.each_ns() / 1e3,
                sample.added_ns() / 1e3,
                sample.own_each_ns() / 1e3
            ))?;
            samples.push(sample);
        }
        order.rotate_left(1);
        rounds.push(samples);
    }
    Ok(rounds)
}

/// One run, between two with nobody watching in the same process: what a connection costs differs
/// from one process to the next, and from one moment to the next. Who comes and goes at once does
/// so several times.
fn one(stage: &Stage, contender: Contender, options: &Options) -> Result<Sample> {
    thread::sleep(REST);
    let mut load = Churn::new(options.threads, SECONDS)?;
    let slices = contender.slices();
    let connections = options.connections / slices;
    let (mut whole, mut bare) = (None::<Sample>, Vec::new());
    for _ in 0..slices {
        bare.push(load.go(connections / 2)?.each_ns());
        let work = Work {
            load: &mut load,
            connections,
        };
        let sample = stage.run(contender, work);
        let sample = sample.with_context(|| contender.name().to_owned())?;
        whole = Some(whole.map_or(sample, |whole| whole.and(sample)));
        thread::sleep(REST);
        bare.push(load.go(connections / 2)?.each_ns());
    }
    let sample = whole.context("there is a slice")?;
    ensure!(sample.made.connections > 0, "the load made no connection");
    saw_something(&sample)?;
    Ok(Sample {
        bare_ns: bare.iter().sum::<f64>() / number(2 * slices),
        ..sample
    })
}

/// A watcher that saw nothing costs nothing: that would be no measurement.
fn saw_something(sample: &Sample) -> Result<()> {
    let name = sample.contender.name();
    let made = sample.made.connections;
    match sample.contender {
        Contender::Bare | Contender::Floor | Contender::Ss => {}
        Contender::Agent => ensure!(
            sample.told > made,
            "{name} told {} ends of {made} connections",
            sample.told
        ),
        // It tells of the few that others on the host make, if they fit.
        Contender::Filtered => ensure!(
            sample.told < made / 100,
            "{name} told {} ends of {made} connections",
            sample.told
        ),
        Contender::Capped | Contender::Tcplife | Contender::Tcpstates | Contender::Bpftrace => {
            ensure!(
                sample.told + sample.said_lost > made / 100,
                "{name} wrote {} lines about {made} connections",
                sample.told
            );
        }
        Contender::Shape(_) => ensure!(
            sample.events + sample.said_lost > made,
            "{name}: {} records of {made} connections",
            sample.events
        ),
    }
    Ok(())
}
