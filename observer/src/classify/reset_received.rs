//! The peer sent a RST.

use crate::event::{State, errno};
use crate::track::{Closed, Fate};

use super::Ending;
use super::found::{Found, RST_UNSEEN};

pub(super) fn recognise(closed: &Closed) -> Option<Found> {
    if closed.fate() == Some(Fate::PeerReset) {
        return Found::exact(Ending::PeerResetWhileClosing);
    }
    let exit = closed.exit.as_ref()?;
    let ending = match exit.from {
        State::Established | State::SynRecv => Ending::PeerReset,
        State::CloseWait => Ending::PeerResetAfterFin,
        State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck => {
            Ending::PeerResetWhileClosing
        }
        State::SynSent => Ending::ConnectRefused,
        State::TimeWait | State::Close | State::Listen | State::NewSynRecv => return None,
    };
    match closed.reset_received() {
        Some(reset) if reset.segment_is_reset == Some(false) => None,
        Some(_) if closed.reset_is_ambiguous() && closed.lossy() => None,
        Some(_) if closed.reset_is_ambiguous() && !closed.sight().replies => Found::inferred(
            ending,
            "a RST and data after close look alike here; resets in reply are not visible",
        ),
        Some(_) if closed.reset_is_ambiguous() && ending == Ending::PeerResetWhileClosing => {
            Found::inferred(
                ending,
                "a RST and data after close look alike here; no reset answered the segment",
            )
        }
        Some(_) => Found::exact(ending),
        None => by_error(closed.fatal_error(), ending),
    }
}

/// The reset itself was missed: its error tells it where data after close cannot be.
fn by_error(error: u16, ending: Ending) -> Option<Found> {
    let told = (ending == Ending::PeerReset && error == errno::ECONNRESET)
        || (ending == Ending::PeerResetAfterFin && error == errno::EPIPE);
    if told {
        Found::inferred(ending, RST_UNSEEN)
    } else {
        None
    }
}
