//! Which suites to read, and what to do about one that cannot be read.
//! Takes what apt says of this machine's sources and packages, gives suites.

use std::process::Command;

use anyhow::Result;

use super::site::{SUITES, targets};
use crate::command;

/// The suites of this machine that have a package, in this version if one is given; all of
/// the machine's where its lists do not say.
pub(in crate::setup) fn suites_with(package: &str, version: Option<&str>) -> Result<Vec<String>> {
    let table = command::output(Command::new("apt-cache").args(["madison", package]));
    let with = with(&table.unwrap_or_default(), version);
    if with.is_empty() {
        return Ok(suites(&targets()?));
    }
    Ok(with)
}

/// Of lines like `busybox | 1:1.37.0-6 | http://mirror.example/debian trixie/main amd64 Packages`.
fn with(table: &str, version: Option<&str>) -> Vec<String> {
    let suite = |line: &str| {
        let mut columns = line.split('|').map(str::trim);
        let (_package, has) = (columns.next()?, columns.next()?);
        let (suite, _component) = columns.next()?.split_whitespace().nth(1)?.split_once('/')?;
        let wanted = version.is_none_or(|version| version == has);
        wanted.then(|| suite.to_owned())
    };
    debian(table.lines().filter_map(suite))
}

fn suites(targets: &str) -> Vec<String> {
    let suite = |line: &str| Some(line.split_once(' ')?.1.to_owned());
    debian(targets.lines().filter_map(suite))
}

/// Each of Debian's own once.
fn debian(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut suites: Vec<String> = Vec::new();
    for suite in all {
        let release = suite.split('-').next().unwrap_or(&suite);
        if SUITES.contains(&release) && !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    suites
}

/// Reads the indexes of suites, all at once or, where that fails, those that can be read. Gives
/// those that cannot; an error only if none can.
pub(super) fn read(suites: &[&str], update: impl Fn(&[&str]) -> Result<()>) -> Result<Vec<String>> {
    let Err(error) = update(suites) else {
        return Ok(Vec::new());
    };
    let (mut alive, mut unread) = (Vec::new(), Vec::new());
    for suite in suites {
        match update(&[suite]) {
            Ok(()) => alive.push(*suite),
            Err(error) => {
                println!("suite {suite}: not read: {error:#}");
                unread.push((*suite).to_owned());
            }
        }
    }
    if alive.is_empty() {
        return Err(error);
    }
    update(&alive)?;
    Ok(unread)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use anyhow::bail;

    use super::*;

    #[test]
    fn the_suites_of_others_are_left_out() {
        let targets = "http://other.example/apt tools\n\
                       http://mirror.example/debian/ bookworm\n\
                       http://mirror.example/debian/ bookworm\n\
                       http://mirror.example/security/ bookworm-security\n";
        assert_eq!(suites(targets), ["bookworm", "bookworm-security"]);
    }

    #[test]
    fn a_package_is_only_looked_for_where_it_is() {
        let table = "tool-dev | 2.0-1 | http://mirror.example/security bookworm-security/main amd64 Packages\n\
                     tool-dev | 1.0-1 | http://mirror.example/debian bookworm/main amd64 Packages\n\
                     tool-dev | 2.0-1 | http://other.example/apt tools/main amd64 Packages\n";
        assert_eq!(with(table, Some("2.0-1")), ["bookworm-security"]);
        assert_eq!(with(table, None), ["bookworm-security", "bookworm"]);
        assert_eq!(with("", None), [""; 0]);
    }

    /// What is read at last, and what is not.
    fn read_with(dead: &[&str]) -> Result<(Vec<String>, Vec<String>)> {
        let last = RefCell::new(Vec::new());
        let update = |suites: &[&str]| {
            if suites.iter().any(|suite| dead.contains(suite)) {
                bail!("404");
            }
            *last.borrow_mut() = suites.iter().map(|suite| (*suite).to_owned()).collect();
            Ok(())
        };
        let unread = read(&["bullseye", "bookworm", "trixie"], update)?;
        Ok((last.into_inner(), unread))
    }

    #[test]
    fn a_suite_that_is_gone_takes_no_other_with_it() {
        let (last, unread) = read_with(&["bullseye"]).unwrap();
        assert_eq!(last, ["bookworm", "trixie"]);
        assert_eq!(unread, ["bullseye"]);
        let (last, unread) = read_with(&[]).unwrap();
        assert_eq!((last.len(), unread.len()), (3, 0));
        read_with(&["bullseye", "bookworm", "trixie"]).unwrap_err();
    }
}
