//! What was lost.
//!
//! Takes the counters of the ring, the probes, the lines and the tracker; tells the tracker, the
//! metrics, the web and the log. Never resets a counter.

use tracing::warn;

use super::App;
use crate::event::Timestamp;
use crate::sink::names::Cause;
use crate::sink::prometheus::PerKind;

impl App {
    /// Tells the tracker and the metrics of events and lines that were lost since the last
    /// look. It comes before the tracker's timers, so that what they finalise is not taken for
    /// complete; a connection whose last event was lost together with the batch before it can
    /// be final by then.
    pub(super) fn look_at_losses(&mut self) {
        let lost = self.probes.ring.lost();
        self.count_lost(Cause::RingFull, since(self.lost, lost));
        self.lost = lost;
        if let Some(outlet) = &self.outlet {
            let lost = outlet.lines.lost();
            self.metrics
                .count_lines_lost(lost.saturating_sub(self.lines_lost));
            self.lines_lost = lost;
        }
    }

    /// Tells the web of connections that it will not hear the end of: no longer followed, or told
    /// in a record that is no event.
    pub(super) fn look_at_gaps(&mut self, now: Timestamp) {
        let gaps = self.tracker.evictions() + self.decode_errors;
        if gaps > self.gaps {
            self.gaps = gaps;
            if let Some(board) = &self.board {
                board.endings.note_loss(now);
            }
        }
    }

    /// As [`Self::look_at_losses`], for the events that the kernel did not show to a probe; once a
    /// second `regularly`, and whenever it matters.
    pub(super) fn look_at_skips(&mut self, regularly: bool) {
        self.looked_at_skips = self.clock.now();
        let skipped = self.probes.ring.skipped(regularly);
        self.count_lost(Cause::ProbeBusy, since(self.skipped, skipped));
        self.skipped = skipped;
    }

    /// As of now: what the ring had at the last look may be of connections that began since.
    fn count_lost(&mut self, cause: Cause, lost: PerKind) {
        if lost.iter().any(|count| *count > 0) {
            let told = self.loss_told.get_mut(cause as usize);
            if let Some(told) = told.filter(|told| !**told) {
                *told = true;
                let why = match cause {
                    Cause::RingFull => {
                        "the ring was full, which a larger --ring-size or a less busy CPU helps"
                    }
                    Cause::ProbeBusy => {
                        "an interrupt or another task found the probes for them running, as happens \
                         now and then"
                    }
                };
                warn!(
                    lost = lost.iter().sum::<u64>(),
                    "events were lost, so some verdicts are partial: {why}; \
                     tcp_observer_events_lost_total counts on"
                );
            }
            let now = self.clock.now();
            self.tracker.handle_loss(now);
            if let Some(board) = &self.board {
                board.endings.note_loss(now);
            }
            self.metrics.count_lost(cause, &lost);
        }
    }
}

/// What a counter of each kind grew by.
fn since(before: PerKind, mut now: PerKind) -> PerKind {
    for (count, before) in now.iter_mut().zip(before) {
        *count = count.saturating_sub(before);
    }
    now
}
