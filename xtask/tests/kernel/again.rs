//! Second tries of the cases whose traffic the machine itself may spoil.
//!
//! Takes cases with an agent of their own that failed while others ran beside them: they hold an
//! exact count of sockets over seconds, which a reset of the kernel's, a timer or a late segment
//! changes, or need an event that the kernel may not show. Performs each once more, alone. None of them judges a verdict.

use std::sync::{Mutex, PoisonError};

use libtest_mimic::{Completion, Trial};

use crate::cases::{Own, trial};
use crate::results::{Outcome, Results};
use crate::session::Session;

/// One that failed.
#[derive(Debug)]
struct Failure {
    name: String,
    backend: &'static str,
    run: Own,
    first: String,
}

/// Those that wait for their second try.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<Vec<Failure>>);

impl Failures {
    fn add(&self, failure: Failure) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(failure);
    }
}

/// A case of which each has two tries, on this backend or on the best here.
pub(crate) fn twice(
    session: &'static Session,
    results: &'static Results,
    name: &str,
    backend: Option<&'static str>,
    run: Own,
) -> Trial {
    let name = backend.map_or_else(|| name.to_owned(), |it| format!("{name}::{it}"));
    let case = name.clone();
    Trial::ignorable_test(name, move || {
        let first = || {
            let path = session.agent.clone()?;
            let best = || session.best().ok_or("this kernel allows no backend");
            let backend = backend.map_or_else(best, Ok)?;
            Ok::<_, String>((backend, run(&path, backend)))
        };
        let outcome = match (session.hindrance(&case), first) {
            (Some(why), _) => Ok(Outcome::Skipped(why)),
            (None, first) => match first() {
                Ok((_, Ok(()))) => Ok(Outcome::Passed),
                Ok((backend, Err(error))) => {
                    let first = format!("{error:#}");
                    let why = format!("to try again: {}", one_line(&first));
                    session.failures.add(Failure {
                        name: case,
                        backend,
                        run,
                        first,
                    });
                    return Ok(Completion::ignored_with(why));
                }
                Err(why) => Err(why.into()),
            },
        };
        results.record(&case, || outcome)
    })
}

/// A trial for each that failed.
pub(crate) fn second(session: &'static Session, results: &'static Results) -> Vec<Trial> {
    let mut all = session
        .failures
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let again = |failure: Failure| {
        let name = failure.name.clone();
        trial(session, results, name, move || {
            let path = session.agent.clone()?;
            let Failure { first, .. } = &failure;
            match (failure.run)(&path, failure.backend) {
                Ok(()) => Ok(Outcome::SecondTry(one_line(first))),
                Err(second) => {
                    let tries = format!("at the first try:\n{first}\nat the second try:");
                    Err(format!("{tries}\n{second:#}").into())
                }
            }
        })
    };
    std::mem::take(&mut *all).into_iter().map(again).collect()
}

/// A finding is many lines.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
