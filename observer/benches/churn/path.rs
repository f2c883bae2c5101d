//! The way of a record through the agent, without the ring and the clock.

use observer::classify::classify;
use observer::event::{Decoder, Timestamp, Vocabulary};
use observer::settings::LIMITS;
use observer::sink::board::Board;
use observer::sink::endings::Notes;
use observer::sink::prometheus::{Bounds, Metrics, Tally};
use observer::track::{Output, Sight, Tracker};

use super::churn::Churn;

/// As many records as the event loop takes before it delivers.
const BATCH: usize = 4096;

/// What the event loop holds.
#[derive(Debug)]
pub struct Path {
    decoder: Decoder,
    tracker: Tracker,
    tally: Tally,
    notes: Notes,
    board: Board,
    now: Timestamp,
    ended: u64,
}

impl Path {
    /// With every probe attached.
    pub fn new() -> Result<Self, String> {
        let sight = Sight {
            close: true,
            minisocks: true,
            segment_of_reset: true,
            teardown: true,
            replies_beyond_sockets: true,
            replies: true,
            resets_sent: true,
            reset_reasons: true,
        };
        let metrics = Metrics::new(Bounds::default()).map_err(|error| error.to_string())?;
        Ok(Self {
            decoder: Decoder::new(Vocabulary::mainline()),
            tracker: Tracker::new(sight, LIMITS),
            tally: metrics.tally(),
            notes: Notes::default(),
            board: Board::default(),
            now: Timestamp(0),
            ended: 0,
        })
    }

    /// Whether it is an event.
    pub fn decodes(&mut self, record: &[u8]) -> bool {
        std::hint::black_box(self.decoder.decode(record)).is_ok()
    }

    /// Takes one record.
    pub fn take(&mut self, record: &[u8]) {
        if let Ok(event) = &self.decoder.decode(record) {
            self.now = self.now.max(event.at);
            self.tracker.handle(event);
        }
    }

    /// Takes a round; gives how many connection ends were judged so far.
    pub fn run(&mut self, churn: &Churn) -> u64 {
        for (index, record) in churn.records().enumerate() {
            self.take(record);
            if index % BATCH == BATCH - 1 {
                self.deliver();
            }
        }
        self.deliver();
        self.ended
    }

    /// Counts what the tracker has to say.
    pub fn deliver(&mut self) {
        self.tracker.handle_timeout(self.now);
        while let Some(output) = self.tracker.next_output() {
            match output {
                Output::Closed(closed) => {
                    let verdict = classify(&closed);
                    self.tally.count_verdict(&verdict);
                    self.notes.note(&verdict);
                    self.tracker.reuse(closed);
                    self.ended += 1;
                }
                Output::TimeWaitEnded(end) => self.tally.count_time_wait(end.how),
                Output::LooseReset { cause, .. } => self.tally.count_reset(cause),
                Output::ResetSent { .. }
                | Output::MinisockStarted { .. }
                | Output::UnknownExpired { .. }
                | Output::Stillborn { .. } => {}
            }
        }
        self.tally.flush();
        self.board.endings.add(self.now, &mut self.notes);
    }

    /// Connection ends that are followed.
    pub fn tracked(&self) -> usize {
        self.tracker.tracked()
    }

    /// Connection ends judged.
    pub fn ended(&self) -> u64 {
        self.ended
    }
}
