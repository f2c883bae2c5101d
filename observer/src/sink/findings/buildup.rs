//! TIME_WAIT that builds up, as one JSON object and as one line.

use serde::Serialize;

use super::shared::{Count, counts};
use crate::detect::{Buildup, Maker, Service};
use crate::sink::leaks::service;
use crate::sink::page::printable;

#[derive(Debug, Serialize)]
pub(super) struct Room<'a> {
    id: &'a str,
    #[serde(flatten)]
    population: Population,
    remedy: &'static str,
}

/// The minisocks of one network namespace.
#[derive(Debug, Serialize)]
pub(in crate::sink) struct Population {
    netns: u32,
    /// `tcp_max_tw_buckets`.
    limit: u64,
    minisocks: u64,
    time_wait: Roles,
    fin_wait2: u64,
    /// The minisocks without what the kernel keeps of their ports beside.
    memory_bytes: Option<u64>,
    started_per_minute: Option<f64>,
    /// TIME_WAIT that the kernel left out in the last minutes.
    overflows: u64,
    /// The services that have most.
    services: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Roles {
    client: u64,
    server: u64,
}

#[derive(Debug, Serialize)]
struct Line {
    role: &'static str,
    local_port: Option<u16>,
    remote: Option<String>,
    time_wait: u64,
    started_per_minute: Option<f64>,
    closed_by: Vec<Count>,
}

impl<'a> Room<'a> {
    pub(super) fn new(id: &'a str, buildup: &'a Buildup) -> Self {
        Self {
            id,
            population: Population::new(buildup),
            remedy: buildup.remedy(),
        }
    }
}

impl Population {
    pub(in crate::sink) fn new(buildup: &Buildup) -> Self {
        Self {
            netns: buildup.netns,
            limit: buildup.limit,
            minisocks: buildup.minisocks,
            time_wait: Roles {
                client: buildup.of_clients,
                server: buildup.of_servers,
            },
            fin_wait2: buildup.fin_wait2(),
            memory_bytes: buildup.memory_bytes,
            started_per_minute: buildup.per_minute,
            overflows: buildup.overflows,
            services: buildup.makers.iter().map(Line::new).collect(),
        }
    }
}

impl Line {
    fn new(maker: &Maker) -> Self {
        let (role, local_port, remote) = match maker.service {
            Service::Local(port) => ("server", Some(port), None),
            Service::Remote(peer) => ("client", None, Some(peer.to_string())),
            Service::ManyRemotes => ("client", None, None),
        };
        Self {
            role,
            local_port,
            remote,
            time_wait: maker.time_wait,
            started_per_minute: maker.per_minute,
            closed_by: counts(&maker.closed_by),
        }
    }
}

/// One line that says what is the matter.
pub(super) fn title(buildup: &Buildup) -> String {
    let (minisocks, limit) = (buildup.minisocks, buildup.limit);
    let most = buildup.makers.first().map_or_else(String::new, |maker| {
        let by = names("closed by ", maker.closed_by.iter().map(|(name, _)| name));
        let by = if by.is_empty() { by } else { format!(", {by}") };
        format!("; {} {}{by}", maker.time_wait, service(maker.service))
    });
    let left_out = match buildup.overflows {
        0 => String::new(),
        overflows => format!("; {overflows} left out of late"),
    };
    format!("TIME_WAIT buildup: {minisocks} of at most {limit} sockets{most}{left_out}")
}

/// These names after a word; nothing if there are none.
pub(super) fn names<N: AsRef<str>>(word: &str, names: impl IntoIterator<Item = N>) -> String {
    let names: Vec<String> = names
        .into_iter()
        .map(|name| printable(name.as_ref()))
        .collect();
    if names.is_empty() {
        return String::new();
    }
    format!("{word}{}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Room, title};
    use crate::detect::{Buildup, Maker, Service};

    fn buildup() -> Buildup {
        let maker = |service, time_wait, names: &[&str]| Maker {
            service,
            time_wait,
            per_minute: Some(90.5),
            closed_by: names.iter().map(|name| ((*name).into(), 9)).collect(),
        };
        Buildup {
            netns: 4_026_531_833,
            limit: 100,
            minisocks: 95,
            of_clients: 30,
            of_servers: 60,
            memory_bytes: None,
            per_minute: Some(120.0),
            overflows: 3,
            makers: vec![
                maker(Service::Local(80), 60, &["nginx", "php\u{7}"]),
                maker(Service::Remote("192.0.2.7:443".parse().unwrap()), 30, &[]),
            ],
        }
    }

    #[test]
    fn one_line_says_how_many_where_and_by_whom() {
        let buildup = buildup();
        assert_eq!(
            title(&buildup),
            "TIME_WAIT buildup: 95 of at most 100 sockets; 60 to local port 80, closed by nginx, \
             php?; 3 left out of late"
        );
    }

    #[test]
    fn what_is_not_known_is_null_and_no_key_is_missing() {
        let buildup = buildup();
        let line = serde_json::to_value(Room::new("id", &buildup)).unwrap();
        assert_eq!(line["memory_bytes"], json!(null));
        assert_eq!(line["time_wait"], json!({"client": 30, "server": 60}));
        assert_eq!(line["fin_wait2"], json!(5));
        let remote = json!({
            "role": "client",
            "local_port": null,
            "remote": "192.0.2.7:443",
            "time_wait": 30,
            "started_per_minute": 90.5,
            "closed_by": [],
        });
        assert_eq!(line["services"][1], remote);
        let closed_by = &line["services"][0]["closed_by"];
        assert_eq!(closed_by[0], json!({"name": "nginx", "count": 9}));
    }
}
