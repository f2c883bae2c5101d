//! Users, by the hashes of their passwords.
//!
//! Takes names with bcrypt hashes as written; gives [`Users`].

use std::collections::BTreeMap;
use std::str::FromStr as _;

use bcrypt::HashParts;

/// What a hash may cost: at 18 a check takes some ten seconds.
const COSTS: std::ops::RangeInclusive<u32> = 4..=18;

/// Users and the hashes of their passwords.
#[derive(Clone, Debug, Default)]
pub(super) struct Users(BTreeMap<String, String>);

pub(super) fn build(written: &BTreeMap<String, String>) -> Result<Users, String> {
    for (name, hash) in written {
        let of = || format!("basic_auth_users.{name}");
        let remedy = "make it with `htpasswd -nBC 10 \"\" | tr -d ':\\n'`";
        if name.contains(':') {
            return Err(format!("{}: a user's name cannot have a colon", of()));
        }
        let parts = HashParts::from_str(hash)
            .map_err(|error| format!("{}: not a bcrypt hash ({error}); {remedy}", of()))?;
        if !COSTS.contains(&parts.get_cost()) {
            let (least, most) = (COSTS.start(), COSTS.end());
            return Err(format!(
                "{}: a cost of {} is not between {least} and {most}; {remedy}",
                of(),
                parts.get_cost()
            ));
        }
    }
    Ok(Users(written.clone()))
}

impl Users {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hash of this user's password.
    pub(super) fn hash_of(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Somebody's hash, if there is any user.
    pub(super) fn any_hash(&self) -> Option<&str> {
        self.0.values().next().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, hash)| ((*name).to_owned(), (*hash).to_owned()))
            .collect()
    }

    #[test]
    fn what_is_not_a_bcrypt_hash_is_named_with_a_remedy() {
        let plain = build(&users(&[("alice", "secret")])).unwrap_err();
        assert!(
            plain.contains("basic_auth_users.alice") && plain.contains("htpasswd"),
            "{plain}"
        );
        assert!(!plain.contains("secret"), "{plain}");
        let dear = "$2y$31$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
        let dear = build(&users(&[("alice", dear)])).unwrap_err();
        assert!(dear.contains("31") && dear.contains("htpasswd"), "{dear}");
        let hash = bcrypt::hash("x", 4).unwrap();
        assert!(
            build(&users(&[("a:b", &hash)]))
                .unwrap_err()
                .contains("colon")
        );
    }
}
