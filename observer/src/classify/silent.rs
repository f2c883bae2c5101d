//! Neither a FIN handshake nor a RST.

use crate::track::{Closed, Fate};

use super::Ending;
use super::found::Found;

pub(super) fn recognise(closed: &Closed) -> Option<Found> {
    if closed.fate() == Some(Fate::Gone { before_time: true }) {
        return Found::inferred(
            Ending::DroppedSilently,
            "the minisock ended before its time, and nothing says why",
        );
    }
    let exit = closed.exit.as_ref()?;
    let unexplained = closed.gap.is_some() || exit.socket.error != 0 || closed.minisock.is_some();
    if exit.socket.repair && exit.socket.error == 0 {
        return Found::exact(Ending::DroppedSilently);
    }
    if unexplained || !closed.resets.is_empty() {
        return None;
    }
    if closed.sight.resets_sent {
        return Found::exact(Ending::DroppedSilently);
    }
    Found::inferred(
        Ending::DroppedSilently,
        "resets that this host sends are not visible",
    )
}
