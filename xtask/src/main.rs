//! `cargo xtask`.

use std::env;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let path = env::var("TCP_OBSERVER_BIN")?;
    xtask::demo::run(Path::new(&path))
}
