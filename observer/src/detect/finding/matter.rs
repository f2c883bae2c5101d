//! Each kind of thing that is told: its name, its id, its size and what to do about it.

use crate::detect::{
    Buildup, HalfClosed, Headroom, KilledInQueue, Leak, OrphanPressure, Race, Storm, Undrained,
};

/// Something to act on.
#[derive(Clone, Debug, PartialEq)]
pub enum Matter {
    /// Sockets stay in CLOSE_WAIT.
    CloseWaitLeak(Leak),
    /// A client runs out of local ports for a destination.
    PortExhaustion(Headroom),
    /// A process holds sockets in FIN_WAIT2.
    FinWait2Stall(HalfClosed),
    /// FINs of a service are not acknowledged.
    ClosingStall(Undrained),
    /// The host has almost as many orphans as it bears.
    OrphanPressure(OrphanPressure),
    /// A server closes idle connections on which requests are under way.
    KeepaliveRace(Race),
    /// Most connections of a service end with a reset.
    ResetStorm(Storm),
    /// A listener closed with connections in its accept queue.
    ListenerClosed(KilledInQueue),
    /// A network namespace runs out of room for TIME_WAIT.
    TimeWaitBuildup(Buildup),
}

/// The kinds of [`Matter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// [`Matter::CloseWaitLeak`]
    CloseWaitLeak,
    /// [`Matter::PortExhaustion`]
    PortExhaustion,
    /// [`Matter::FinWait2Stall`]
    FinWait2Stall,
    /// [`Matter::ClosingStall`]
    ClosingStall,
    /// [`Matter::OrphanPressure`]
    OrphanPressure,
    /// [`Matter::KeepaliveRace`]
    KeepaliveRace,
    /// [`Matter::ResetStorm`]
    ResetStorm,
    /// [`Matter::ListenerClosed`]
    ListenerClosed,
    /// [`Matter::TimeWaitBuildup`]
    TimeWaitBuildup,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::CloseWaitLeak,
        Self::PortExhaustion,
        Self::FinWait2Stall,
        Self::ClosingStall,
        Self::OrphanPressure,
        Self::KeepaliveRace,
        Self::ResetStorm,
        Self::ListenerClosed,
        Self::TimeWaitBuildup,
    ];

    /// Its name in ids, metrics and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::CloseWaitLeak => "close_wait_leak",
            Self::PortExhaustion => "port_exhaustion",
            Self::FinWait2Stall => "fin_wait2_stall",
            Self::ClosingStall => "closing_stall",
            Self::OrphanPressure => "orphan_pressure",
            Self::KeepaliveRace => "keepalive_race",
            Self::ResetStorm => "reset_storm",
            Self::ListenerClosed => "listener_closed",
            Self::TimeWaitBuildup => "time_wait_buildup",
        }
    }
}

impl Matter {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::CloseWaitLeak(_) => Kind::CloseWaitLeak,
            Self::PortExhaustion(_) => Kind::PortExhaustion,
            Self::FinWait2Stall(_) => Kind::FinWait2Stall,
            Self::ClosingStall(_) => Kind::ClosingStall,
            Self::OrphanPressure(_) => Kind::OrphanPressure,
            Self::KeepaliveRace(_) => Kind::KeepaliveRace,
            Self::ResetStorm(_) => Kind::ResetStorm,
            Self::ListenerClosed(_) => Kind::ListenerClosed,
            Self::TimeWaitBuildup(_) => Kind::TimeWaitBuildup,
        }
    }

    /// The same for as long as it is the same matter, across restarts of the agent.
    pub fn id(&self) -> String {
        let rest = match self {
            Self::CloseWaitLeak(leak) => leak.id(),
            Self::PortExhaustion(headroom) => headroom.id(),
            Self::FinWait2Stall(half) => half.id(),
            Self::ClosingStall(undrained) => undrained.id(),
            Self::OrphanPressure(_) => "host".to_owned(),
            Self::KeepaliveRace(race) => race.id(),
            Self::ResetStorm(storm) => storm.id(),
            Self::ListenerClosed(killed) => killed.id(),
            Self::TimeWaitBuildup(_) => "minisocks".to_owned(),
        };
        let kind = self.kind().label();
        match self.netns() {
            Some(netns) => format!("{kind}/{netns}/{rest}"),
            None => format!("{kind}/{rest}"),
        }
    }

    /// Inode number of the network namespace; `None` if it is the whole host's.
    pub const fn netns(&self) -> Option<u32> {
        match self {
            Self::CloseWaitLeak(leak) => Some(leak.netns),
            Self::PortExhaustion(headroom) => Some(headroom.netns),
            Self::FinWait2Stall(half) => Some(half.netns),
            Self::ClosingStall(undrained) => Some(undrained.netns),
            Self::KeepaliveRace(race) => Some(race.netns),
            Self::ResetStorm(storm) => Some(storm.netns),
            Self::ListenerClosed(killed) => Some(killed.netns),
            Self::OrphanPressure(_) => None,
            Self::TimeWaitBuildup(buildup) => Some(buildup.netns),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::CloseWaitLeak(leak) => leak.remedy(),
            Self::PortExhaustion(headroom) => headroom.remedy(),
            Self::FinWait2Stall(half) => half.remedy(),
            Self::ClosingStall(undrained) => undrained.remedy(),
            Self::OrphanPressure(pressure) => pressure.remedy(),
            Self::KeepaliveRace(race) => race.remedy(),
            Self::ResetStorm(storm) => storm.remedy(),
            Self::ListenerClosed(killed) => killed.remedy(),
            Self::TimeWaitBuildup(buildup) => buildup.remedy(),
        }
    }

    /// What grows, such as sockets or ports in use.
    pub fn amount(&self) -> usize {
        match self {
            Self::CloseWaitLeak(leak) => leak.count,
            Self::PortExhaustion(headroom) => headroom.used() as usize,
            Self::FinWait2Stall(half) => half.count,
            Self::ClosingStall(undrained) => undrained.count,
            Self::OrphanPressure(pressure) => number(pressure.count),
            Self::KeepaliveRace(race) => number(race.count),
            Self::ResetStorm(storm) => number(storm.count),
            Self::ListenerClosed(killed) => number(killed.count),
            Self::TimeWaitBuildup(buildup) => {
                usize::try_from(buildup.minisocks).unwrap_or(usize::MAX)
            }
        }
    }
}

fn number(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
