//! The words of a scenario line after its kind.

use std::collections::BTreeMap;

use observer::event::{ResetReason, State, Substate, Task, Vocabulary};

use super::parse::state;

/// The words after the kind: single words and `key=value` pairs, each used once.
pub(super) struct Values<'a> {
    words: Vec<&'a str>,
    pairs: BTreeMap<&'a str, &'a str>,
}

impl<'a> Values<'a> {
    pub(super) fn new(text: impl Iterator<Item = &'a str>) -> Self {
        let (mut words, mut pairs) = (Vec::new(), BTreeMap::new());
        for word in text {
            match word.split_once('=') {
                Some((key, value)) => drop(pairs.insert(key, value)),
                None => words.push(word),
            }
        }
        Self { words, pairs }
    }

    pub(super) fn none_left(self) -> Result<(), String> {
        if self.words.is_empty() && self.pairs.is_empty() {
            return Ok(());
        }
        Err(format!(
            "words without a meaning here: {:?} {:?}",
            self.words, self.pairs
        ))
    }

    pub(super) fn first_word(&mut self) -> Option<&'a str> {
        (!self.words.is_empty()).then(|| self.words.remove(0))
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        let found = self.words.iter().position(|word| *word == name);
        found.map(|index| self.words.remove(index)).is_some()
    }

    pub(super) fn take(&mut self, key: &str) -> Option<&'a str> {
        self.pairs.remove(key)
    }

    pub(super) fn optional<T: std::str::FromStr>(
        &mut self,
        key: &str,
    ) -> Result<Option<T>, String> {
        let Some(text) = self.take(key) else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|_parse| format!("{key}={text} is no number"))
    }

    pub(super) fn number<T: std::str::FromStr>(
        &mut self,
        key: &str,
        otherwise: T,
    ) -> Result<T, String> {
        Ok(self.optional(key)?.unwrap_or(otherwise))
    }

    pub(super) fn state(&mut self, key: &str) -> Result<State, String> {
        state(self.take(key).ok_or_else(|| format!("no {key}="))?)
    }

    pub(super) fn substate(&mut self) -> Result<Substate, String> {
        match self.take("substate") {
            Some("fin_wait2") => Ok(Substate::FinWait2),
            Some("time_wait") => Ok(Substate::TimeWait),
            other => Err(format!("no substate {other:?}")),
        }
    }

    pub(super) fn segment(&mut self) -> Result<Option<bool>, String> {
        match self.take("segment") {
            Some("reset") => Ok(Some(true)),
            Some("data") => Ok(Some(false)),
            None => Ok(None),
            Some(other) => Err(format!("no segment {other:?}")),
        }
    }

    /// `by=PID:COMM`, with the word `exiting`; a softirq's bystander without it.
    pub(super) fn task(&mut self) -> Result<Task, String> {
        let by = self.take("by").unwrap_or("0:swapper/0");
        let (pid, comm) = by.split_once(':').ok_or("by= without a colon")?;
        let pid = pid.parse().map_err(|_parse| format!("{pid} is no pid"))?;
        Ok(Task {
            pid,
            comm: comm.into(),
            exiting: self.flag("exiting"),
        })
    }

    pub(super) fn reason(&mut self) -> Result<Option<ResetReason>, String> {
        let Some(name) = self.take("reason") else {
            return Ok(None);
        };
        let reasons = Vocabulary::mainline().reset_reasons;
        let known = reasons.into_iter().find(|(_, known)| **known == *name);
        let (number, name) = known.ok_or_else(|| format!("no reason {name:?}"))?;
        Ok(Some(ResetReason {
            number,
            name: name.into(),
        }))
    }
}
