//! Addresses to functions, inside one process that lives.
//!
//! Takes a pid and addresses; gives words from the symbol tables of the files that the process
//! has mapped and from its perf map (`/tmp/perf-PID.map`). It reads what an untrusted process
//! may have made, so it runs in a process of its own.

use std::fs;
use std::io;

use blazesym::symbolize::source::{Process, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use serde::{Deserialize, Serialize};

use crate::census::inside_a_pid_namespace;
use crate::event::Timestamp;

/// A stack to name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The process.
    pub pid: u32,
    /// When the stack was taken, in nanoseconds since boot.
    pub at_ns: u64,
    /// Addresses, innermost first: the first of the next instruction, the others of where a
    /// call returns to.
    pub frames: Vec<u64>,
}

/// A stack in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// `function+0xoffset (file)`; without the function where the file does not name it;
    /// a bare address where there is no file.
    pub frames: Vec<String>,
    /// Why they are all bare addresses.
    pub why_not: Option<String>,
}

impl Answer {
    /// The addresses, and why there is no more.
    pub fn bare(frames: &[u64], why_not: String) -> Self {
        Self {
            frames: frames.iter().map(|it| format!("{it:#x}")).collect(),
            why_not: Some(why_not),
        }
    }
}

/// Names the functions of one stack. Symbol tables that were read stay with `symbolizer`.
pub fn resolve(symbolizer: &Symbolizer, question: &Question) -> Answer {
    let Question { pid, at_ns, frames } = question;
    let maps = match alive(*pid, Timestamp(*at_ns)) {
        Ok(maps) => maps,
        Err(why_not) => return Answer::bare(frames, why_not),
    };
    let frames = code(frames, &maps);
    let names = match names(symbolizer, *pid, &looked_up(frames)) {
        Ok(names) => names,
        Err(error) => return Answer::bare(frames, format!("process {pid}: {error}")),
    };
    let words = frames.iter().zip(names).map(|(frame, name)| {
        name.unwrap_or_else(|| match place(&maps, *frame) {
            Some(mapping) => mapping.tells(*frame),
            None => format!("{frame:#x}"),
        })
    });
    Answer {
        frames: words.collect(),
        why_not: None,
    }
}

/// A symbolizer that looks at symbol tables only: reading debug information of a large program
/// can take seconds and gigabytes.
pub fn symbolizer() -> Symbolizer {
    Symbolizer::builder()
        .enable_code_info(false)
        .enable_inlined_fns(false)
        .build()
}

/// What a process has mapped, if it is the one that lived at this time.
fn alive(pid: u32, at: Timestamp) -> Result<Vec<Mapping>, String> {
    if inside_a_pid_namespace() {
        let why_not = "the agent runs in a pid namespace of its own and cannot find the process";
        return Err(why_not.to_owned());
    }
    let explain = |error: io::Error| {
        // It may end while it is looked at.
        let ended = [libc::ENOENT, libc::ESRCH].map(Some);
        if ended.contains(&error.raw_os_error()) {
            format!("process {pid} has ended")
        } else {
            format!("process {pid} cannot be looked into: {error}")
        }
    };
    let stat = fs::read(format!("/proc/{pid}/stat")).map_err(explain)?;
    let started = started(&stat).ok_or_else(|| format!("process {pid} does not say its age"))?;
    if started > at {
        return Err(format!("process {pid} has ended, and another has its pid"));
    }
    let maps = fs::read(format!("/proc/{pid}/maps")).map_err(explain)?;
    let maps = String::from_utf8_lossy(&maps);
    Ok(maps.lines().filter_map(Mapping::parse).collect())
}

/// When a process started, rounded down to a clock tick, from its `/proc/PID/stat`.
fn started(stat: &[u8]) -> Option<Timestamp> {
    // Its name, in parentheses, may hold anything.
    let after = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let text = str::from_utf8(stat.get(after..)?).ok()?;
    // The 22nd field; the third comes first here.
    let ticks: u64 = text.split_whitespace().nth(19)?.parse().ok()?;
    let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second();
    Some(Timestamp(ticks.saturating_mul(tick)))
}

/// Where each frame's own instruction lies: a call is before the address that it returns to,
/// which may belong to the next function already.
fn looked_up(frames: &[u64]) -> Vec<u64> {
    let call = |(index, frame): (usize, &u64)| frame - u64::from(index > 0 && *frame > 0);
    frames.iter().enumerate().map(call).collect()
}

/// One of the executable parts of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mapping {
    from: u64,
    to: u64,
    offset: u64,
    path: String,
}

impl Mapping {
    /// From a line of `/proc/PID/maps`.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(6, ' ');
        let (from, to) = fields.next()?.split_once('-')?;
        let mut next = || fields.next();
        let executable = next()?.contains('x');
        let offset = next()?;
        let path = fields.nth(2).unwrap_or_default();
        let number = |text| u64::from_str_radix(text, 16).ok();
        executable.then_some(Self {
            from: number(from)?,
            to: number(to)?,
            offset: number(offset)?,
            path: path.trim_start().to_owned(),
        })
    }

    /// Where in its file an address lies.
    fn tells(&self, address: u64) -> String {
        if self.path.is_empty() {
            return format!("{address:#x}");
        }
        let offset = address - self.from + self.offset;
        format!("+{offset:#x} ({})", self.path)
    }
}

fn place(maps: &[Mapping], address: u64) -> Option<&Mapping> {
    let mut maps = maps.iter();
    maps.find(|mapping| (mapping.from..mapping.to).contains(&address))
}

/// The frames up to the first that is no code: a function without a frame pointer has led the
/// kernel astray.
fn code<'a>(frames: &'a [u64], maps: &[Mapping]) -> &'a [u64] {
    let astray = |frame: &u64| place(maps, *frame).is_none();
    let end = frames.iter().position(astray).unwrap_or(frames.len());
    frames.get(..end.max(1)).unwrap_or(frames)
}

fn names(
    symbolizer: &Symbolizer,
    pid: u32,
    addresses: &[u64],
) -> blazesym::Result<Vec<Option<String>>> {
    let mut process = Process::new(pid.into());
    let found = symbolizer.symbolize(&Source::Process(process.clone()), Input::AbsAddr(addresses));
    let found = found.or_else(|_refused| {
        // What leads to files that are deleted or mounted elsewhere needs CAP_SYS_ADMIN.
        process.map_files = false;
        symbolizer.symbolize(&Source::Process(process), Input::AbsAddr(addresses))
    })?;
    let mut first = true;
    let told = found.into_iter().map(|one| {
        let back = usize::from(!std::mem::take(&mut first));
        let Symbolized::Sym(symbol) = one else {
            return None;
        };
        let offset = symbol.offset + back;
        let module = symbol.module.as_deref().map(|it| it.to_string_lossy());
        let module = module.map_or_else(String::new, |module| format!(" ({module})"));
        Some(format!("{}+{offset:#x}{module}", symbol.name))
    });
    Ok(told.collect())
}

#[cfg(test)]
mod tests;
