//! A real Prometheus scrapes the agent once a second.
//! It passes if the target was up in every scrape, promtool has no word to say
//! about the metrics, and SIGTERM ends the agent within a second.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use serde::Deserialize;

use super::background::Background;
use crate::stopwatch::Stopwatch;
use crate::{artifacts, command};

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Args {
    /// How long Prometheus scrapes
    #[arg(long, default_value = "60", value_parser = clap::value_parser!(u64).range(5..=600))]
    seconds: u64,
}

/// `cargo xtask accept prometheus`.
pub(crate) fn main(args: Args) -> Result<()> {
    let folder = super::folder("prometheus")?;
    let agent = artifacts::agent()?;
    let target = format!("127.0.0.1:{}", free_port()?);
    let mut agent = Background::start(
        "agent",
        Command::new(agent).args(["run", "--web.listen-address", &target]),
        &folder,
    )?;
    let ready = format!("http://{target}/-/ready");
    agent.wait_until("served /-/ready", Duration::from_secs(10), || {
        fetch(&ready).is_ok()
    })?;

    let server = format!("127.0.0.1:{}", free_port()?);
    let mut prometheus = start_prometheus(&folder, &server, &target, "")?;
    // It looks for targets some seconds after it says that it is ready.
    prometheus.wait_until("scraped the agent", Duration::from_secs(30), || {
        ask(&server, "up").is_ok()
    })?;
    println!(
        "prometheus on {server} scrapes {target} for {} s",
        args.seconds
    );
    watch(&server, args.seconds)?;

    let metrics = fetch(&format!("http://{target}/metrics"))?;
    check_metrics(&metrics, &folder)?;
    println!(
        "promtool check metrics: silent on {} lines",
        metrics.lines().count()
    );
    let clock = Stopwatch::start();
    let status = agent.stop(Signal::SIGTERM, Duration::from_secs(1))?;
    if !status.success() {
        bail!("after SIGTERM the agent ended with {status}");
    }
    println!("SIGTERM ended the agent in {clock}");
    prometheus.stop(Signal::SIGTERM, Duration::from_secs(20))?;
    println!("accepted");
    Ok(())
}

/// A Prometheus at `server` that scrapes `target` each second; `how` are more lines of its job.
pub(super) fn start_prometheus(
    folder: &Path,
    server: &str,
    target: &str,
    how: &str,
) -> Result<Background> {
    let configuration = folder.join("prometheus.yml");
    fs::write(
        &configuration,
        format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: tcp-observer\n{how}    \
             static_configs:\n      - targets: [\"{target}\"]\n"
        ),
    )?;
    command::output(
        Command::new("promtool")
            .args(["check", "config"])
            .arg(&configuration),
    )?;
    let mut server_command = Command::new("prometheus");
    server_command
        .arg(format!("--config.file={}", configuration.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg(format!("--web.listen-address={server}"))
        .arg("--log.level=warn");
    Background::start("prometheus", &mut server_command, folder)
}

/// Lets the time pass, with a connection a second that ends, and then asks
/// Prometheus what it saw.
fn watch(server: &str, seconds: u64) -> Result<()> {
    for _ in 0..seconds {
        thread::sleep(Duration::from_secs(1));
        fetch(&format!("http://{server}/-/healthy"))?;
    }
    let range = format!("[{seconds}s]");
    let scrapes = ask(server, &format!("count_over_time(up{range})"))?;
    let worst = ask(server, &format!("min_over_time(up{range})"))?;
    let ended = ask(server, "sum(tcp_observer_connections_ended_total)")?;
    let samples = ask(server, "scrape_samples_scraped")?;
    let slowest = ask(
        server,
        &format!("max_over_time(scrape_duration_seconds{range})"),
    )?;
    println!(
        "scrapes {scrapes}, up in the worst of them {worst}, samples a scrape {samples}, slowest \
         scrape {slowest:.3} s, connections ended {ended}"
    );
    if worst < 1.0 {
        bail!("the target was down in at least one scrape");
    }
    // The first and the last second may be cut.
    let least = u32::try_from(seconds.saturating_sub(3)).map_or(f64::MAX, f64::from);
    if scrapes < least {
        bail!("Prometheus scraped {scrapes} times in {seconds} s");
    }
    if ended < least {
        bail!("{seconds} connections ended, and the metric shows {ended}");
    }
    Ok(())
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    value: (f64, String),
}

/// The one value of a query.
pub(super) fn ask(server: &str, query: &str) -> Result<f64> {
    let text = command::output(
        Command::new("curl")
            .args(["-sSf", "--max-time", "5", "--get", "--data-urlencode"])
            .arg(format!("query={query}"))
            .arg(format!("http://{server}/api/v1/query")),
    )?;
    value(&text).with_context(|| format!("Prometheus answered {query} with {text}"))
}

fn value(text: &str) -> Option<f64> {
    let answer: Answer = serde_json::from_str(text).ok()?;
    let [sample] = answer.data.result.as_slice() else {
        return None;
    };
    sample.value.1.parse().ok()
}

fn fetch(url: &str) -> Result<String> {
    command::output(Command::new("curl").args(["-sSf", "--max-time", "5", url]))
}

/// promtool exits with 0 on what it only warns of, so its silence counts.
fn check_metrics(metrics: &str, folder: &Path) -> Result<()> {
    let path = folder.join("metrics.txt");
    fs::write(&path, metrics)?;
    let output = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(fs::File::open(&path)?)
        .output()
        .context("could not start promtool")?;
    let said = [output.stdout, output.stderr].concat();
    if !output.status.success() || !said.is_empty() {
        bail!(
            "promtool check metrics says:\n{}",
            String::from_utf8_lossy(&said).trim()
        );
    }
    Ok(())
}

pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("could not bind a port")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_one_value_or_none() {
        let one = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1.5,"60"]}]}}"#;
        assert_eq!(value(one), Some(60.0));
        let none = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        assert_eq!(value(none), None);
    }
}
