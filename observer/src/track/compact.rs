//! What records hold, in as few bytes as can be.
//!
//! Takes values of `event`; gives the same values back. Nothing is lost on the way.

use std::net::{Ipv6Addr, SocketAddr};

use crate::event::{Ends, SockId, Timestamp};

use super::Sight;

/// Both ends: IPv4 as the IPv6 addresses that map it. Both ports are 0 where they are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Compact {
    local: [u8; 16],
    peer: [u8; 16],
    local_port: u16,
    peer_port: u16,
}

impl Compact {
    pub(super) fn of(ends: Option<Ends>) -> Self {
        ends.map_or_else(Self::default, |ends| Self {
            local: mapped(ends.local),
            peer: mapped(ends.peer),
            local_port: ends.local.port(),
            peer_port: ends.peer.port(),
        })
    }

    pub(super) fn ends(self) -> Option<Ends> {
        let end = |address, port| SocketAddr::new(Ipv6Addr::from(address).to_canonical(), port);
        self.is_known().then(|| Ends {
            local: end(self.local, self.local_port),
            peer: end(self.peer, self.peer_port),
        })
    }

    pub(super) const fn is_complete(self) -> bool {
        self.local_port != 0 && self.peer_port != 0
    }

    pub(super) const fn is_known(self) -> bool {
        self.local_port != 0 || self.peer_port != 0
    }

    /// Takes what an event tells, unless more is known already.
    pub(super) fn learn(&mut self, told: Self) {
        if told.is_known() && (told.is_complete() || !self.is_complete()) {
            *self = told;
        }
    }

    /// Whether these are the ends of two connections.
    pub(super) fn differ(self, other: Self) -> bool {
        self.is_complete() && other.is_complete() && self != other
    }

    /// Whether these are two peers.
    pub(super) fn differ_in_peer(self, other: Self) -> bool {
        let same = (self.peer, self.peer_port) == (other.peer, other.peer_port);
        self.is_known() && other.is_known() && !same
    }
}

fn mapped(end: SocketAddr) -> [u8; 16] {
    match end {
        SocketAddr::V4(end) => end.ip().to_ipv6_mapped().octets(),
        SocketAddr::V6(end) => end.ip().octets(),
    }
}

/// A number that may not be there. No time and no pointer is as large as the one that says so.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Maybe(u64);

impl Maybe {
    const NONE: Self = Self(u64::MAX);

    fn of(number: Option<u64>) -> Self {
        number.map_or(Self::NONE, Self)
    }

    fn get(self) -> Option<u64> {
        (self != Self::NONE).then_some(self.0)
    }
}

macro_rules! maybe {
    ($(#[$meta:meta])* $name:ident of $whole:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(super) struct $name(Maybe);

        impl $name {
            pub(super) const NONE: Self = Self(Maybe::NONE);

            pub(super) fn get(self) -> Option<$whole> {
                self.0.get().map($whole)
            }
        }

        impl From<Option<$whole>> for $name {
            fn from(whole: Option<$whole>) -> Self {
                Self(Maybe::of(whole.map(|it| it.0)))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.get().fmt(formatter)
            }
        }
    };
}

maybe! {
    /// A time that may not be known.
    MaybeAt of Timestamp
}

maybe! {
    /// A socket or minisock that may not be there.
    MaybeSock of SockId
}

/// What the probes can see, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SightBits(u8);

impl SightBits {
    pub(super) const fn of(sight: Sight) -> Self {
        let Sight {
            close,
            minisocks,
            segment_of_reset,
            teardown,
            replies_beyond_sockets,
            replies,
            resets_sent,
            reset_reasons,
        } = sight;
        Self(
            close as u8
                | (minisocks as u8) << 1
                | (segment_of_reset as u8) << 2
                | (teardown as u8) << 3
                | (replies_beyond_sockets as u8) << 4
                | (replies as u8) << 5
                | (resets_sent as u8) << 6
                | (reset_reasons as u8) << 7,
        )
    }

    pub(super) const fn get(self) -> Sight {
        Sight {
            close: self.has(0),
            minisocks: self.has(1),
            segment_of_reset: self.has(2),
            teardown: self.has(3),
            replies_beyond_sockets: self.has(4),
            replies: self.has(5),
            resets_sent: self.has(6),
            reset_reasons: self.has(7),
        }
    }

    const fn has(self, bit: u32) -> bool {
        self.0 & (1 << bit) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Compact, MaybeAt, SightBits};
    use crate::event::{Ends, Timestamp};

    fn ends(local: &str, peer: &str) -> Ends {
        Ends {
            local: local.parse().unwrap(),
            peer: peer.parse().unwrap(),
        }
    }

    #[test]
    fn ends_come_back_as_they_were() {
        for ends in [
            ends("127.0.0.1:40000", "127.0.0.2:80"),
            ends("[2001:db8::1]:443", "[2001:db8::2]:50000"),
            ends("0.0.0.0:0", "10.0.0.1:443"),
        ] {
            assert_eq!(Compact::of(Some(ends)).ends(), Some(ends));
        }
        assert_eq!(Compact::of(None).ends(), None);
    }

    #[test]
    fn what_can_be_seen_comes_back_as_it_was() {
        for bits in 0..=u8::MAX {
            let bits = SightBits(bits);
            assert_eq!(SightBits::of(bits.get()), bits);
        }
        let sight = SightBits(1 << 3).get();
        assert!(sight.teardown && !sight.close && !sight.reset_reasons);
    }

    #[test]
    fn a_time_may_be_missing() {
        for at in [None, Some(Timestamp(0)), Some(Timestamp(u64::MAX - 1))] {
            assert_eq!(MaybeAt::from(at).get(), at);
        }
    }
}
