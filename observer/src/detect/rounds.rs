//! Which open connections the census looks for, after events were lost.
//!
//! Takes when the last loss was; gives one part of the tracker's table at a time, each for two
//! censuses in a row, until the whole table has had its turn. Without a loss an open connection
//! is where the events left it, and nobody looks for it.

use crate::event::Timestamp;

/// Where the round is.
#[derive(Debug, Default)]
pub struct Rounds {
    /// The loss that this round is about, or the last one was.
    loss: Option<Timestamp>,
    /// The part that is looked for; `None` between rounds.
    from: Option<usize>,
    /// It was looked for once.
    again: bool,
}

impl Rounds {
    /// Where the part begins that is looked for now, if one is.
    pub fn from(&mut self, last_loss: Option<Timestamp>) -> Option<usize> {
        if self.from.is_none() && last_loss > self.loss {
            self.loss = last_loss;
            self.from = Some(0);
        }
        self.from
    }

    /// It is looked for, and the next one begins there, if there is one.
    pub fn looked(&mut self, next: Option<usize>) {
        if self.again {
            self.from = next;
        }
        self.again = !self.again;
    }
}

#[cfg(test)]
mod tests {
    use super::Rounds;
    use crate::event::Timestamp;

    #[test]
    fn after_a_loss_each_part_is_looked_for_twice_and_then_none() {
        let mut rounds = Rounds::default();
        let mut turn = |loss: Option<u64>, next| {
            let from = rounds.from(loss.map(Timestamp));
            if from.is_some() {
                rounds.looked(next);
            }
            from
        };
        assert_eq!(turn(None, None), None);
        assert_eq!(turn(Some(5), Some(100)), Some(0));
        // A loss meanwhile is the next round's.
        assert_eq!(turn(Some(7), Some(100)), Some(0));
        assert_eq!(turn(Some(7), None), Some(100));
        assert_eq!(turn(Some(7), None), Some(100));
        for _ in 0..2 {
            assert_eq!(turn(Some(7), None), Some(0));
        }
        assert_eq!(turn(Some(7), None), None);
    }
}
