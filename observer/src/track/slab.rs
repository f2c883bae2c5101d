//! Places for what is tracked, linked from the longest untouched to the latest.
//!
//! Takes and gives values by place; every operation takes constant time. Memory grows with the
//! most that there ever were at once, and is given back once there are none.

/// No place.
pub(super) const NONE: u32 = u32::MAX;

/// Places that are kept while all of them are empty.
const KEPT: usize = 1 << 14;

/// Places that a slab grows by at least.
const LEAST: usize = 64;

/// Values at places, in the order in which they were touched.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<Place<T>>,
    /// The first of the empty places, which are linked by `newer`.
    empty: u32,
    oldest: u32,
    newest: u32,
    count: usize,
}

#[derive(Debug)]
struct Place<T> {
    value: Option<T>,
    older: u32,
    newer: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            empty: NONE,
            oldest: NONE,
            newest: NONE,
            count: 0,
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn get(&self, place: u32) -> Option<&T> {
        self.places.get(place as usize)?.value.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.places.get_mut(place as usize)?.value.as_mut()
    }

    /// The value that was touched the longest time ago.
    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// The values in `most` places from `from` on; and where to go on.
    pub(super) fn slice(
        &self,
        from: usize,
        most: usize,
    ) -> (impl Iterator<Item = &T>, Option<usize>) {
        let end = self.places.len().min(from.saturating_add(most));
        let places = self.places.get(from..end).unwrap_or_default();
        let next = (end < self.places.len()).then_some(end);
        (places.iter().filter_map(|it| it.value.as_ref()), next)
    }

    /// Adds a value as the latest touched; gives its place.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        let filled = Place {
            value: Some(value),
            older: self.newest,
            newer: NONE,
        };
        let at = if let Some(place) = self.places.get_mut(self.empty as usize) {
            let at = self.empty;
            self.empty = place.newer;
            *place = filled;
            at
        } else {
            self.grow();
            self.places.push(filled);
            u32::try_from(self.places.len() - 1).unwrap_or(NONE)
        };
        self.append(at);
        self.count += 1;
        at
    }

    /// A full slab grows by a sixteenth: twice as much would be empty for long, and to move a
    /// large one costs the kernel's tables alone.
    fn grow(&mut self) {
        if self.places.len() == self.places.capacity() {
            let more = (self.places.len() / 16).max(LEAST);
            self.places.reserve_exact(more);
        }
    }

    pub(super) fn remove(&mut self, at: u32) -> Option<T> {
        let place = self.places.get_mut(at as usize)?;
        let value = place.value.take()?;
        let (older, newer) = (place.older, place.newer);
        place.newer = self.empty;
        self.empty = at;
        self.count -= 1;
        self.join(older, newer);
        if self.count == 0 && self.places.len() > KEPT {
            *self = Self::default();
        }
        Some(value)
    }

    /// Makes the value the latest touched.
    pub(super) fn touch(&mut self, at: u32) {
        if self.newest == at {
            return;
        }
        let Some(place) = self.places.get_mut(at as usize) else {
            return;
        };
        if place.value.is_none() {
            return;
        }
        let (older, newer) = (place.older, place.newer);
        (place.older, place.newer) = (NONE, NONE);
        self.join(older, newer);
        let newest = self.newest;
        if let Some(place) = self.places.get_mut(at as usize) {
            place.older = newest;
        }
        self.append(at);
    }

    /// Lets the newest lead to this place, which leads back to it already.
    fn append(&mut self, at: u32) {
        match self.places.get_mut(self.newest as usize) {
            Some(before) => before.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
    }

    /// Lets two neighbours lead to each other.
    fn join(&mut self, older: u32, newer: u32) {
        match self.places.get_mut(older as usize) {
            Some(place) => place.newer = newer,
            None => self.oldest = newer,
        }
        match self.places.get_mut(newer as usize) {
            Some(place) => place.older = older,
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Slab};

    fn in_order(slab: &mut Slab<u32>) -> Vec<u32> {
        let all = std::iter::from_fn(|| slab.remove(slab.oldest()?));
        all.collect()
    }

    #[test]
    fn values_leave_in_the_order_in_which_they_were_touched() {
        let mut slab = Slab::default();
        let places: Vec<u32> = (0..5).map(|value| slab.insert(value)).collect();
        slab.touch(places[1]);
        slab.touch(places[0]);
        slab.touch(places[0]);
        assert_eq!(slab.remove(places[3]), Some(3));
        assert_eq!(slab.remove(places[3]), None);
        slab.touch(places[3]);
        slab.insert(5);
        assert_eq!((slab.len(), slab.get(places[3])), (5, Some(&5)));
        assert_eq!(in_order(&mut slab), [2, 4, 1, 0, 5]);
        assert_eq!((slab.len(), slab.oldest()), (0, None));
    }

    #[test]
    fn memory_is_given_back_once_nothing_is_left() {
        let mut slab = Slab::default();
        for value in 0..2 * KEPT {
            slab.insert(u32::try_from(value).unwrap());
        }
        assert_eq!(in_order(&mut slab).len(), 2 * KEPT);
        assert_eq!(slab.places.capacity(), 0);
        let place = slab.insert(7);
        assert_eq!((slab.get(place), slab.slice(0, 9).0.count()), (Some(&7), 1));
    }
}
