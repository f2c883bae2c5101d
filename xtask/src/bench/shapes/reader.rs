//! Who takes the records, and only counts them.
//!
//! Takes a ring and the word in which its reader says that it sleeps; gives records, bytes and
//! what they cost its thread. Waits as the agent does: it sleeps only where it found nothing, and
//! gathers for a moment where it found something.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};
use aya::maps::{Array, MapData, RingBuf};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};

/// As the agent's.
const GATHER: Duration = Duration::from_millis(4);
/// As the agent's.
const BATCH: usize = 4096;
/// Between two looks whether it is to end, ms.
const LOOK: u8 = 100;
/// What the kernel puts before each record.
const RING_HEADER: usize = 8;

/// What came.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::bench) struct Taken {
    pub(in crate::bench) records: u64,
    /// With what the ring needs for each.
    pub(in crate::bench) bytes: u64,
    /// CPU of the reader.
    pub(in crate::bench) cpu: Duration,
}

/// A thread that reads until it is stopped.
#[derive(Debug)]
pub(super) struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Taken>>,
}

impl Reader {
    pub(super) fn start(ring: RingBuf<MapData>, waiting: Array<MapData, u64>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || read(ring, waiting, &told))?;
        Ok(Self { stop, thread })
    }

    /// Ends it, once the ring is empty.
    pub(super) fn stop(self) -> Result<Taken> {
        self.stop.store(true, Ordering::Relaxed);
        let taken = self.thread.join();
        taken.map_err(|_panic| anyhow!("the reader panicked"))?
    }
}

fn read(
    mut ring: RingBuf<MapData>,
    mut waiting: Array<MapData, u64>,
    stop: &AtomicBool,
) -> Result<Taken> {
    let mut taken = Taken::default();
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        match drain(&mut ring, &mut taken) {
            0 if stopping => break,
            0 => {
                waiting.set(0, 1, 0)?;
                if !has_record(&ring, PollTimeout::ZERO)? {
                    has_record(&ring, PollTimeout::from(LOOK))?;
                }
            }
            BATCH.. => continue,
            _ => {}
        }
        thread::sleep(GATHER);
    }
    taken.cpu = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into();
    Ok(taken)
}

/// Takes one batch at most.
fn drain(ring: &mut RingBuf<MapData>, taken: &mut Taken) -> usize {
    let mut records = 0;
    while records < BATCH
        && let Some(record) = ring.next()
    {
        records += 1;
        taken.records += 1;
        taken.bytes += (RING_HEADER + record.len().next_multiple_of(8)) as u64;
    }
    records
}

/// Waits for a record, if only one that is reserved.
fn has_record(ring: &RingBuf<MapData>, most: PollTimeout) -> Result<bool> {
    let mut polled = [PollFd::new(ring.as_fd(), PollFlags::POLLIN)];
    match poll(&mut polled, most) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
