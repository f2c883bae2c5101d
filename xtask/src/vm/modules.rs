//! Kernel modules for a guest.
//! Takes names and a kernel's `modules.dep`, gives the files in the order in
//! which they can be loaded. A name that is built in, or that this kernel does
//! not have, gives nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the kernel tests may use: `sock_diag`, links between namespaces, a lossy
/// link, filters that drop or reject.
pub(crate) const WANTED: &[&str] = &[
    "tcp_diag",
    "inet_diag",
    "veth",
    "dummy",
    "sch_netem",
    "ctr",
    "ghash-generic",
    "gcm",
    "tls",
    "mptcp_diag",
    "nf_tables",
    "nft_ct",
    "nft_reject",
    "nft_reject_inet",
    "nft_counter",
    "nft_compat",
    "x_tables",
    "ip_tables",
    "iptable_filter",
    "ip6_tables",
    "ip6table_filter",
    "ipt_REJECT",
    "ip6t_REJECT",
    "xt_tcpudp",
];

/// Each module after those it depends on, none twice.
pub(crate) fn in_load_order(dependencies: &str, wanted: &[&str]) -> Vec<PathBuf> {
    let mut by_name: BTreeMap<&str, (&str, Vec<&str>)> = BTreeMap::new();
    for line in dependencies.lines() {
        if let Some((file, needs)) = line.split_once(':') {
            by_name.insert(name(file), (file, needs.split_whitespace().collect()));
        }
    }
    let mut order: Vec<PathBuf> = Vec::new();
    for (file, needs) in wanted.iter().filter_map(|module| by_name.get(module)) {
        // depmod lists what is needed most deeply last.
        for file in needs.iter().rev().chain([file]) {
            let file = PathBuf::from(file);
            if !order.contains(&file) {
                order.push(file);
            }
        }
    }
    order
}

/// `veth` of `kernel/drivers/net/veth.ko.xz`.
fn name(file: &str) -> &str {
    let file = file.rsplit('/').next().unwrap_or(file);
    file.split('.').next().unwrap_or(file)
}

/// The name under which a module is packed: without what compressed it.
pub(crate) fn packed_name(file: &Path) -> String {
    let text = file.to_string_lossy();
    format!("{}.ko", name(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = "\
kernel/net/ipv4/tcp_diag.ko.xz: kernel/net/ipv4/inet_diag.ko.xz
kernel/net/ipv4/inet_diag.ko.xz:
kernel/net/netfilter/nft_ct.ko: kernel/net/netfilter/nf_tables.ko kernel/lib/libcrc32c.ko
kernel/net/netfilter/nf_tables.ko: kernel/lib/libcrc32c.ko
kernel/lib/libcrc32c.ko:
";

    #[test]
    fn a_module_comes_after_what_it_needs_and_none_twice() {
        let order = in_load_order(
            DEPENDENCIES,
            &["tcp_diag", "inet_diag", "nft_ct", "missing"],
        );
        let names: Vec<String> = order.iter().map(|file| packed_name(file)).collect();
        assert_eq!(
            names,
            [
                "inet_diag.ko",
                "tcp_diag.ko",
                "libcrc32c.ko",
                "nf_tables.ko",
                "nft_ct.ko"
            ]
        );
    }
}
