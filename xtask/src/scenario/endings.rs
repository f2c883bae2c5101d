//! One scenario for each ending: what is run where the whole corpus would take too long.
//!
//! The kernel tests hold this table against the truth of whatever they perform: a row whose
//! scenario does not end so fails, and so does an ending that has no row.

use super::Scenario;

/// Endings, each with a scenario that has it.
pub const ONE_PER_ENDING: &[(&str, &str)] = &[
    ("active_close", "client_closes_first"),
    ("passive_close", "client_closes_first"),
    ("simultaneous_close", "simultaneous_client"),
    ("reset_unread_data", "unread_data"),
    ("reset_linger_zero", "linger_zero"),
    ("reset_data_after_close", "data_after_close_minisock"),
    ("reset_listener_closed", "listener_closed"),
    ("reset_disconnect", "disconnected_established"),
    ("reset_linger2", "linger2_at_close"),
    ("reset_out_of_memory", "too_many_orphans"),
    ("reset_destroyed", "destroyed"),
    ("reset_other", "mptcp_unread"),
    ("connect_refused", "refused"),
    ("peer_reset", "reset_in_established"),
    ("peer_reset_after_fin", "reset_in_close_wait"),
    ("peer_reset_while_closing", "reset_in_fin_wait1"),
    ("timeout_connect", "connect_unanswered"),
    ("timeout_retransmit", "data_unanswered"),
    ("timeout_user", "user_timeout"),
    ("timeout_keepalive", "keepalive"),
    ("timeout_zero_window", "zero_window"),
    ("timeout_orphan", "orphan_fin_wait1"),
    ("timeout_fin_wait2", "fin_wait2_expires"),
    ("unreachable", "port_unreachable"),
    ("connect_failed", "no_free_port"),
    ("never_established", "connect_given_up"),
    ("dropped_silently", "repair_close"),
];

impl Scenario {
    /// Whether it stands for an ending in the table.
    pub fn stands_for_an_ending(&self) -> bool {
        ONE_PER_ENDING.iter().any(|(_, name)| *name == self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::scenario::all;

    #[test]
    fn every_row_has_an_ending_of_its_own_and_a_scenario_that_exists() {
        let mut endings = BTreeSet::new();
        for (ending, name) in ONE_PER_ENDING {
            assert!(endings.insert(ending), "{ending} has two rows");
            let exists = all().any(|scenario| scenario.name == *name);
            assert!(exists, "there is no scenario {name}");
        }
    }
}
