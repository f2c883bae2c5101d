//! Scenario lines to events.

use std::num::NonZeroU32;
use std::time::Duration;

use observer::event::{
    Body, Ends, Event, Release, ReplyTarget, Sequences, SockId, Socket, State, Timestamp, TwStatus,
};
use observer::track::Sight;

use super::values::Values;

/// What a line asks for.
pub(super) enum Line {
    Event(Box<Event>),
    Timeout(Timestamp),
    Loss(Timestamp),
}

/// `fentry` or `tracepoint`, then `without` and what an older kernel does not show.
pub(super) fn sight(text: &str) -> Result<Sight, String> {
    let mut words = text.split_whitespace();
    let full = match words.next() {
        Some("fentry") => true,
        Some("tracepoint") => false,
        other => return Err(format!("unknown backend {other:?}")),
    };
    let mut sight = Sight {
        close: full,
        minisocks: full,
        segment_of_reset: full,
        teardown: full,
        replies_beyond_sockets: true,
        replies: true,
        resets_sent: true,
        reset_reasons: true,
    };
    for word in words {
        match word {
            "without" => {}
            "segment" => sight.segment_of_reset = false,
            "beyond" => sight.replies_beyond_sockets = false,
            "reasons" => sight.reset_reasons = false,
            "replies" => sight.replies = false,
            "close" => sight.close = false,
            "minisocks" => sight.minisocks = false,
            other => return Err(format!("unknown part of sight {other:?}")),
        }
    }
    Ok(sight)
}

pub(super) fn line(text: &str) -> Result<Line, String> {
    let mut words = text.split_whitespace();
    let at = time(words.next().unwrap_or_default())?;
    let second = words.next().ok_or("a time alone")?;
    match second {
        "timeout" => return Ok(Line::Timeout(at)),
        "loss" => return Ok(Line::Loss(at)),
        _ => {}
    }
    let sock = sock(second)?;
    let kind = words.next().ok_or("an event without a kind")?;
    let mut values = Values::new(words);
    let body = body(kind, second, &mut values)?;
    values.none_left()?;
    Ok(Line::Event(Box::new(Event {
        at,
        cpu: 0,
        sock,
        body,
        stack: None,
    })))
}

fn body(kind: &str, name: &str, values: &mut Values<'_>) -> Result<Body, String> {
    Ok(match kind {
        "state" => state_changed(name, values)?,
        "close_called" => Body::CloseCalled {
            task: values.task()?,
            timeout: values.number("timeout", 0)?,
        },
        "reset_sent" => Body::ResetSent {
            reason: values.reason()?,
            state: Some(values.state("state")?),
        },
        "reset_replied" => reset_replied(name, values)?,
        "reset_received" => Body::ResetReceived {
            segment_is_reset: values.segment()?,
            state: Some(values.state("state")?),
        },
        "disconnected" => Body::Disconnected {
            task: values.task()?,
            state: Some(values.state("state")?),
            has_socket: !values.flag("nosocket"),
        },
        "aborted" => Body::Aborted {
            task: values.task()?,
            state: Some(values.state("state")?),
        },
        "forgotten" => Body::Forgotten {
            task: values.task()?,
        },
        "minisock_started" | "minisock_answered" | "minisock_ended" => minisock(kind, values)?,
        "destroyed" => Body::Destroyed,
        "accepted" => Body::Accepted {
            task: values.task()?,
        },
        other => return Err(format!("unknown kind {other:?}")),
    })
}

fn reset_replied(name: &str, values: &mut Values<'_>) -> Result<Body, String> {
    let (ends, netns) = (Some(ends(name)), 1);
    let target = match values.take("to").unwrap_or_default() {
        "nobody" => ReplyTarget::Nobody,
        "handshake" => ReplyTarget::Handshake { netns },
        "minisock" => ReplyTarget::Minisock { ends, netns },
        state => ReplyTarget::Socket {
            state: self::state(state)?,
            ends,
            netns,
        },
    };
    Ok(Body::ResetReplied {
        reason: values.reason()?,
        target,
    })
}

fn minisock(kind: &str, values: &mut Values<'_>) -> Result<Body, String> {
    Ok(match kind {
        "minisock_started" => Body::MinisockStarted {
            minisock: sock(values.take("minisock").ok_or("no minisock=")?)?,
            substate: values.substate()?,
        },
        "minisock_answered" => Body::MinisockAnswered {
            answer: match values.take("answer") {
                Some("success") => Some(TwStatus::Success),
                Some("reset") => Some(TwStatus::Reset),
                Some("ack") => Some(TwStatus::Ack),
                Some("syn") => Some(TwStatus::Syn),
                _ => None,
            },
            substate: values.substate()?,
            segment_is_reset: values.segment()?,
        },
        _ => Body::MinisockEnded {
            substate: values.substate()?,
            expired: match values.take("expired") {
                Some("yes") => Some(true),
                Some("no") => Some(false),
                _ => None,
            },
            netns: 1,
            task: values.task()?,
        },
    })
}

fn state_changed(name: &str, values: &mut Values<'_>) -> Result<Body, String> {
    let change = values.first_word().ok_or("no change")?;
    let (old, new) = change.split_once('>').ok_or("no > in the change")?;
    let mut pair = ends(name);
    if values.flag("noport") {
        pair.local.set_port(0);
    }
    let received = values.number("received", 0)?;
    let (sent, acked, written) = (
        values.number("sent", 0)?,
        values.number("acked", 0)?,
        values.number("written", 0)?,
    );
    Ok(Body::StateChanged {
        old: state(old)?,
        new: state(new)?,
        task: values.task()?,
        ends: Some(pair),
        netns: 1,
        cgroup: None,
        cookie: None,
        socket: Socket {
            sequences: Sequences {
                rcv_nxt: received,
                copied_seq: values.number("read", received)?,
                snd_nxt: sent,
                snd_una: acked,
                write_seq: written,
                snd_wnd: values.number("window", 65535)?,
            },
            error: values.number("error", 0)?,
            soft_error: values.number("soft_error", 0)?,
            receive_shut: values.flag("rcv_shut"),
            send_shut: values.flag("send_shut"),
            dead: values.flag("dead"),
            done: values.flag("done"),
            keepalive: values.flag("keepalive"),
            linger: values.optional("linger")?,
            linger2: values.number("linger2", 0)?,
            user_timeout: values
                .optional("user_timeout")?
                .and_then(|seconds: u32| NonZeroU32::new(seconds * 1000)),
            repair: values.flag("repair"),
            subflow: values.flag("subflow"),
            hashed: match (values.flag("hashed"), values.flag("unhashed")) {
                (false, false) => None,
                (hashed, _) => Some(hashed),
            },
            write_timer: values.flag("timer"),
            retransmits: values.number("retransmits", 0)?,
            probes: values.number("probes", 0)?,
            has_socket: !values.flag("nosocket"),
            release: match values.take("release") {
                Some("yes") => Release::Yes,
                Some("unknown") => Release::Unknown,
                _ => Release::No,
            },
        },
    })
}

fn time(text: &str) -> Result<Timestamp, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_parse| format!("{text:?} is no time"))?;
    let nanos = Duration::from_secs_f64(seconds).as_nanos();
    Ok(Timestamp(
        u64::try_from(nanos).map_err(|_parse| "a time too late")?,
    ))
}

/// Sockets are `s1`, `s2`…, minisocks `m1`, `m2`…; `-` is none.
fn sock(name: &str) -> Result<SockId, String> {
    if name == "-" {
        return Ok(SockId(0));
    }
    let number: u64 = name
        .get(1..)
        .and_then(|digits| digits.parse().ok())
        .ok_or("a socket has no number")?;
    match name.as_bytes().first() {
        Some(b's') => Ok(SockId(number)),
        Some(b'm') => Ok(SockId(1_000_000 + number)),
        _ => Err(format!("{name:?} is no socket")),
    }
}

/// A socket and the minisock of the same number have the same ends.
fn ends(name: &str) -> Ends {
    let number: u16 = name
        .get(1..)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    Ends {
        local: ([10, 0, 0, 1], 40_000 + number).into(),
        peer: ([10, 0, 0, 2], 80).into(),
    }
}

pub(super) fn state(name: &str) -> Result<State, String> {
    let upper = name.to_ascii_uppercase();
    (1..=12)
        .filter_map(State::from_number)
        .find(|state| state.name() == upper)
        .ok_or_else(|| format!("{name:?} is no state"))
}
