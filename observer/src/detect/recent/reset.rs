//! Resets among what happened: which of them are which ending, and which lose a request.

use std::time::Duration;

use super::Happening;
use crate::classify::{Ending, Initiator, Phase, Role, Verdict};

/// What comes so long after our FIN was not on its way when it left.
const CROSSING: Duration = Duration::from_secs(5);

/// Resets sent or received, each with its ending. Those of a closing listener are not among
/// them: it closes once.
pub(in crate::detect) const RESETS: [(Happening, Ending); 12] = [
    (Happening::ResetUnreadData, Ending::ResetUnreadData),
    (Happening::ResetLingerZero, Ending::ResetLingerZero),
    (Happening::ResetDataAfterClose, Ending::ResetDataAfterClose),
    (Happening::ResetDisconnect, Ending::ResetDisconnect),
    (Happening::ResetLinger2, Ending::ResetLinger2),
    (Happening::ResetOutOfMemory, Ending::ResetOutOfMemory),
    (Happening::ResetDestroyed, Ending::ResetDestroyed),
    (Happening::ResetOther, Ending::ResetOther),
    (Happening::ConnectRefused, Ending::ConnectRefused),
    (Happening::PeerReset, Ending::PeerReset),
    (Happening::PeerResetAfterFin, Ending::PeerResetAfterFin),
    (
        Happening::PeerResetWhileClosing,
        Ending::PeerResetWhileClosing,
    ),
];

/// The reset that an ending is, if it is one.
pub(super) fn happening(ending: Ending) -> Option<Happening> {
    let mut all = RESETS.iter();
    all.find(|(_, it)| *it == ending).map(|(it, _)| *it)
}

/// A server closed first, and a client that did not know it yet sent more.
pub(super) fn is_race(verdict: &Verdict) -> bool {
    verdict.ending == Ending::ResetDataAfterClose
        && verdict.role == Role::Server
        && verdict.initiator == Some(Initiator::Local)
        && since_fin(verdict) <= CROSSING
}

fn since_fin(verdict: &Verdict) -> Duration {
    let closing = [Phase::FinWait1, Phase::FinWait2, Phase::Closing];
    let times = closing.map(|phase| verdict.phases.get(phase as usize).copied().flatten());
    times.into_iter().flatten().sum()
}
