//! How many requests are answered at once, and what the others are told.
//!
//! Takes a number; gives a place for each request, which goes with its answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for so many requests; as for other exporters, 0 is no bound.
#[derive(Clone, Debug)]
pub(super) struct Room {
    places: Option<Arc<Semaphore>>,
    most: usize,
}

/// A place among the requests that are answered.
#[derive(Debug)]
pub(super) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

/// The body of an answer, with its place. It goes out piece by piece, so that the place is taken
/// until the client has all but what fits into buffers.
#[derive(Debug)]
pub(super) struct Placed {
    rest: Bytes,
    _place: Option<Place>,
}

/// Bytes that go out at once.
const PIECE: usize = 8 * 1024;

impl Room {
    pub(super) fn new(most: usize) -> Self {
        let bounded = most > 0;
        Self {
            places: bounded.then(|| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))),
            most,
        }
    }

    /// A place, or what to tell the client.
    pub(super) fn take(&self) -> Result<Place, String> {
        let Some(places) = &self.places else {
            return Ok(Place { _permit: None });
        };
        match Arc::clone(places).try_acquire_owned() {
            Ok(permit) => Ok(Place {
                _permit: Some(permit),
            }),
            Err(_full) => Err(format!(
                "{} requests are answered at once, which is the most; try again, or raise \
                 --web.max-requests\n",
                self.most
            )),
        }
    }
}

impl Placed {
    pub(super) fn new(body: Bytes, place: Option<Place>) -> Self {
        Self {
            rest: body,
            _place: place,
        }
    }
}

impl Body for Placed {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let some = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(some);
        Poll::Ready((some > 0).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::Room;

    #[test]
    fn who_finds_no_place_is_told_the_bound_and_a_place_comes_back() {
        let room = Room::new(2);
        let places = [room.take().unwrap(), room.take().unwrap()];
        let why = room.take().unwrap_err();
        assert!(
            why.starts_with("2 requests") && why.contains("--web.max-requests"),
            "{why}"
        );
        drop(places);
        room.take().unwrap();
        let boundless = Room::new(0);
        let all: Vec<_> = (0..1000).map(|_| boundless.take().unwrap()).collect();
        assert_eq!(all.len(), 1000);
    }
}
