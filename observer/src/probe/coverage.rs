//! What the attached programs can see, and what the agent is blind to.
//!
//! Takes the outcome of every part of the plan; gives the [`Coverage`]. Pure.

use observer_ebpf::wire::Kind;
use observer_ebpf::wire::manifest::{Extra, Hook, Program, Question, Twin};

use super::{Answer, Coverage};
use crate::track::Sight;

/// What became of one part of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The question that it belongs to.
    pub(super) question: Question,
    /// The kind of record.
    pub(super) kind: Kind,
    /// The programs that are attached; none if nothing worked.
    pub(super) attached: Vec<&'static Program>,
    /// What was tried and failed, and why.
    pub(super) failures: Vec<String>,
    /// Nothing was tried, on request.
    pub(super) left_out: bool,
}

impl Outcome {
    fn names(&self) -> Vec<&'static str> {
        self.attached.iter().map(|program| program.name).collect()
    }
}

/// Puts the outcomes together, one answer a question. `misread` names what no program can
/// read of the sockets of this kernel.
pub(super) fn coverage(outcomes: &[Outcome], misread: &[String]) -> Coverage {
    let mut answers: Vec<Answer> = Question::ALL
        .into_iter()
        .map(|question| answer(question, outcomes))
        .collect();
    let state = answers
        .iter_mut()
        .find(|answer| answer.question == Question::State.label());
    if let Some(state) = state.filter(|_| !misread.is_empty()) {
        let failure = |name| format!("`{name}` is a bit field here, and is not read");
        state.failures.extend(misread.iter().map(failure));
        state.blind_to.get_or_insert(
            "what this kernel keeps of a socket in bit fields, such as whether it is a part of \
             a Multipath TCP connection",
        );
    }
    Coverage {
        answers,
        filters: Vec::new(),
        sight: sight(outcomes),
    }
}

fn answer(question: Question, outcomes: &[Outcome]) -> Answer {
    let parts = || outcomes.iter().filter(|one| one.question == question);
    let attached = || parts().flat_map(|one| &one.attached);
    let mut failures: Vec<String> = Vec::new();
    for failure in parts().flat_map(|one| &one.failures) {
        if !failures.contains(failure) {
            failures.push(failure.clone());
        }
    }
    Answer {
        question: question.label(),
        asks: question.asks(),
        twin: attached()
            .filter(|program| !program.again)
            .map(|program| program.hook.twin())
            .max()
            .map(Twin::label),
        programs: attached().map(|program| program.name).collect(),
        kinds: parts().map(|one| (one.kind.label(), one.names())).collect(),
        left_out: parts()
            .filter(|one| one.left_out)
            .map(|one| one.kind.label())
            .collect(),
        failures,
        blind_to: blind_to(question, outcomes),
    }
}

fn sight(outcomes: &[Outcome]) -> Sight {
    Sight {
        close: answered(Question::Close, outcomes),
        minisocks: answered(Question::Minisock, outcomes),
        segment_of_reset: has(Question::ResetReceived, Extra::Segment, outcomes),
        teardown: answered(Question::Teardown, outcomes),
        replies_beyond_sockets: has(Question::ResetReply, Extra::EveryReply, outcomes),
        replies: answered(Question::ResetReply, outcomes),
        resets_sent: answered(Question::ResetSent, outcomes),
        reset_reasons: has(Question::ResetSent, Extra::Reason, outcomes)
            || has(Question::ResetReply, Extra::Reason, outcomes),
    }
}

/// Whether every kind of record of the question comes.
fn answered(question: Question, outcomes: &[Outcome]) -> bool {
    question.kinds().iter().all(|kind| {
        outcomes
            .iter()
            .any(|one| one.kind == *kind && !one.attached.is_empty())
    })
}

fn has(question: Question, extra: Extra, outcomes: &[Outcome]) -> bool {
    outcomes
        .iter()
        .filter(|one| one.question == question)
        .flat_map(|one| &one.attached)
        .any(|program| program.extras.contains(&extra))
}

fn returns_by_kprobe(question: Question, outcomes: &[Outcome]) -> bool {
    outcomes
        .iter()
        .filter(|one| one.question == question)
        .flat_map(|one| &one.attached)
        .any(|program| matches!(program.hook, Hook::Kretprobe(_)))
}

fn blind_to(question: Question, outcomes: &[Outcome]) -> Option<&'static str> {
    if !answered(question, outcomes) {
        return Some(unanswered(question));
    }
    match question {
        Question::ResetReply if !has(question, Extra::EveryReply, outcomes) => Some(
            "resets that answer a segment for a minisock or for no socket; data after close is \
             then seen only where the minisock is",
        ),
        Question::ResetReceived if !has(question, Extra::Segment, outcomes) => Some(
            "whether a RST arrived or data came after close; inferred from the reset that \
             answers the data",
        ),
        Question::Accept if returns_by_kprobe(question, outcomes) => Some(
            "who accepted, where more threads wait in accept() than the kernel keeps instances \
             of a kretprobe for",
        ),
        Question::State
        | Question::Close
        | Question::ResetSent
        | Question::ResetReply
        | Question::ResetReceived
        | Question::Teardown
        | Question::Minisock
        | Question::Destroy
        | Question::Accept => None,
    }
}

const fn unanswered(question: Question) -> &'static str {
    match question {
        Question::State => "everything: no connection is seen",
        Question::Close => "who called close(), and close() of a connection that was already over",
        Question::ResetSent => "the resets that this host sends of its own accord",
        Question::ResetReply => "the resets that answer a segment",
        Question::ResetReceived => "the moment at which a reset arrives; inferred from sk_err",
        Question::Teardown => {
            "which call tore a connection down; inferred from the socket's flags and from the \
             order of reset and CLOSE"
        }
        Question::Minisock => {
            "what follows after CLOSE in FIN_WAIT2 and TIME_WAIT; inferred at CLOSE"
        }
        Question::Destroy => "when the kernel forgets a socket; finality falls back to a delay",
        Question::Accept => "who accepted a connection",
    }
}

#[cfg(test)]
mod tests {
    use observer_ebpf::wire::manifest::PROGRAMS;

    use super::*;

    /// One outcome a kind: attached are those of the named programs that send it.
    fn outcomes(names: &[&str]) -> Vec<Outcome> {
        let attached = |kind| {
            PROGRAMS
                .iter()
                .filter(|program| program.kind == kind && names.contains(&program.name))
                .collect()
        };
        Question::ALL
            .into_iter()
            .flat_map(|question| question.kinds().iter().map(move |kind| (question, *kind)))
            .map(|(question, kind)| Outcome {
                question,
                kind,
                attached: attached(kind),
                failures: Vec::new(),
                left_out: false,
            })
            .collect()
    }

    fn answer_to(question: Question, names: &[&str]) -> Answer {
        answer(question, &outcomes(names))
    }

    #[test]
    fn answers_stand_in_the_order_of_the_manifest() {
        let coverage = coverage(&outcomes(&[]), &[]);
        let labels: Vec<&str> = coverage.answers.iter().map(|one| one.question).collect();
        assert_eq!(labels, Question::ALL.map(Question::label));
    }

    #[test]
    fn where_nothing_is_attached_every_question_says_what_it_is_blind_to() {
        let coverage = coverage(&outcomes(&[]), &[]);
        assert!(coverage.answers.iter().all(|one| one.blind_to.is_some()));
        assert!(coverage.answers.iter().all(|one| one.twin.is_none()));
        assert!(!coverage.sight.replies && !coverage.sight.teardown);
    }

    #[test]
    fn a_member_that_would_be_misread_is_a_blind_spot() {
        let attached = outcomes(&["fentry_tcp_set_state"]);
        let state = |misread: &[String]| coverage(&attached, misread).answers.swap_remove(0);
        assert_eq!(state(&[]).blind_to, None);
        let blind = state(&["struct tcp_sock.is_mptcp".to_owned()]);
        assert!(blind.blind_to.unwrap().contains("Multipath TCP"));
        assert!(blind.failures[0].contains("tcp_sock.is_mptcp"));
    }

    #[test]
    fn a_question_with_one_kind_missing_is_not_answered() {
        let two = ["fentry_inet_twsk_hashdance", "kprobe_inet_twsk_kill"];
        let answer = answer_to(Question::Minisock, &two);
        assert_eq!(answer.programs, two);
        assert_eq!(answer.twin, Some("kprobe"), "the coarser of both");
        assert!(answer.blind_to.is_some());
        assert!(!sight(&outcomes(&two)).minisocks);
        let three = [two[0], two[1], "fexit_tcp_timewait_state_process_args3"];
        assert_eq!(answer_to(Question::Minisock, &three).blind_to, None);
        assert!(sight(&outcomes(&three)).minisocks);
    }

    #[test]
    fn what_was_left_out_on_request_is_named_and_makes_its_question_blind() {
        let three = [
            "fentry_inet_twsk_hashdance",
            "fentry_inet_twsk_kill",
            "fexit_tcp_timewait_state_process_args3",
        ];
        let mut outcomes = outcomes(&three[..2]);
        for one in &mut outcomes {
            one.left_out = one.kind == Kind::MinisockAnswered;
        }
        let answer = answer(Question::Minisock, &outcomes);
        assert_eq!(answer.left_out, ["minisock_answered"]);
        assert_eq!(answer.kinds["minisock_ended"], ["fentry_inet_twsk_kill"]);
        assert!(answer.blind_to.is_some() && !sight(&outcomes).minisocks);
    }

    #[test]
    fn a_reset_without_its_segment_is_said_to_be_ambiguous() {
        let question = Question::ResetReceived;
        assert_eq!(
            answer_to(question, &["fentry_tcp_reset_segment1"]).blind_to,
            None
        );
        assert!(
            answer_to(question, &["fentry_tcp_reset"])
                .blind_to
                .is_some()
        );
        assert!(!sight(&outcomes(&["fentry_tcp_reset"])).segment_of_reset);
    }

    #[test]
    fn the_older_tracepoint_sees_no_replies_beyond_sockets() {
        let older = sight(&outcomes(&["tp_tcp_send_reset_reply"]));
        assert!(older.replies && !older.replies_beyond_sockets && !older.reset_reasons);
        let later = sight(&outcomes(&["tp_tcp_send_reset_reply_reason2"]));
        assert!(later.replies && later.replies_beyond_sockets && later.reset_reasons);
    }
}
