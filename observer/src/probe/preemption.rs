//! Whether the kernel takes the CPU from a task in the midst of its own code.
//!
//! Takes what the kernel says of itself; gives whether it does, and where nothing says so, that it
//! does. A task that is displaced in a probe hides it from all others until it runs again.

use std::fs::{self, File};
use std::io::Read as _;

use flate2::read::GzDecoder;

/// The model in use, in parentheses: `none voluntary (full) lazy`.
const MODEL: &str = "/sys/kernel/debug/sched/preempt";

/// More than any configuration has.
const MOST_CONFIG: u64 = 4 << 20;

/// Of the running kernel.
pub(super) fn preempts() -> bool {
    let uname = rustix::system::uname();
    let built_in = built_in(&uname.version().to_string_lossy());
    built_in
        .or_else(|| fs::read_to_string(MODEL).ok().and_then(|it| of_models(&it)))
        .or_else(|| {
            let line = fs::read_to_string("/proc/cmdline").ok()?;
            of_command_line(&line)
        })
        .or_else(|| of_config(&config(&uname.release().to_string_lossy())?))
        .unwrap_or(true)
}

/// What `uname -v` says, unless the model is chosen at boot (`PREEMPT_DYNAMIC`).
fn built_in(version: &str) -> Option<bool> {
    let mut words = version.split(' ');
    match words.find(|word| word.starts_with("PREEMPT")) {
        None => Some(false),
        Some("PREEMPT_DYNAMIC") => None,
        Some(_) => Some(true),
    }
}

fn of_models(models: &str) -> Option<bool> {
    let (_, rest) = models.split_once('(')?;
    of_model(rest.split_once(')')?.0)
}

/// The last `preempt=` counts. That it does not preempt may be refused, as where the kernel has no
/// such model any more (`preempt_dynamic`, 7.0 on most processors).
fn of_command_line(line: &str) -> Option<bool> {
    let mut models = line
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("preempt="));
    of_model(models.next_back()?).filter(|preempts| *preempts)
}

fn of_model(model: &str) -> Option<bool> {
    match model {
        "none" | "voluntary" => Some(false),
        "full" | "lazy" => Some(true),
        _ => None,
    }
}

/// The model that is used if none is chosen at boot.
fn of_config(config: &str) -> Option<bool> {
    let is_set = |option: &str| config.lines().any(|line| line == option);
    if is_set("CONFIG_PREEMPT_NONE=y") || is_set("CONFIG_PREEMPT_VOLUNTARY=y") {
        return Some(false);
    }
    (is_set("CONFIG_PREEMPT=y") || is_set("CONFIG_PREEMPT_LAZY=y")).then_some(true)
}

/// The configuration that the kernel was built with, where it shows it or its package left it.
fn config(release: &str) -> Option<String> {
    let mut text = String::new();
    let shown = File::open("/proc/config.gz").and_then(|file| {
        let config = GzDecoder::new(file);
        config.take(MOST_CONFIG).read_to_string(&mut text)
    });
    match shown {
        Ok(_) => Some(text),
        Err(_) => fs::read_to_string(format!("/boot/config-{release}")).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::{built_in, of_command_line, of_config, of_models};

    #[test]
    fn the_version_says_what_cannot_be_chosen() {
        assert_eq!(built_in("#1 SMP Debian 5.10.1"), Some(false));
        assert_eq!(built_in("#1 SMP PREEMPT Debian 7.2"), Some(true));
        assert_eq!(built_in("#1 SMP PREEMPT_RT Debian 6.12"), Some(true));
        assert_eq!(built_in("#1 SMP PREEMPT_DYNAMIC Debian 6.12"), None);
    }

    #[test]
    fn the_model_in_use_is_the_one_in_parentheses() {
        assert_eq!(of_models("none (voluntary) full\n"), Some(false));
        assert_eq!(of_models("full (lazy)\n"), Some(true));
        assert_eq!(of_models("(strange)\n"), None);
        assert_eq!(of_models("none full"), None);
    }

    #[test]
    fn the_last_choice_at_boot_counts() {
        let line = "root=/dev/sda preempt=none quiet preempt=full\n";
        assert_eq!(of_command_line(line), Some(true));
        let line = "preempt=full quiet preempt=none\n";
        assert_eq!(of_command_line(line), None, "the kernel may refuse it");
        assert_eq!(of_command_line("quiet preempt=lazy"), Some(true));
        assert_eq!(of_command_line("quiet"), None);
    }

    #[test]
    fn the_configuration_says_what_is_used_without_a_choice() {
        let dynamic = "CONFIG_PREEMPT_BUILD=y\nCONFIG_PREEMPTION=y\nCONFIG_PREEMPT_DYNAMIC=y\n";
        let with = |line: &str| of_config(&format!("{dynamic}{line}\n"));
        assert_eq!(with("CONFIG_PREEMPT_VOLUNTARY=y"), Some(false));
        assert_eq!(with("CONFIG_PREEMPT_NONE=y"), Some(false));
        assert_eq!(with("CONFIG_PREEMPT_LAZY=y"), Some(true));
        assert_eq!(with("CONFIG_PREEMPT=y"), Some(true));
        assert_eq!(with("# CONFIG_PREEMPT is not set"), None);
    }
}
