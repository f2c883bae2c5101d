//! What the agent says, and where.
//!
//! Takes verdicts and counts; gives Prometheus metrics ([`prometheus`]), JSON ([`json`]) and
//! text ([`text`]) lines, and what an ending means ([`explain`]). Never decides anything about
//! a connection.

pub mod names;

pub mod prometheus;

pub mod json;

pub mod text;

pub mod lines;

pub mod books;

pub mod status;

pub mod explain;

pub mod board;

pub mod connections;

pub mod endings;

pub mod findings;

pub mod leaks;

pub mod ports;

pub mod time_wait;

mod page;
pub mod paging;

mod stacks;

#[cfg(test)]
pub(crate) mod sample;

use crate::classify::Attributes;

/// The words for the attributes that hold.
fn attributes(attributes: Attributes) -> Vec<&'static str> {
    let Attributes {
        linger_expired,
        reset_sent,
        time_wait_overflow,
        minisock,
    } = attributes;
    [
        (linger_expired, "linger_expired"),
        (reset_sent, "reset_sent"),
        (time_wait_overflow, "time_wait_overflow"),
        (minisock, "minisock"),
    ]
    .into_iter()
    .filter_map(|(holds, word)| holds.then_some(word))
    .collect()
}
