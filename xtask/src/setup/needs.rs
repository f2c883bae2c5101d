//! What each part consists of, and whether it is there.
//! Takes parts, gives needs; looks only, never installs.

use std::path::Path;
use std::process::Command;

use super::{Need, Part, State, Step, arm64, probes};
use crate::arch::Arch;
use crate::command;

/// The needs of some parts, in the order in which they are installed. The kernels
/// of the VMs are apart, see [`super::kernels`].
pub(crate) fn of(parts: &[Part]) -> Vec<Need> {
    let mut needs = Vec::new();
    for part in parts {
        match part {
            Part::Probes => needs.extend([probes::compiler(), probes::linker()]),
            Part::Vm => needs.extend(vm()),
            Part::Arm64 => needs.extend(arm64::needs()),
            Part::Lint => needs.extend(lint()),
            Part::Prometheus => needs.extend(prometheus()),
            Part::Accept => needs.extend(accept()),
            Part::Servers => needs.extend(servers()),
            Part::Bench => needs.extend(bench()),
            Part::Screenshots => needs.extend(screenshots()),
        }
    }
    needs
}

fn vm() -> Vec<Need> {
    let emulator = if Arch::Arm64.is_host() {
        program(Arch::Arm64.emulator(), &["qemu-system-arm"])
    } else {
        program(Arch::X86_64.emulator(), &["qemu-system-x86"])
    };
    vec![
        emulator,
        busybox(),
        program("depmod", &["kmod"]),
        program("ldd", &["libc-bin"]),
        program("runc", &["runc"]),
        program("ss", &["iproute2"]),
    ]
}

/// The guest has no libraries of its own when its shell starts, so a busybox
/// that is linked dynamically does not serve.
pub(super) fn busybox() -> Need {
    let mut need = program("busybox", &["busybox-static"]);
    if let State::Found(path) = &need.state {
        let libraries = command::output(Command::new("ldd").arg(path));
        if libraries.is_ok_and(|text| text.contains("=>")) {
            need.state = State::Missing(vec![Step::Apt(&["busybox-static"])]);
        }
    }
    need
}

fn lint() -> Vec<Need> {
    let mut needs = vec![
        component("rustfmt", "cargo-fmt"),
        component("clippy", "cargo-clippy"),
        probes::clippy(),
    ];
    let state = command::find("cargo-deny").map_or_else(
        || {
            let mut install = command::cargo();
            install.args(["install", "cargo-deny", "--version", "0.20.2", "--locked"]);
            State::Missing(vec![Step::Run(install)])
        },
        |path| State::Found(path.display().to_string()),
    );
    needs.push(Need {
        what: "cargo-deny".to_owned(),
        state,
    });
    needs
}

fn prometheus() -> Vec<Need> {
    vec![
        program("prometheus", &["prometheus"]),
        program("promtool", &["prometheus"]),
        program("python3", &["python3"]),
    ]
}

fn accept() -> Vec<Need> {
    vec![
        program("prometheus", &["prometheus"]),
        program("promtool", &["prometheus"]),
        program("nginx", &["nginx-light"]),
        program("wrk", &["wrk"]),
        program("curl", &["curl"]),
        program("ip", &["iproute2"]),
        program("sysctl", &["procps"]),
    ]
}

fn bench() -> Vec<Need> {
    vec![
        program("tcplife", &["libbpf-tools"]),
        program("tcpstates", &["libbpf-tools"]),
        program("bpftrace", &["bpftrace"]),
        program("bpftool", &["bpftool"]),
        program("ss", &["iproute2"]),
        program("python3", &["python3"]),
    ]
}

fn screenshots() -> Vec<Need> {
    vec![
        program("node", &["nodejs"]),
        program("npm", &["npm"]),
        program("chromium", &["chromium"]),
        program("pngquant", &["pngquant"]),
        font(),
    ]
}

/// Grafana's own font; without it a browser takes any.
fn font() -> Need {
    let folder = Path::new("/usr/share/fonts/opentype/inter");
    let state = if folder.is_dir() {
        State::Found(folder.display().to_string())
    } else {
        State::Missing(vec![Step::Apt(&["fonts-inter"])])
    };
    Need {
        what: "the font Inter".to_owned(),
        state,
    }
}

fn servers() -> Vec<Need> {
    vec![
        program("python3", &["python3"]),
        program("nginx", &["nginx-light"]),
        program("runc", &["runc"]),
        busybox(),
        program("ss", &["iproute2"]),
        program("chromium", &["chromium", "fonts-dejavu-core"]),
    ]
}

pub(super) fn program(name: &str, packages: &'static [&'static str]) -> Need {
    let state = command::find(name).map_or_else(
        || State::Missing(vec![Step::Apt(packages)]),
        |path| State::Found(path.display().to_string()),
    );
    Need {
        what: name.to_owned(),
        state,
    }
}

/// A part of the toolchain that builds the workspace. `cargo-clippy` and
/// `cargo-fmt` exist as rustup's proxies even where the component does not, so
/// only running them tells.
fn component(name: &'static str, tool: &str) -> Need {
    let state = if let Ok(version) = command::output(Command::new(tool).arg("--version")) {
        State::Found(version.trim().to_owned())
    } else {
        let mut add = Command::new("rustup");
        add.args(["component", "add", name]);
        State::Missing(vec![Step::Run(add)])
    };
    Need {
        what: name.to_owned(),
        state,
    }
}
