//! Keeping to the budget of CPU time: that of the thread that runs the loop.

use std::time::Duration;

use tracing::{info, warn};

use super::App;
use crate::budget::{Budget, Level};
use crate::clock::Clock;
use crate::event::Timestamp;
use crate::settings::LIMITS;

impl App {
    /// Keeps to this share of one CPU, if there is one.
    #[must_use]
    pub fn within(mut self, share: Option<f64>) -> Self {
        self.budget = share.map(Budget::new);
        self
    }

    /// Leaves out more or less, as the last second was.
    pub(super) fn look_at_budget(&mut self, now: Timestamp) {
        let Some(budget) = &mut self.budget else {
            return;
        };
        let before = budget.level();
        let Some(level) = budget.look(now, Clock::thread_cpu()) else {
            return;
        };
        self.probes.ring.shed_births(level >= Level::Births);
        let keeps = level < Level::Timelines;
        self.tracker
            .keep_steps(if keeps { LIMITS.steps } else { 0 });
        self.metrics.shed(level);
        if level > before {
            warn!(
                detail = level.label(),
                "more of a CPU is used than --cpu-budget allows: this is left out from here on"
            );
        } else {
            info!(detail = before.label(), "there is CPU time for this again");
        }
    }

    /// How long to rest, where nothing else is left to leave out and more was used than may be.
    pub(super) fn rest(&self) -> Option<Duration> {
        let budget = self.budget.as_ref()?;
        if budget.level() != Level::Events {
            return None;
        }
        let rest = budget.rest(self.clock.now(), Clock::thread_cpu());
        (!rest.is_zero()).then_some(rest)
    }
}
