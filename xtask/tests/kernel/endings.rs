//! Whether the table of one scenario per ending is true of what was performed.

use libtest_mimic::{Failed, Trial};
use xtask::judge::Skip;
use xtask::scenario::Performed;
use xtask::scenario::endings::ONE_PER_ENDING;

use crate::cases::trial;
use crate::results::{Outcome, Results};
use crate::session::Session;

/// Each row's scenario has its ending, and each ending that was made has a row.
pub(crate) fn table(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let name = "one_per_ending".to_owned();
    vec![trial(session, results, name, move || check(session))]
}

fn check(session: &'static Session) -> Result<Outcome, Failed> {
    let performed = session.all_performed();
    if performed.is_empty() {
        let why = "no scenario was performed".to_owned();
        return Ok(Outcome::Skipped(Skip::NothingToJudge(why)));
    }
    let has = |performed: &Performed, ending: &str| {
        let mut ends = performed.ends.iter();
        ends.any(|end| end.ending == ending)
    };
    let mut wrong = Vec::new();
    for (ending, name) in ONE_PER_ENDING {
        let of_it = performed.iter().find(|(scenario, _)| scenario == name);
        if of_it.is_some_and(|(_, performed)| !has(performed, ending)) {
            wrong.push(format!("no end of {name} is {ending}"));
        }
    }
    for (name, performed) in &performed {
        for end in &performed.ends {
            let ending = end.ending;
            if !ONE_PER_ENDING.iter().any(|(known, _)| *known == ending) {
                wrong.push(format!("{ending}, made by {name}, has no row"));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(Outcome::Passed);
    }
    Err(format!("the table of one scenario per ending: {}", wrong.join("; ")).into())
}
