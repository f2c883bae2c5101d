//! The rules of the repository, checked.
//! Takes the files that git knows or would add, gives every breach with file and
//! line; changes nothing.

mod rules;

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{command, place};

/// `cargo xtask tidy`.
pub(crate) fn main() -> Result<()> {
    let files = files()?;
    let mut breaches = Vec::new();
    for path in &files {
        breaches.extend(rules::of_path(path));
        let content = fs::read(place::repository().join(path))
            .with_context(|| format!("could not read {path}"))?;
        // What is no text (an icon, an archive) has no lines to look at.
        let Ok(text) = String::from_utf8(content) else {
            continue;
        };
        breaches.extend(rules::of_text(path, &text));
        if path == "README.md" {
            breaches.extend(rules::of_readme(&text, &crate::commands()));
        }
    }
    for breach in &breaches {
        println!("{breach}");
    }
    if !breaches.is_empty() {
        bail!("{} breaches of the repository's rules", breaches.len());
    }
    println!("{} files are tidy", files.len());
    Ok(())
}

fn files() -> Result<Vec<String>> {
    let listed = command::output(
        Command::new("git")
            .args([
                "ls-files",
                "--cached",
                "--others",
                "--exclude-standard",
                "-z",
            ])
            .current_dir(place::repository()),
    )?;
    let files: Vec<String> = listed
        .split('\0')
        .filter(|path| !path.is_empty())
        // A file that was removed and not yet committed.
        .filter(|path| place::repository().join(path).exists())
        .map(str::to_owned)
        .collect();
    if files.is_empty() {
        bail!("git lists no file of the repository");
    }
    Ok(files)
}
