//! Programs that do nothing, on the hooks of the agent: what being called costs, and the least
//! that any observer on these hooks adds.
//!
//! Takes hooks; gives a [`Floor`] that is attached until it is dropped. One program a hook, even
//! where the agent has two.

use anyhow::{Context as _, Result, bail};
use aya::programs::{BtfTracePoint, FEntry, FExit, KProbe};
use aya::{Btf, Ebpf};
use object::write::{Object, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};
use observer_ebpf::wire::manifest::{Hook, LICENSE, PROGRAMS};

use super::twins::Runs;

/// `r0 = 0; exit`, each an opcode, registers, offset and immediate
/// (<https://docs.kernel.org/bpf/standardization/instruction-set.html>).
const NOTHING: [u8; 16] = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];

/// The programs, attached.
#[derive(Debug)]
pub(super) struct Floor {
    hooks: Vec<Hook>,
    attached: Ebpf,
}

impl Floor {
    /// Attaches one program to each hook.
    pub(super) fn attach(hooks: &[Hook]) -> Result<Self> {
        let mut loaded = Ebpf::load(&object(hooks)?).context("cannot read the empty programs")?;
        let btf = Btf::from_sys_fs().context("cannot read the kernel's BTF")?;
        for hook in hooks {
            attach(&mut loaded, *hook, &btf)
                .with_context(|| format!("no empty program on {}", hook.target()))?;
        }
        Ok(Self {
            hooks: hooks.to_vec(),
            attached: loaded,
        })
    }

    /// What each has run so far, as far as the kernel has counted.
    pub(super) fn runs(&self) -> Result<Vec<(Hook, Runs)>> {
        let of = |hook: &Hook| {
            let program = self.attached.program(&symbol(*hook));
            let told = program.context("it is not in the object")?.info()?;
            let ns = u64::try_from(told.run_time().as_nanos())?;
            let count = told.run_count();
            Ok((*hook, Runs { count, ns }))
        };
        self.hooks.iter().map(of).collect()
    }
}

/// The hooks of programs by their names in the object, each hook once.
pub(super) fn hooks(names: &[&str]) -> Result<Vec<Hook>> {
    let mut hooks: Vec<Hook> = Vec::new();
    for name in names {
        let program = PROGRAMS.iter().find(|it| it.name == *name);
        let hook = program.with_context(|| format!("the agent has no program {name}"))?;
        if !hooks.contains(&hook.hook) {
            hooks.push(hook.hook);
        }
    }
    if hooks.is_empty() {
        bail!("the agent holds no program");
    }
    Ok(hooks)
}

/// `tracepoint tcp_destroy_sock`
pub(super) fn name(hook: Hook) -> String {
    format!("{} {}", hook.section(), hook.target())
}

/// The name of a hook's program.
fn symbol(hook: Hook) -> String {
    format!("{}_{}", hook.section(), hook.target())
}

/// An object as a compiler would make it: one section and one function a hook.
fn object(hooks: &[Hook]) -> Result<Vec<u8>> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    for hook in hooks {
        let section = format!("{}/{}", hook.section(), hook.target()).into_bytes();
        let section = object.add_section(Vec::new(), section, SectionKind::Text);
        let value = object.append_section_data(section, &NOTHING, 8);
        object.add_symbol(Symbol {
            name: symbol(*hook).into_bytes(),
            value,
            size: NOTHING.len() as u64,
            kind: SymbolKind::Text,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    let license = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    let text = [LICENSE.as_bytes(), b"\0"].concat();
    object.append_section_data(license, &text, 1);
    object.write().context("cannot make an object")
}

fn attach(loaded: &mut Ebpf, hook: Hook, btf: &Btf) -> Result<()> {
    let program = loaded.program_mut(&symbol(hook));
    let program = program.context("it is not in the object")?;
    match hook {
        Hook::Tracepoint(target) => {
            let program: &mut BtfTracePoint = program.try_into()?;
            program.load(target, btf)?;
            program.attach()?;
        }
        Hook::Fentry(target) => {
            let program: &mut FEntry = program.try_into()?;
            program.load(target, btf)?;
            program.attach()?;
        }
        Hook::Fexit(target) => {
            let program: &mut FExit = program.try_into()?;
            program.load(target, btf)?;
            program.attach()?;
        }
        Hook::Kprobe(target) | Hook::Kretprobe(target) => {
            let program: &mut KProbe = program.try_into()?;
            program.load()?;
            program.attach(target, 0)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_programs_of_one_hook_make_one_of_the_floor() {
        let names = [
            "tp_inet_sock_set_state",
            "tp_inet_sock_set_state_2",
            "tp_tcp_destroy_sock",
        ];
        let expected = [
            Hook::Tracepoint("inet_sock_set_state"),
            Hook::Tracepoint("tcp_destroy_sock"),
        ];
        assert_eq!(hooks(&names).unwrap(), expected);
        hooks(&["none"]).unwrap_err();
        hooks(&[]).unwrap_err();
    }

    #[test]
    fn the_object_is_one_that_a_loader_reads() {
        let hooks: Vec<Hook> = PROGRAMS.iter().map(|program| program.hook).collect();
        let mut once: Vec<Hook> = Vec::new();
        for hook in hooks {
            if !once.contains(&hook) {
                once.push(hook);
            }
        }
        let loaded = Ebpf::load(&object(&once).unwrap()).unwrap();
        let mut names: Vec<&str> = loaded.programs().map(|(name, _)| name).collect();
        let mut expected: Vec<String> = once.iter().map(|hook| symbol(*hook)).collect();
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected);
    }
}
