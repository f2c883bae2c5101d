//! The mutation check: `cargo xtask test --mutate`.
//! Takes kernels and backends, gives what each agent gets wrong without the probes of a kind;
//! fails where a loss shows nowhere and is not explained.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::matrix::{self, Matrix, Sheet};
use crate::place;
use crate::setup::{self, Part};
use crate::stopwatch::Stopwatch;
use crate::vm;
use crate::vm::report::{Case, Outcome};

/// The kernels with the most and with the least to see, and the tracepoints at their best.
const KERNELS: [(&str, &[&str]); 2] = [
    ("6.12", &["fentry", "kprobe", "tracepoint"]),
    ("5.10", &["fentry", "kprobe"]),
];

/// What the detail of a case calls a verdict that is false and says that it is exact.
const EXACT: &str = "exact though blind: ";

/// Runs it.
pub(super) fn run(filter: &[String]) -> Result<()> {
    setup::ensure(&[Part::Probes, Part::Vm])?;
    let watch = Stopwatch::start();
    let mut matrix = Matrix::default();
    let mut faults = Vec::new();
    for (series, backends) in KERNELS {
        let totals = vm::run(&vm::Args::mutation(series, backends, filter)?)?;
        faults.extend(totals.faults);
        matrix.append(totals.matrix);
    }
    let path = matrix::file("mutations.md")?;
    fs::write(&path, full(&matrix))
        .with_context(|| format!("could not write {}", path.display()))?;
    print!("{}", short(&matrix));
    let place = path.strip_prefix(place::repository()).unwrap_or(&path);
    println!("mutation check: {watch}, in full in {}", place.display());
    for fault in &faults {
        println!("{}", fault.lines().next().unwrap_or_default());
    }
    if !faults.is_empty() {
        bail!("the mutation check failed");
    }
    Ok(())
}

/// A line for each mutation, and the sums.
fn short(matrix: &Matrix) -> String {
    let mut text = String::new();
    let (mut shown, mut explained, mut absent, mut failed, mut exact) = (0, 0, 0, 0, 0);
    for sheet in matrix.sheets() {
        let _written = writeln!(text, "\n{}, {}: without", sheet.kernel, sheet.backend);
        for case in &sheet.cases {
            let _written = writeln!(text, "  {:<17} {}", kind(case), first_line(case));
            exact += case.detail.matches(EXACT).count();
            match case.outcome {
                _ if kind(case) == "nothing" => {}
                Outcome::Failed => failed += 1,
                Outcome::Skipped => absent += 1,
                Outcome::Passed if has_changes(case) => shown += 1,
                Outcome::Passed => explained += 1,
            }
        }
        let _written = writeln!(text, "  {}", programs(sheet));
    }
    let _written = writeln!(
        text,
        "\nmutations: {shown} change a verdict, {explained} are explained, {failed} failed, \
         {absent} have no program there; {exact} verdicts are false and called exact"
    );
    text
}

/// What becomes of each program that attaches there.
fn programs(sheet: &Sheet) -> String {
    let of = |wanted: fn(&Case) -> bool| {
        let cases = sheet.cases.iter().filter(|case| wanted(case));
        let named = cases.filter_map(|case| Some(case.detail.split_once("programs: ")?.1));
        let named: Vec<&str> = named.flat_map(|named| named.split(", ")).collect();
        match named.len() {
            0 => "none".to_owned(),
            count => format!("{count} ({})", named.join(", ")),
        }
    };
    let seen = of(|case| case.outcome == Outcome::Passed && has_changes(case));
    let explained = of(|case| case.outcome == Outcome::Passed && !has_changes(case));
    let unseen = of(|case| case.outcome == Outcome::Failed);
    format!("programs whose loss shows: {seen}; is explained: {explained}; shows nowhere: {unseen}")
}

fn has_changes(case: &Case) -> bool {
    case.detail.contains("\nchange: ") || case.detail.contains(EXACT)
}

/// All that each case found.
fn full(matrix: &Matrix) -> String {
    let mut text = String::from("# What is told otherwise without the probes of a kind\n");
    for sheet in matrix.sheets() {
        let _written = write!(text, "\n## {}, {}\n", sheet.kernel, sheet.backend);
        of_sheet(&mut text, sheet);
    }
    text
}

fn of_sheet(text: &mut String, sheet: &Sheet) {
    for case in &sheet.cases {
        let _written = write!(text, "\n### Without {}\n\n", kind(case));
        for line in case.detail.lines().filter(|line| !line.is_empty()) {
            let _written = writeln!(text, "- {line}");
        }
    }
}

fn kind(case: &Case) -> &str {
    case.name.rsplit("::").next().unwrap_or(&case.name)
}

/// Its first line, with a few of the cases that it names.
fn first_line(case: &Case) -> String {
    const NAMED: usize = 4;
    let line = case.detail.lines().next().unwrap_or_default();
    let line = match case.outcome {
        Outcome::Failed => format!("FAILED: {line}"),
        Outcome::Passed | Outcome::Skipped => line.to_owned(),
    };
    let names: Vec<&str> = line.split(", ").collect();
    match names.len().checked_sub(NAMED) {
        Some(more) if more > 0 && case.detail.contains("change their verdict") => {
            let few = names.get(..NAMED).unwrap_or_default().join(", ");
            format!("{few} and {more} more")
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::report::{self, Boot};

    const LINES: &str = r#"{"booted": 3.5}
{"case": "mutate::nothing::kprobe", "outcome": "passed", "detail": "60 cases compared, 0 left out"}
{"case": "mutate::aborted::kprobe", "outcome": "passed", "detail": "5 cases change their verdict: a, b, c, d, e\nexact though blind: a client: ending\nchange: b client: ending\nprograms: kprobe_tcp_abort"}
{"case": "mutate::accepted::kprobe", "outcome": "passed", "detail": "no case changes its verdict: for the test\nprograms: kretprobe_inet_csk_accept"}
{"case": "mutate::destroyed::kprobe", "outcome": "failed", "detail": "no case changes its verdict: a probe\nprograms: tp_tcp_destroy_sock"}
{"case": "mutate::forgotten::kprobe", "outcome": "skipped", "detail": "not applicable: no program"}
"#;

    fn matrix() -> Matrix {
        let mut matrix = Matrix::default();
        matrix.add("6.1", &report::judge("", LINES, Boot::PoweredOff).cases);
        matrix
    }

    #[test]
    fn each_mutation_has_a_line_and_is_counted_once() {
        let text = short(&matrix());
        assert!(text.contains("6.1, kprobe: without\n"), "{text}");
        assert!(
            text.contains(
                "  aborted           5 cases change their verdict: a, b, c, d and 1 more\n"
            ),
            "{text}"
        );
        assert!(text.contains("FAILED: no case changes"), "{text}");
        assert!(
            text.contains(
                "programs whose loss shows: 1 (kprobe_tcp_abort); is explained: 1 \
                 (kretprobe_inet_csk_accept); shows nowhere: 1 (tp_tcp_destroy_sock)"
            ),
            "{text}"
        );
        assert!(
            text.ends_with(
                "mutations: 1 change a verdict, 1 are explained, 1 failed, 1 have no program \
                 there; 1 verdicts are false and called exact\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn the_whole_names_every_change_and_every_program() {
        let text = full(&matrix());
        for words in [
            "## 6.1, kprobe",
            "### Without aborted",
            "- change: b client: ending",
            "- programs: kprobe_tcp_abort",
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
    }
}
