//! Kernel tests.
#![allow(clippy::print_stdout)]
use xtask::scenario;

fn main() {
    let filter: Vec<String> = std::env::args().skip(1).collect();
    let picked: Vec<_> = scenario::all()
        .filter(|s| filter.is_empty() || filter.iter().any(|f| s.name.contains(f.as_str())))
        .collect();
    std::thread::scope(|scope| {
        for s in picked {
            scope.spawn(move || match s.perform() {
                Ok(done) => println!("ok {} {}", s.name, done.ends.len()),
                Err(error) => println!("FAIL {} {error:#}", s.name),
            });
        }
    });
}
