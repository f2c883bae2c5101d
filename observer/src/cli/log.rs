//! How to log: what may be typed.

use clap::{Args, ValueEnum};

/// How to log. Logs go to standard error.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub struct Log {
    /// Least level to log
    #[arg(
        long = "log.level",
        value_enum,
        value_name = "LEVEL",
        default_value = "info",
        global = true
    )]
    pub level: Level,

    /// How a log line looks
    #[arg(
        long = "log.format",
        value_enum,
        value_name = "FORMAT",
        default_value = "text",
        global = true
    )]
    pub format: Format,

    /// Log what the probes say from inside the kernel, too
    #[arg(long = "log.kernel", global = true)]
    pub kernel: bool,
}

/// Least level to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the levels are words that every logger shares")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people, with key=value fields
    Text,
    /// One JSON object a line
    Json,
}
