//! The matrix for a terminal: a line for each kernel and backend, then all that is not plainly
//! right by name, then the totals.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use xtask::judge::{Grade, Pair};

use super::{Count, Matrix, Sheet, lack, truth, verdict};
use crate::vm::report::{Case, Outcome};

/// What is told by name, with the kernels that it holds for.
type Named = BTreeMap<String, Vec<String>>;

/// The text; its last line has the totals and no line end.
pub(super) fn text(matrix: &Matrix) -> String {
    let mut text = String::from(
        "\nkernel      backend      cases  passed  failed  not applicable  skipped    ends   right  \
         coarser  wrong    exact  inferred  partial\n",
    );
    let mut sum = Count::default();
    for sheet in &matrix.sheets {
        let count = sheet.count();
        line(&mut text, &sheet.kernel, sheet.backend, count);
        sum += count;
    }
    if matrix.sheets.len() > 1 {
        line(&mut text, "all", "", sum);
    }
    for (title, named) in [
        ("coarser, as the table requires", coarser(matrix)),
        ("right and inferred", inferred(matrix)),
        ("not applicable", not_applicable(matrix)),
        ("skipped", skipped(matrix)),
        ("failed with every verdict right", failed_otherwise(matrix)),
        ("WRONG", wrong(matrix)),
    ] {
        list(&mut text, title, &named);
    }
    let _written = write!(
        text,
        "verdicts: {} ends: {} right, {} coarser, {} wrong; {} exact, {} inferred, {} partial; \
         {} cases: {} passed, {} failed, {} not applicable, {} skipped",
        sum.ends,
        sum.right,
        sum.coarser,
        sum.wrong,
        sum.exact,
        sum.inferred,
        sum.partial,
        sum.cases,
        sum.passed,
        sum.failed,
        sum.not_applicable,
        sum.skipped,
    );
    text
}

fn line(text: &mut String, kernel: &str, backend: &str, count: Count) {
    let _written = writeln!(
        text,
        "{kernel:<11} {backend:<11} {:>6} {:>7} {:>7} {:>15} {:>8} {:>7} {:>7} {:>8} {:>6} \
         {:>8} {:>9} {:>8}",
        count.cases,
        count.passed,
        count.failed,
        count.not_applicable,
        count.skipped,
        count.ends,
        count.right,
        count.coarser,
        count.wrong,
        count.exact,
        count.inferred,
        count.partial,
    );
}

fn list(text: &mut String, title: &str, named: &Named) {
    if named.is_empty() {
        return;
    }
    let _written = writeln!(text, "{title}");
    for (what, kernels) in named {
        let _written = writeln!(text, "  {what} ({})", kernels.join(", "));
    }
}

/// The cases of all sheets.
fn cases(matrix: &Matrix) -> impl Iterator<Item = (&Sheet, &Case)> {
    matrix
        .sheets
        .iter()
        .flat_map(|sheet| sheet.cases.iter().map(move |case| (sheet, case)))
}

fn add(named: &mut Named, what: String, kernel: &str) {
    let kernels = named.entry(what).or_default();
    if !kernels.iter().any(|it| it == kernel) {
        kernels.push(kernel.to_owned());
    }
}

fn of_grade(matrix: &Matrix, grade: Grade, say: fn(&Pair) -> String) -> Named {
    let mut named = Named::new();
    for (sheet, case) in cases(matrix) {
        for pair in case.ends.iter().filter(|pair| pair.grade() == grade) {
            let (backend, name, role) = (sheet.backend, &case.name, &pair.role);
            let what = format!("{backend:<10}  {name}, {role}: {}", say(pair));
            add(&mut named, what, &sheet.kernel);
        }
    }
    named
}

fn coarser(matrix: &Matrix) -> Named {
    of_grade(matrix, Grade::Coarser, |pair| {
        format!("{}, told as {}", truth(pair), pair.coarser.join(", "))
    })
}

/// By backend and the agent's own doubt: how many ends on which kernel.
fn inferred(matrix: &Matrix) -> Named {
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for (sheet, case) in cases(matrix) {
        let ends = case.ends.iter();
        let inferred = |pair: &&Pair| pair.confidence.as_deref() == Some("inferred");
        for pair in ends
            .filter(|pair| pair.grade() == Grade::Right)
            .filter(inferred)
        {
            let doubt = pair.doubt.as_deref().unwrap_or("no reason");
            let what = format!("{:<10}  {doubt}", sheet.backend);
            *counts.entry((what, &sheet.kernel)).or_default() += 1;
        }
    }
    let mut named = Named::new();
    for ((what, kernel), count) in counts {
        add(&mut named, what, &format!("{kernel}: {count}"));
    }
    named
}

fn wrong(matrix: &Matrix) -> Named {
    of_grade(matrix, Grade::Wrong, |pair| {
        let sure = pair.confidence.as_deref().unwrap_or("no record");
        let (truth, verdict) = (truth(pair), verdict(pair));
        format!(
            "{truth}, told as {verdict} ({sure}): {}",
            pair.wrong.join("; ")
        )
    })
}

/// What a kernel cannot make is the same for every backend: by kernel and reason.
fn not_applicable(matrix: &Matrix) -> Named {
    let mut named = Named::new();
    for (sheet, case) in cases(matrix) {
        if let Some(lack) = lack(case) {
            add(
                &mut named,
                format!("{:<10}  {lack}", sheet.kernel),
                &case.name,
            );
        }
    }
    named
}

fn skipped(matrix: &Matrix) -> Named {
    let mut named = Named::new();
    for (sheet, case) in cases(matrix) {
        if case.outcome == Outcome::Skipped && lack(case).is_none() {
            let what = format!("{:<10}  {}", sheet.kernel, case.detail);
            add(&mut named, what, &case.name);
        }
    }
    named
}

/// A case can fail for the kernel's counters, or because its scenario did not do what it
/// claims.
fn failed_otherwise(matrix: &Matrix) -> Named {
    let mut named = Named::new();
    for (sheet, case) in cases(matrix) {
        let all_right = case.ends.iter().all(|pair| pair.grade() != Grade::Wrong);
        if case.outcome == Outcome::Failed && all_right {
            // What went wrong stands last, after the story of a first try.
            let why = case.detail.lines().rfind(|line| !line.trim().is_empty());
            let (backend, name) = (sheet.backend, &case.name);
            let what = format!("{backend:<10}  {name}: {}", why.unwrap_or_default().trim());
            add(&mut named, what, &sheet.kernel);
        }
    }
    named
}
