//! The lines of the second serial port: what the kernel tests and the guest's first process
//! write. Takes nothing, gives what one line may hold.

use serde::Deserialize;
use xtask::judge::Pair;

use super::Outcome;

/// One line of the second serial port.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Case {
        case: String,
        outcome: Outcome,
        #[serde(default)]
        detail: Option<String>,
        #[serde(default)]
        ends: Vec<Pair>,
    },
    End {
        #[serde(rename = "end")]
        _end: bool,
        passed: usize,
        failed: usize,
        skipped: usize,
        /// All ends of all cases.
        #[serde(default)]
        ends: usize,
    },
    Booted {
        booted: f64,
    },
    Listed {
        listed: String,
    },
    Exit {
        exit: i32,
    },
}
