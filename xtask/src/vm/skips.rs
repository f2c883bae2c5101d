//! Whether a kernel may skip what it skipped.
//! Takes its row in the table of kernels and the results of one boot, gives each skip that
//! nothing permits and each permission that is no longer needed. Pure.

use xtask::judge::Skip;

use super::report::{Case, Outcome};
use super::without_backend;
use crate::setup::kernels::Lack;

/// What a kernel may skip.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permitted<'a> {
    /// Backends that it may refuse.
    pub(super) backends: &'a [&'a str],
    /// Cases that it cannot make.
    pub(super) lacks: &'a [Lack],
}

impl Permitted<'_> {
    /// A line for each skip that is not permitted and for each stale row.
    pub(super) fn faults(&self, cases: &[Case]) -> Vec<String> {
        let of_case = |case: &Case| match case.outcome {
            Outcome::Skipped => self.unpermitted(case),
            Outcome::Passed | Outcome::Failed => self.stale(case),
        };
        cases.iter().filter_map(of_case).collect()
    }

    fn unpermitted(&self, case: &Case) -> Option<String> {
        let (name, detail) = (&case.name, &case.detail);
        match Skip::from(detail.as_str()) {
            Skip::NotApplicable(_) if self.lack(case).is_some() => None,
            Skip::NotApplicable(_) => Some(format!(
                "{name}: {detail}, but its row in the table of kernels does not say so"
            )),
            Skip::Refused { backend, .. } if self.backends.contains(&backend.as_str()) => None,
            Skip::NothingToJudge(_) => None,
            Skip::Refused { .. } | Skip::NotPermitted(_) => Some(format!(
                "{name} was skipped, which nothing permits: {detail}"
            )),
        }
    }

    fn stale(&self, case: &Case) -> Option<String> {
        let reason = self.lack(case)?.reason;
        Some(format!(
            "{} was made, but the table of kernels says that it cannot be ({reason}); remove it \
             from the row",
            case.name
        ))
    }

    fn lack(&self, case: &Case) -> Option<&Lack> {
        let name = without_backend(&case.name);
        let mut lacks = self.lacks.iter();
        lacks.find(|lack| lack.cases.contains(&name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(outcome: Outcome, detail: &str) -> Vec<String> {
        let permitted = Permitted {
            backends: &["fentry"],
            lacks: &[Lack {
                cases: &["subflow"],
                reason: "no MPTCP",
            }],
        };
        let case = |name: &str| Case {
            name: name.to_owned(),
            outcome,
            detail: detail.to_owned(),
            ends: Vec::new(),
        };
        permitted.faults(&[case("subflow::kprobe"), case("reset::kprobe")])
    }

    #[test]
    fn only_what_the_table_names_may_be_not_applicable() {
        assert_eq!(
            faults(Outcome::Skipped, "not applicable: no veth"),
            [
                "reset::kprobe: not applicable: no veth, but its row in the table of kernels does \
              not say so"
            ]
        );
    }

    #[test]
    fn a_row_whose_case_was_made_is_stale() {
        for outcome in [Outcome::Passed, Outcome::Failed] {
            let faults = faults(outcome, "");
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(
                faults[0].starts_with("subflow::kprobe was made"),
                "{faults:?}"
            );
        }
    }

    #[test]
    fn no_other_skip_goes_without_a_permission() {
        assert_eq!(
            faults(Outcome::Skipped, "the kernel refuses fentry: no"),
            [""; 0]
        );
        assert_eq!(
            faults(Outcome::Skipped, "the kernel refuses kprobe: no").len(),
            2
        );
        assert_eq!(faults(Outcome::Skipped, "needs root").len(), 2);
        assert_eq!(
            faults(Outcome::Skipped, "nothing to judge: no case"),
            [""; 0]
        );
    }
}
