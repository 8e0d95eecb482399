//! The threads of an engine.

use std::sync::{Arc, Mutex, PoisonError};

use cipherform::{Error, Result};

/// A runtime for asynchronous work, started when it is first used.
///
/// The threads of a runtime do not survive `os.fork`, so a child process starts its own.
#[derive(Default)]
pub(crate) struct Runtime {
    /// And the process it was started in.
    started: Mutex<Option<(u32, Arc<tokio::runtime::Runtime>)>>,
}

impl Runtime {
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.running()?.block_on(work)
    }

    fn running(&self) -> Result<Arc<tokio::runtime::Runtime>> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        // The process id tells a child after a fork, whose copy of the runtime has no threads.
        match started.take() {
            Some((of, runtime)) if of == process => *started = Some((of, runtime)),
            // Its threads are the parent's: nothing may wait for them.
            Some((_, runtime)) => std::mem::forget(runtime),
            None => {}
        }
        if let Some((_, runtime)) = &*started {
            return Ok(Arc::clone(runtime));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            // Seen in debuggers, and told from the host's own threads.
            .thread_name("cipherform")
            .build()
            .map_err(|error| Error::io("cannot start threads", error))?;
        let runtime = Arc::new(runtime);
        *started = Some((process, Arc::clone(&runtime)));
        Ok(runtime)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let started = self.started.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some((process, runtime)) = started.take() else {
            return;
        };
        // After a fork, dropping would wait for threads of the parent.
        if process != std::process::id() {
            std::mem::forget(runtime);
        } else if let Ok(runtime) = Arc::try_unwrap(runtime) {
            // The interpreter must not wait for threads that may wait for it.
            runtime.shutdown_background();
        }
    }
}
