//! Which connections to observe: what may be typed.

use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;

use crate::selection::{self, Selection, SelectionError};

/// Which connections to observe. The probes leave out the others inside the kernel.
#[derive(Clone, Debug, Default, Args)]
#[command(
    next_help_heading = "Filters, each up to 16 times; those of one sort are joined by or, the sorts by and"
)]
pub struct Filters {
    /// Observe only connections with this port at either end
    #[arg(
        id = "filter_ports",
        long = "filter.port",
        value_name = "PORT",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub ports: Vec<u16>,

    /// Observe only connections with an address in this network at either end, such as 10.0.0.0/8
    #[arg(
        id = "filter_networks",
        long = "filter.cidr",
        value_name = "NETWORK",
        value_delimiter = ',',
        value_parser = selection::network
    )]
    pub networks: Vec<IpNet>,

    /// Observe only connections of this network namespace: /run/netns/NAME, /proc/PID/ns/net (which
    /// takes CAP_SYS_ADMIN), or an inode number. One that is made anew is another
    #[arg(id = "filter_netns", long = "filter.netns", value_name = "PATH")]
    pub netns: Vec<PathBuf>,

    /// Observe only sockets made in this cgroup v2 or up to 15 levels below, as a directory under
    /// /sys/fs/cgroup. It must exist; one that is made anew, as systemd does when it starts a unit,
    /// is another
    #[arg(id = "filter_cgroups", long = "filter.cgroup", value_name = "PATH")]
    pub cgroups: Vec<PathBuf>,

    /// Leave out connections of this host with itself: those with a loopback address, and those from
    /// an address to the same
    #[arg(id = "no_loopback", long = "no-loopback")]
    pub no_loopback: bool,
}

impl Filters {
    /// The same, once the files that they name were looked at.
    pub fn selection(self) -> Result<Selection, SelectionError> {
        let netns = self.netns.iter().map(|it| selection::netns(it));
        let cgroups = self.cgroups.iter().map(|it| selection::cgroup(it));
        Selection {
            ports: self.ports,
            networks: self.networks,
            netns: netns.collect::<Result<_, _>>()?,
            cgroups: cgroups.collect::<Result<_, _>>()?,
            no_loopback: self.no_loopback,
        }
        .checked()
    }
}
