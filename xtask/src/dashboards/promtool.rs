//! Prometheus' own judgement of the rules.
//! Takes the folder of the rules, gives what `promtool` says against them.

use std::path::Path;
use std::process::Command;

use crate::command;

use super::{ALERTS, RULES, TESTS};

/// `promtool check rules`.
pub(super) fn check_rules(folder: &Path) -> Vec<String> {
    run(folder, &["check", "rules", RULES, ALERTS])
}

/// `promtool test rules`: each alert fires where it should, and is silent where it should.
pub(super) fn test_rules(folder: &Path) -> Vec<String> {
    run(folder, &["test", "rules", TESTS])
}

fn run(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut promtool = Command::new("promtool");
    promtool.args(words).current_dir(folder);
    let output = promtool.output();
    let line = command::line(&promtool);
    match output {
        Err(error) => vec![format!("could not start `{line}`: {error}")],
        Ok(output) if output.status.success() => Vec::new(),
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).trim().to_owned();
            vec![format!("`{line}` failed ({}): {said}", output.status)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_pass_is_told_with_the_command() {
        let faults = run(Path::new("/"), &["check", "rules", "there-is-none.yaml"]);
        assert_eq!(faults.len(), 1);
        assert!(
            faults[0].contains("promtool check rules there-is-none.yaml"),
            "{faults:?}"
        );
    }
}
