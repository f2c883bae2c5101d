//! How many series there can be.
//!
//! Takes the bounds that the command line gives; gives how many series each metric has at most.
//! All that grows with what the host does is bounded here.

use crate::audit::Counter;
use crate::budget::Level;
use crate::classify::{Confidence, Ending, Group, Phase, ResetCause, Role};
use crate::detect;
use crate::sink::names::{self, Metric};
use observer_ebpf::wire::Kind;
use observer_ebpf::wire::manifest::Question;

use super::audit::MOST_NAMED;
use super::census::STATES;

/// Names and numbers that may have series of their own; all others share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Processes.
    pub owners: usize,
    /// Local ports that are listened on.
    pub ports: usize,
    /// Remote addresses and ports.
    pub destinations: usize,
}

/// What the process collector of the prometheus crate gives.
const OF_THE_PROCESS: usize = 7;

impl Default for Bounds {
    fn default() -> Self {
        Self {
            owners: 10,
            ports: 16,
            destinations: 10,
        }
    }
}

impl Bounds {
    /// The most series that there can be.
    pub fn series(&self) -> usize {
        let own: usize = names::ALL.iter().map(|it| self.series_of(it)).sum();
        own + OF_THE_PROCESS
    }

    fn series_of(&self, metric: &Metric) -> usize {
        let values = metric.labels.iter().map(|label| self.values(metric, label));
        let lines = match metric.kind {
            // One more bucket has no upper bound, and there are a sum and a count.
            "histogram" => names::PHASE_BUCKETS.len() + 3,
            _ => 1,
        };
        values.product::<usize>() * lines
    }

    /// How many values a label has at most.
    fn values(&self, metric: &Metric, label: &str) -> usize {
        match label {
            "ending" => Ending::ALL.len(),
            "role" => Role::ALL.len(),
            "group" => Group::ALL.len(),
            "initiator" => names::INITIATORS.len(),
            "confidence" => Confidence::ALL.len(),
            "phase" => Phase::ALL.len(),
            "queue" => names::QUEUES.len(),
            "how" => names::HOW.len(),
            "detail" => Level::ALL.len(),
            "stage" => names::STAGES.len(),
            "state" => STATES.len(),
            "question" => Question::ALL.len(),
            "twin" => names::TWINS.len(),
            "counter" => Counter::ALL.len(),
            "cause" if *metric == names::RESETS_SENT => ResetCause::ALL.len(),
            "cause" => names::LOSSES.len(),
            "kind" if *metric == names::FINDINGS => detect::Kind::ALL.len(),
            "kind" if *metric == names::CENSUS_CORRECTIONS => names::CORRECTIONS.len(),
            "kind" => Kind::ALL.len(),
            // The agent's own, and the rest.
            "netns" => MOST_NAMED + 2,
            // The rest, and what nobody is known of.
            "comm" => self.owners + 2,
            "port" => self.ports + 1,
            "destination" => self.destinations,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bounds;
    use crate::sink::names;

    #[test]
    fn by_default_there_are_at_most_a_thousand() {
        let most = Bounds::default().series();
        assert!(most <= 1000, "{most}");
    }

    #[test]
    fn the_bound_grows_with_each_bound() {
        let bounds = Bounds::default();
        let most = bounds.series();
        for more in [
            Bounds {
                owners: 11,
                ..bounds
            },
            Bounds {
                ports: 17,
                ..bounds
            },
            Bounds {
                destinations: 11,
                ..bounds
            },
        ] {
            assert!(more.series() > most, "{more:?}");
        }
    }

    #[test]
    fn every_label_but_one_has_several_values() {
        let bounds = Bounds::default();
        for metric in names::ALL {
            for label in metric.labels {
                let several = bounds.values(&metric, label) > 1;
                assert!(several || *label == "version", "{} {label}", metric.name);
            }
        }
    }
}
