//! The pages as recorded, and what must hold of each.

use clap::Parser as _;
use expect_test::expect_file;

use super::{json, list, look_next, text};
use crate::classify::Ending;
use crate::cli::Cli;
use crate::sink::page::WIDTH;

#[test]
fn every_page_reads_as_recorded() {
    let mut all = list();
    for ending in Ending::ALL {
        all.extend(["\n===== ", ending.label(), " =====\n", &text(ending)]);
    }
    expect_file!["../../../testdata/explain.txt"].assert_eq(&all);
}

#[test]
fn a_json_page_reads_as_recorded() {
    let page = json::page(Ending::ResetLinger2).unwrap();
    expect_file!["../../../testdata/explain.json"].assert_eq(&page);
}

#[test]
fn every_json_page_has_the_same_keys() {
    let keys = |ending| {
        let page = json::page(ending).unwrap();
        let value: serde_json::Value = serde_json::from_str(&page).unwrap();
        let object = value.as_object().unwrap();
        object.keys().cloned().collect::<Vec<_>>()
    };
    for ending in Ending::ALL {
        assert_eq!(keys(ending), keys(Ending::Unknown), "{ending:?}");
    }
    let value: serde_json::Value = serde_json::from_str(&json::list().unwrap()).unwrap();
    assert_eq!(
        value["endings"].as_array().unwrap().len(),
        Ending::ALL.len()
    );
}

#[test]
fn no_line_is_wider_than_a_terminal() {
    let pages = Ending::ALL.map(text);
    for line in pages
        .iter()
        .flat_map(|page| page.lines())
        .chain(list().lines())
    {
        assert!(line.chars().count() <= WIDTH, "{line}");
        assert_eq!(line, line.trim_end(), "white space at the end of the line");
    }
}

#[test]
fn the_commands_of_the_agent_are_ones_that_it_takes() {
    for look in Ending::ALL.into_iter().flat_map(look_next) {
        let Some(command) = look.command else {
            continue;
        };
        let own = command.strip_prefix("sudo ").unwrap_or(&command);
        let own = own.split(" | ").next().unwrap();
        if own.starts_with("tcp-observer ") {
            let words = own.split(' ').map(|word| word.replace("PORT", "443"));
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{command}: {error}"));
        }
    }
}
