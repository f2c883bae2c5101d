//! A container that runc makes of a root file system with nothing in it but busybox.
//!
//! Takes the network namespace that it is to join, as the containers of a pod do; gives a
//! server in it that never closes, and a leak that it holds. Pids, mounts, host name and IPC
//! are its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::leaked::{Leaked, Service};
use crate::scenario::clock::{CEILING, now, wait_for};
use crate::scenario::forking::{output, spawn_alone};
use crate::scenario::net::{Net, State};
use crate::scenario::pair::leave;

/// Where the server in it listens.
const PORT: u16 = 7000;

/// A running container, removed when dropped.
#[derive(Debug)]
pub struct Container {
    folder: PathBuf,
    /// As every runtime above runc gives them: 64 hexadecimal digits.
    pub id: String,
}

impl Container {
    /// Whether runc is here and can be started.
    pub fn is_possible() -> bool {
        let version = output(Command::new("runc").arg("--version"));
        version.is_ok_and(|output| output.status.success())
    }

    /// Starts it in this network namespace. Each connection to it becomes the standard input and
    /// output of a process that sleeps.
    pub fn start(folder: &Path, net: &Net) -> Result<Self> {
        let (pid, inode) = (std::process::id(), net.inode);
        let container = Self {
            folder: folder.to_owned(),
            id: format!("{:064x}", u128::from(pid) << 64 | u128::from(inode)),
        };
        let programs = folder.join("rootfs/bin");
        fs::create_dir_all(&programs)?;
        let busybox = super::find("busybox")?;
        fs::copy(busybox, programs.join("busybox")).context("cannot copy busybox")?;
        for name in ["nc", "sleep"] {
            symlink("busybox", programs.join(name))?;
        }
        container.runc(&["spec", "--bundle", &folder.to_string_lossy()])?;
        container.configure(net)?;
        let bundle = folder.to_string_lossy();
        container.runc(&["run", "--detach", "--bundle", &bundle, &container.id])?;
        Ok(container)
    }

    /// Adapts what runc proposes.
    fn configure(&self, net: &Net) -> Result<()> {
        let file = self.folder.join("config.json");
        let mut spec: Value = serde_json::from_slice(&fs::read(&file)?)?;
        let port = PORT.to_string();
        let words = ["/bin/nc", "-ll", "-p", &port, "-e", "/bin/sleep", "600"];
        let mut put = |pointer: &str, value: Value| -> Result<()> {
            let place = spec.pointer_mut(pointer);
            *place.with_context(|| format!("runc proposes no {pointer}"))? = value;
            Ok(())
        };
        put("/process/args", json!(words))?;
        put("/process/terminal", json!(false))?;
        let namespaces = spec.pointer_mut("/linux/namespaces");
        let namespaces = namespaces.and_then(Value::as_array_mut);
        let namespaces = namespaces.context("runc proposes no namespaces")?;
        namespaces.retain(|it| it.get("type") != Some(&json!("network")));
        namespaces.push(json!({"type": "network", "path": net.path()}));
        fs::write(&file, spec.to_string()).context("cannot write config.json")
    }

    /// A client connects and closes; the server does not. The calling thread is in its network
    /// namespace.
    pub fn leak(&self, net: &Net) -> Result<Leaked> {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        let client = wait_for("the server in the container", CEILING, || {
            Ok(TcpStream::connect(at).ok())
        })?;
        let from = client.local_addr()?;
        let sleeper = wait_for("the process that holds it", CEILING, || {
            Ok(self.pids("sleep")?.first().copied())
        })?;
        let since = now();
        leave(client)?;
        net.wait_state(at, from, State::CloseWait)?;
        let mut leaked = Leaked::new(since, Service::Local(PORT));
        leaked.sockets.push((at, from));
        leaked.not_read_to_end = 1;
        leaked.holders.push((sleeper, sockets_of(sleeper)?));
        leaked.container = Some(self.id.clone());
        Ok(leaked)
    }

    /// The pids of its processes on this host, by name.
    fn pids(&self, comm: &str) -> Result<Vec<u32>> {
        let output = self.runc(&["ps", "--format", "json", &self.id])?;
        let pids: Vec<u32> = serde_json::from_slice(&output.stdout)?;
        let named = |pid: &u32| {
            let told = fs::read_to_string(format!("/proc/{pid}/comm"));
            told.is_ok_and(|told| told.trim_end() == comm)
        };
        Ok(pids.into_iter().filter(named).collect())
    }

    fn runc(&self, words: &[&str]) -> Result<Output> {
        let errors = self.folder.join("runc.err");
        let mut command = Command::new("runc");
        command
            .arg("--root")
            .arg(self.folder.join("state"))
            .args(words);
        // A detached container keeps what runc was given, so that no pipe may be among it.
        let is_run = words.first() == Some(&"run");
        let out = if is_run {
            Stdio::null()
        } else {
            Stdio::piped()
        };
        command.stdin(Stdio::null()).stdout(out);
        let (child, _alone) = spawn_alone(command.stderr(fs::File::create(&errors)?))?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!(
                "runc {} failed: {}",
                words.join(" "),
                fs::read_to_string(&errors)?.trim()
            );
        }
        Ok(output)
    }

    /// Ends it and everything in it.
    pub fn end(&self) -> Result<()> {
        self.runc(&["delete", "--force", &self.id]).map(drop)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // What has ended already cannot be ended again.
        drop(self.end());
    }
}

/// Its descriptors of sockets: it has one socket only.
fn sockets_of(pid: u32) -> Result<Vec<u32>> {
    let mut fds = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        if fs::read_link(entry.path())?
            .to_string_lossy()
            .starts_with("socket:")
        {
            let name = entry.file_name();
            fds.push(name.to_str().context("an odd name")?.parse()?);
        }
    }
    ensure!(!fds.is_empty(), "it holds no socket");
    Ok(fds)
}
