//! More orphans than the host has room for.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{Stalled, Told, listener};
use crate::scenario::clock::wait_for;
use crate::scenario::forking::comm;
use crate::scenario::host::HostSetting;
use crate::scenario::net::{Net, State};
use crate::scenario::pair::{Pair, close, deafen, hear};

/// As many orphans as the host bears, and little room for more. Changes the whole host.
pub fn orphans(net: &Net) -> Result<Stalled> {
    // Ten of one service would be told of as such.
    const CROWD: usize = 8;
    const ROOM: usize = 4;
    let before = orphans_of_the_host()?;
    let (listener, at) = listener()?;
    let mut clients = Vec::new();
    for _ in 0..CROWD {
        let pair = Pair::through(&listener, at)?;
        deafen(&pair.client)?;
        close(pair.server);
        net.wait_state(pair.server_at, pair.client_at, State::FinWait1)?;
        clients.push(pair.client);
    }
    wait_for("the kernel's count", Duration::from_secs(10), || {
        Ok((orphans_of_the_host()? >= CROWD).then_some(()))
    })?;
    let most = before + CROWD + ROOM;
    let setting = HostSetting::set("tcp_max_orphans", &most.to_string())?;
    let facts = vec![
        ("/netns", Value::Null),
        ("/id", json!("orphan_pressure/host")),
        ("/tcp_max_orphans", json!(most)),
        ("/closed_by/0/name", json!(comm("thread-self")?)),
        ("/closed_by/0/count", json!(CROWD)),
        (
            "/services/0/name",
            json!(format!("to local port {}", at.port())),
        ),
        ("/services/0/count", json!(CROWD)),
    ];
    let told = Told {
        kind: "orphan_pressure",
        netns: None,
        facts,
        since: None,
    };
    Ok(Stalled::new(vec![told], move || {
        drop(setting);
        for client in &clients {
            hear(client)?;
        }
        drop((clients, listener));
        Ok(())
    }))
}

fn orphans_of_the_host() -> Result<usize> {
    let text = fs::read_to_string("/proc/thread-self/net/sockstat")?;
    let mut words = text.split_whitespace();
    if !words.any(|word| word == "orphan") {
        bail!("sockstat has no orphans");
    }
    Ok(words.next().context("no number")?.parse()?)
}
