//! The file of a keyring: reading, authenticating, sealing.

use std::path::Path;

use super::document::{FORMAT, KeyringDocument, READABLE};
use crate::keys::wrap::Authenticated;
use crate::{Error, ErrorKind, Hint, Remedy, Result, Secret, fs};

pub(super) fn parse(path: &Path) -> Result<Authenticated<KeyringDocument>> {
    // A missing keyring has a remedy of its own; no other error of the file gets that hint.
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::FileNotFound => Error::new(
            ErrorKind::FileNotFound,
            format!("there is no keyring `{}`", path.display()),
        )
        .with_hint(
            Hint::from(Remedy::Initialize)
                .then("; if the keyring is elsewhere, name it in the line `keyring = …` of the policy"),
        ),
        _ => error,
    })?;
    Authenticated::parse(&READABLE, &bytes).map_err(|error| in_file(path, error))
}

pub(super) fn verified(
    path: &Path,
    file: Authenticated<KeyringDocument>,
    root: &Secret<Vec<u8>>,
) -> Result<KeyringDocument> {
    // Nothing of the unverified content is used but the id, which the KMS has bound to the root it
    // unwrapped.
    let key = file.unverified().mac_key(root)?;
    let document = file
        .verify(key.expose())
        // The MAC says who wrote it, not that it makes sense: an older program may have had an error.
        .and_then(|document| document.validate().map(|()| document));
    document.map_err(|error| in_file(path, error))
}

pub(super) fn sealed(document: &KeyringDocument, root: &Secret<Vec<u8>>) -> Result<Vec<u8>> {
    let key = document.mac_key(root)?;
    // Always the newest format, whichever was read.
    Ok(Authenticated::new(FORMAT, document, key.expose()).to_bytes())
}

/// Puts the file before the error, and adds a hint if there is none.
pub(super) fn in_file(path: &Path, error: Error) -> Error {
    let error = error.in_file("keyring", path);
    match error.kind() {
        ErrorKind::BadInput | ErrorKind::WrongKey => {
            error.or_hint("restore the file from a backup if it was damaged, or check that it belongs to this KMS")
        }
        // A KMS that is down, or refuses, is no fault of the file.
        _ => error,
    }
}
