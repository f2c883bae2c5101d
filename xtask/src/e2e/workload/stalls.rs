//! Closes that hang and resets, made again before their findings are over.

use std::time::Duration;

use anyhow::Result;

use super::Until;
use crate::scenario::net::Net;
use crate::stalled::{self, Stalled};

/// What is counted over a minute is made once in less.
const SOON: Duration = Duration::from_secs(40);
/// The kernel gives up a shut window after some more.
const LATER: Duration = Duration::from_secs(90);
const MOST_ROUNDS: usize = 200;

pub(super) fn half_closed(net: &Net, until: &Until) -> Result<()> {
    again(net, until, stalled::half_closed, LATER)
}

pub(super) fn window_shut(net: &Net, until: &Until) -> Result<()> {
    again(net, until, stalled::window_shut, SOON)
}

pub(super) fn race(net: &Net, until: &Until) -> Result<()> {
    again(net, until, stalled::race, SOON)
}

pub(super) fn storm(net: &Net, until: &Until) -> Result<()> {
    again(net, until, stalled::storm, SOON)
}

pub(super) fn listener_closed(net: &Net, until: &Until) -> Result<()> {
    again(net, until, stalled::listener_closed, SOON)
}

fn again(
    net: &Net,
    until: &Until,
    make: fn(&Net) -> Result<Stalled>,
    pause: Duration,
) -> Result<()> {
    for _ in 0..MOST_ROUNDS {
        let made = make(net)?;
        let goes_on = until.goes_on(pause);
        made.end()?;
        if !goes_on {
            break;
        }
    }
    Ok(())
}
