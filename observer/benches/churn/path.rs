//! The way of a record through the agent, without the ring and the clock.

use observer::classify::classify;
use observer::detect::Recent;
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
pub(crate) struct Path {
    decoder: Decoder,
    tracker: Tracker,
    tally: Tally,
    notes: Notes,
    recent: Recent,
    board: Board,
    now: Timestamp,
    ended: u64,
}

impl Path {
    /// With every probe attached.
    pub(crate) fn new() -> Result<Self, String> {
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
            recent: Recent::default(),
            board: Board::default(),
            now: Timestamp(0),
            ended: 0,
        })
    }

    /// Takes one record.
    pub(crate) fn take(&mut self, record: &[u8]) {
        if let Ok(event) = &self.decoder.decode(record) {
            self.now = self.now.max(event.at);
            self.tracker.handle(event);
        }
    }

    /// Takes a round.
    pub(crate) fn run(&mut self, churn: &Churn) {
        for (index, record) in churn.records().enumerate() {
            self.take(record);
            if index % BATCH == BATCH - 1 {
                self.deliver();
            }
        }
        self.deliver();
    }

    /// Counts what the tracker has to say.
    fn deliver(&mut self) {
        self.tracker.handle_timeout(self.now);
        while let Some(output) = self.tracker.next_output() {
            match output {
                Output::Closed(closed) => {
                    let verdict = classify(&closed);
                    self.tally.count_verdict(&verdict);
                    self.notes.note(&verdict);
                    self.recent.note(&verdict);
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
    pub(crate) fn tracked(&self) -> usize {
        self.tracker.tracked().all()
    }

    /// Connection ends judged.
    pub(crate) fn ended(&self) -> u64 {
        self.ended
    }
}
