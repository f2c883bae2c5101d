//! From where leaked connections were opened, as JSON. A key is never missing: what is not
//! known is null.

use serde::Serialize;

use crate::detect::{Named, Opened};

/// A part of a finding.
#[derive(Debug, Serialize)]
pub(super) struct Openers<'a> {
    stacks: Vec<Stack<'a>>,
    /// Sockets that none is known of.
    without_stack: usize,
    why_without_stack: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Stack<'a> {
    count: usize,
    pid: u32,
    frames: &'a [String],
    why_not_named: Option<&'a str>,
}

impl<'a> Openers<'a> {
    pub(super) fn new(opened: &'a Opened) -> Self {
        Self {
            stacks: opened.named.iter().map(Stack::new).collect(),
            without_stack: opened.unknown,
            why_without_stack: opened.why_unknown,
        }
    }
}

impl<'a> Stack<'a> {
    fn new(named: &'a Named) -> Self {
        Self {
            count: named.count,
            pid: named.pid,
            frames: &named.frames,
            why_not_named: named.why_not.as_deref(),
        }
    }
}
