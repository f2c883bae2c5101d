//! nginx as a proxy that keeps its connections to an upstream.
//!
//! Takes a folder and the upstream; gives a master and its one worker, with a configuration,
//! a folder and a port of their own. Never touches an nginx of the host.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::program::Program;
use crate::scenario::clock::{CEILING, wait_for};

const PORT: u16 = 8080;

/// A running proxy.
#[derive(Debug)]
pub struct Nginx {
    master: Program,
    /// The process id of its worker.
    pub worker: u32,
    /// Where it listens.
    pub at: SocketAddr,
}

impl Nginx {
    /// Starts it.
    pub fn proxy(folder: &Path, upstream: SocketAddr) -> Result<Self> {
        let here = folder.display();
        let configuration = folder.join("nginx.conf");
        fs::write(
            &configuration,
            format!(
                "daemon off; user root; worker_processes 1; pid {here}/pid; error_log stderr;\n\
                 events {{ worker_connections 256; }}\n\
                 http {{ access_log off; client_body_temp_path {here}; proxy_temp_path {here};\n\
                 fastcgi_temp_path {here}; uwsgi_temp_path {here}; scgi_temp_path {here};\n\
                 upstream behind {{ server {upstream}; keepalive 8; }}\n\
                 server {{ listen 127.0.0.1:{PORT}; location / {{ proxy_pass http://behind;\n\
                 proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n"
            ),
        )?;
        let mut command = Command::new(super::find("nginx")?);
        // It opens the default log before it has read which one to use.
        command.args(["-e", "stderr"]).arg("-p").arg(folder);
        let master = Program::start(command.arg("-c").arg(&configuration))?;
        let worker = wait_for("the worker of nginx", CEILING, || child_of(master.pid()))?;
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        Ok(Self { master, worker, at })
    }

    /// Sends the worker a signal.
    pub fn signal_worker(&self, signal: Signal) -> Result<()> {
        let worker = Pid::from_raw(i32::try_from(self.worker)?);
        kill(worker, signal).with_context(|| format!("cannot send {signal} to a worker"))
    }
}

impl Drop for Nginx {
    /// A master that is killed outright leaves its worker behind.
    fn drop(&mut self) {
        drop(self.signal_worker(Signal::SIGCONT));
        if self.master.end(Signal::SIGTERM).is_err() {
            drop(self.signal_worker(Signal::SIGKILL));
        }
    }
}

/// A process that this one made and that is its only one.
fn child_of(parent: u32) -> Result<Option<u32>> {
    let wanted = format!("PPid:\t{parent}");
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Whatever cannot be read has ended.
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        if status.lines().any(|line| line == wanted) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}
