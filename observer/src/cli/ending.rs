//! An ending on the command line.
//!
//! Takes a typed word; gives the ending with that label, or an error that names all of them
//! and those that are near.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, Error};

use crate::classify::Ending;

/// Accepts the labels of endings.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndingParser;

impl TypedValueParser for EndingParser {
    type Value = Ending;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Ending, Error> {
        PossibleValuesParser::new(values())
            .try_map(|label| Ending::from_label(&label).ok_or("not an ending"))
            .parse_ref(command, argument, value)
            .map_err(|error| with_near_ones(error, &value.to_string_lossy()))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(values()))
    }
}

fn values() -> impl Iterator<Item = PossibleValue> {
    Ending::ALL.into_iter().map(|ending| {
        let value = PossibleValue::new(ending.label());
        value.help(ending.meaning())
    })
}

/// clap alone suggests one word that is spelled alike; words with a part in common come first.
fn with_near_ones(mut error: Error, typed: &str) -> Error {
    let near = near(typed);
    if !near.is_empty() {
        let near = near.into_iter().map(str::to_owned).collect();
        error.insert(ContextKind::SuggestedValue, ContextValue::Strings(near));
    }
    error
}

/// Labels that hold the typed word, or else the most of its parts.
fn near(typed: &str) -> Vec<&'static str> {
    let typed = typed.to_lowercase().replace('-', "_");
    let labels = Ending::ALL.map(Ending::label);
    let holding: Vec<_> = labels
        .into_iter()
        .filter(|label| typed.len() > 2 && label.contains(&typed))
        .collect();
    if !holding.is_empty() {
        return holding;
    }
    let parts: Vec<_> = typed.split('_').filter(|part| part.len() > 2).collect();
    let shared = |label: &str| {
        let known = |part: &&&str| label.split('_').any(|word| word == **part);
        parts.iter().filter(known).count()
    };
    let most = labels.into_iter().map(shared).max().unwrap_or(0);
    let best = |label: &&str| most > 0 && shared(label) == most;
    labels.into_iter().filter(best).collect()
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn a_part_of_a_label_leads_to_the_labels_that_hold_it() {
        assert_eq!(near("refused"), ["connect_refused"]);
        assert_eq!(near("linger"), ["reset_linger_zero", "reset_linger2"]);
        assert_eq!(near("Peer-Reset-After"), ["peer_reset_after_fin"]);
    }

    #[test]
    fn words_in_another_order_lead_to_the_labels_that_share_most_of_them() {
        assert_eq!(near("data_unread"), ["reset_unread_data"]);
        assert_eq!(near("keepalive_timeout"), ["timeout_keepalive"]);
    }

    #[test]
    fn what_has_nothing_in_common_leads_nowhere() {
        assert!(near("frobnicate").is_empty());
        assert!(near("").is_empty());
    }
}
