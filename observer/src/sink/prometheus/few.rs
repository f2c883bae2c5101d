//! Who gets series of its own.
//!
//! Takes what is counted, by process or by port; gives series to the first that matter, and to
//! no more of them than there is room for, so that no name and no scan of ports can make more.

use std::hash::Hash;

use hashbrown::HashMap;

/// How often most must be counted to get series.
pub(super) const MATTERS_FROM: u32 = 8;

/// Keys that are counted until they matter.
const MOST_COUNTED: usize = 1024;

/// Series by key.
#[derive(Debug)]
pub(super) struct Few<K, S> {
    most: usize,
    matters_from: u32,
    /// Where in `series`.
    named: HashMap<K, usize>,
    series: Vec<S>,
    counted: HashMap<K, u32>,
}

impl<K: Copy + Hash + Eq, S> Few<K, S> {
    /// Room for so many, which must have been counted so often.
    pub(super) fn new(most: usize, matters_from: u32) -> Self {
        Self {
            most,
            matters_from,
            named: HashMap::new(),
            series: Vec::new(),
            counted: HashMap::new(),
        }
    }

    /// Counts this key once; its series, if it has some or gets them by that.
    pub(super) fn of(&mut self, key: &K, make: impl FnOnce(&K) -> S) -> Option<&S> {
        let named = self.named.get(key).copied();
        let place = named.or_else(|| self.matters(key, make))?;
        self.series.get(place)
    }

    /// All series.
    pub(super) fn all(&self) -> &[S] {
        &self.series
    }

    fn matters(&mut self, key: &K, make: impl FnOnce(&K) -> S) -> Option<usize> {
        if self.series.len() >= self.most {
            return None;
        }
        if self.counted.len() >= MOST_COUNTED && !self.counted.contains_key(key) {
            self.counted.clear();
        }
        let count = self.counted.entry(*key).or_default();
        *count += 1;
        if *count < self.matters_from {
            return None;
        }
        self.counted.remove(key);
        self.series.push(make(key));
        self.named.insert(*key, self.series.len() - 1);
        Some(self.series.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{Few, MOST_COUNTED};

    #[test]
    fn the_first_that_matter_have_series_and_no_more() {
        let mut few: Few<usize, u32> = Few::new(2, 3);
        let mut count = |name: usize| few.of(&name, |_| 7).copied();
        let [a, b, late] = [usize::MAX, usize::MAX - 1, usize::MAX - 2];
        assert_eq!([count(a), count(a), count(a)], [None, None, Some(7)]);
        for name in 0..10 * MOST_COUNTED {
            assert_eq!(count(name), None);
        }
        assert_eq!([count(b), count(b), count(b)], [None, None, Some(7)]);
        for _ in 0..5 {
            assert_eq!(count(late), None);
        }
        assert_eq!(count(a), Some(7));
        assert!(few.counted.len() <= MOST_COUNTED);
    }
}
