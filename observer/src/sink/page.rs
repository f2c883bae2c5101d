//! Plain text of at most 80 columns, as it grows.
//!
//! Takes words; breaks and indents them.

use std::fmt::Write as _;

/// Columns of a line.
pub(super) const WIDTH: usize = 80;

/// Text as it grows.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) text: String,
}

impl Page {
    pub(super) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub(super) fn section(&mut self, title: &str) {
        self.line(&format!("\n{title}"));
    }

    pub(super) fn paragraph(&mut self, indent: usize, text: &str) {
        self.wrap(&" ".repeat(indent), indent, text);
    }

    pub(super) fn item(&mut self, text: &str) {
        self.wrap("  - ", 4, text);
    }

    /// A command for the shell, continued on a second line if it is long.
    pub(super) fn command(&mut self, indent: &str, command: &str) {
        let line = format!("{indent}$ {command}");
        let fits = |at: &(usize, &str)| at.0 + " \\".len() <= WIDTH;
        match line.rmatch_indices(' ').find(fits) {
            Some((at, _)) if line.len() > WIDTH => {
                let (start, rest) = line.split_at(at);
                self.line(&format!("{start} \\"));
                self.line(&format!("{indent}   {rest}"));
            }
            _ => self.line(&line),
        }
    }

    /// A section of names with what is said of each; nothing if there is none.
    pub(super) fn terms<'a>(
        &mut self,
        title: &str,
        terms: impl Iterator<Item = (&'a str, &'a str)>,
    ) {
        for (index, (name, text)) in terms.enumerate() {
            if index == 0 {
                self.section(title);
            }
            self.wrap(&format!("  {name}: "), 6, text);
        }
    }

    /// `first`, then the words, broken before the last column; further lines are indented.
    pub(super) fn wrap(&mut self, first: &str, indent: usize, words: &str) {
        let mut line = first.to_owned();
        let mut is_empty = true;
        for word in words.split(' ') {
            let width = line.chars().count() + usize::from(!is_empty) + word.chars().count();
            if !is_empty && width > WIDTH {
                self.line(&line);
                line = " ".repeat(indent);
                is_empty = true;
            }
            let space = if is_empty { "" } else { " " };
            let _infallible = write!(line, "{space}{word}");
            is_empty = false;
        }
        self.line(&line);
    }
}

/// A process chooses its own name, and a terminal obeys control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
