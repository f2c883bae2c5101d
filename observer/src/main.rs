//! tcp-observer: says how every TCP connection of this host ended.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    observer::commands::run(observer::cli::Cli::parse())
}
