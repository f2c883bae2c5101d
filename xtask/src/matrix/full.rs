//! The whole matrix, as Markdown: for each kernel the cases × the verdict of each backend, and
//! for each backend the ending that happened × the ending that it named.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use xtask::judge::{Grade, Pair};

use super::{Matrix, Sheet, truth, verdict};
use crate::vm::report::{Case, Outcome};

/// The text.
pub(super) fn text(matrix: &Matrix) -> String {
    let mut text = String::from(
        "# What happened, and what the agent said\n\n\
         Cases: a row for each end of each case, a column for each backend. ✓ is the verdict \
         itself. *Slanted* is a coarser verdict that the table `coarser` requires, **bold** a \
         wrong one.\n\n\
         Endings: rows are what happened, columns what the agent said. All that is right stands \
         on the diagonal.\n",
    );
    for kernel in kernels(matrix) {
        let sheets: Vec<&Sheet> = matrix
            .sheets
            .iter()
            .filter(|sheet| sheet.kernel == kernel)
            .collect();
        let _written = write!(text, "\n## {kernel}\n\n");
        cases(&mut text, &sheets);
        for sheet in sheets {
            let _written = write!(text, "\n### {kernel}, {}\n\n", sheet.backend);
            endings(&mut text, sheet);
        }
    }
    text
}

fn kernels(matrix: &Matrix) -> Vec<&str> {
    let mut kernels: Vec<&str> = Vec::new();
    for sheet in &matrix.sheets {
        if !kernels.contains(&sheet.kernel.as_str()) {
            kernels.push(&sheet.kernel);
        }
    }
    kernels
}

/// Name of the case, role, and truth: what has a row.
type Row<'a> = (&'a str, &'a str, &'a str);

/// Cases × verdict.
fn cases(text: &mut String, sheets: &[&Sheet]) {
    let rows: BTreeSet<Row<'_>> = sheets
        .iter()
        .flat_map(|sheet| &sheet.cases)
        .flat_map(rows)
        .collect();
    text.push_str("| case | end | truth |");
    for sheet in sheets {
        let _written = write!(text, " {} |", sheet.backend);
    }
    text.push_str("\n|---|---|---|");
    text.push_str(&"---|".repeat(sheets.len()));
    text.push('\n');
    for row in rows {
        let (name, role, truth) = row;
        let _written = write!(text, "| {name} | {role} | {truth} |");
        for sheet in sheets {
            let _written = write!(text, " {} |", cell(sheet, row));
        }
        text.push('\n');
    }
}

/// A case without ends has one row for its outcome.
fn rows(case: &Case) -> Vec<Row<'_>> {
    if case.ends.is_empty() {
        return vec![(&case.name, "", "")];
    }
    let ends = case.ends.iter();
    ends.map(|pair| (case.name.as_str(), pair.role.as_str(), truth(pair)))
        .collect()
}

fn cell(sheet: &Sheet, (name, role, true_ending): Row<'_>) -> String {
    let Some(case) = sheet.cases.iter().find(|case| case.name == name) else {
        return "–".to_owned();
    };
    if role.is_empty() {
        return outcome(case);
    }
    let mut words: BTreeMap<String, usize> = BTreeMap::new();
    let ends = case.ends.iter();
    for pair in ends.filter(|pair| pair.role == role && truth(pair) == true_ending) {
        *words.entry(word(pair)).or_default() += 1;
    }
    let words: Vec<String> = words
        .into_iter()
        .map(|(word, count)| match count {
            1 => word,
            _ => format!("{count} × {word}"),
        })
        .collect();
    words.join(", ")
}

fn outcome(case: &Case) -> String {
    match case.outcome {
        Outcome::Passed => "passed".to_owned(),
        Outcome::Failed => "**failed**".to_owned(),
        Outcome::Skipped => case.detail.replace('|', "\\|"),
    }
}

fn word(pair: &Pair) -> String {
    match pair.grade() {
        Grade::Right => "✓".to_owned(),
        Grade::Coarser => format!("*{}*", pair.coarser.join(", ")),
        Grade::Wrong if pair.truth == pair.verdict => format!("**{}**", pair.wrong.join("; ")),
        Grade::Wrong => format!("**{}**", verdict(pair)),
    }
    .replace('|', "\\|")
}

/// Ending × ending.
fn endings(text: &mut String, sheet: &Sheet) {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for pair in sheet.cases.iter().flat_map(|case| &case.ends) {
        *counts.entry((truth(pair), verdict(pair))).or_default() += 1;
    }
    let rows: BTreeSet<&str> = counts.keys().map(|(truth, _)| *truth).collect();
    let columns: BTreeSet<&str> = counts.keys().map(|(_, verdict)| *verdict).collect();
    text.push_str("| truth |");
    for column in &columns {
        let _written = write!(text, " {column} |");
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(columns.len()));
    text.push('\n');
    for row in rows {
        let _written = write!(text, "| {row} |");
        for column in &columns {
            let count = counts.get(&(row, *column)).copied().unwrap_or_default();
            let _written = match count {
                0 => write!(text, " |"),
                _ if row == *column => write!(text, " {count} |"),
                _ => write!(text, " **{count}** |"),
            };
        }
        text.push('\n');
    }
}
