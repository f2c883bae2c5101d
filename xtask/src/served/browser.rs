//! Headless Chromium, driven through the pipe of its DevTools protocol.
//!
//! Takes the network namespace of the calling thread and a folder for its profile; gives one page
//! that can be asked and operated. A pipe needs no library for web sockets and no port. Never
//! leaves the browser running.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

use super::find;
use crate::scenario::clock::wait_for;
use crate::scenario::forking::spawn;

/// A browser starts slowly on a busy machine.
const CEILING: Duration = Duration::from_mins(1);

/// Root is refused a sandbox by Chromium itself; only our own page is shown in it.
const OPTIONS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

/// A page of a browser of its own. Dropping it ends the browser.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    last: u64,
    session: Option<String>,
    /// What happened and nobody asked for.
    events: Vec<Value>,
}

impl Browser {
    /// Whether there is one.
    pub fn is_possible() -> bool {
        find("chromium").is_ok()
    }

    /// Starts it with an empty page.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut shell = Command::new("sh");
        // The pipe is descriptors 3 and 4 by definition.
        shell.args(["-c", "exec \"$@\" 3<&0 4>&1 1>&2 </dev/null", "sh"]);
        shell.arg(find("chromium")?).args(OPTIONS);
        let profile = folder.join("chromium");
        shell.arg(format!("--user-data-dir={}", profile.display()));
        let errors = fs::File::create(folder.join("chromium.err"))?;
        let piped = shell.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn(piped.stderr(errors))?;
        let (to, output) = (child.stdin.take(), child.stdout.take());
        let output = output.context("it has no standard output")?;
        let (tell, from) = channel();
        thread::Builder::new()
            .name("browser".to_owned())
            .spawn(move || {
                let messages = BufReader::new(output).split(0).map_while(Result::ok);
                for message in messages {
                    let Ok(message) = serde_json::from_slice(&message) else {
                        return;
                    };
                    if tell.send(message).is_err() {
                        return;
                    }
                }
            })?;
        let mut browser = Self {
            child,
            to: to.context("it has no standard input")?,
            from,
            last: 0,
            session: None,
            events: Vec::new(),
        };
        browser.attach()?;
        Ok(browser)
    }

    fn attach(&mut self) -> Result<()> {
        let made = self.call("Target.createTarget", &json!({"url": "about:blank"}))?;
        let flat = json!({"targetId": made.get("targetId"), "flatten": true});
        let attached = self.call("Target.attachToTarget", &flat)?;
        let session = attached.get("sessionId").and_then(Value::as_str);
        self.session = session.map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(())
    }

    /// Calls a method of the protocol.
    pub fn call(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if let (Some(session), Some(object)) = (&self.session, message.as_object_mut()) {
            object.insert("sessionId".to_owned(), json!(session));
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        let sent = self.to.write_all(&bytes);
        sent.with_context(|| format!("cannot send {method} to the browser"))?;
        loop {
            let told = match self.from.recv_timeout(CEILING) {
                Ok(told) => told,
                Err(RecvTimeoutError::Timeout) => bail!("the browser did not answer {method}"),
                Err(RecvTimeoutError::Disconnected) => bail!("the browser ended at {method}"),
            };
            if told.get("id") != Some(&json!(self.last)) {
                self.events.push(told);
                continue;
            }
            let error = told.get("error");
            ensure!(error.is_none(), "{method}: {error:?}");
            return Ok(told.get("result").cloned().unwrap_or_default());
        }
    }

    /// Goes there, and waits until the page is loaded.
    pub fn open(&mut self, url: &str) -> Result<()> {
        let gone = self.call("Page.navigate", &json!({"url": url}))?;
        ensure!(gone.get("errorText").is_none(), "{url}: {gone}");
        self.wait("the page", "document.readyState === 'complete'")?;
        Ok(())
    }

    /// The value of an expression, or of what it promises.
    pub fn ask(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({
            "expression": expression,
            "returnByValue": true,
            "awaitPromise": true,
        });
        let told = self.call("Runtime.evaluate", &parameters)?;
        if let Some(thrown) = told.get("exceptionDetails") {
            return Err(anyhow!("{expression}: {thrown:#}"));
        }
        Ok(told.pointer("/result/value").cloned().unwrap_or_default())
    }

    /// Waits until an expression is true.
    pub fn wait(&mut self, what: &str, expression: &str) -> Result<()> {
        let asked = format!("Boolean({expression})");
        let waited = wait_for(what, CEILING, || {
            Ok((self.ask(&asked)? == json!(true)).then_some(()))
        });
        waited.with_context(|| {
            let shown = self.ask("document.body.innerText.slice(0, 2000)");
            format!("the page shows {}", shown.unwrap_or_default())
        })
    }

    /// Presses a key and lets it go.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let (code, number, text) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            _ => bail!("what is the key {key}?"),
        };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({
                "type": kind,
                "key": key,
                "code": code,
                "windowsVirtualKeyCode": number,
                "text": if kind == "keyDown" { text } else { "" },
            });
            self.call("Input.dispatchKeyEvent", &event)?;
        }
        Ok(())
    }

    /// What happened by this name so far.
    pub fn events(&mut self, name: &str) -> Result<Vec<Value>> {
        // What was told before is read with the next answer.
        self.ask("0")?;
        let named = |it: &&Value| it.get("method").and_then(Value::as_str) == Some(name);
        let of_name = self.events.iter().filter(named);
        Ok(of_name.filter_map(|it| it.get("params").cloned()).collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session = None;
        // It ends its own processes; one that hangs is ended with what it is.
        let closed = self.call("Browser.close", &json!({})).is_ok();
        let ended = || Ok(self.child.try_wait()?);
        if !closed || wait_for("the browser to end", CEILING, ended).is_err() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
