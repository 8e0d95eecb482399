//! Unlock keys in the keyring of the operating system: Secret Service, Keychain, Credential Manager.

#[cfg(feature = "os-keyring")]
use std::sync::mpsc;
#[cfg(feature = "os-keyring")]
use std::time::Duration;

use super::ids::FileId;
use crate::keys::KeyVersionId;
use crate::{Error, ErrorKind, Result, Secret};

/// Service name of the entries. The user name of an entry is the id of the file and its own, so that no entry is
/// overwritten that the file may still need.
#[cfg(feature = "os-keyring")]
const SERVICE: &str = "cipherform local kms";

/// Time-out: the keyring may ask the person to unlock it first.
#[cfg(feature = "os-keyring")]
const TIME_OUT: Duration = Duration::from_secs(120);

/// Stores the unlock key of a file.
#[cfg(feature = "os-keyring")]
pub(super) fn put(file: FileId, id: KeyVersionId, unlock_key: &Secret<Vec<u8>>) -> Result<()> {
    let secret = unlock_key.clone();
    within(TIME_OUT, move || {
        entry(file, id)?.set_secret(secret.expose()).map_err(refused)
    })?;
    // Checked before the present unlock key is given up.
    if get(file, id)?.expose() == unlock_key.expose() {
        Ok(())
    } else {
        Err(Error::new(
            ErrorKind::WrongKey,
            "the keyring of the operating system gives another key than was put into it",
        ))
    }
}

/// Reads the unlock key of a file.
#[cfg(feature = "os-keyring")]
pub(super) fn get(file: FileId, id: KeyVersionId) -> Result<Secret<Vec<u8>>> {
    within(TIME_OUT, move || {
        entry(file, id)?.get_secret().map(Secret::new).map_err(refused)
    })
}

/// Deletes an entry that the file no longer needs. If it stays, it opens older copies, and nothing else.
#[cfg(feature = "os-keyring")]
pub(super) fn forget(file: FileId, id: KeyVersionId) {
    // The file is written by now, and no failure here could undo that.
    let _ = within(TIME_OUT, move || entry(file, id)?.delete_credential().map_err(refused));
}

/// Runs `work` with a time-out, since the libraries below wait for ever.
#[cfg(feature = "os-keyring")]
fn within<T: Send + 'static>(time_out: Duration, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (done, result) = mpsc::channel();
    // The thread ends with the process at the latest.
    std::thread::spawn(move || done.send(work()));
    // A result that comes later cannot be sent any more, and a key in it is dropped, which wipes it.
    result.recv_timeout(time_out).unwrap_or_else(|_| {
        let message = format!(
            "the keyring of the operating system did not answer in {} s",
            time_out.as_secs_f32()
        );
        Err(Error::new(ErrorKind::ProviderDown, message)
            .with_hint("check whether it is waiting for you, or is not running"))
    })
}

#[cfg(feature = "os-keyring")]
fn entry(file: FileId, id: KeyVersionId) -> Result<keyring::Entry> {
    // A new id for each unlock key: the entry of before stays until the file no longer needs it.
    keyring::Entry::new(SERVICE, &format!("{file}/{id}")).map_err(refused)
}

#[cfg(feature = "os-keyring")]
fn refused(error: keyring::Error) -> Error {
    let (kind, message, hint) = match &error {
        // An answer, not an outage: another user, or another machine, may have the entry.
        keyring::Error::NoEntry => (
            ErrorKind::KeyNotFound,
            "the keyring of the operating system has no unlock key for this file",
            "log in as the user who put it there; else restore a backup that a passphrase or a key file unlocks",
        ),
        keyring::Error::NoDefaultStore => (
            ErrorKind::ProviderDown,
            "no keyring of the operating system was found",
            "on Linux it is the Secret Service of a desktop session; without one use a passphrase, a key file \
             or another KMS",
        ),
        _ => (
            ErrorKind::ProviderDown,
            "the keyring of the operating system refused access",
            "unlock it, or log in to the session that it belongs to",
        ),
    };
    // Some errors of the library hold the secret itself, so only their kind is reported.
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
        "this build does not use the keyring of the operating system: its feature `os-keyring` is not enabled",
    )
    .with_hint("build with the feature `os-keyring`")
}

#[cfg(all(test, feature = "os-keyring"))]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_ever() {
        assert_eq!(within(TIME_OUT, || Ok(7)).unwrap(), 7);
        let (_never, wait) = mpsc::channel::<()>();
        let late = within(Duration::from_millis(20), move || {
            let _ = wait.recv();
            Ok(())
        });
        let error = late.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProviderDown);
        assert!(error.message().ends_with("did not answer in 0.02 s"), "{error}");
    }
}
