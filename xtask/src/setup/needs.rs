//! What each part consists of, and whether it is there.
//! Takes parts, gives needs; looks only, never installs.

use std::process::Command;

use super::{Need, Part, State, Step, probes};
use crate::command;

/// The needs of some parts, in the order in which they are installed. The kernels
/// of the VMs are apart, see [`super::kernels`].
pub(crate) fn of(parts: &[Part]) -> Vec<Need> {
    let mut needs = Vec::new();
    for part in parts {
        match part {
            Part::Probes => needs.extend([probes::compiler(), probes::linker()]),
            Part::Vm => needs.extend(vm()),
            Part::Lint => needs.extend(lint()),
            Part::Accept => needs.extend(accept()),
        }
    }
    needs
}

fn vm() -> Vec<Need> {
    vec![
        program("qemu-system-x86_64", &["qemu-system-x86"]),
        busybox(),
        program("depmod", &["kmod"]),
        program("ldd", &["libc-bin"]),
    ]
}

/// The guest has no libraries of its own when its shell starts, so a busybox
/// that is linked dynamically does not serve.
fn busybox() -> Need {
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

fn program(name: &str, packages: &'static [&'static str]) -> Need {
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
