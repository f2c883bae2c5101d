//! The tables in README.
//!
//! Takes the file's text and what was measured; gives the text with the tables between the two
//! marks. Changes nothing else of it.

use anyhow::{Context as _, Result, ensure};

const BEGIN: &str = "<!-- costs: begin, written by cargo xtask bench --readme -->\n";
const END: &str = "<!-- costs: end -->\n";

/// The text with the tables in it.
pub(super) fn with(text: &str, tables: &str) -> Result<String> {
    let (before, rest) = text
        .split_once(BEGIN)
        .with_context(|| format!("README has no line `{}`", BEGIN.trim_end()))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("README has no line `{}` after it", END.trim_end()))?;
    ensure!(!after.contains(BEGIN), "README has the marks twice");
    // The chapter has a heading of its own, and these are below it.
    let tables = tables.trim().replace("\n## ", "\n### ");
    let tables = tables
        .strip_prefix("## ")
        .map_or_else(|| tables.clone(), |rest| format!("### {rest}"));
    Ok(format!("{before}{BEGIN}{tables}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = format!("# A\n{BEGIN}old\nolder\n{END}\n## B\n");
        let once = with(&text, "## Churn\n\n| a |\n\n## Limits\n").unwrap();
        let expected = format!("# A\n{BEGIN}### Churn\n\n| a |\n\n### Limits\n{END}\n## B\n");
        assert_eq!(once, expected);
        assert_eq!(
            with(&once, "## Churn\n\n| a |\n\n## Limits\n").unwrap(),
            once
        );
    }

    #[test]
    fn without_both_marks_in_order_nothing_is_written() {
        for text in [String::new(), format!("{END}{BEGIN}"), BEGIN.to_owned()] {
            with(&text, "x").unwrap_err();
        }
        let twice = format!("{BEGIN}{END}{BEGIN}{END}");
        with(&twice, "x").unwrap_err();
    }

    #[test]
    fn the_readme_has_the_marks() {
        let readme = include_str!("../../../README.md");
        assert!(with(readme, "tables").unwrap().contains("tables\n"));
    }
}
