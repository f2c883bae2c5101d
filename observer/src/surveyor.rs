//! The census at work.
//!
//! A thread of its own asks the kernel for its sockets at every interval, asks the event loop
//! what it knows of them, looks for holders of those that leak, and hands what comes of it to
//! the log, the metrics and the web. It waits for all of these, and nobody waits for it.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::asks::{self, Answers, Questions};
use crate::budget::of_census;
use crate::census::{self, Census, Holders, Scope, Sought};
use crate::clock::Clock;
use crate::detect::{
    self, BuildupWatch, Changes, CloseWait, Findings, Ghosts, Lately, Matter, PortWatch, Rounds,
    Stalls, Watch,
};
use crate::event::Timestamp;
use crate::selection::Selection;
use crate::sink::board::{Board, Survey};
use crate::sink::findings::title;
use crate::sink::prometheus::{Metrics, Watched};
use crate::symbols::{Stacks, Symbols};
use crate::track::Standing;

/// How long the search for holders may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Without a budget a census rests no longer than so many intervals, and then takes more.
const MOST_REST: u32 = 10;

/// With a budget it may rest this long all the same: what it finds is to be of use.
const LONG_REST: Duration = Duration::from_mins(4);

/// Findings of one census in the log, raised or over.
const MOST_TOLD: usize = 20;

/// How the census is taken.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From this age on a socket in CLOSE_WAIT counts as leaked, and what hangs elsewhere in its
    /// close as stalled.
    pub leak_after: Duration,
    /// Time from the start of one census to the next.
    pub interval: Duration,
    /// Which stacks of openers there are.
    pub stacks: Stacks,
    /// Of what more than numbers is told.
    pub selection: Selection,
    /// How much of one CPU the agent may take, if that is limited.
    pub budget: Option<f64>,
}

impl Settings {
    /// How long a census rests that took so long, and was so long on a CPU.
    fn rest(&self, took: Duration, cpu: Duration) -> Duration {
        let earned = cpu.div_f64(of_census(self.budget));
        let most = self.interval * MOST_REST;
        let most = if self.budget.is_some() {
            most.max(LONG_REST)
        } else {
            most
        };
        self.interval.saturating_sub(took).max(earned.min(most))
    }
}

/// The thread, which ends when this is dropped.
#[derive(Debug)]
pub struct Surveyor {
    /// What the event loop answers.
    pub answers: Answers,
    _alive: mpsc::Sender<()>,
}

impl Surveyor {
    /// Starts it. Call it once the probes are attached, so that no change is missed by both.
    pub fn start(
        settings: Settings,
        clock: Arc<Clock>,
        metrics: Arc<Metrics>,
        board: Arc<Board>,
    ) -> io::Result<Self> {
        let (questions, answers) = asks::channel();
        let selection = settings.selection.clone();
        let (alive, ended) = mpsc::channel::<()>();
        let mut work = Work {
            questions,
            lately: Lately::new(clock.now()),
            watch: Watch::new(settings.leak_after),
            ports: PortWatch::default(),
            stalls: Stalls::new(settings.leak_after),
            buildups: BuildupWatch::new(census::minisock_bytes()),
            findings: Findings::default(),
            ghosts: Ghosts::default(),
            rounds: Rounds::default(),
            symbols: Symbols::new(settings.stacks),
            selection,
            missing: Vec::new(),
            clock,
            metrics,
            board,
        };
        thread::Builder::new()
            .name("census".to_owned())
            .spawn(move || {
                loop {
                    let start = work.clock.now();
                    let cpu = Clock::thread_cpu();
                    let Some(elsewhere) = work.survey() else {
                        return;
                    };
                    let took = work.clock.now().since(start);
                    let cpu = Clock::thread_cpu().saturating_sub(cpu) + elsewhere;
                    let rest = settings.rest(took, cpu);
                    if ended.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })?;
        Ok(Self {
            answers,
            _alive: alive,
        })
    }
}

/// What only the thread touches.
struct Work {
    questions: Questions,
    lately: Lately,
    watch: Watch,
    ports: PortWatch,
    stalls: Stalls,
    buildups: BuildupWatch,
    findings: Findings,
    ghosts: Ghosts,
    rounds: Rounds,
    symbols: Symbols,
    selection: Selection,
    /// What the last census did not see, without its numbers.
    missing: Vec<String>,
    clock: Arc<Clock>,
    metrics: Arc<Metrics>,
    board: Arc<Board>,
}

impl Work {
    /// One census; gives what it took of a CPU on other threads, and `None` once the event loop
    /// is gone.
    fn survey(&mut self) -> Option<Duration> {
        let start = self.clock.now();
        self.lately.add(start, self.questions.recent()?);
        let standing = self.questions.standing()?;
        let open = self.open()?;
        let mut sought = Sought::new(open.iter().map(|it| (it.netns, it.ends)));
        let wanted = self.selection.now();
        let mut census = census::look(Scope::All, &wanted, &mut sought, &self.clock);
        let waiting = self.watch.look(&census, &standing, start);
        let close_wait = waiting.len();
        let ages = waiting.iter().map(|it| it.age.time).collect();
        let listed = waiting.iter().take(Survey::MOST_LISTED).cloned().collect();
        let mut leaked = self.watch.leaked(waiting, start);
        self.stalls.look(&census, &standing);
        let mut short = self.ports.look(&census, &self.lately, &self.findings);
        let ports = short.iter().map(|it| it.ports.an_inode);
        let more: Vec<u32> = ports.chain(self.stalls.inodes()).collect();
        let holders = self.holders(&mut census, &mut leaked, &more);
        for headroom in &mut short {
            let of_one = holders.all(headroom.ports.an_inode);
            headroom.holders = of_one.cloned().collect();
        }
        let mut leaks = detect::leaks(leaked, |sockets| {
            holders.of(sockets.iter().map(|it| it.inode))
        });
        self.symbols.name(&mut leaks, &self.clock);
        let now = self.clock.now();
        let mut matters: Vec<Matter> = leaks.into_iter().map(Matter::CloseWaitLeak).collect();
        matters.extend(short.into_iter().map(Matter::PortExhaustion));
        matters.extend(self.stalls.matters(&holders, &self.findings));
        matters.extend(detect::resets(&self.lately, &self.findings));
        let full = self.buildups.look(&census, &self.lately, &self.findings);
        matters.extend(full.into_iter().map(Matter::TimeWaitBuildup));
        let changes = self.findings.conclude(matters, &census, now);
        self.tell(&changes, now);
        self.forget(&census, standing, (open, &sought))?;
        self.tell_missing(&census);
        let (at, took) = (self.clock.wall(now), now.since(start));
        let watched = Watched {
            close_wait: &self.watch,
            ports: &self.ports,
            buildups: &self.buildups,
        };
        let series = self.metrics.census();
        series.publish(&census, &self.findings, watched, (at, took));
        let findings = self.findings.all().iter();
        let (time_wait, with_minisocks) = self.buildups.most();
        self.board.pin(Survey {
            at,
            took,
            close_wait,
            ages,
            listed,
            with_minisocks,
            time_wait: time_wait.to_vec(),
            ports: self.ports.followed(),
            findings: findings.map(|(id, it)| (id.clone(), it.clone())).collect(),
            missing: census.missing,
        });
        Some(census.cpu)
    }

    /// What is new and what is over, in the log.
    fn tell(&self, changes: &Changes, now: Timestamp) {
        for id in changes.raised.iter().take(MOST_TOLD) {
            if let Some(finding) = self.findings.all().get(id) {
                let (what, remedy) = (title(&finding.matter), finding.matter.remedy());
                warn!(id, remedy, "{what}");
            }
        }
        for (id, finding) in changes.cleared.iter().take(MOST_TOLD) {
            let told = now.since(finding.raised_at).as_secs();
            let what = title(&finding.matter);
            info!(id, "over, {told} s after it was told: {what}");
        }
        let more = changes.raised.len().max(changes.cleared.len());
        if more > MOST_TOLD {
            let (raised, cleared) = (changes.raised.len(), changes.cleared.len());
            warn!(
                raised,
                cleared, "more findings than are told here; see /api/v1/findings"
            );
        }
    }

    /// What the census does not see, when that changes in more than its numbers.
    fn tell_missing(&mut self, census: &Census) {
        let kind = |sentence: &String| sentence.replace(|c: char| c.is_ascii_digit(), "");
        let kinds: Vec<String> = census.missing.iter().map(kind).collect();
        if kinds == self.missing {
            return;
        }
        for sentence in &census.missing {
            info!("the census does not see {sentence}");
        }
        if census.missing.is_empty() {
            info!("the census sees everything again");
        }
        self.missing = kinds;
    }

    /// Who holds what leaks, and these inodes too.
    fn holders(&mut self, census: &mut Census, leaked: &mut [CloseWait], more: &[u32]) -> Holders {
        let of_leaked = leaked.iter().map(|it| it.inode);
        // What no file has nobody holds.
        let wanted = of_leaked
            .chain(more.iter().copied())
            .filter(|inode| *inode != 0);
        let wanted: HashSet<u32> = wanted.collect();
        let holders = Holders::find(&wanted, &self.clock, PATIENCE).unwrap_or_else(|error| {
            let sentence = format!("any holder: {error}; is /proc mounted?");
            census.missing.push(sentence);
            Holders::default()
        });
        for socket in leaked {
            self.watch.own(socket, &holders);
        }
        census.missing.extend(holders.missing());
        holders
    }

    /// Open connections to look for. Nobody looks for any as long as nothing is lost.
    fn open(&mut self) -> Option<Vec<Standing>> {
        let Some(from) = self.rounds.from(self.questions.last_loss()?) else {
            return Some(Vec::new());
        };
        let (open, next) = self.questions.open(from)?;
        self.rounds.looked(next);
        Some(open)
    }

    /// Lets the event loop forget what the kernel no longer has.
    fn forget(
        &mut self,
        census: &Census,
        standing: Vec<Standing>,
        open: (Vec<Standing>, &Sought),
    ) -> Option<()> {
        if self.metrics.sheds_events() {
            // What is missing may have ended in events that wait while the agent rests.
            self.ghosts = Ghosts::default();
        }
        let ghosts = self.ghosts.look(census, standing, open);
        let forgotten = self.questions.forget(&ghosts)?;
        if forgotten > 0 {
            debug!(forgotten, "the kernel has no such connections any more");
            self.metrics.census().count_ghosts(forgotten);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(budget: Option<f64>, took: u64, cpu: u64) -> u64 {
        let settings = Settings {
            leak_after: Duration::from_mins(1),
            interval: Duration::from_secs(15),
            stacks: Stacks::Off,
            selection: Selection::default(),
            budget,
        };
        let (took, cpu) = (Duration::from_secs(took), Duration::from_secs(cpu));
        settings.rest(took, cpu).as_secs()
    }

    #[test]
    fn a_census_that_is_dear_rests_longer_but_never_for_good() {
        assert_eq!(rest(None, 1, 0), 14);
        assert_eq!(rest(None, 1, 1), 50);
        assert_eq!(rest(None, 20, 20), 150);
        // Half of 2 %.
        assert_eq!(rest(Some(0.02), 1, 1), 100);
        assert_eq!(rest(Some(0.01), 20, 20), 240);
    }
}
