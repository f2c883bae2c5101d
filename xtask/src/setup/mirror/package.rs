//! Packages as apt's index describes them.
//! Takes what `apt-cache show` prints, gives packages and the order of their versions. Pure.

/// One package as the index describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) size_bytes: u64,
    depends: String,
}

impl Package {
    /// Names of its dependencies that start with one of these.
    pub(crate) fn depends_on(&self, prefixes: &[&str]) -> Vec<String> {
        self.depends
            .split([',', '|'])
            .filter_map(|dependency| dependency.split_whitespace().next())
            .filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
            .map(str::to_owned)
            .collect()
    }
}

/// The stanzas of `apt-cache show`.
pub(super) fn packages(text: &str) -> Vec<Package> {
    text.split("\n\n")
        .map(|stanza| {
            let field = |name: &str| {
                stanza
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                    .unwrap_or_default()
                    .to_owned()
            };
            Package {
                name: field("Package"),
                version: field("Version"),
                size_bytes: field("Size").parse().unwrap_or_default(),
                depends: field("Depends"),
            }
        })
        .filter(|package| !package.name.is_empty())
        .collect()
}

/// `1.96.0-1` of `1.96.0-1+b2`.
pub(super) fn without_rebuild(version: &str) -> &str {
    match version.rsplit_once("+b") {
        Some((source, build)) if build.bytes().all(|it| it.is_ascii_digit()) => source,
        _ => version,
    }
}

/// The numbers of a version in order, which sort the versions of one kernel
/// series.
pub(super) fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_series_sort_by_their_numbers() {
        assert!(numbers("6.12.117-1") > numbers("6.12.90-1"));
        assert!(numbers("6.12.115-2") > numbers("6.12.115-1"));
    }

    #[test]
    fn a_rebuild_is_of_the_same_source() {
        assert_eq!(without_rebuild("1.96.0-1~deb13u1+b1"), "1.96.0-1~deb13u1");
        assert_eq!(without_rebuild("1.96.0+dfsg1-1"), "1.96.0+dfsg1-1");
        assert_eq!(without_rebuild("2.0+beta1"), "2.0+beta1");
    }

    #[test]
    fn split_kernels_name_their_parts() {
        let text = "Package: linux-image-7.2\nVersion: 7.2.12-1\nSize: 12\n\
                    Depends: kmod, linux-binary-7.2 (= 7.2.12-1), linux-modules-7.2 (= 7.2.12-1)\n\n";
        let packages = packages(text);
        let [package] = packages.as_slice() else {
            panic!("one stanza is one package: {packages:?}");
        };
        assert_eq!(package.size_bytes, 12);
        assert_eq!(
            package.depends_on(&["linux-binary-", "linux-modules-"]),
            ["linux-binary-7.2", "linux-modules-7.2"]
        );
    }
}
