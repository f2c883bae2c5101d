//! What the probes themselves have to say, through aya-log.
//!
//! Takes the object whose level global was set; gives its messages to the `log` crate. Never
//! runs unless asked for.

use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::{JoinHandle, spawn};

use super::StartError;

/// Hands the probes' messages on until dropped.
#[derive(Debug)]
pub(super) struct KernelLog {
    task: JoinHandle<()>,
}

impl KernelLog {
    /// Needs a tokio runtime with IO around it.
    pub(super) fn start(object: &mut Ebpf) -> Result<Self, StartError> {
        let failed = |error: &dyn std::error::Error| {
            StartError::Load(format!("the log of the probes cannot be read: {error}"))
        };
        let logger = EbpfLogger::init(object).map_err(|error| failed(&error))?;
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe; a ring buffer keeps its descriptor open"
        )]
        let mut logger =
            AsyncFd::with_interest(logger, Interest::READABLE).map_err(|error| failed(&error))?;
        let task = spawn(async move {
            while let Ok(mut ready) = logger.readable_mut().await {
                ready.get_inner_mut().flush();
                ready.clear_ready();
            }
        });
        Ok(Self { task })
    }
}

impl Drop for KernelLog {
    fn drop(&mut self) {
        self.task.abort();
    }
}
