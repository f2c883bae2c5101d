//! Who gets series of its own.
//!
//! Takes what is counted, by process or by port; gives series to the first that matter, and to
//! no more of them than there is room for, so that no name and no scan of ports can make more.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// How often most must be counted to get series.
pub(super) const MATTERS_FROM: u32 = 8;

/// Keys that are counted until they matter.
const MOST_COUNTED: usize = 1024;

/// Series by key.
#[derive(Debug)]
pub(super) struct Few<K, S> {
    most: usize,
    matters_from: u32,
    named: HashMap<K, S>,
    counted: HashMap<K, u32>,
}

impl<K: Hash + Eq, S> Few<K, S> {
    /// Room for so many, which must have been counted so often.
    pub(super) fn new(most: usize, matters_from: u32) -> Self {
        Self {
            most,
            matters_from,
            named: HashMap::new(),
            counted: HashMap::new(),
        }
    }

    /// Counts this key once; its series, if it has some or gets them now.
    pub(super) fn of<Q>(
        &mut self,
        key: &Q,
        owned: impl FnOnce(&Q) -> K,
        make: impl FnOnce(&Q) -> S,
    ) -> Option<&S>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if self.named.len() < self.most && !self.named.contains_key(key) {
            let count = self.counted.get(key).copied().unwrap_or_default() + 1;
            if count >= self.matters_from {
                self.counted.remove(key);
                self.named.insert(owned(key), make(key));
            } else if let Some(before) = self.counted.get_mut(key) {
                *before = count;
            } else {
                if self.counted.len() >= MOST_COUNTED {
                    self.counted.clear();
                }
                self.counted.insert(owned(key), count);
            }
        }
        self.named.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::{Few, MOST_COUNTED};

    #[test]
    fn the_first_that_matter_have_series_and_no_more() {
        let mut few: Few<Box<str>, u32> = Few::new(2, 3);
        let mut count = |name: &str| few.of(name, |name| name.into(), |_| 7).copied();
        assert_eq!([count("a"), count("a"), count("a")], [None, None, Some(7)]);
        for name in 0..10 * MOST_COUNTED {
            assert_eq!(count(&name.to_string()), None);
        }
        assert_eq!([count("b"), count("b"), count("b")], [None, None, Some(7)]);
        for _ in 0..5 {
            assert_eq!(count("late"), None);
        }
        assert_eq!(count("a"), Some(7));
        assert!(few.counted.len() <= MOST_COUNTED);
    }
}
