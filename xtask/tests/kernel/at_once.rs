//! Work on many things, a few at a time.
//!
//! Takes items and what to do to each; gives the answers. Leaves no thread behind.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does this to each item, so many at a time; the answers come in the order of their ends.
pub(crate) fn at_once<T: Send, U: Send>(
    count: usize,
    items: Vec<T>,
    run: impl Fn(T) -> U + Sync,
) -> Vec<U> {
    let waiting = Mutex::new(items.into_iter());
    let done = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .next();
            let Some(item) = next else { return };
            let answer = run(item);
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(answer);
        }
    };
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(work);
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}
