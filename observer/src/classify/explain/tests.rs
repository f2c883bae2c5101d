//! What must hold of every explanation.

use std::collections::BTreeSet;

use super::{Explanation, Wire};
use crate::classify::{Ending, Group};
use crate::event::State;

/// Every text of an explanation that is a sentence.
fn sentences(known: &Explanation) -> Vec<&'static str> {
    let mut all = vec![known.problem, known.application];
    all.extend(known.causes);
    all.extend(known.next.iter().map(|next| next.text));
    all.extend(known.settings.iter().map(|setting| setting.effect));
    all.extend(
        known
            .myths
            .iter()
            .flat_map(|myth| [myth.advice, myth.truth]),
    );
    all
}

#[test]
fn each_ending_has_an_explanation_of_its_own() {
    let problems: BTreeSet<_> = Ending::ALL
        .map(|ending| ending.explanation().problem)
        .into();
    assert_eq!(problems.len(), Ending::ALL.len());
}

#[test]
fn texts_are_sentences_on_one_line() {
    for ending in Ending::ALL {
        for text in sentences(ending.explanation()) {
            let ends = text.ends_with(['.', '?']);
            assert!(ends && !text.contains(['\n', '\t']), "{ending:?}: {text}");
            assert!(
                !text.contains("  ") && text.is_ascii(),
                "{ending:?}: {text}"
            );
        }
    }
}

#[test]
fn one_step_of_each_drawing_decides() {
    for ending in Ending::ALL {
        let steps = ending.explanation().drawing;
        let deciding = steps.iter().filter(|step| step.decides).count();
        assert_eq!(deciding, 1, "{ending:?}");
    }
}

/// The group says who sent the RST; the drawing must not say otherwise.
#[test]
fn the_deciding_step_is_what_the_group_says() {
    for ending in Ending::ALL {
        let mut steps = ending.explanation().drawing.iter();
        let wire = steps.find(|step| step.decides).unwrap().wire;
        let fits = match ending.group() {
            Group::ResetSent => wire == Wire::Sent("RST"),
            Group::ResetReceived => wire == Wire::Received("RST"),
            Group::Orderly => matches!(wire, Wire::Received("FIN" | "ACK")),
            Group::GaveUp => wire != Wire::Sent("RST") && wire != Wire::Received("RST"),
            Group::Other => matches!(wire, Wire::Quiet(_)),
        };
        assert!(fits, "{ending:?}: {wire:?}");
    }
}

#[test]
fn the_deciding_step_ends_this_end() {
    for ending in Ending::ALL {
        let mut steps = ending.explanation().drawing.iter();
        let state = steps.find(|step| step.decides).unwrap().here.state;
        let ends = matches!(state, Some(State::Close | State::TimeWait));
        assert_eq!(ends, ending != Ending::Unknown, "{ending:?}: {state:?}");
    }
}

/// What this end sent, the other end may have received: each names the other.
#[test]
fn a_reset_that_one_end_sends_is_one_that_the_other_end_may_receive() {
    for ending in Ending::ALL {
        if ending.group() != Group::ResetSent {
            continue;
        }
        let others = ending.explanation().other_end;
        assert!(!others.is_empty(), "{ending:?}");
        for other in others {
            assert_eq!(other.group(), Group::ResetReceived, "{ending:?}: {other:?}");
            let back = other.explanation().other_end;
            assert!(back.contains(&ending), "{other:?} does not name {ending:?}");
        }
    }
}
