//! Pictures of the dashboards.
//! Takes a Prometheus that scrapes the agent and has loaded `rules.yaml`, or that of e2e; bundles
//! `xtask/screenshots` with Grafana's packages, draws each dashboard in a headless Chromium
//! and gives a PNG for each, with the panels that have nothing to show. Grafana itself takes
//! no part: its components do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result, bail};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::model::{self, File};
use crate::setup::{self, Part};
use crate::{artifacts, command, place};

/// As `app.tsx` draws: pixels across, for a row of the grid, and above the first.
const WIDTH: u32 = 1600;
const ROW: u32 = 38;
const HEAD: u32 = 64;
/// What a page may take: some fetches from this machine, and drawing.
const PATIENCE: &str = "120";
/// How `app.tsx` begins what it reports.
const REPORT: &str = "<pre id=\"report\"";

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Address of a Prometheus that scrapes the agent and has loaded dashboards/rules.yaml
    /// [default: that of `cargo xtask e2e`, which is run meanwhile]
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// How many minutes up to now are shown
    #[arg(long, default_value_t = 5)]
    minutes: u32,
    /// Seconds between two scrapes of that Prometheus
    #[arg(long, default_value_t = 1)]
    scrape_seconds: u32,
}

/// `cargo xtask dashboards screenshots`.
pub(super) fn main(args: &Args) -> Result<()> {
    setup::ensure(&[Part::Screenshots])?;
    let work = place::target().join("screenshots");
    bundle(&work)?;
    if let Some(address) = &args.prometheus {
        return draw_all(address, args, &work);
    }
    setup::ensure(&[Part::Probes, Part::Prometheus])?;
    let agent = artifacts::agent()?;
    let start = Timestamp::now();
    let score = xtask::e2e::run_while(&agent, &super::folder(), |address| {
        let wanted = SignedDuration::from_mins(i64::from(args.minutes));
        let left = wanted - Timestamp::now().duration_since(start);
        println!(
            "screenshots: {} s until there is enough to show",
            left.as_secs().max(0)
        );
        thread::sleep(left.try_into().unwrap_or_default());
        draw_all(&format!("http://{address}"), args, &work)
    })?;
    if score.failed > 0 {
        println!(
            "screenshots: drawn, though {} checks of e2e failed",
            score.failed
        );
    }
    Ok(())
}

fn draw_all(prometheus: &str, args: &Args, work: &Path) -> Result<()> {
    let pictures = super::folder().join("screenshots");
    fs::create_dir_all(&pictures)
        .with_context(|| format!("could not create {}", pictures.display()))?;
    for file in model::load(&super::folder())? {
        let stem = file.name.trim_end_matches(".json");
        let picture = pictures.join(format!("{stem}.png"));
        let page = page_of(&file, prometheus, args, work)?;
        let empty = draw(&file, &page, work, &picture)?;
        println!("dashboards/screenshots/{stem}.png");
        for title in empty {
            println!("  nothing to show: {title}");
        }
    }
    Ok(())
}

/// Installs the packages unless they are there, and makes one script of all.
fn bundle(work: &Path) -> Result<()> {
    let sources = place::repository().join("xtask/screenshots");
    fs::create_dir_all(work).with_context(|| format!("could not create {}", work.display()))?;
    let wanted = fs::read_to_string(sources.join("package.json"))?;
    let stamp = work.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        copy_sources(&sources, work)?;
    } else {
        copy_sources(&sources, work)?;
        println!(
            "screenshots: npm install, some 500 MB in {}",
            work.display()
        );
        command::run(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--no-package-lock"])
                .args(["--loglevel", "error"])
                .current_dir(work),
        )?;
        fs::write(&stamp, wanted)?;
    }
    command::run(
        Command::new("node_modules/.bin/esbuild")
            .args(["app.tsx", "--bundle", "--outfile=out.js", "--minify"])
            .args(["--jsx=automatic", "--log-level=error"])
            .args(["--loader:.svg=dataurl", "--loader:.woff2=dataurl"])
            .args(["--loader:.ttf=dataurl"])
            .arg("--define:process.env.NODE_ENV=\"production\"")
            .current_dir(work),
    )
}

fn copy_sources(sources: &Path, work: &Path) -> Result<()> {
    let entries =
        fs::read_dir(sources).with_context(|| format!("could not read {}", sources.display()))?;
    for entry in entries {
        let from = entry?.path();
        let name = from.file_name().context("a source has no name")?;
        fs::copy(&from, work.join(name))
            .with_context(|| format!("could not copy {}", from.display()))?;
    }
    Ok(())
}

/// Draws one dashboard; gives the titles of panels that have nothing to show.
fn draw(file: &File, content: &str, work: &Path, picture: &Path) -> Result<Vec<String>> {
    let page = work.join(format!("{}.html", file.name));
    fs::write(&page, content).with_context(|| format!("could not write {}", page.display()))?;
    let mut chromium = Command::new("timeout");
    chromium
        .args([PATIENCE, "chromium", "--headless", "--disable-gpu"])
        // Chromium refuses its sandbox to root; the page is our own, and so is its data.
        .args(["--no-sandbox", "--hide-scrollbars"])
        .args(["--allow-file-access-from-files", "--dump-dom"])
        .arg("--virtual-time-budget=20000")
        .arg(format!("--window-size={WIDTH},{}", height(file)))
        .arg(format!("--user-data-dir={}", profile(work).display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()));
    let shown = command::output(&mut chromium)?;
    let empty = report(&shown).with_context(|| format!("could not draw {}", file.name))?;
    command::run(
        Command::new("pngquant")
            .args(["--force", "--strip", "--nofs", "--ext", ".png", "64"])
            .arg(picture),
    )?;
    Ok(empty)
}

fn profile(work: &Path) -> PathBuf {
    work.join("profile")
}

fn height(file: &File) -> u32 {
    let panels = file.dashboard.panels().into_iter();
    let ends = panels.map(|panel| panel.grid_pos.y + panel.grid_pos.h);
    HEAD + ROW * ends.max().unwrap_or_default()
}

fn page_of(file: &File, prometheus: &str, args: &Args, work: &Path) -> Result<String> {
    let dashboard: serde_json::Value = serde_json::from_str(&file.text)?;
    let now = Timestamp::now().as_second();
    let icons = work.join("node_modules/@grafana/ui/dist/public/");
    let task = json!({
        "dashboard": dashboard,
        "prometheus": prometheus.trim_end_matches('/'),
        "from": now - i64::from(args.minutes) * 60,
        "to": now,
        "scrape": args.scrape_seconds,
        "icons": format!("file://{}", icons.display()),
    });
    // What is in a text of the dashboard must not end the script.
    let task = task.to_string().replace("</", "<\\/");
    Ok(format!(
        "<!doctype html><html><head><meta charset=\"utf-8\">\
         <link rel=\"stylesheet\" href=\"out.css\"></head><body>\
         <script>window.TASK = {task}</script><script src=\"out.js\"></script></body></html>\n"
    ))
}

/// Reads what the page says of itself: `done` and the titles of empty panels, or why not.
fn report(shown: &str) -> Result<Vec<String>> {
    let said: Vec<&str> = shown
        .split(REPORT)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('>')?.1.split_once("</pre>")?.0))
        .collect();
    if let Some(failure) = said.iter().find(|text| text.starts_with("failed")) {
        bail!("{failure}");
    }
    let done = said
        .first()
        .context("the page did not come to its end; does Prometheus answer?")?;
    Ok(done.lines().skip(1).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> String {
        format!("<body><pre id=\"report\" style=\"display: none;\">{text}</pre></body>")
    }

    #[test]
    fn a_page_tells_which_panels_are_empty() {
        assert_eq!(report(&page("done")).unwrap(), [""; 0]);
        assert_eq!(report(&page("done\nWho?\nHow?")).unwrap(), ["Who?", "How?"]);
    }

    #[test]
    fn a_page_that_failed_or_did_not_end_is_an_error() {
        let both = page("done") + &page("failed: no such component");
        let error = report(&both).unwrap_err().to_string();
        assert_eq!(error, "failed: no such component");
        report("<body></body>").unwrap_err();
    }
}
