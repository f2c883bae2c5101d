//! The endpoint with TLS, client certificates and a password, under a real
//! Prometheus and promtool.
//! It passes if promtool takes the README's example, Prometheus scrapes an agent
//! that serves by it, before and after its certificate is rotated, nobody else is
//! answered but health checks, and promtool takes whatever the agent takes.

mod authority;
mod cases;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;

use super::background::Background;
use super::prometheus::{ask, free_port, start_prometheus};
use crate::{artifacts, command, place};
use authority::Authority;

/// The user of the README's example and the password that its hash is of.
const USER: &str = "prometheus:change-me";

/// Every path that somebody could ask for.
const PATHS: [&str; 10] = [
    "/",
    "/page/page.js",
    "/api/v1/endings",
    "/api/v1/ports",
    "/metrics",
    "/status",
    "/api/v1/findings",
    "/api/v1/connections",
    "/api/v1/time-wait",
    "/nothing",
];

/// `cargo xtask accept web`.
pub(crate) fn main() -> Result<()> {
    let folder = super::folder("web")?;
    let agent = artifacts::agent()?;
    let authority = Authority::write(&folder, "ca")?;
    authority.sign("localhost", &folder, "agent")?;
    authority.sign("prometheus", &folder, "scraper")?;
    let example = folder.join("web.yml");
    fs::write(&example, readme_example()?)?;
    cases::promtool_takes(&example)?;
    println!("promtool check web-config takes the README's example");
    let judged = cases::judge(&agent, &folder)?;
    println!("promtool takes all that the agent takes, of {judged} files");

    let target = format!("localhost:{}", free_port()?);
    let mut agent = Background::start(
        "agent",
        Command::new(agent)
            .args(["run", "--web.listen-address", &target, "--web.config.file"])
            .arg(&example),
        &folder,
    )?;
    agent.wait_until("answered /-/ready", Duration::from_secs(20), || {
        status(&folder, &target, "/-/ready", &[]).is_ok_and(|it| it == 200)
    })?;
    check_paths(&folder, &target)?;
    let server = format!("127.0.0.1:{}", free_port()?);
    let mut prometheus = start_prometheus(&folder, &server, &target, &secured()?)?;
    prometheus.wait_until("scraped the agent", Duration::from_secs(30), || {
        ask(&server, "up").is_ok_and(|up| up >= 1.0)
    })?;
    rotate(&authority, &folder, (&server, &target))?;
    let ended = agent.stop(Signal::SIGTERM, Duration::from_secs(1))?;
    ensure!(
        ended.success(),
        "after SIGTERM the agent ended with {ended}"
    );
    prometheus.stop(Signal::SIGTERM, Duration::from_secs(20))?;
    println!("accepted");
    Ok(())
}

/// The first YAML after the README's mark.
fn readme_example() -> Result<String> {
    let readme = fs::read_to_string(place::repository().join("README.md"))?;
    let (_, after) = readme
        .split_once("<!-- web configuration -->")
        .context("the README has no mark `web configuration`")?;
    let (_, block) = after.split_once("```yaml\n").context("no YAML after it")?;
    let (example, _) = block.split_once("```").context("the YAML has no end")?;
    Ok(example.to_owned())
}

/// With the password every path is found, without it none but the health checks.
fn check_paths(folder: &Path, target: &str) -> Result<()> {
    for path in PATHS {
        let without = status(folder, target, path, &[])?;
        ensure!(without == 401, "{path} without credentials: {without}");
        let wrong = status(folder, target, path, &["--user", "prometheus:guess"])?;
        ensure!(wrong == 401, "{path} with a wrong password: {wrong}");
        let with = status(folder, target, path, &["--user", USER])?;
        let expected = if path == "/nothing" { 404 } else { 200 };
        ensure!(with == expected, "{path} with credentials: {with}");
    }
    let healthy = status(folder, target, "/-/healthy", &[])?;
    ensure!(healthy == 200, "/-/healthy without credentials: {healthy}");
    let url = format!("http://{target}/metrics");
    let plain = command::output(Command::new("curl").args(["-s", "--max-time", "5", &url]))?;
    ensure!(plain.contains("HTTPS"), "plain HTTP is answered {plain:?}");
    println!(
        "{} paths are closed without credentials, and plain HTTP is told so",
        PATHS.len()
    );
    Ok(())
}

/// The status of a path, asked for with the scraper's certificate.
fn status(folder: &Path, target: &str, path: &str, more: &[&str]) -> Result<u16> {
    let mut curl = Command::new("curl");
    curl.args([
        "-s",
        "--max-time",
        "5",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
    ]);
    for (flag, file) in [
        ("--cacert", "ca.pem"),
        ("--cert", "scraper.pem"),
        ("--key", "scraper.key"),
    ] {
        curl.arg(flag).arg(folder.join(file));
    }
    let text = command::output(curl.args(more).arg(format!("https://{target}{path}")))?;
    text.parse()
        .with_context(|| format!("curl answered {text:?}"))
}

/// How the README lets Prometheus scrape with TLS and a password.
fn secured() -> Result<String> {
    let (user, password) = USER.split_once(':').context("no password")?;
    Ok(format!(
        "    scheme: https\n    \
         basic_auth: {{username: {user}, password: {password}}}\n    \
         tls_config: {{ca_file: ca.pem, cert_file: scraper.pem, key_file: scraper.key}}\n"
    ))
}

/// A certificate of another authority, so that only who is told of it can go on.
fn rotate(authority: &Authority, folder: &Path, (server, target): (&str, &str)) -> Result<()> {
    let other = folder.join("other");
    fs::create_dir_all(&other)?;
    let rotated = Authority::write(&other, "ca")?;
    rotated.sign("localhost", folder, "agent")?;
    let shown = |ca: &Path| {
        let mut curl = Command::new("curl");
        curl.args(["-s", "--max-time", "5", "-o", "/dev/null", "--cacert"])
            .arg(ca);
        curl.arg("--cert").arg(folder.join("scraper.pem"));
        curl.arg("--key").arg(folder.join("scraper.key"));
        curl.arg(format!("https://{target}/-/healthy"));
        curl.status().is_ok_and(|status| status.success())
    };
    ensure!(
        shown(&other.join("ca.pem")),
        "the rotated certificate is not served"
    );
    ensure!(
        !shown(&folder.join("ca.pem")),
        "the old certificate is still served"
    );
    authority.sign("localhost", folder, "agent")?;
    thread::sleep(Duration::from_secs(3));
    let up = ask(server, "up")?;
    if up < 1.0 {
        bail!("after the certificate was rotated Prometheus says that the agent is down");
    }
    println!("a rotated certificate is served at once, and Prometheus goes on");
    Ok(())
}
