//! Random bytes from the operating system.

use crate::{Error, ErrorKind, Result, Secret};

/// Returns `length` secret random bytes.
pub(crate) fn secret(length: usize) -> Result<Secret<Vec<u8>>> {
    let mut bytes = Secret::new(vec![0; length]);
    fill(bytes.expose_mut())?;
    Ok(bytes)
}

/// Returns random bytes that need not be secret: ids, nonces, salts.
pub(crate) fn array<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes)
        .map_err(|error| Error::new(ErrorKind::Io, "the operating system gives no random bytes").with_source(error))
}
