//! The same over IPv6, where a script plays the peer: the kernel receives, resets and hears ICMP
//! errors in functions of their own there.
//!
//! Takes scenarios by name; gives their twins. Never a scenario whose peer is real, nor one that
//! some kernel cannot make.

use std::sync::LazyLock;

use super::Scenario;
use super::link::no_veth;

/// Those that go through `tcp_v6_err`, `tcp_v6_rcv`, `tcp_v6_send_reset` or a minisock of IPv6.
const SCRIPTED: &[&str] = &[
    "host_unreachable",
    "port_unreachable",
    "prohibited",
    "unreachable_after_a_while",
    "icmp_in_established",
    "data_unanswered_unreachable",
    "keepalive_unreachable",
    "simultaneous_client",
    "three_segments",
    "data_after_close_unacked_fin",
    "reset_in_established",
    "reset_in_fin_wait1",
    "reset_in_fin_wait2_minisock",
    "reset_in_closing",
    "reset_in_last_ack",
    "reset_in_time_wait",
    "reset_of_a_request",
    "wrong_reset",
    "fin_with_data_for_minisock",
    "syn_for_minisock",
    "tfo_reset",
    "tfo_unreachable",
    "orphan_fin_wait1",
    "overflow_three_segments",
    "zero_window",
];

/// One for each.
pub(super) fn twins() -> &'static [Scenario] {
    static TWINS: LazyLock<Vec<Scenario>> = LazyLock::new(|| {
        let scripted = super::made().filter(|scenario| SCRIPTED.contains(&scenario.name));
        scripted.map(twin).collect()
    });
    &TWINS
}

/// Its name is one of a few that live as long as the program.
fn twin(scenario: &Scenario) -> Scenario {
    Scenario {
        name: format!("{}_v6", scenario.name).leak(),
        about: format!("{}, over IPv6", scenario.about).leak(),
        lacks: no_veth,
        ..*scenario
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_that_of_a_scenario() {
        assert_eq!(twins().len(), SCRIPTED.len());
    }
}
