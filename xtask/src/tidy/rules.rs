//! Each rule as a pure function from a file to its breaches.

use std::collections::BTreeSet;

/// Most lines that a source file may have; 250 is what we aim at.
const LINES: usize = 400;

/// Everything that may stand at the top of the repository.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "clippy.toml",
    "dashboards",
    "deny.toml",
    "observer",
    "observer-ebpf",
    "rustfmt.toml",
    "xtask",
];

/// Where unsafe code is unavoidable: the kernel's side, the one variable that allows a
/// stable compiler to build it, a call of the C library's allocator, memory that is shared with the
/// kernel's side, and socket calls that no library offers, or not with a frame pointer.
const UNSAFE: &[&str] = &[
    "observer-ebpf/src/probes/",
    "observer-ebpf/src/main.rs",
    "observer-ebpf/src/shapes/",
    "observer/build.rs",
    "observer/src/memory.rs",
    "observer/src/netns/cookie.rs",
    "observer/src/probe/shared.rs",
    "xtask/src/scenario/framed.rs",
    "xtask/src/scenario/raw.rs",
];

/// Marks of unfinished work, split so that this table is not one.
const MARKS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("HA", "CK"),
    concat!("XX", "X"),
];

/// Folders of one machine or one person, split likewise.
const MACHINE: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/tmp", "/wt"),
];

pub(crate) fn of_path(path: &str) -> Vec<String> {
    let top = path.split('/').next().unwrap_or(path);
    if TOP_LEVEL.contains(&top) {
        return Vec::new();
    }
    vec![format!(
        "{path}: nothing called {top} stands at the top level; see the table in tidy"
    )]
}

pub(crate) fn of_text(path: &str, text: &str) -> Vec<String> {
    let is_rust = path
        .rsplit_once('.')
        .is_some_and(|(_, ending)| ending == "rs");
    // Licences and lock files are not ours to format.
    let is_ours = !path.starts_with("LICENSE") && path != "Cargo.lock";
    let mut breaches = Vec::new();
    if is_rust {
        breaches.extend(of_source(path, text));
    }
    for (number, line) in (1..).zip(text.lines()).filter(|_| is_ours) {
        let mut breach = |what: &str| breaches.push(format!("{path}:{number}: {what}"));
        if line.ends_with([' ', '\t']) {
            breach("white space at the end of the line");
        }
        if MARKS.iter().any(|mark| has_word(line, mark)) {
            breach("a mark of unfinished work; write an issue");
        }
        if MACHINE.iter().any(|folder| line.contains(folder)) {
            breach("a folder of one machine");
        }
        let is_code = is_rust && !line.trim_start().starts_with("//");
        let may_be_unsafe = UNSAFE.iter().any(|place| path.starts_with(place));
        if is_code && !may_be_unsafe && is_unsafe(line) {
            breach("unsafe code outside the places that tidy lists");
        }
    }
    breaches
}

fn of_source(path: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let lines = text.lines().count();
    if lines > LINES {
        breaches.push(format!("{path}: {lines} lines, at most {LINES}; split it"));
    }
    if !text.starts_with("//!") {
        let what = "does not start with `//!` and what the module takes, gives, never does";
        breaches.push(format!("{path}: {what}"));
    }
    breaches
}

/// Whether a line opens code that the compiler does not check. The word alone may
/// be part of a text.
fn is_unsafe(line: &str) -> bool {
    let word = concat!("un", "safe");
    line.match_indices(word).any(|(start, _)| {
        let before = line.get(..start).unwrap_or_default();
        let rest = line
            .get(start + word.len()..)
            .unwrap_or_default()
            .trim_start();
        let is_whole = !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        is_whole
            && ["{", "(", "fn ", "impl ", "impl<", "trait ", "extern "]
                .iter()
                .any(|next| rest.starts_with(next))
    })
}

/// Every `cargo xtask COMMAND` of the README is one that exists.
pub(crate) fn of_readme(text: &str, commands: &BTreeSet<String>) -> Vec<String> {
    (1..)
        .zip(text.lines())
        .flat_map(|(number, line)| {
            line.split("cargo xtask ")
                .skip(1)
                .map(move |rest| (number, first_word(rest)))
        })
        .filter(|(_, name)| !name.is_empty() && !commands.contains(*name))
        .map(|(number, name)| format!("README.md:{number}: there is no `cargo xtask {name}`"))
        .collect()
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// Whether a line holds a word by itself, not as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line.get(..start).and_then(|text| text.chars().next_back());
        let after = line
            .get(start + word.len()..)
            .and_then(|text| text.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(of_text(path, text), expected);
    }

    #[test]
    fn a_module_without_a_face_is_a_breach() {
        check(
            "observer/src/a.rs",
            "fn a() {}\n",
            &[
                "observer/src/a.rs: does not start with `//!` and what the module takes, gives, never does",
            ],
        );
        check("observer/src/a.rs", "//! Takes a.\n", &[]);
    }

    #[test]
    fn a_long_file_is_a_breach() {
        let text = "//! Long.\n".repeat(401);
        check(
            "xtask/src/a.rs",
            &text,
            &["xtask/src/a.rs: 401 lines, at most 400; split it"],
        );
        check("xtask/src/a.rs", &"//! Long.\n".repeat(400), &[]);
    }

    #[test]
    fn code_that_is_not_safe_has_its_places() {
        let text = concat!("//! A.\n", "un", "safe { b() }\n");
        check("observer-ebpf/src/probes/a.rs", text, &[]);
        check(
            "observer/src/a.rs",
            text,
            &["observer/src/a.rs:2: unsafe code outside the places that tidy lists"],
        );
        check(
            "observer/src/a.rs",
            concat!("//! A.\n#![forbid(un", "safe_code)]\n"),
            &[],
        );
    }

    #[test]
    fn marks_folders_and_blanks_are_named_with_their_line() {
        let text = concat!("# A\n", "TO", "DO: b\n", "see /ho", "me/me\n", "blank \n");
        check(
            "README.md",
            text,
            &[
                "README.md:2: a mark of unfinished work; write an issue",
                "README.md:3: a folder of one machine",
                "README.md:4: white space at the end of the line",
            ],
        );
    }

    #[test]
    fn the_top_level_is_closed() {
        assert!(of_path("observer/src/lib.rs").is_empty());
        assert_eq!(of_path("docs/a.md").len(), 1);
    }

    #[test]
    fn the_readme_names_only_commands_that_exist() {
        let commands = BTreeSet::from(["test".to_owned()]);
        let text = "`cargo xtask test`\n    cargo xtask frobnicate --now\n";
        assert_eq!(
            of_readme(text, &commands),
            ["README.md:2: there is no `cargo xtask frobnicate`"]
        );
    }
}
