//! Scenario goldens: event lines in, verdict lines out, as text files under `tests/golden`.
//!
//! `UPDATE_EXPECT=1 cargo test --test golden` writes what comes out into the files; read the
//! difference before committing it. A new case is a new file, or a new section of one.

mod support;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::support;

    #[test]
    fn every_scenario_says_what_its_file_expects() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
            .collect();
        files.sort();
        assert!(!files.is_empty(), "no scenario in {}", folder.display());
        for file in files {
            let script = fs::read_to_string(&file).unwrap();
            let played = support::play(&script)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            expect_test::expect_file![&file].assert_eq(&played);
        }
    }
}
