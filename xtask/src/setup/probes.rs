//! The compiler and the linker that build the kernel probes.
//! Takes the installed toolchains, gives the one that `observer/build.rs` will
//! use, by the same order: `OBSERVER_BPF_TOOLCHAIN`, the distribution's compiler
//! linked as `distro`, nightly if it has its library source.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use nix::unistd::Uid;

use super::{Need, State, Step};
use crate::command;

/// Name under which rustup knows the distribution's compiler.
pub(super) const DISTRIBUTION: &str = "distro";
/// `rust-version` of the workspace.
const OLDEST: (u32, u32) = (1, 95);
const COMPILER_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy"];

/// The toolchain that builds the probes, if there is one.
pub(crate) fn toolchain() -> Option<String> {
    env::var("OBSERVER_BPF_TOOLCHAIN")
        .into_iter()
        .chain([DISTRIBUTION.to_owned(), "nightly".to_owned()])
        .find(|name| usable(name).is_some() && is_read_by_the_linker(name))
}

pub(crate) fn compiler() -> Need {
    let found = toolchain().and_then(|name| Some(format!("{} (toolchain {name})", usable(&name)?)));
    let state = found.map_or_else(|| State::Missing(ways_to_a_compiler()), State::Found);
    Need {
        what: "compiler for the probes".to_owned(),
        state,
    }
}

pub(crate) fn linker() -> Need {
    let state = if let Ok(version) = command::output(Command::new("bpf-linker").arg("--version")) {
        State::Found(version.trim().to_owned())
    } else {
        let mut install = command::cargo();
        install
            .env("LLVM_PREFIX", "/usr/lib/llvm-22")
            .args(["install", "bpf-linker", "--version", "0.13.0", "--locked"])
            .args(["--no-default-features", "--features", "llvm-22"]);
        State::Missing(vec![Step::Apt(&["llvm-22-dev"]), Step::Run(install)])
    };
    Need {
        what: "bpf-linker".to_owned(),
        state,
    }
}

/// The clippy of the toolchain that builds the probes: another version would
/// not read its library.
pub(crate) fn clippy() -> Need {
    let what = "clippy for the probes".to_owned();
    let Some(name) = toolchain() else {
        return Need {
            what,
            state: State::Missing(ways_to_a_compiler()),
        };
    };
    let asked =
        command::output(Command::new("rustup").args(["run", &name, "cargo-clippy", "--version"]));
    let state = match asked {
        Ok(version) => State::Found(format!("{} (toolchain {name})", version.trim())),
        Err(_) if name == DISTRIBUTION => State::Missing(vec![Step::Apt(&["rust-web-clippy"])]),
        Err(_) => {
            let mut add = Command::new("rustup");
            add.args(["component", "add", "clippy", "--toolchain", &name]);
            State::Missing(vec![Step::Run(add)])
        }
    };
    Need { what, state }
}

/// An LLVM reads what an older one wrote, never what a newer one did. Of a linker that brings its
/// LLVM along nothing is known.
fn is_read_by_the_linker(name: &str) -> bool {
    let writes = rustc(name, &["-vV"]).and_then(|text| llvm_of_compiler(&text));
    let reads = command::find("bpf-linker")
        .and_then(|path| command::output(Command::new("ldd").arg(path)).ok())
        .and_then(|text| llvm_of_linker(&text));
    reads
        .zip(writes)
        .is_none_or(|(reads, writes)| writes <= reads)
}

/// 22 of `LLVM version: 22.1.8`.
fn llvm_of_compiler(text: &str) -> Option<u32> {
    let mut lines = text.lines();
    let version = lines.find_map(|line| line.strip_prefix("LLVM version: "))?;
    version.split('.').next()?.parse().ok()
}

/// 22 of `libLLVM.so.22.1 => /lib/…`, or of `libLLVM-22.so.1`.
fn llvm_of_linker(libraries: &str) -> Option<u32> {
    let (_, rest) = libraries.split_once("libLLVM")?;
    let digits = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// The version of a toolchain that has its library source and is new enough.
fn usable(name: &str) -> Option<String> {
    let sysroot = PathBuf::from(rustc(name, &["--print", "sysroot"])?);
    let source = sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml");
    let version = rustc(name, &["--version"])?;
    (source.exists() && release(&version)? >= OLDEST).then_some(version)
}

/// What the compiler of a toolchain answers, if there is such a toolchain.
pub(super) fn rustc(name: &str, question: &[&str]) -> Option<String> {
    let mut rustc = Command::new("rustup");
    rustc.args(["run", name, "rustc"]).args(question);
    let answer = command::output(&mut rustc).ok()?;
    Some(answer.trim().to_owned())
}

/// `(1, 96)` of `rustc 1.96.0 (…)`.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A Debian machine gets Debian's compiler, whose LLVM is that of Debian's
/// `llvm-22-dev`; any other gets rustup's nightly.
fn ways_to_a_compiler() -> Vec<Step> {
    if let Some(steps) = debian_compiler() {
        return steps;
    }
    let mut install = Command::new("rustup");
    install
        .args(["toolchain", "install", "nightly", "--profile", "minimal"])
        .args(["--component", "rust-src", "--component", "clippy"]);
    vec![Step::Run(install)]
}

/// How to get Debian's compiler, where that is possible.
pub(super) fn debian_compiler() -> Option<Vec<Step>> {
    if Uid::effective().is_root() && command::find("apt-get").is_some() && debian_has_it() {
        let mut link = Command::new("rustup");
        link.args(["toolchain", "link", DISTRIBUTION, "/usr"]);
        return Some(vec![Step::Apt(COMPILER_PACKAGES), Step::Run(link)]);
    }
    None
}

/// The lists of a machine that was never asked know no compiler, or an old one.
fn debian_has_it() -> bool {
    debian_offers_it()
        || command::output(Command::new("apt-get").args(["update", "-q"])).is_ok()
            && debian_offers_it()
}

fn debian_offers_it() -> bool {
    let mut ask = Command::new("apt-cache");
    let answer = command::output(ask.args(["show", "--no-all-versions", "rustc-web"]));
    answer.is_ok_and(|text| {
        text.lines()
            .filter_map(|line| line.strip_prefix("Version: "))
            .any(|version| release(&format!("rustc {version}")).is_some_and(|it| it >= OLDEST))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_what_rustc_and_apt_say() {
        assert_eq!(
            release("rustc 1.96.0 (ac68faa20 2026-05-25)"),
            Some((1, 96))
        );
        assert_eq!(release("rustc 1.85.0+dfsg3-1~deb12u3"), Some((1, 85)));
        assert_eq!(release("rustc"), None);
    }

    #[test]
    fn the_llvm_is_read_from_what_rustc_and_ldd_say() {
        let compiler = "rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(llvm_of_compiler(compiler), Some(22));
        let linker = "\tlibLLVM.so.22.1 => /lib/x86_64-linux-gnu/libLLVM.so.22.1 (0x7f)\n";
        assert_eq!(llvm_of_linker(linker), Some(22));
        assert_eq!(
            llvm_of_linker("\tlibLLVM-17.so.1 => /lib/a (0x7f)\n"),
            Some(17)
        );
        assert_eq!(llvm_of_linker("\tlibc.so.6 => /lib/a (0x7f)\n"), None);
    }
}
