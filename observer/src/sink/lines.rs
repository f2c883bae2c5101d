//! Lines of ended connections, written by a thread of their own.
//!
//! Takes verdicts through a bounded channel; gives lines on a file or on standard output,
//! each written as soon as the one before it is, and many at once while they come faster. The
//! event loop never waits here: a verdict that finds the channel full is counted as a lost
//! line. A write that fails is counted and said once; the agent goes on.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use jiff::tz::TimeZone;
use tracing::{info, warn};

use super::{json, text};
use crate::classify::Verdict;
use crate::clock::Clock;
use crate::stop::Stop;

/// Verdicts that may wait to be written; each is one to two kilobytes.
const WAITING: usize = 65_536;

/// Bytes that are gathered for one write while more verdicts wait.
const GATHERED: usize = 64 * 1024;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// Aligned for reading.
    Text,
}

/// What follows from a reader that went away.
#[derive(Clone, Debug)]
pub enum OnClosedPipe {
    /// Nobody else listens: the agent ends.
    Stop(Stop),
    /// Lines are counted as lost.
    CarryOn,
}

/// The event loop's side of the writer.
#[derive(Debug)]
pub struct Lines {
    sender: SyncSender<Box<Verdict>>,
    done: Receiver<()>,
    counts: Arc<Counts>,
}

/// What both sides count.
#[derive(Debug, Default)]
struct Counts {
    /// Handed over and not yet written or lost.
    waiting: AtomicU64,
    /// Found no room, or could not be written.
    lost: AtomicU64,
}

/// The writer's side.
struct Writer {
    out: Box<dyn Write + Send>,
    format: Format,
    clock: Arc<Clock>,
    zone: TimeZone,
    on_closed_pipe: OnClosedPipe,
    counts: Arc<Counts>,
    /// The last write failed, so the file may end within a line.
    failing: bool,
}

impl Lines {
    /// Starts the writer.
    pub fn start(
        out: Box<dyn Write + Send>,
        format: Format,
        clock: Arc<Clock>,
        on_closed_pipe: OnClosedPipe,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let (finished, done) = sync_channel(1);
        let counts = Arc::new(Counts::default());
        let mut writer = Writer {
            out,
            format,
            clock,
            zone: TimeZone::system(),
            on_closed_pipe,
            counts: Arc::clone(&counts),
            failing: false,
        };
        std::thread::Builder::new()
            .name("lines".to_owned())
            .spawn(move || {
                writer.run(&receiver);
                // Whoever waited may have given up, which is no concern of this thread.
                let _whether_heard = finished.send(());
            })?;
        Ok(Self {
            sender,
            done,
            counts,
        })
    }

    /// Hands a verdict over without waiting; false if there was no room.
    pub fn offer(&self, verdict: Box<Verdict>) -> bool {
        // Counted before the writer can have it, so that `waiting` is never below 0.
        self.counts.waiting.fetch_add(1, Ordering::Relaxed);
        let accepted = self.sender.try_send(verdict).is_ok();
        if !accepted {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
        accepted
    }

    /// Lines lost so far.
    pub fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }

    /// Lets the writer finish what waits, for at most `patience`; gives the lines lost. What
    /// is not written by then ends with the process, and counts as lost.
    pub fn finish(self, patience: Duration) -> u64 {
        let Self {
            sender,
            done,
            counts,
        } = self;
        drop(sender);
        let unwritten = match done.recv_timeout(patience) {
            Ok(()) => 0,
            Err(_) => counts.waiting.load(Ordering::Relaxed),
        };
        counts.lost.load(Ordering::Relaxed) + unwritten
    }
}

impl Writer {
    fn run(&mut self, receiver: &Receiver<Box<Verdict>>) {
        let mut buffer = Vec::with_capacity(GATHERED + 4096);
        while let Ok(verdict) = receiver.recv() {
            buffer.clear();
            if self.failing {
                buffer.push(b'\n');
            }
            self.append(&verdict, &mut buffer);
            let mut lines = 1;
            while buffer.len() < GATHERED {
                let Ok(verdict) = receiver.try_recv() else {
                    break;
                };
                self.append(&verdict, &mut buffer);
                lines += 1;
            }
            let written = self.out.write_all(&buffer).and_then(|()| self.out.flush());
            self.note(written, lines);
        }
    }

    fn append(&self, verdict: &Verdict, buffer: &mut Vec<u8>) {
        match self.format {
            Format::Text => text::write(verdict, &self.clock, &self.zone, buffer),
            Format::Json => {
                let length = buffer.len();
                if let Err(error) = json::Line::new(verdict, &self.clock).write(buffer) {
                    buffer.truncate(length);
                    self.counts.lost.fetch_add(1, Ordering::Relaxed);
                    warn!(%error, "a verdict has no JSON form");
                }
            }
        }
    }

    fn note(&mut self, written: io::Result<()>, lines: u64) {
        self.counts.waiting.fetch_sub(lines, Ordering::Relaxed);
        match (written, self.failing) {
            (Ok(()), false) => {}
            (Ok(()), true) => {
                self.failing = false;
                info!(
                    lost = self.counts.lost.load(Ordering::Relaxed),
                    "lines are written again"
                );
            }
            (Err(error), failing) => {
                let stop = match &self.on_closed_pipe {
                    OnClosedPipe::Stop(stop) if error.kind() == io::ErrorKind::BrokenPipe => {
                        Some(stop)
                    }
                    OnClosedPipe::Stop(_) | OnClosedPipe::CarryOn => None,
                };
                if let Some(stop) = stop {
                    // Whoever closed it has read all that it wanted: nothing is lost.
                    return stop.set();
                }
                self.counts.lost.fetch_add(lines, Ordering::Relaxed);
                self.failing = true;
                if !failing {
                    warn!(%error, "lines cannot be written; they are counted as lost until they can");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::sink::sample;

    /// Fails while `broken` holds; keeps what it was given otherwise.
    #[derive(Clone, Default)]
    struct Disk {
        kept: Arc<Mutex<Vec<u8>>>,
        broken: Arc<Mutex<Option<io::ErrorKind>>>,
    }

    #[expect(clippy::unwrap_in_result, reason = "a poisoned lock fails the test")]
    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(kind) = *self.broken.lock().unwrap() {
                return Err(kind.into());
            }
            self.kept.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(disk: &Disk, on_closed_pipe: OnClosedPipe) -> Lines {
        let clock = Arc::new(Clock::with_wall_offset(0));
        Lines::start(Box::new(disk.clone()), Format::Json, clock, on_closed_pipe).unwrap()
    }

    fn wait_until(what: &str, holds: impl Fn() -> bool) {
        for _ in 0..500 {
            if holds() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{what} within 5 s");
    }

    #[test]
    fn a_full_disk_is_counted_and_survived() {
        let disk = Disk::default();
        *disk.broken.lock().unwrap() = Some(io::ErrorKind::StorageFull);
        let lines = start(&disk, OnClosedPipe::CarryOn);
        assert!(lines.offer(Box::new(sample::unknown())));
        wait_until("the failed line is counted", || lines.lost() == 1);
        *disk.broken.lock().unwrap() = None;
        assert!(lines.offer(Box::new(sample::unknown())));
        assert_eq!(lines.finish(Duration::from_secs(5)), 1);
        let text = String::from_utf8(disk.kept.lock().unwrap().clone()).unwrap();
        assert!(
            text.starts_with('\n'),
            "the line after a torn one starts on a line of its own"
        );
        assert_eq!(text.trim().lines().count(), 1);
    }

    #[test]
    fn a_closed_pipe_stops_the_trace() {
        let disk = Disk::default();
        *disk.broken.lock().unwrap() = Some(io::ErrorKind::BrokenPipe);
        let stop = Stop::new();
        let lines = start(&disk, OnClosedPipe::Stop(stop.clone()));
        assert!(lines.offer(Box::new(sample::unknown())));
        wait_until("the trace is stopped", || stop.is_set());
    }

    #[test]
    fn what_a_stuck_reader_leaves_is_lost() {
        let disk = Disk::default();
        let held = disk.broken.lock().unwrap();
        let lines = start(&disk, OnClosedPipe::CarryOn);
        for _ in 0..3 {
            assert!(lines.offer(Box::new(sample::unknown())));
        }
        assert_eq!(lines.finish(Duration::from_millis(50)), 3);
        drop(held);
    }

    #[test]
    fn what_waits_is_written_before_the_end() {
        let disk = Disk::default();
        let lines = start(&disk, OnClosedPipe::CarryOn);
        for _ in 0..1_000 {
            assert!(lines.offer(Box::new(sample::unknown())));
        }
        assert_eq!(lines.finish(Duration::from_secs(5)), 0);
        let text = String::from_utf8(disk.kept.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1_000);
    }
}
