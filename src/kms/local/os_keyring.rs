//! The unlock key in the keyring of the operating system: Secret Service, Keychain, Credential Manager.

use super::file::FileId;
use crate::keys::KeyVersionId;
use crate::{Error, ErrorKind, Result, Secret};

/// What the entries are filed under; the user name of an entry is the file's id and its own, so that no entry
/// is overwritten that the file may still need.
#[cfg(feature = "os-keyring")]
const SERVICE: &str = "cipherform local kms";

/// Puts the unlock key of a file there.
#[cfg(feature = "os-keyring")]
pub(super) fn put(file: FileId, id: KeyVersionId, unlock_key: &Secret<Vec<u8>>) -> Result<()> {
    let entry = entry(file, id)?;
    entry.set_secret(unlock_key.expose()).map_err(refused)?;
    // Before what opens the file now is given up.
    match get(file, id)?.expose() == unlock_key.expose() {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::WrongKey,
            "the keyring of the operating system gives another key than was put into it",
        )),
    }
}

/// The unlock key of a file.
#[cfg(feature = "os-keyring")]
pub(super) fn get(file: FileId, id: KeyVersionId) -> Result<Secret<Vec<u8>>> {
    entry(file, id)?.get_secret().map(Secret::new).map_err(refused)
}

/// Takes an entry out that the file does not need any more. If it stays, it opens older copies, and nothing else.
#[cfg(feature = "os-keyring")]
pub(super) fn forget(file: FileId, id: KeyVersionId) {
    let _ = entry(file, id).map(|entry| entry.delete_credential());
}

#[cfg(feature = "os-keyring")]
fn entry(file: FileId, id: KeyVersionId) -> Result<keyring::Entry> {
    keyring::Entry::new(SERVICE, &format!("{file}/{id}")).map_err(refused)
}

#[cfg(feature = "os-keyring")]
fn refused(error: keyring::Error) -> Error {
    let (kind, message, hint) = match &error {
        keyring::Error::NoEntry => (
            ErrorKind::KeyNotFound,
            "the keyring of the operating system has no unlock key for this file",
            "log in as the user who put it there; else restore a backup that a passphrase or a key file unlocks",
        ),
        keyring::Error::NoDefaultStore => (
            ErrorKind::ProviderDown,
            "this machine has no keyring of the operating system, or none that answers",
            "on Linux it is the Secret Service of a desktop session; without one use a passphrase, a key file or another KMS",
        ),
        _ => (
            ErrorKind::ProviderDown,
            "the keyring of the operating system refuses",
            "unlock it, or log in to the session that it belongs to",
        ),
    };
    // Some of its errors hold the secret itself; their kind is told, and no more.
    Error::new(kind, message).with_hint(hint)
}

#[cfg(not(feature = "os-keyring"))]
pub(super) fn put(_: FileId, _: KeyVersionId, _: &Secret<Vec<u8>>) -> Result<()> {
    Err(absent())
}

#[cfg(not(feature = "os-keyring"))]
pub(super) fn get(_: FileId, _: KeyVersionId) -> Result<Secret<Vec<u8>>> {
    Err(absent())
}

#[cfg(not(feature = "os-keyring"))]
pub(super) fn forget(_: FileId, _: KeyVersionId) {}

#[cfg(not(feature = "os-keyring"))]
fn absent() -> Error {
    Error::new(
        ErrorKind::ProviderDown,
        "this build does not ask the keyring of the operating system: its feature `os-keyring` is not enabled",
    )
    .with_hint("build with `--features os-keyring`")
}
