//! The status page in headless Chromium, with a real leak.
//!
//! With `PAGE_SCREENSHOTS=FOLDER` it leaves pictures of both modes there.

mod shown;

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Completion;
use serde_json::json;
use xtask::scenario::clock::now;
use xtask::served::browser::Browser;

use self::shown::Shown;
use crate::stage::Stage;

/// Longer than the page waits from one update to the next.
const LONGER: Duration = Duration::from_secs(6);

/// What is found comes and goes without a second load, unless the reader wants it to stay; and
/// an agent that is gone is told.
pub(crate) fn live(stage: &Stage) -> Result<Completion> {
    if !Browser::is_possible() {
        return Ok(Completion::ignored_with("there is no chromium here"));
    }
    let mut shown = Shown::start(stage)?;
    shown.says_who_and_what_to_do()?;
    shown.is_confined()?;
    let Shown {
        watching,
        leaked,
        mut browser,
        article,
        ..
    } = shown;
    let pause_or_resume = "document.getElementById('pause').click()";
    browser.ask(pause_or_resume)?;
    let paused = now();
    leaked.end();
    stage.quiet(&watching)?;
    thread::sleep(LONGER.saturating_sub(paused.elapsed()));
    let stays =
        format!("{article} && document.getElementById('updated').innerText.startsWith('Paused')");
    ensure!(
        browser.ask(&format!("Boolean({stays})"))? == json!(true),
        "it went on"
    );
    browser.ask(pause_or_resume)?;
    browser.wait("the finding to go", &format!("!{article}"))?;
    browser.ask(pause_or_resume)?;
    watching.agent.stop()?;
    browser.ask(pause_or_resume)?;
    let told = "!document.getElementById('unreachable').hidden && document.getElementById('sentence').innerText.startsWith('Not known')";
    browser.wait("the page to say that the agent is gone", told)?;
    Ok(Completion::Completed)
}

/// In both modes, on a phone, without a mouse, by ear and without scripts.
pub(crate) fn for_all(stage: &Stage) -> Result<Completion> {
    if !Browser::is_possible() {
        return Ok(Completion::ignored_with("there is no chromium here"));
    }
    let mut shown = Shown::start(stage)?;
    let unfold =
        "document.querySelector('#endings summary').focus(); document.activeElement.click()";
    shown.browser.ask(unfold)?;
    shown.next_update()?;
    let stays = "document.activeElement.matches('#endings summary') && document.activeElement.parentElement.open";
    let stays = shown.browser.ask(stays)?;
    ensure!(stays == json!(true), "an update takes the focus or folds");
    // What it shows must not change under the judge.
    shown
        .browser
        .ask("document.getElementById('pause').click()")?;
    let faults = shown.browser.ask("unnamed()")?;
    ensure!(faults == json!([]), "{faults:#}");
    shown.tab_reaches_all()?;
    shown.as_wide_as(1280)?;
    for scheme in ["light", "dark"] {
        shown.prefers(scheme)?;
        shown.picture(scheme)?;
    }
    shown
        .browser
        .ask("document.querySelectorAll('details').forEach((it) => { it.open = true; })")?;
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        shown.prefers(scheme)?;
        let ground = shown.contrast().with_context(|| scheme.to_owned())?;
        grounds.push(ground);
    }
    ensure!(grounds.first() != grounds.last(), "{grounds:?}");
    shown.as_wide_as(390)?;
    shown.picture("phone")?;
    let off = json!({"value": true});
    let method = "Emulation.setScriptExecutionDisabled";
    shown.browser.call(method, &off)?;
    shown.browser.open(&format!("{}/", shown.origin))?;
    let told = "document.querySelector('noscript a')?.checkVisibility() && \
                !document.querySelector('main').checkVisibility()";
    shown.browser.wait("the page without scripts", told)?;
    Ok(Completion::Completed)
}
