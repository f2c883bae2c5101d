//! A page that shows what was made for it, and what must hold of it.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::leaked::{Leaked, held_by};
use xtask::scenario::clock::{CEILING, wait_for};
use xtask::scenario::pair::{Pair, close, linger_zero};
use xtask::served::browser::Browser;
use xtask::watching::{CENSUS_CEILING, Watching, findings};

use crate::leak_truth::output;
use crate::stage::Stage;

/// Markup as the name of a process, as long as a name can be.
const NAME: &str = "<img onerror=a>";

const JUDGE: &str = include_str!("judge.js");

/// An agent, a leak that is found, a connection that was reset, and the page that shows both.
pub(super) struct Shown {
    pub(super) watching: Watching,
    pub(super) leaked: Leaked,
    finding: Value,
    pub(super) browser: Browser,
    pub(super) origin: String,
    /// The finding on the page, as an expression.
    pub(super) article: String,
}

impl Shown {
    pub(super) fn start(stage: &Stage) -> Result<Self> {
        let watching = Watching::start(&stage.agent, &[])?;
        watching.next()?;
        let mut browser = Browser::start(&stage.folder)?;
        let origin = format!("http://{}", watching.address);
        // What is shown from here on came without a second load.
        browser.open(&format!("{origin}/"))?;
        browser.ask(JUDGE)?;
        let program = stage.folder.join(NAME);
        symlink(fs::canonicalize("/bin/sleep")?, &program)?;
        let leaked = held_by(&stage.net, &program)?;
        // Meanwhile it grows old enough.
        resets_are_listed(&mut browser)?;
        let finding = wait_for("the finding", CENSUS_CEILING, || {
            let page = watching.next()?;
            Ok(findings(&page, &stage.net)?.first().map(|it| (*it).clone()))
        })?;
        let id = finding.get("id").and_then(Value::as_str).context("no id")?;
        let article = format!("document.querySelector('article[data-key=\"{id}\"]')");
        browser.wait("the finding on the page", &article)?;
        Ok(Self {
            watching,
            leaked,
            finding,
            browser,
            origin,
            article,
        })
    }

    fn text(&mut self, expression: &str) -> Result<String> {
        let text = self.browser.ask(expression)?;
        let text = text.as_str().with_context(|| format!("no text: {text}"))?;
        Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The name, the holder and the remedy stand there, and nothing of it is markup.
    pub(super) fn says_who_and_what_to_do(&mut self) -> Result<()> {
        let article = self.text(&format!("{}.innerText", self.article))?;
        let (pid, fds) = self.leaked.holders.first().context("it has one")?;
        let remedy = self
            .finding
            .get("remedy")
            .and_then(Value::as_str)
            .context("no remedy")?;
        let holder = format!("{NAME} {pid} 0 {}", fds.first().context("it has one")?);
        for expected in [&holder, remedy, "CLOSE_WAIT leak", "Held by 1 process"] {
            ensure!(article.contains(expected), "no {expected} in {article}");
        }
        let made = self
            .browser
            .ask("document.querySelectorAll('img').length")?;
        ensure!(made == json!(0), "the name became an element");
        let endings = self.text("document.getElementById('endings').innerText")?;
        ensure!(endings.contains("reset_linger_zero"), "{endings}");
        let verdict = self.text("document.getElementById('sentence').innerText")?;
        ensure!(verdict.contains("CLOSE_WAIT leak"), "{verdict}");
        Ok(())
    }

    /// Nothing came from elsewhere, nothing was wrong, and what others write does not run.
    pub(super) fn is_confined(&mut self) -> Result<()> {
        let asked = self.browser.events("Network.requestWillBeSent")?;
        ensure!(asked.len() > 10, "{} requests", asked.len());
        for request in asked {
            let url = request
                .pointer("/request/url")
                .and_then(Value::as_str)
                .context("no address")?;
            let ours = url.starts_with(&format!("{}/", self.origin));
            ensure!(ours, "it asks {url}");
        }
        for name in [
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Log.entryAdded",
        ] {
            let said = self.browser.events(name)?;
            ensure!(said.is_empty(), "{said:#?}");
        }
        let run = "(() => { const it = document.createElement('script'); it.textContent = 'window.ran = 1'; \
                   document.body.append(it); return window.ran ?? 0; })()";
        ensure!(self.browser.ask(run)? == json!(0), "what is inline runs");
        Ok(())
    }

    /// As somebody who wants it so would see it.
    pub(super) fn prefers(&mut self, scheme: &str) -> Result<()> {
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        let media = json!({"features": features});
        self.browser.call("Emulation.setEmulatedMedia", &media)?;
        Ok(())
    }

    pub(super) fn as_wide_as(&mut self, width: u32) -> Result<()> {
        let metrics =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600});
        let method = "Emulation.setDeviceMetricsOverride";
        self.browser.call(method, &metrics)?;
        let needed = self.browser.ask("document.scrollingElement.scrollWidth")?;
        ensure!(needed == json!(width), "{needed} pixels, not {width}");
        Ok(())
    }

    /// Every text can be read on what is behind it: gives the colour of the ground.
    pub(super) fn contrast(&mut self) -> Result<Value> {
        let least = self.browser.ask("leastContrast()")?;
        let judged = least
            .get("judged")
            .and_then(Value::as_u64)
            .context("no number")?;
        ensure!(judged > 50, "only {judged} texts are shown");
        let ratio = least
            .get("ratio")
            .and_then(Value::as_f64)
            .context("no ratio")?;
        ensure!(ratio >= 4.5, "{least}");
        let ground = "getComputedStyle(document.body).backgroundColor";
        self.browser.ask(ground)
    }

    /// Tab reaches every control in the order of the page, and where it is can be seen.
    pub(super) fn tab_reaches_all(&mut self) -> Result<()> {
        let count = self.browser.ask("controls().length")?.as_u64();
        let count = count.context("no number")?;
        ensure!(count > 12, "only {count} controls");
        let first = "controls()[0].focus(), controls()[0].matches('.skip')";
        ensure!(self.browser.ask(first)? == json!(true), "no way to skip");
        for at in 1..count {
            self.browser.press("Tab")?;
            let focused = self.browser.ask("focused()")?;
            let expected = json!({"at": at, "isSeen": true});
            ensure!(focused == expected, "{focused} instead of {expected}");
        }
        Ok(())
    }

    /// Waits for one that began after this was called.
    pub(super) fn next_update(&mut self) -> Result<()> {
        // A browser keeps 250 entries, unless it is told to begin anew.
        let now = "(performance.clearResourceTimings(), performance.now())";
        let now = self.browser.ask(now)?;
        let of = |name: &str| {
            format!(
                "performance.getEntriesByType('resource')\
                 .some((it) => it.name.includes('{name}') && it.startTime > {now})"
            )
        };
        // The first that a round asks for, and the last.
        let whole = format!("{} && {}", of("status"), of("time-wait"));
        let shown = "['Updated 0s ago', 'Updated 1s ago'].includes(document.getElementById('updated').innerText)";
        self.browser
            .wait("an update", &format!("{whole} && {shown}"))
    }

    pub(super) fn picture(&mut self, name: &str) -> Result<()> {
        let Some(folder) = env::var_os("PAGE_SCREENSHOTS") else {
            return Ok(());
        };
        let whole = json!({"captureBeyondViewport": true});
        let made = self.browser.call("Page.captureScreenshot", &whole)?;
        let data = made
            .get("data")
            .and_then(Value::as_str)
            .context("no picture")?;
        fs::create_dir_all(&folder)?;
        let file = Path::new(&folder).join(format!("{name}.png"));
        let told = file.with_extension("base64");
        fs::write(&told, data).with_context(|| format!("cannot write {}", told.display()))?;
        let mut decode = Command::new("base64");
        decode.arg("--decode").arg(&told);
        fs::write(&file, output(&mut decode)?.stdout)?;
        Ok(fs::remove_file(&told)?)
    }
}

/// One of them at least: others of this host may push them from the list.
fn resets_are_listed(browser: &mut Browser) -> Result<()> {
    let mut made = Vec::new();
    wait_for("a reset on the page", CEILING, || {
        let pair = Pair::new()?;
        linger_zero(&pair.client)?;
        made.push(format!("{} → {}", pair.client_at, pair.server_at));
        close(pair.client);
        let told = browser.ask("document.getElementById('recent').innerText")?;
        let told = told.as_str().context("no text")?;
        let is_reset = |line: &str| {
            let at = made.iter().find_map(|ends| line.split_once(ends.as_str()));
            at.is_some_and(|(before, _)| before.contains("reset_linger_zero"))
        };
        Ok(told.lines().any(is_reset).then_some(()))
    })
}
