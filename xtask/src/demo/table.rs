//! One line a connection end, within 100 columns.

use std::fmt::Write as _;

use serde_json::Value;

use crate::judge::Judged;

/// The head of the table.
pub(super) const HEAD: &str = "\
what happened
  end     truth                     the agent said            initiator  closer    confidence
--------------------------------------------------------------------------------------------------";

/// What happened to one end beside what the agent said of it.
pub(super) fn row(judged: &Judged<'_>) -> String {
    let said = |key: &str| match judged.record.and_then(|record| record.all.get(key)) {
        Some(Value::String(word)) => word.clone(),
        _ => "-".to_owned(),
    };
    let mark = if judged.wrong.is_empty() {
        "✓"
    } else {
        "✗"
    };
    let mut text = format!(
        "  {:7} {:25} {:25} {:10} {:9} {:10} {mark}",
        judged.end.role,
        judged.end.ending,
        said("ending"),
        said("initiator"),
        said("closer"),
        said("confidence"),
    );
    for line in &judged.wrong {
        write!(text, "\n          ✗ {line}").ok();
    }
    text
}
