//! Whether the error of a socket is what closed it.
//!
//! Takes the facts of one connection; gives an errno or 0. `sk_err` keeps what nobody asked
//! for: a record that kTLS could not decrypt, an ICMP error that `IP_RECVERR` asked for, or,
//! until the SYN, what ended an earlier connection of the same socket.

use crate::event::{Release, State, errno};

use super::{Closed, Exit};

impl Closed {
    /// The errno that closed the socket; 0 if none did.
    pub fn fatal_error(&self) -> u16 {
        let Some(exit) = &self.exit else { return 0 };
        let error = exit.socket.error;
        let fresh = self.error_before != Some(error) || exit.connect_began();
        let fatal = match error {
            errno::ECONNRESET | errno::ECONNABORTED => fresh,
            errno::EPIPE => fresh && exit.from == State::CloseWait,
            errno::ETIMEDOUT => self.may_time_out(exit, fresh),
            // A timer gives up with what ICMP said last, and is disarmed by then.
            error if error == exit.socket.soft_error && !exit.socket.write_timer => {
                self.may_time_out(exit, fresh)
            }
            // An ICMP error closes only what is not established yet (`tcp_v4_err`).
            _ => fresh && matches!(exit.from, State::SynSent | State::SynRecv),
        };
        if fatal { error } else { 0 }
    }

    /// A timer can set the same error again, but not once the FINs are exchanged, and not
    /// inside a call that closes.
    fn may_time_out(&self, exit: &Exit, fresh: bool) -> bool {
        let called = exit.socket.release == Release::Yes || self.teardown().disconnected.is_some();
        !exit.is_after_fins() && (fresh || !called || exit.socket.dead)
    }
}

impl Exit {
    /// close() itself throws away a socket in FIN_WAIT2: no minisock takes over before the
    /// socket is an orphan, or without the peer's FIN.
    pub(super) fn is_inside_close(&self) -> bool {
        self.socket.release == Release::Yes && !self.socket.dead && !self.socket.done
    }

    /// A connect came as far as its SYN, and with that cleared `sk_err`: `tcp_connect_init`
    /// does, and makes `snd_nxt` what `write_seq` is. A connect that fails before leaves both
    /// as an earlier connection of the socket left them, and `tcp_disconnect` has moved
    /// `write_seq` on from there (5.10 to 7.2).
    pub fn connect_began(&self) -> bool {
        let numbers = self.socket.sequences;
        self.from == State::SynSent
            && numbers.write_seq != 0
            && numbers.snd_nxt == numbers.write_seq
    }

    /// The peer has acknowledged our FIN and sent its own, or a minisock waits for it.
    pub(super) fn is_after_fins(&self) -> bool {
        let numbers = self.socket.sequences;
        match self.from {
            State::LastAck | State::Closing => numbers.snd_una == numbers.write_seq,
            State::FinWait2 => self.socket.done || self.socket.dead,
            State::Established
            | State::SynSent
            | State::SynRecv
            | State::FinWait1
            | State::TimeWait
            | State::Close
            | State::CloseWait
            | State::Listen
            | State::NewSynRecv => false,
        }
    }
}
