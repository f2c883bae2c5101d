//! nginx in a network namespace of its own, driven with wrk and curl.
//! It passes if the kernel's counters of that namespace and the sums of the
//! agent's records are equal, and if none of them is zero.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::Uid;

use super::background::Background;
use super::counters::{self, Counters, Records};
use crate::{artifacts, command};

/// Only in this run's own namespace.
const PORT: u16 = 8080;
const SHUT_PORT: u16 = 8081;
/// An address that the namespace routes to nowhere: a SYN to it is lost.
const SILENT: &str = "10.9.0.1";

/// `cargo xtask accept nginx`.
pub(crate) fn main() -> Result<()> {
    if !Uid::effective().is_root() {
        bail!("needs root for a network namespace and the probes; run it with sudo");
    }
    let folder = super::folder("nginx")?;
    let agent = artifacts::agent()?;
    let namespace = Namespace::create()?;
    let mut nginx = start_nginx(&namespace, &folder)?;
    let mut trace = Background::start(
        "trace",
        Command::new(agent).args([
            "trace",
            "--json",
            "--netns",
            &namespace.inode()?.to_string(),
        ]),
        &folder,
    )?;
    let errors = trace.errors.clone();
    trace.wait_until("attached its probes", Duration::from_secs(20), || {
        fs::read_to_string(&errors).is_ok_and(|text| text.contains('\n'))
    })?;

    let before = namespace.counters()?;
    load(&namespace)?;
    nginx.stop(Signal::SIGQUIT, Duration::from_secs(10))?;
    thread::sleep(Duration::from_secs(2));
    let after = namespace.counters()?;
    let status = trace.stop(Signal::SIGINT, Duration::from_secs(5))?;
    print!("{}", fs::read_to_string(&trace.errors)?);
    if !status.success() {
        bail!("after SIGINT the agent ended with {status}");
    }
    let records = Records::of_trace(&fs::read_to_string(&trace.output)?)?;
    judge(after.since(before), &records)
}

fn judge(kernel: Counters, records: &Records) -> Result<()> {
    for ((role, ending), count) in &records.endings {
        println!("{role:<8} {ending:<26}{count:>10}");
    }
    print!("{}", counters::table(&kernel, &records.counters));
    if kernel != records.counters {
        bail!("the agent's records differ from the kernel's counters");
    }
    if kernel.active_opens < 100 || kernel.estab_resets == 0 || kernel.attempt_fails == 0 {
        bail!("too little happened for the comparison to mean anything");
    }
    println!("accepted");
    Ok(())
}

fn start_nginx(namespace: &Namespace, folder: &Path) -> Result<Background> {
    let here = folder.display();
    fs::write(folder.join("page"), "hello\n")?;
    fs::write(folder.join("big"), vec![b'x'; 8 << 20])?;
    let configuration = folder.join("nginx.conf");
    fs::write(
        &configuration,
        format!(
            "daemon off; user root; worker_processes 2; pid {here}/pid; error_log stderr;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; client_body_temp_path {here}; proxy_temp_path {here};\n\
             fastcgi_temp_path {here}; uwsgi_temp_path {here}; scgi_temp_path {here};\n\
             server {{ listen 127.0.0.1:{PORT}; root {here}; }} }}\n"
        ),
    )?;
    let program = command::find("nginx").context("found no nginx")?;
    let mut serve = namespace.command(&program.to_string_lossy());
    serve.arg("-p").arg(folder).arg("-c").arg(&configuration);
    let mut nginx = Background::start("nginx", &mut serve, folder)?;
    let pid = folder.join("pid");
    nginx.wait_until("written its pid file", Duration::from_secs(10), || {
        pid.exists()
    })?;
    // The pid file comes after the socket listens, and before the workers run.
    thread::sleep(Duration::from_millis(200));
    Ok(nginx)
}

/// Endings of many kinds. Each command is bounded by its own options.
fn load(namespace: &Namespace) -> Result<()> {
    let page = format!("http://127.0.0.1:{PORT}/page");
    let big = format!("http://127.0.0.1:{PORT}/big");
    let shut = format!("http://127.0.0.1:{SHUT_PORT}/");
    let silent = format!("http://{SILENT}/");
    let run = |program: &str, words: &[&str]| {
        namespace
            .command(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("could not start {program} in the namespace"))
    };
    println!("wrk: 20 connections kept alive, then a connection per request");
    let wrk = ["-t1", "-c20", "-d3s", page.as_str()];
    let closing = [
        "-t1",
        "-c4",
        "-d2s",
        "-H",
        "Connection: close",
        page.as_str(),
    ];
    for words in [wrk.as_slice(), closing.as_slice()] {
        if !run("wrk", words)?.success() {
            bail!("wrk could not reach nginx in the namespace");
        }
    }
    println!("curl: whole pages, a download cut short, a shut port, a silent address");
    for _ in 0..20 {
        if !run("curl", &["-sf", "--max-time", "5", &page])?.success() {
            bail!("curl could not reach nginx in the namespace");
        }
    }
    for _ in 0..5 {
        run(
            "curl",
            &["-s", "--limit-rate", "200k", "--max-time", "0.5", &big],
        )?;
        run("curl", &["-s", "--max-time", "5", &shut])?;
    }
    run("curl", &["-s", "--connect-timeout", "0.5", &silent])?;
    // One SYN and one more: the kernel gives up after 3 s.
    run("curl", &["-s", "--connect-timeout", "20", &silent])?;
    Ok(())
}

/// A network namespace, removed when dropped.
struct Namespace(String);

impl Namespace {
    fn create() -> Result<Self> {
        let name = format!("tcp-observer-{}", process::id());
        command::output(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self(name);
        for words in [
            "ip link set lo up",
            "ip address add 10.8.0.1/32 dev lo",
            "ip route add 10.9.0.0/24 dev lo",
            "sysctl -qw net.ipv4.tcp_syn_retries=1",
        ] {
            let (program, words) = words.split_once(' ').unwrap_or((words, ""));
            command::output(namespace.command(program).args(words.split(' ')))?;
        }
        Ok(namespace)
    }

    /// A command that runs inside.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }

    fn inode(&self) -> Result<u64> {
        let path = format!("/run/netns/{}", self.0);
        let facts = fs::metadata(&path).with_context(|| format!("could not look at {path}"))?;
        Ok(facts.ino())
    }

    fn counters(&self) -> Result<Counters> {
        Counters::of_kernel(&command::output(self.command("cat").arg("/proc/net/snmp"))?)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let removed = command::output(Command::new("ip").args(["netns", "delete", &self.0]));
        if let Err(error) = removed {
            eprintln!("xtask: {error:#}");
        }
    }
}
