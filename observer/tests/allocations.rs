//! How much memory an event takes: none in the steady state, and few bytes a connection.
//!
//! Counted by an allocator that counts, so the numbers are exact and no clock is involved.

#[path = "../benches/churn/mod.rs"]
mod churn;

#[path = "../benches/churn/path.rs"]
mod path;

#[cfg(test)]
mod tests {
    use allocation_counter::measure;

    use crate::churn::{Churn, opened};
    use crate::path::Path;

    /// Records of a connection until both ends are established and one is accepted.
    const OPEN: usize = 4;

    /// And until the client's end is left to a minisock, and the server's is in LAST_ACK.
    const CLOSING: usize = 13;

    /// So many that the hash table has as many buckets for each as it can have at most.
    const CONNECTIONS: u32 = 58_000;

    /// Live bytes of the tracker for each connection end of those that these steps leave.
    fn bytes_each(steps: usize) -> i64 {
        let mut path = Path::new().unwrap();
        let records = opened(0..CONNECTIONS, steps);
        let taken = measure(|| {
            for record in &records {
                path.take(record);
            }
        });
        let ends = path.tracked();
        assert_eq!(ends, 2 * CONNECTIONS as usize);
        taken.bytes_current / i64::try_from(ends).unwrap()
    }

    #[test]
    fn no_event_allocates_in_the_steady_state() {
        let mut path = Path::new().unwrap();
        for record in opened(4_000..5_000, OPEN) {
            path.take(&record);
        }
        let mut churn = Churn::new(2_000);
        for _ in 0..8 {
            churn.advance();
            path.run(&churn);
        }
        let ended = path.ended();
        churn.advance();
        let taken = measure(|| path.run(&churn));
        assert_eq!(path.ended() - ended, 2 * 2_000);
        assert_eq!(taken.count_total, 0, "{taken:?} for {} events", churn.len());
    }

    #[test]
    fn an_open_connection_takes_few_bytes() {
        let each = bytes_each(OPEN);
        assert!((64..=156).contains(&each), "{each} bytes");
    }

    #[test]
    fn a_closing_connection_takes_few_bytes() {
        let each = bytes_each(CLOSING);
        assert!((64..=500).contains(&each), "{each} bytes");
    }
}
