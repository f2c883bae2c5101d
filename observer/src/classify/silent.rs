//! Neither a FIN handshake nor a RST.

use crate::track::{Closed, Fate};

use super::found::{Found, NO_RESET};
use super::{Ending, reset_sent};

pub(super) fn recognise(closed: &Closed) -> Option<Found> {
    if closed.fate() == Some(Fate::Gone { before_time: true }) {
        return Found::inferred(
            Ending::DroppedSilently,
            "the minisock ended before its time, and nothing says why",
        );
    }
    let exit = closed.exit.as_ref()?;
    let unexplained =
        !closed.end_is_whole() || closed.fatal_error() != 0 || closed.minisock.is_some();
    if exit.socket.repair && closed.fatal_error() == 0 {
        return Found::exact(Ending::DroppedSilently);
    }
    if unexplained || !closed.resets().is_empty() {
        return None;
    }
    if reset_sent::needs_reset(exit.from) && !exit.socket.dead {
        return Found::inferred(Ending::DroppedSilently, NO_RESET);
    }
    if closed.sight().resets_sent {
        return Found::exact(Ending::DroppedSilently);
    }
    Found::inferred(
        Ending::DroppedSilently,
        "resets that this host sends are not visible",
    )
}
