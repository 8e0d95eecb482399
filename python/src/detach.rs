//! Work beside the interpreter.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use cipherform::{Error, Result};
use pyo3::prelude::*;

use crate::errors;

/// The place of this extension's last panic.
static PLACE: Mutex<String> = Mutex::new(String::new());

/// Runs `work` while other Python threads run. A panic in it becomes an `InternalError`.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    // Caught here, so that Python gets an exception of ours, without the panic's text.
    let done = py.detach(|| catch_unwind(AssertUnwindSafe(work)));
    done.unwrap_or_else(|_| Err(bug()))
        .map_err(|error| errors::raise(py, &error))
}

fn bug() -> Error {
    let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    // The place and not the text, which may hold a value.
    Error::bug(format!("a fault in cipherform itself, at {place}")).with_hint("please report it")
}

/// Keeps the text of panics off stderr, since it may hold a value; the place is remembered.
///
/// The hook is that of this extension: others in the process have their own.
pub(crate) fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place.unwrap_or_default();
    }));
}
