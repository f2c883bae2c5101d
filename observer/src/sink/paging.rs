//! A list in parts.
//!
//! Takes the `limit` and `offset` of a query; gives that part of the list, however long it is.

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    most: usize,
    limit: usize,
    /// How many come before.
    pub(super) offset: usize,
}

impl Paging {
    /// The beginning: as many as may be asked for.
    pub(super) const fn first(most: usize) -> Self {
        Self {
            most,
            limit: most,
            offset: 0,
        }
    }

    /// Reads `limit=100&offset=0`, where nothing else can be chosen; each may be left out.
    pub(super) fn alone(query: &str, most: usize) -> Result<Self, String> {
        let mut paging = Self::first(most);
        for (key, value) in parts(query) {
            if !paging.read(key, value)? {
                return Err(format!("{key}: expected limit or offset"));
            }
        }
        Ok(paging)
    }

    /// Reads `limit=100` or `offset=0`; says whether it was one of them. A larger limit than the
    /// list has is its own.
    pub(super) fn read(&mut self, key: &str, value: &str) -> Result<bool, String> {
        let number = || {
            let number = value.parse::<usize>();
            number.map_err(|_error| format!("{key}={value}: expected a number"))
        };
        match key {
            "limit" => self.limit = number()?.clamp(1, self.most),
            "offset" => self.offset = number()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// That part of all.
    pub(super) fn of<T>(self, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        all.skip(self.offset).take(self.limit)
    }
}

/// The parts of a query, `key=value` each.
pub(super) fn parts(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').unwrap_or((part, "")))
}

#[cfg(test)]
mod tests {
    use super::Paging;

    #[test]
    fn a_part_of_a_list_is_what_was_asked_for_and_never_more_than_it_gives() {
        let part = |query: &str| {
            let paging = Paging::alone(query, 4).unwrap();
            paging.of(0..10).collect::<Vec<_>>()
        };
        assert_eq!(part(""), [0, 1, 2, 3]);
        assert_eq!(part("limit=100&offset=8"), [8, 9]);
        assert_eq!(part("offset=2&&limit=0"), [2]);
        assert_eq!(part("offset=10"), [0; 0]);
        let why = Paging::alone("kind=x", 4).unwrap_err();
        assert_eq!(why, "kind: expected limit or offset");
        let why = Paging::alone("limit=", 4).unwrap_err();
        assert_eq!(why, "limit=: expected a number");
    }
}
