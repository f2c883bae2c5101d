//! Linux errno values that tell endings apart: the same on every architecture that the agent
//! runs on (`include/uapi/asm-generic/errno.h`).

/// The peer reset a connection that had its FIN.
pub const EPIPE: u16 = 32;
/// An administrator destroyed the connection.
pub const ECONNABORTED: u16 = 103;
/// The peer reset the connection.
pub const ECONNRESET: u16 = 104;
/// A timer gave up.
pub const ETIMEDOUT: u16 = 110;
/// The peer refused the connection.
pub const ECONNREFUSED: u16 = 111;
