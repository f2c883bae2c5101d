//! The web endpoints: `/metrics`, `/status`, `/-/healthy`, `/-/ready` and the status page.
//!
//! Takes listening sockets, a [`Site`] and [`Terms`]; gives HTTP/1.1 answers, encrypted and to
//! known users only if the terms say so, until told to stop. It runs on threads of its own and is
//! bounded in connections, headers and time, so that no client can hold up the event loop or the
//! end of the agent.

mod config;
mod gzip;
mod listen;
mod page;
mod refusal;
mod room;
mod secure;
mod server;
mod site;

pub use config::{Config, ConfigError};
pub use listen::{BindError, HandOverError, adopt, bind, handed_over};
pub use server::{Terms, serve};
pub use site::Site;

#[cfg(test)]
mod tests;
