//! Why a case has no verdict.
//!
//! Takes a reason, gives the text that stands in the results of the kernel tests, and the reason
//! of such a text. Says nothing on whether the reason is good enough.

use std::fmt;

/// What keeps a case from being performed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// This kernel or machine cannot make it.
    NotApplicable(String),
    /// The kernel refuses its backend.
    Refused {
        /// The backend.
        backend: String,
        /// The kernel's word.
        why: String,
    },
    /// What it judges was left out by a filter.
    NothingToJudge(String),
    /// The machine does not permit it: no root, or no VM around it.
    NotPermitted(String),
}

const NOT_APPLICABLE: &str = "not applicable: ";
const REFUSED: &str = "the kernel refuses ";
const NOTHING_TO_JUDGE: &str = "nothing to judge: ";

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotApplicable(why) => write!(f, "{NOT_APPLICABLE}{why}"),
            Self::Refused { backend, why } => write!(f, "{REFUSED}{backend}: {why}"),
            Self::NothingToJudge(why) => write!(f, "{NOTHING_TO_JUDGE}{why}"),
            Self::NotPermitted(why) => f.write_str(why),
        }
    }
}

impl From<&str> for Skip {
    fn from(text: &str) -> Self {
        if let Some(why) = text.strip_prefix(NOT_APPLICABLE) {
            return Self::NotApplicable(why.to_owned());
        }
        if let Some(why) = text.strip_prefix(NOTHING_TO_JUDGE) {
            return Self::NothingToJudge(why.to_owned());
        }
        let refused = text.strip_prefix(REFUSED);
        match refused.and_then(|text| text.split_once(": ")) {
            Some((backend, why)) => Self::Refused {
                backend: backend.to_owned(),
                why: why.to_owned(),
            },
            None => Self::NotPermitted(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_survives_its_way_through_the_results() {
        let why = || "no module: ENOENT".to_owned();
        for skip in [
            Skip::NotApplicable(why()),
            Skip::Refused {
                backend: "fentry".to_owned(),
                why: why(),
            },
            Skip::NothingToJudge(why()),
            Skip::NotPermitted(why()),
        ] {
            assert_eq!(Skip::from(skip.to_string().as_str()), skip);
        }
    }
}
