//! What an ending means, laid out for people.
//!
//! Takes an [`Ending`]; gives plain text of at most 80 columns ([`text`], [`list`]) or one JSON
//! object ([`json`]). The words come from the table of endings and its explanations.

mod drawing;

pub mod json;

use crate::classify::{Ending, Group, Myth};
use crate::sink::page::Page;

/// Everything that is known of this ending.
pub fn text(ending: Ending) -> String {
    let known = ending.explanation();
    let mut page = Page::default();
    page.line(&format!("{} ({})", ending.label(), ending.group().label()));
    page.paragraph(0, ending.meaning());
    page.section("Is it a problem?");
    page.paragraph(2, known.problem);
    page.section("On the wire");
    page.text.push_str(&drawing::draw(known.drawing));
    page.section("What the application did");
    page.paragraph(2, known.application);
    page.section("Likely causes");
    for cause in [ending.cause()].iter().chain(known.causes) {
        page.item(cause);
    }
    page.section("What to look at next");
    for next in look_next(ending) {
        page.item(next.text);
        if let Some(command) = next.command {
            page.command("    ", &command);
        }
    }
    let settings = known.settings.iter().map(|it| (it.name, it.effect));
    page.terms("Options and sysctls that matter", settings);
    counters(&mut page, ending);
    myths(&mut page, known.myths);
    other_end(&mut page, known.other_end);
    page.text
}

/// Every ending with its meaning, by group.
pub fn list() -> String {
    let mut page = Page::default();
    for group in Group::ALL {
        if !page.text.is_empty() {
            page.text.push('\n');
        }
        page.line(group.label());
        for ending in of_group(group) {
            let name = format!("  {:<26}", ending.label());
            page.wrap(&name, 28, ending.meaning());
        }
    }
    page.line("\nOne of them in full: tcp-observer explain ENDING");
    page.text
}

fn of_group(group: Group) -> impl Iterator<Item = Ending> {
    let endings = Ending::ALL.into_iter();
    endings.filter(move |ending| ending.group() == group)
}

/// One thing to look at.
#[derive(Debug, serde::Serialize)]
struct Look {
    text: &'static str,
    command: Option<String>,
}

/// The line of the table with the command that lists such endings, then what the explanation
/// adds.
fn look_next(ending: Ending) -> impl Iterator<Item = Look> {
    let trace = format!("sudo tcp-observer trace --ending {}", ending.label());
    let first = Look {
        text: ending.look_next(),
        command: Some(trace),
    };
    let more = ending.explanation().next.iter().map(|next| Look {
        text: next.text,
        command: next.command.map(str::to_owned),
    });
    [first].into_iter().chain(more)
}

/// The command that shows the counters of this ending.
fn nstat(ending: Ending) -> Option<String> {
    let counters = ending.explanation().counters;
    let names: Vec<_> = counters.iter().map(|counter| counter.name).collect();
    (!names.is_empty()).then(|| format!("nstat -az {}", names.join(" ")))
}

fn myths(page: &mut Page, myths: &[Myth]) {
    if myths.is_empty() {
        return;
    }
    page.section("Advice that is wrong");
    for Myth { advice, truth } in myths {
        page.paragraph(2, &format!("\"{advice}\""));
        page.paragraph(6, truth);
    }
}

fn counters(page: &mut Page, ending: Ending) {
    let counters = ending.explanation().counters;
    page.terms(
        "Counters of the kernel that move",
        counters.iter().map(|it| (it.name, it.moves)),
    );
    match nstat(ending) {
        Some(command) => page.command("  ", &command),
        // Of an ending that is not known, neither are the counters.
        None if ending == Ending::Unknown => {}
        None => page.line("\nNo counter of the kernel moves."),
    }
}

fn other_end(page: &mut Page, endings: &[Ending]) {
    if endings.is_empty() {
        return;
    }
    page.section("The other end of such a connection may say");
    let labels: Vec<_> = endings.iter().map(|ending| ending.label()).collect();
    page.paragraph(2, &labels.join(", "));
}

#[cfg(test)]
mod tests;
