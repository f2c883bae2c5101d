//! The one event loop: ring → decode → track → classify → sinks.
//!
//! Takes attached probes; gives counts in [`Metrics`] and, if there is an [`Outlet`], lines.
//! It never writes to a file or a socket and never waits for anything but the ring, its
//! timers and the order to stop, so only a busy CPU can make it late.

mod losses;
mod outlet;
mod thrift;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use observer_ebpf::wire::Kind;
use tracing::debug;

use crate::auditor::Auditor;
use crate::budget::Budget;
use crate::classify::{Verdict, classify};
use crate::clock::Clock;
use crate::event::{Decoder, Timestamp};
use crate::probe::{GATHER, Probes};
use crate::settings::LIMITS;
use crate::sink::board::Board;
use crate::sink::endings::Notes;
use crate::sink::names::LOSSES;
use crate::sink::prometheus::{Metrics, PerKind, Tally};
use crate::stop::Stop;
use crate::surveyor::Surveyor;
use crate::track::{Closed, Output, Tracker};

pub use self::outlet::Outlet;

/// Records taken from the ring before the loop looks at its timers again.
const BATCH: usize = 4096;

/// A record may become readable this long after the time that it carries, and records of two
/// CPUs may be out of order by as much.
const SKEW: Duration = Duration::from_millis(5);

/// The most time between two rounds of the loop, and between two looks at the wall clock.
const IDLE: Duration = Duration::from_secs(1);

/// The least time between two looks at what the kernel skipped, which costs a fraction of a
/// millisecond.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Records that are not events and are logged, of each run; all are counted.
const DECODE_ERRORS_LOGGED: u64 = 10;

/// The loop and all that only it touches.
#[derive(Debug)]
pub struct App {
    probes: Probes,
    decoder: Decoder,
    tracker: Tracker,
    metrics: Arc<Metrics>,
    tally: Tally,
    notes: Notes,
    clock: Arc<Clock>,
    stop: Stop,
    outlet: Option<Outlet>,
    auditor: Option<Auditor>,
    surveyor: Option<Surveyor>,
    board: Option<Arc<Board>>,
    budget: Option<Budget>,
    /// The drop counters and the lost lines when they were last looked at.
    lost: PerKind,
    skipped: PerKind,
    lines_lost: u64,
    /// The newest stamp of a record.
    newest: Timestamp,
    /// Everything stamped before this was handled.
    horizon: Timestamp,
    looked_at_wall: Timestamp,
    looked_at_skips: Timestamp,
    decode_errors: u64,
    gaps: u64,
    /// Whether the census asked something in this round, so that it may have more to ask at once.
    asked: bool,
    /// Indexed by cause.
    loss_told: [bool; LOSSES.len()],
}

impl App {
    /// A loop over attached probes.
    pub fn new(
        probes: Probes,
        metrics: Arc<Metrics>,
        clock: Arc<Clock>,
        stop: Stop,
        outlet: Option<Outlet>,
    ) -> Self {
        metrics.cover(&probes.coverage);
        Self {
            decoder: Decoder::new(probes.vocabulary.clone()),
            tracker: Tracker::new(probes.coverage.sight, LIMITS),
            probes,
            tally: metrics.tally(),
            notes: Notes::default(),
            metrics,
            clock,
            stop,
            outlet,
            auditor: None,
            surveyor: None,
            board: None,
            budget: None,
            lost: PerKind::default(),
            skipped: PerKind::default(),
            lines_lost: 0,
            newest: Timestamp(0),
            horizon: Timestamp(0),
            asked: false,
            looked_at_wall: Timestamp(0),
            looked_at_skips: Timestamp(0),
            decode_errors: 0,
            gaps: 0,
            loss_told: [false; LOSSES.len()],
        }
    }

    /// Lets an auditor, if there is one, see all that is observed from here on.
    #[must_use]
    pub fn audited_by(mut self, auditor: Option<Auditor>) -> Self {
        self.auditor = auditor;
        self
    }

    /// Answers what the census asks.
    #[must_use]
    pub fn asked_by(mut self, surveyor: Surveyor) -> Self {
        self.surveyor = Some(surveyor);
        self
    }

    /// Leaves the endings of the last minutes there, for the web.
    #[must_use]
    pub fn told_on(mut self, board: Arc<Board>) -> Self {
        board.endings.begin(self.clock.now());
        self.board = Some(board);
        self
    }

    /// Runs until told to stop, or until the outlet has all its lines; then detaches the
    /// probes and gives the outlet back.
    pub async fn run(mut self) -> io::Result<Option<Outlet>> {
        loop {
            let taken = self.round();
            if self.stop.is_set() || self.sated() {
                break;
            }
            // Where nothing came there is nothing to keep away from, and rounds would add up.
            let rest = if taken > 0 { self.rest() } else { None };
            if taken == BATCH && rest.is_none() {
                tokio::task::yield_now().await;
            } else {
                self.wait(rest).await?;
            }
        }
        self.look_at_losses();
        self.look_at_skips(true);
        Ok(self.outlet.take())
    }

    /// Handles what the ring has, up to a batch; says how much that was.
    fn round(&mut self) -> usize {
        let now = self.clock.now();
        let taken = self.drain();
        let handled = if taken == BATCH { self.newest } else { now };
        let handled = Timestamp(handled.0.saturating_sub(nanoseconds(SKEW)));
        self.horizon = self.horizon.max(handled);
        self.look_at_losses();
        let second = now.since(self.looked_at_wall) >= IDLE;
        if second {
            self.clock.refresh();
            self.looked_at_wall = now;
            self.look_at_skips(true);
        }
        self.tracker.handle_timeout(self.horizon);
        self.deliver(now);
        let surveyor = self.surveyor.as_mut();
        self.asked = surveyor.is_some_and(|it| it.answers.answer_asked(&mut self.tracker));
        if let Some(auditor) = self.auditor.as_mut().filter(|_| second) {
            auditor.round(self.horizon);
        }
        self.look_at_gaps(now);
        self.look_at_budget(now);
        self.metrics
            .track(self.tracker.tracked(), self.tracker.evictions());
        self.metrics.drop_stacks(self.tracker.stacks_dropped());
        taken
    }

    fn drain(&mut self) -> usize {
        let Self {
            probes,
            decoder,
            tracker,
            newest,
            decode_errors,
            ..
        } = self;
        let mut events = PerKind::default();
        let mut failed = 0;
        let taken = probes
            .ring
            .drain(BATCH, |record| match &decoder.decode(record) {
                Ok(event) => {
                    *newest = event.at.max(*newest);
                    if let Some(count) = kind_of(record).and_then(|kind| events.get_mut(kind)) {
                        *count += 1;
                    }
                    tracker.handle(event);
                }
                Err(error) => {
                    failed += 1;
                    if *decode_errors + failed <= DECODE_ERRORS_LOGGED {
                        debug!(%error, "not an event");
                    }
                }
            });
        *decode_errors += failed;
        self.metrics.count_events(&events);
        self.metrics.count_decode_errors(failed);
        taken
    }

    /// Hands on what the tracker has to say.
    fn deliver(&mut self, now: Timestamp) {
        while let Some(output) = self.tracker.next_output() {
            if let Some(auditor) = &mut self.auditor {
                auditor.note_output(&output);
            }
            match output {
                Output::Closed(mut closed) => {
                    let verdict = self.judge(&mut closed, now);
                    self.note(&verdict);
                    if let Some(outlet) = &mut self.outlet {
                        outlet.offer(verdict, &closed);
                    }
                    self.tracker.reuse(closed);
                }
                Output::LooseReset { cause, .. } => self.tally.count_reset(cause),
                Output::TimeWaitEnded(end) => self.tally.count_time_wait(end.how),
                // The verdict counts it, once the connection ends.
                Output::ResetSent { .. }
                | Output::MinisockStarted { .. }
                | Output::UnknownExpired { .. }
                | Output::Stillborn { .. } => {}
            }
        }
        self.tally.flush();
        if let Some(board) = &self.board {
            board.endings.add(now, &mut self.notes);
        }
    }

    /// What was skipped is looked at once a second, and before a verdict for want of an event: where
    /// there are many of those, as of connects that ICMP refuses, before some.
    fn judge(&mut self, closed: &mut Closed, now: Timestamp) -> Verdict {
        let verdict = classify(closed);
        if !verdict.may_lack_an_event() {
            return verdict;
        }
        if now.since(self.looked_at_skips) >= LOOK_AGAIN {
            self.look_at_skips(false);
        }
        self.tracker.note_loss(closed);
        classify(closed)
    }

    fn note(&mut self, verdict: &Verdict) {
        self.tally.count_verdict(verdict);
        if let Some(auditor) = &mut self.auditor {
            auditor.note_verdict(verdict);
        }
        if let Some(surveyor) = &mut self.surveyor {
            surveyor.answers.note_verdict(verdict);
        }
        if self.board.is_some() {
            self.notes.note(verdict);
        }
    }

    /// Whether no more lines are wanted.
    fn sated(&self) -> bool {
        self.outlet.as_ref().is_some_and(Outlet::is_sated)
    }

    /// Waits for the ring, the tracker's next deadline, or the order to stop; or rests that long,
    /// whatever the ring has.
    async fn wait(&mut self, rest: Option<Duration>) -> io::Result<()> {
        if rest.is_none() && !self.asked && self.probes.ring.gather() {
            return Ok(());
        }
        let due = self.tracker.poll_timeout().map_or(IDLE, |deadline| {
            deadline
                .after(SKEW)
                .since(self.clock.now())
                .clamp(GATHER, IDLE)
        });
        let stop = self.stop.clone();
        let pause = tokio::time::sleep(rest.unwrap_or(due));
        tokio::pin!(pause);
        loop {
            let surveyor = &mut self.surveyor;
            let ask = async {
                match surveyor {
                    Some(surveyor) => surveyor.answers.next().await,
                    None => None,
                }
            };
            tokio::select! {
                biased;
                () = stop.wait() => return Ok(()),
                Some(ask) = ask => {
                    if let Some(surveyor) = &mut self.surveyor {
                        surveyor.answers.answer(ask, &mut self.tracker);
                    }
                    if rest.is_none() {
                        return Ok(());
                    }
                }
                waited = self.probes.ring.wait(), if rest.is_none() => return waited,
                () = &mut pause => return Ok(()),
            }
        }
    }
}

fn kind_of(record: &[u8]) -> Option<usize> {
    let number = u16::from_ne_bytes(*record.first_chunk()?);
    Kind::from_number(number).map(|kind| kind as usize)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
