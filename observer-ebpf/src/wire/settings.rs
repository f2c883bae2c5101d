//! Globals that the agent sets before it loads the probes.
//!
//! Takes nothing; gives [`MEMBERS`], where the running kernel keeps each member that the
//! probes read, and the names of the few other globals. Never a number of a particular
//! kernel: the agent finds them in the running kernel's BTF.

/// The value of an offset global whose member the running kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Name of the global that holds the mask of `tcp_sock.repair`, a bit field, within the
/// byte at [`TCP_REPAIR`](crate::for_each_member).
pub const REPAIR_MASK: &str = "TCP_REPAIR_MASK";

/// Name of the global that holds the number of `TCP_TW_SUCCESS` in `enum tcp_tw_status`.
pub const TW_SUCCESS: &str = "TW_SUCCESS";

/// Name of the global that is not 0 where a [`Stack`](crate::wire::Stack) is to follow the records
/// that can have one.
pub const STACKS: &str = "STACKS";

/// Name of the global that is not 0 where three programs are shown each event in turn, not two.
pub const IN_THREE: &str = "IN_THREE";

/// The most values of one sort of filter.
pub const MOST_FILTERED: usize = 16;

/// Cgroups from a socket's own to the outermost that a filter looks at.
pub const CGROUP_LEVELS: usize = 16;

/// Places for them in each global. The last holds nothing, so that the verifier sees every walk over
/// them end.
pub const FILTER_SLOTS: usize = MOST_FILTERED + 1;

/// Name of the global that is not 0 where any filter is set.
pub const FILTERS: &str = "FILTERS";

/// Name of the global that holds the ports of which one end must have one, as `u32`; 0 ends them.
pub const FILTER_PORTS: &str = "FILTER_PORTS";

/// Name of the global that holds the networks of which an address of either end must be in one:
/// each a version of IP (0 ends them), an address and a mask, as [`NETWORK_WORDS`] `u32`.
pub const FILTER_NETWORKS: &str = "FILTER_NETWORKS";

/// Name of the global that holds the network namespaces, as inode numbers (`u32`); 0 ends them.
pub const FILTER_NETNS: &str = "FILTER_NETNS";

/// Name of the global that holds the ids of cgroups (`u64`) in or below which a socket must have
/// been made; 0 ends them.
pub const FILTER_CGROUPS: &str = "FILTER_CGROUPS";

/// Name of the global that is not 0 where connections of this host with itself are left out.
pub const FILTER_LOOPBACK: &str = "FILTER_LOOPBACK";

/// Words of a network: the version, then the address and the mask in network order, as long as
/// those of IPv6. An IPv4 address is the last word of its four, as is one that is mapped into IPv6.
pub const NETWORK_WORDS: usize = 9;

/// Whether the probes make sense without a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The agent cannot run without it.
    Required,
    /// Some kernels lack it; the record then says so.
    Optional,
}

/// A global that holds the offset in bytes of a member, or [`ABSENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name of the global in the object.
    pub global: &'static str,
    /// The kernel's struct.
    pub of: &'static str,
    /// Path of the member in that struct, anonymous members left out.
    pub path: &'static str,
    /// Whether it must exist.
    pub need: Need,
}

/// Hands the table of all offset globals to the macro `$with`, one row each:
/// `GLOBAL: struct, path, need;`. The probes declare their statics from it, the agent
/// makes [`MEMBERS`] of it.
#[macro_export]
macro_rules! for_each_member {
    ($with:ident) => {
        $with! {
            SKC_FAMILY: "sock_common", "skc_family", Required;
            SKC_STATE: "sock_common", "skc_state", Required;
            SKC_RCV_SADDR: "sock_common", "skc_rcv_saddr", Required;
            SKC_DADDR: "sock_common", "skc_daddr", Required;
            SKC_DPORT: "sock_common", "skc_dport", Required;
            SKC_V6_RCV_SADDR: "sock_common", "skc_v6_rcv_saddr", Optional;
            SKC_V6_DADDR: "sock_common", "skc_v6_daddr", Optional;
            SKC_NET: "sock_common", "skc_net.net", Optional;
            SKC_NUM: "sock_common", "skc_num", Required;
            SKC_COOKIE: "sock_common", "skc_cookie", Required;
            SKC_FLAGS: "sock_common", "skc_flags", Required;
            SKC_HASH: "sock_common", "skc_hash", Required;
            SK_PROTOCOL: "sock", "sk_protocol", Required;
            SK_SHUTDOWN: "sock", "sk_shutdown", Required;
            SK_ERR: "sock", "sk_err", Required;
            SK_ERR_SOFT: "sock", "sk_err_soft", Required;
            SK_LINGERTIME: "sock", "sk_lingertime", Required;
            SK_SOCKET: "sock", "sk_socket", Required;
            SK_CGROUP: "sock", "sk_cgrp_data.cgroup", Optional;
            SK_HASHED: "sock", "__sk_common.skc_node.pprev", Optional;
            INET_SPORT: "inet_sock", "inet_sport", Required;
            ICSK_RETRANSMITS: "inet_connection_sock", "icsk_retransmits", Required;
            ICSK_PROBES_OUT: "inet_connection_sock", "icsk_probes_out", Required;
            ICSK_PENDING: "inet_connection_sock", "icsk_pending", Required;
            ICSK_USER_TIMEOUT: "inet_connection_sock", "icsk_user_timeout", Required;
            TCP_RCV_NXT: "tcp_sock", "rcv_nxt", Required;
            TCP_COPIED_SEQ: "tcp_sock", "copied_seq", Required;
            TCP_SND_NXT: "tcp_sock", "snd_nxt", Required;
            TCP_SND_UNA: "tcp_sock", "snd_una", Required;
            TCP_WRITE_SEQ: "tcp_sock", "write_seq", Required;
            TCP_SND_WND: "tcp_sock", "snd_wnd", Required;
            TCP_LINGER2: "tcp_sock", "linger2", Required;
            TCP_REPAIR: "tcp_sock", "repair", Optional;
            TCP_IS_MPTCP: "tcp_sock", "is_mptcp", Optional;
            TW_SUBSTATE: "inet_timewait_sock", "tw_substate", Required;
            TW_SPORT: "inet_timewait_sock", "tw_sport", Required;
            TW_EXPIRES: "inet_timewait_sock", "tw_timer.expires", Optional;
            SOCKET_FILE: "socket", "file", Required;
            FILE_COUNT: "file", "f_count", Optional;
            FILE_REF: "file", "f_ref", Optional;
            CGROUP_KN: "cgroup", "kn", Optional;
            CGROUP_SELF: "cgroup", "self", Optional;
            CSS_PARENT: "cgroup_subsys_state", "parent", Optional;
            KERNFS_ID: "kernfs_node", "id", Optional;
            NET_INUM: "net", "ns.inum", Optional;
            SKB_HEAD: "sk_buff", "head", Required;
            SKB_TRANSPORT_HEADER: "sk_buff", "transport_header", Required;
            TASK_FLAGS: "task_struct", "flags", Required;
        }
    };
}

macro_rules! members {
    ($($global:ident: $of:literal, $path:literal, $need:ident;)*) => {
        /// Every offset global.
        pub const MEMBERS: &[Member] = &[$(Member {
            global: stringify!($global),
            of: $of,
            path: $path,
            need: Need::$need,
        }),*];
    };
}

for_each_member!(members);
