//! What an ended connection says that a census cannot see, and of whom.

use super::reset;
use crate::classify::{Ending, Role, Verdict};
use crate::detect::Service;
use crate::event::Task;

/// Something that happened to a connection end. Each is counted by the process that did it and
/// by service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Happening {
    /// This end closed first, and holds TIME_WAIT.
    TimeWait,
    /// A connect found no free local port: it fails with EADDRNOTAVAIL.
    NoPort,
    /// It ended, however that was.
    Ended,
    /// This end had closed, and answered what a client had sent before it knew with a reset.
    KeepaliveRace,
    /// Its listener closed before anybody accepted it.
    ListenerClosed,
    /// [`Ending::ResetUnreadData`]
    ResetUnreadData,
    /// [`Ending::ResetLingerZero`]
    ResetLingerZero,
    /// [`Ending::ResetDataAfterClose`]
    ResetDataAfterClose,
    /// [`Ending::ResetDisconnect`]
    ResetDisconnect,
    /// [`Ending::ResetLinger2`]
    ResetLinger2,
    /// [`Ending::ResetOutOfMemory`]
    ResetOutOfMemory,
    /// [`Ending::ResetDestroyed`]
    ResetDestroyed,
    /// [`Ending::ResetOther`]
    ResetOther,
    /// [`Ending::ConnectRefused`]
    ConnectRefused,
    /// [`Ending::PeerReset`]
    PeerReset,
    /// [`Ending::PeerResetAfterFin`]
    PeerResetAfterFin,
    /// [`Ending::PeerResetWhileClosing`]
    PeerResetWhileClosing,
}

impl Happening {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 17] = [
        Self::TimeWait,
        Self::NoPort,
        Self::Ended,
        Self::KeepaliveRace,
        Self::ListenerClosed,
        Self::ResetUnreadData,
        Self::ResetLingerZero,
        Self::ResetDataAfterClose,
        Self::ResetDisconnect,
        Self::ResetLinger2,
        Self::ResetOutOfMemory,
        Self::ResetDestroyed,
        Self::ResetOther,
        Self::ConnectRefused,
        Self::PeerReset,
        Self::PeerResetAfterFin,
        Self::PeerResetWhileClosing,
    ];

    /// All that happened to this connection end.
    pub(super) fn all_of(verdict: &Verdict) -> impl Iterator<Item = Self> {
        let closed = verdict.ending == Ending::ResetListenerClosed;
        let whether = [
            (Self::TimeWait, verdict.holds_time_wait()),
            (Self::NoPort, verdict.found_no_port()),
            (Self::Ended, true),
            (Self::KeepaliveRace, reset::is_race(verdict)),
            (Self::ListenerClosed, closed),
        ];
        let happened = whether.into_iter().filter(|(_, happened)| *happened);
        let happened = happened.map(|(it, _)| it);
        happened.chain(reset::happening(verdict.ending))
    }

    /// Who did it, as far as that was seen.
    pub(super) fn by(self, verdict: &Verdict) -> Option<&Task> {
        let (closed_by, opened_by) = (&verdict.closed_by, &verdict.opened_by);
        match self {
            Self::NoPort => opened_by.as_ref(),
            // That many names would take the room of all others.
            Self::Ended => None,
            Self::TimeWait
            | Self::KeepaliveRace
            | Self::ListenerClosed
            | Self::ResetUnreadData
            | Self::ResetLingerZero
            | Self::ResetDataAfterClose
            | Self::ResetDisconnect
            | Self::ResetLinger2
            | Self::ResetOutOfMemory
            | Self::ResetDestroyed
            | Self::ResetOther => closed_by.as_ref().or(opened_by.as_ref()),
            Self::ConnectRefused
            | Self::PeerReset
            | Self::PeerResetAfterFin
            | Self::PeerResetWhileClosing => opened_by.as_ref().or(closed_by.as_ref()),
        }
    }
}

/// What the connection was for; `None` if its birth was not seen.
pub(super) fn service(verdict: &Verdict) -> Option<Service> {
    let ends = verdict.ends?;
    match verdict.role {
        Role::Client => Some(Service::Remote(ends.peer)),
        Role::Server => Some(Service::Local(ends.local.port())),
        Role::Unknown => None,
    }
}
