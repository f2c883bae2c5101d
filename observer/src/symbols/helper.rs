//! The look-ups in a process of their own.
//!
//! What is read there belongs to processes that may be hostile: a file that shrinks while it is
//! read kills its reader, a pipe in place of a file holds it up, a large one fills its memory.
//! So the agent starts itself once more (`tcp-observer symbolize`), waits for as long as it has
//! patience, and then ends it.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Answer, Question};
use crate::clock::Clock;
use crate::event::Timestamp;

/// Starts the process and ends it.
#[derive(Debug, Default)]
pub(super) struct Helper {
    /// One that was ended and is not gone yet, as in a read that the kernel cannot break off.
    ending: Option<Child>,
}

impl Helper {
    /// Answers to the first of these questions, in their order; last, why the next one has
    /// none.
    pub(super) fn ask(
        &mut self,
        questions: &[Question],
        clock: &Clock,
        patience: Duration,
    ) -> Vec<Result<Answer, String>> {
        let end = clock.now().after(patience);
        self.reap();
        if self.ending.is_some() {
            return Vec::new();
        }
        let mut answers = Vec::new();
        let why_not = match start() {
            Err(error) => format!("the look-up could not be started: {error}"),
            Ok(mut child) => {
                tell(&mut child, questions);
                let text = child.stdout.take().map(|from| read(&from, clock, end));
                let text = text.unwrap_or_default();
                // It has ended, or ends now.
                drop(child.kill());
                self.ending = Some(child);
                self.reap();
                // A line that was cut off is none.
                let lines = text.split_inclusive(|byte| *byte == b'\n');
                answers.extend(
                    lines
                        .map_while(|line| serde_json::from_slice(line).ok())
                        .map(Ok),
                );
                "the look-up took too long, or failed".to_owned()
            }
        };
        if answers.len() < questions.len() {
            answers.push(Err(why_not));
        }
        answers
    }

    /// Lets go of a process that is gone.
    pub(super) fn reap(&mut self) {
        let is_gone = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        if self.ending.as_mut().is_some_and(is_gone) {
            self.ending = None;
        }
    }
}

fn start() -> std::io::Result<Child> {
    Command::new("/proc/self/exe")
        .arg0("tcp-observer")
        .arg("symbolize")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// It reads all before it answers. If it is gone already, there will be no answer.
fn tell(child: &mut Child, questions: &[Question]) {
    let text = serde_json::to_vec(questions).unwrap_or_default();
    if let Some(mut stdin) = child.stdin.take() {
        drop(stdin.write_all(&text));
    }
}

/// What it says until it ends or the time is over.
fn read(from: &ChildStdout, clock: &Clock, end: Timestamp) -> Vec<u8> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = end.since(clock.now());
        let left = Timespec::try_from(left).unwrap_or_default();
        let mut waits = [PollFd::new(from, PollFlags::IN)];
        match poll(&mut waits, Some(&left)) {
            Ok(ready) if ready > 0 => {}
            Err(rustix::io::Errno::INTR) => continue,
            Ok(_) | Err(_) => return text,
        }
        match rustix::io::read(from, &mut buffer) {
            Ok(count) if count > 0 => text.extend_from_slice(buffer.get(..count).unwrap_or(&[])),
            Ok(_) | Err(_) => return text,
        }
    }
}
