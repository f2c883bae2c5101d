//! Crashes of emulated guests, which are often the emulator's own.
//! Takes the texts of both serial ports, tells whether the guest died under its tests. Pure.
//!
//! Emulated guests of 6.12, 6.18 and 7.2 died now and then, each time in another way, and one of
//! 6.18 also with a single thread for all its processors. What a probe does every time kills each
//! boot; what it does now and then is not told from the emulator here. So an emulated guest that
//! dies is booted again, in plain sight, with its console kept, and one that dies each time has
//! failed.

use super::report::{self, TROUBLE};

/// How often one kernel is booted at most.
pub(super) const BOOTS: usize = 3;

/// The line of the console that tells of the guest's death, if it died before its tests ended.
pub(super) fn fault<'a>(console: &'a str, results: &str) -> Option<&'a str> {
    let is_trouble = |line: &&str| TROUBLE.iter().any(|sign| line.contains(sign));
    let died = console.contains("] Kernel panic") && !report::has_ended(results);
    console.lines().find(is_trouble).filter(|_| died)
}

#[cfg(test)]
mod tests {
    use super::fault;

    const BEGUN: &str = "{\"booted\":1.3}\n";
    const ENDED: &str = "{\"end\":true,\"passed\":1,\"failed\":0,\"skipped\":0}\n";
    const OOPS: &str = "[    1.2] Oops: int3: 0000 [#1] SMP NOPTI";
    const PANIC: &str = "[    1.3] Kernel panic - not syncing: Fatal exception in interrupt";

    #[test]
    fn a_guest_that_dies_before_its_tests_end_is_booted_again() {
        let console = format!("[    1.1] fine\n{OOPS}\n{PANIC}\n");
        assert_eq!(fault(&console, ""), Some(OOPS));
        assert_eq!(fault(&console, BEGUN), Some(OOPS));
    }

    #[test]
    fn trouble_that_the_guest_survives_is_judged_with_its_results() {
        assert_eq!(fault(OOPS, BEGUN), None);
        let console = format!("{OOPS}\n{PANIC}\n");
        assert_eq!(fault(&console, &format!("{BEGUN}{ENDED}")), None);
        assert_eq!(fault("[    1.2] Run /init as init process", ""), None);
    }
}
