//! Random bytes from the operating system.

use crate::{Error, ErrorKind, Result, Secret};

/// Returns `length` secret random bytes.
pub(crate) fn secret(length: usize) -> Result<Secret<Vec<u8>>> {
    let mut bytes = Secret::new(vec![0; length]);
    // Filled in place: random bytes that were made elsewhere and moved here would leave a copy that
    // nobody wipes.
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
    // The generator of the operating system is seeded and reseeded by it, and safe across `fork`. Nothing
    // weaker is tried if it fails: a guessable key would be worse than an error.
    getrandom::fill(bytes)
        .map_err(|error| Error::new(ErrorKind::Io, "the operating system gives no random bytes").with_source(error))
}
