//! What runs in a cgroup: its systemd unit, its container, its pod. Pure.
//!
//! Takes a cgroup v2 path as `/proc/PID/cgroup` tells it. The names are those that systemd,
//! containerd, CRI-O, Docker, Podman, LXC and the kubelet give to the cgroups that they make.

/// The length of a container id in hexadecimal digits.
const CONTAINER_ID: usize = 64;

/// What a cgroup path says of the processes in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Workload {
    /// The innermost systemd service or scope, unless that is a container's own.
    pub unit: Option<String>,
    /// The container's id, or its name where the runtime has no ids.
    pub container: Option<String>,
    /// The uid of the Kubernetes pod.
    pub pod: Option<String>,
}

impl Workload {
    /// Reads a path such as `/system.slice/nginx.service`.
    pub fn of(path: &str) -> Self {
        let mut workload = Self::default();
        for component in path.split('/') {
            if let Some(pod) = pod(component) {
                workload.pod = Some(pod);
            }
            if let Some(container) = container(component) {
                workload.container = Some(container);
            } else if is_unit(component) {
                workload.unit = Some(unescaped(component));
            }
        }
        workload
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The most telling path in the text of `/proc/PID/cgroup`: that of cgroup v2, or where a
/// host still uses v1 and leaves v2 empty, that of systemd's hierarchy or of any controller.
pub fn path(text: &str) -> Option<&str> {
    let rank = |line: &&str| match line {
        line if line.ends_with(":/") => 3,
        line if line.starts_with("0::") => 0,
        line if line.contains(":name=systemd:") => 1,
        _ => 2,
    };
    text.lines().min_by_key(rank)?.splitn(3, ':').nth(2)
}

/// systemd spells these endings in lower case only.
fn is_unit(component: &str) -> bool {
    let ending = component.rsplit_once('.').map(|(_, ending)| ending);
    matches!(ending, Some("service" | "scope"))
}

fn container(component: &str) -> Option<String> {
    let name = component.strip_suffix(".scope").unwrap_or(component);
    // The process that watches a container is not in it.
    if name.contains("-conmon-") {
        return None;
    }
    let id = name.rsplit(['-', ':']).next().unwrap_or(name);
    if id.len() == CONTAINER_ID && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(id.to_owned());
    }
    let machine = component
        .strip_suffix(".scope")
        .and_then(|name| name.strip_prefix("machine-"))
        .map(unescaped);
    machine.or_else(|| component.strip_prefix("lxc.payload.").map(str::to_owned))
}

fn pod(component: &str) -> Option<String> {
    let name = component.strip_suffix(".slice").unwrap_or(component);
    let start = match name.rfind("-pod") {
        Some(at) if name.starts_with("kubepods") => at + "-pod".len(),
        _ if name.starts_with("pod") => "pod".len(),
        _ => return None,
    };
    let uid = name.get(start..)?.replace('_', "-");
    let hexadecimal = uid.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = uid.bytes().filter(|byte| *byte == b'-').count();
    // A pod of a file on the node has a hash for its uid.
    let whole = hexadecimal == 32 && hexadecimal + dashes == uid.len() && [0, 4].contains(&dashes);
    whole.then_some(uid)
}

/// Undoes systemd's `\x2d`.
fn unescaped(name: &str) -> String {
    let mut parts = name.split("\\x");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(u8::is_ascii);
        match (byte, part.get(2..)) {
            (Some(byte), Some(rest)) => text.extend([char::from(byte).to_string().as_str(), rest]),
            _ => text.extend(["\\x", part]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Workload, path};

    const ID: &str = "7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605";
    const UID: &str = "1399d9c7-c86f-4371-8568-07b3d32258a4";

    fn workload(unit: Option<&str>, container: Option<&str>, pod: Option<&str>) -> Workload {
        Workload {
            unit: unit.map(str::to_owned),
            container: container.map(str::to_owned),
            pod: pod.map(str::to_owned),
        }
    }

    #[test]
    fn units_are_the_innermost_service_or_scope() {
        for (path, unit) in [
            ("/system.slice/nginx.service", "nginx.service"),
            (
                "/user.slice/user-1000.slice/session-3.scope",
                "session-3.scope",
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/my\\x2dapp.service",
                "my-app.service",
            ),
            ("/system.slice/nginx.service/workers", "nginx.service"),
        ] {
            assert_eq!(
                Workload::of(path),
                workload(Some(unit), None, None),
                "{path}"
            );
        }
        for path in ["/", "", "/system.slice", "/../../etc", "/init"] {
            assert!(Workload::of(path).is_empty(), "{path}");
        }
    }

    #[test]
    fn containers_of_every_runtime_are_named() {
        for path in [
            format!("/system.slice/docker-{ID}.scope"),
            format!("/docker/{ID}"),
            format!("/machine.slice/libpod-{ID}.scope"),
            format!("/machine.slice/libpod-{ID}.scope/container"),
            format!("/libpod_parent/libpod-{ID}"),
            format!("/system.slice/crio-{ID}.scope"),
        ] {
            assert_eq!(
                Workload::of(&path),
                workload(None, Some(ID), None),
                "{path}"
            );
        }
        let conmon = format!("/machine.slice/libpod-conmon-{ID}.scope");
        assert_eq!(Workload::of(&conmon).container, None);
        let named = Workload::of("/machine.slice/machine-db\\x2d1.scope");
        assert_eq!(named, workload(None, Some("db-1"), None));
        let named = Workload::of("/lxc.payload.web/system.slice/nginx.service");
        assert_eq!(named, workload(Some("nginx.service"), Some("web"), None));
    }

    #[test]
    fn pods_are_named_by_their_uid() {
        let escaped = UID.replace('-', "_");
        for path in [
            format!(
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{escaped}.slice/cri-containerd-{ID}.scope"
            ),
            format!("/kubepods.slice/kubepods-pod{escaped}.slice/crio-{ID}.scope"),
            format!("/kubepods/burstable/pod{UID}/{ID}"),
            format!("/system.slice/kubepods-pod{escaped}.slice:cri-containerd:{ID}"),
        ] {
            let found = Workload::of(&path);
            assert_eq!(found.container.as_deref(), Some(ID), "{path}");
            if !path.contains(".slice:") {
                assert_eq!(found, workload(None, Some(ID), Some(UID)), "{path}");
            }
        }
        let hash = "0123456789abcdef0123456789abcdef";
        let of_a_file = Workload::of(&format!("/kubepods/pod{hash}/{ID}"));
        assert_eq!(of_a_file.pod.as_deref(), Some(hash));
        assert_eq!(Workload::of("/podman/podcast").pod, None);
    }

    #[test]
    fn the_path_is_that_of_v2_unless_the_host_leaves_it_empty() {
        let v2 = "12:memory:/a\n1:name=systemd:/b\n0::/system.slice/x.service\n";
        assert_eq!(path(v2), Some("/system.slice/x.service"));
        let hybrid = "12:memory:/a\n1:name=systemd:/b:c\n0::/\n";
        assert_eq!(path(hybrid), Some("/b:c"));
        assert_eq!(path("12:memory:/a\n1:name=systemd:/\n"), Some("/a"));
        assert_eq!(path("0::/\n"), Some("/"));
        assert_eq!(path(""), None);
    }
}
