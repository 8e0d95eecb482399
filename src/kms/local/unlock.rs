//! Unlock keys of the file, from passphrases and key files.

use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use sha2::Sha256;

use super::ids::{FileId, Salt};
use super::model::UnlockMethod;
use crate::keys::{DataKeyId, KeyVersionId, KeyringId, WrapContext, random};
use crate::{Error, ErrorKind, Result, Secret, fs};

/// Bytes of the unlock key, and of a key file.
pub(super) const KEY: usize = 32;

/// Shortest passphrase, in characters: SP 800-63B, section 5.1.1.2.
const SHORTEST_PASSPHRASE: usize = 8;

/// PBKDF2 iterations of new files: the OWASP minimum for HMAC-SHA-256.
const PBKDF2_ITERATIONS: u32 = 600_000;

/// Limit on PBKDF2 iterations, since a file is authenticated only after them: under a minute.
const MOST_PBKDF2_ITERATIONS: u32 = 50_000_000;

/// The secret that unlocks the file of a local KMS.
#[derive(Clone, Debug)]
pub enum Unlock {
    /// A passphrase, stretched by the method of the file.
    Passphrase(Secret<String>),
    /// A file with 256 random bits: 32 bytes, or 64 hexadecimal digits.
    KeyFile(PathBuf),
    /// The unlock key itself, from another KMS or the operating system's keyring:
    /// [`LocalKms::guarded_unlock`](super::LocalKms::guarded_unlock).
    Unwrapped(Secret<Vec<u8>>),
}

/// The function that stretches a passphrase.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum PassphraseKdf {
    /// Argon2id (RFC 9106): it makes guessing cost memory, too.
    #[default]
    Argon2id,
    /// PBKDF2 with HMAC-SHA-256 (SP 800-132): what NIST has approved.
    Pbkdf2,
}

impl UnlockMethod {
    /// Checks whether NIST has approved the method.
    pub(super) fn is_approved(&self) -> bool {
        !matches!(self, Self::Argon2id { .. })
    }

    /// Returns the method of a new file that `unlock` unlocks.
    pub(super) fn for_new_file(unlock: &Unlock, kdf: PassphraseKdf) -> Result<Self> {
        match unlock {
            Unlock::Passphrase(passphrase) if passphrase.expose().is_empty() => {
                Err(Error::bad_input("the passphrase is empty")
                    .with_hint("choose one that nobody guesses, or use a key file"))
            }
            // Only for new files: an old one with a shorter passphrase must still open.
            Unlock::Passphrase(passphrase) if passphrase.expose().chars().count() < SHORTEST_PASSPHRASE => {
                Err(Error::bad_input(format!(
                    "the passphrase is shorter than {SHORTEST_PASSPHRASE} characters"
                ))
                .with_hint("choose several words that nobody guesses, or use a key file"))
            }
            // RFC 9106, the second recommended choice, with one lane: a tenth of a second or two.
            Unlock::Passphrase(_) if kdf == PassphraseKdf::Argon2id => Ok(Self::Argon2id {
                memory_kib: 64 * 1024,
                passes: 3,
                lanes: 1,
                salt: Salt::random()?,
            }),
            Unlock::Passphrase(_) => Ok(Self::Pbkdf2HmacSha256 {
                iterations: PBKDF2_ITERATIONS,
                salt: Salt::random()?,
            }),
            Unlock::KeyFile(_) => Ok(Self::KeyFile),
            Unlock::Unwrapped(_) => Err(Error::bad_input("a new file has no wrapped unlock key yet")
                .with_hint("make it with a key file or a passphrase, then put it under the KMS key")),
        }
    }
}

impl Unlock {
    /// Derives the unlock key of a file with `method`.
    pub(super) fn key(&self, method: &UnlockMethod) -> Result<Secret<Vec<u8>>> {
        match (self, method) {
            (
                Self::Passphrase(passphrase),
                &UnlockMethod::Argon2id {
                    memory_kib,
                    passes,
                    lanes,
                    salt,
                },
            ) => {
                // Checked before they are used: the file that names them is not authenticated yet.
                let params = params(memory_kib, passes, lanes)?;
                let mut key = Secret::new(vec![0; KEY]);
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into(passphrase.expose().as_bytes(), salt.as_bytes(), key.expose_mut())
                    .map_err(|error| Error::new(ErrorKind::Io, "Argon2id cannot run").with_source(error))?;
                Ok(key)
            }
            (Self::Passphrase(passphrase), &UnlockMethod::Pbkdf2HmacSha256 { iterations, salt }) => {
                // The lower bound as well: nothing is sealed under a passphrase that is cheap to guess,
                // whoever made the file.
                if !(PBKDF2_ITERATIONS..=MOST_PBKDF2_ITERATIONS).contains(&iterations) {
                    return Err(
                        Error::bad_input(format!("its PBKDF2 iterations are out of bounds: {iterations}")).with_hint(
                            format!("restore the file from a backup: Cipherform writes {PBKDF2_ITERATIONS}"),
                        ),
                    );
                }
                let mut key = Secret::new(vec![0; KEY]);
                let passphrase = passphrase.expose().as_bytes();
                pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, salt.as_bytes(), iterations, key.expose_mut());
                Ok(key)
            }
            (Self::KeyFile(path), UnlockMethod::KeyFile) => read_key_file(path),
            (Self::Unwrapped(key), UnlockMethod::Kms { .. } | UnlockMethod::OsKeyring { .. }) => Ok(key.clone()),
            // The method of the file decides, never what is at hand: a passphrase is not tried as a key
            // file.
            (_, UnlockMethod::KeyFile) => Err(Error::new(
                ErrorKind::WrongKey,
                "a key file unlocks it, and nothing else",
            )
            .with_hint("name the key file")),
            (_, UnlockMethod::Argon2id { .. } | UnlockMethod::Pbkdf2HmacSha256 { .. }) => Err(Error::new(
                ErrorKind::WrongKey,
                "a passphrase unlocks it, and nothing else",
            )
            .with_hint("give the passphrase")),
            (_, UnlockMethod::OsKeyring { .. }) => Err(Error::new(
                ErrorKind::WrongKey,
                "the keyring of the operating system unlocks it, and nothing else",
            )
            .with_hint("let the keyring of the operating system be asked")),
            (_, UnlockMethod::Kms { key, .. }) => Err(Error::new(
                ErrorKind::WrongKey,
                format!("KMS key `{key}` unlocks it, and nothing else"),
            )
            .with_hint("let that KMS unwrap the unlock key")),
        }
    }

    /// Returns the error for a key that does not authenticate the file.
    pub(super) fn wrong_key_error(&self) -> Error {
        let (message, hint) = match self {
            Self::Passphrase(_) => (
                "wrong passphrase or damaged file",
                "try the passphrase again; if it is right, restore the file from a backup",
            ),
            Self::KeyFile(_) => (
                "wrong key file or damaged file",
                "check which key file belongs to it; if it is right, restore the file from a backup",
            ),
            Self::Unwrapped(_) => ("wrong unlock key or damaged file", "restore the file from a backup"),
        };
        Error::new(ErrorKind::WrongKey, message).with_hint(hint)
    }
}

/// Returns the context of an unlock key that another KMS wraps. It belongs to no data key, so that field is zero.
pub(super) fn context(file: FileId, id: KeyVersionId) -> WrapContext {
    WrapContext {
        keyring: KeyringId::from_bytes(*file.as_bytes()),
        data_key: DataKeyId::from_bytes([0; 16]),
        version: id,
        // A use that no data key has, so the wrapped unlock key cannot stand in a keyring as a data key.
        key_use: "local-kms-unlock".to_owned(),
    }
}

/// Creates a key file.
pub(super) fn create_key_file(path: &Path) -> Result<()> {
    let key = random::secret(KEY)?;
    let mut text = Secret::new(vec![b'\n'; 2 * KEY + 1]);
    hex::encode_to_slice(key.expose(), &mut text.expose_mut()[..2 * KEY])
        .map_err(|error| Error::bug("a key file of the wrong length").with_source(error))?;
    // Never over an existing file, which may be the only thing that opens some KMS.
    fs::create_atomic(path, text.expose(), fs::PRIVATE)
}

fn read_key_file(path: &Path) -> Result<Secret<Vec<u8>>> {
    let bytes = Secret::new(fs::read(path).map_err(|error| error.context("key file"))?);
    if bytes.expose().len() == KEY {
        return Ok(bytes);
    }
    let mut key = Secret::new(vec![0; KEY]);
    // Decoded into memory that is wiped; the cause is dropped, since it may quote a character of the key.
    hex::decode_to_slice(bytes.expose().trim_ascii_end(), key.expose_mut()).map_err(|_| {
        Error::bad_input(format!(
            "key file `{}`: not 32 bytes or 64 hexadecimal digits",
            path.display()
        ))
    })?;
    Ok(key)
}

/// Checks the parameters of Argon2id: neither so weak that a passphrase can be guessed nor so heavy that a hostile file
/// stalls the process.
///
/// The file is authenticated only after they are used. At least what OWASP asks for (19 MiB, 2 passes, or as much
/// work); at most 2 GiB, 64 passes, and 16 GiB touched, which takes under a minute.
fn params(memory_kib: u32, passes: u32, lanes: u32) -> Result<Params> {
    const GIB: u64 = 1024 * 1024;
    const LEAST: u32 = 19 * 1024;
    // In 64 bits: the product of two hostile numbers of 32 bits would wrap round to a small one.
    let touched = u64::from(memory_kib) * u64::from(passes);
    let bounded = u64::from(memory_kib) <= 2 * GIB && passes <= 64 && lanes <= 16 && touched <= 16 * GIB;
    let strong = memory_kib >= LEAST && passes >= 1 && lanes >= 1 && touched >= 2 * u64::from(LEAST);
    match Params::new(memory_kib, passes, lanes, Some(KEY)) {
        Ok(params) if bounded && strong => Ok(params),
        _ => Err(Error::bad_input(format!(
            "its Argon2id parameters are out of bounds: {memory_kib} KiB, {passes} passes, {lanes} lanes"
        ))
        .with_hint("restore the file from a backup: Cipherform writes 65536 KiB, 3 passes, 1 lane")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_bounded() {
        for (memory, passes, lanes) in [(65_536, 3, 1), (19_456, 2, 1), (38_912, 1, 1), (2_097_152, 1, 4)] {
            assert!(params(memory, passes, lanes).is_ok(), "{memory} {passes} {lanes}");
        }
        for (memory, passes, lanes) in [
            (0, 0, 0),
            (65_536, 0, 1),
            (65_536, 3, 0),
            (65_536, 3, 17),
            (65_536, 65, 1),
            (19_455, 2, 1),
            (19_456, 1, 1),
            (2_097_153, 1, 1),
            (2_097_152, 9, 1),
            (u32::MAX, u32::MAX, u32::MAX),
        ] {
            assert!(params(memory, passes, lanes).is_err(), "{memory} {passes} {lanes}");
        }
    }

    #[test]
    fn argon2id_is_as_published() {
        // Computed with the reference implementation: `argon2.low_level.hash_secret_raw` of the Python package
        // `argon2-cffi`.
        let unlock = Unlock::Passphrase(Secret::new("correct horse".to_string()));
        let method = UnlockMethod::Argon2id {
            memory_kib: 19_456,
            passes: 2,
            lanes: 1,
            salt: Salt::from_bytes([b's'; 16]),
        };
        assert_eq!(
            hex::encode(unlock.key(&method).unwrap().expose()),
            "39f81cd1918b27d657c892351af429f83234f1f7cec39a044d2abb133e8ea68e"
        );
    }

    #[test]
    fn pbkdf2_is_as_published() {
        // Computed with `hashlib.pbkdf2_hmac` of Python (OpenSSL).
        let unlock = Unlock::Passphrase(Secret::new("correct horse".to_string()));
        let method = |iterations| UnlockMethod::Pbkdf2HmacSha256 {
            iterations,
            salt: Salt::from_bytes([b's'; 16]),
        };
        assert_eq!(
            hex::encode(unlock.key(&method(600_000)).unwrap().expose()),
            "2af5e864e26d97f4a64dc531cf53dee961d7819ec807cdafed9609aab1b2dadf"
        );
        // One less and one more than the bounds, and what a hostile file would say.
        for bad in [0, 599_999, 50_000_001, u32::MAX] {
            assert_eq!(unlock.key(&method(bad)).unwrap_err().kind(), ErrorKind::BadInput);
        }
    }

    #[test]
    fn key_files_are_raw_or_hexadecimal() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let key = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            Unlock::KeyFile(path.clone())
                .key(&UnlockMethod::KeyFile)
                .map(|key| key.expose().clone())
        };
        assert_eq!(key(&[7; 32]).unwrap(), [7; 32]);
        assert_eq!(key("07".repeat(32).as_bytes()).unwrap(), [7; 32]);
        assert_eq!(key(format!("{}\r\n", "07".repeat(32)).as_bytes()).unwrap(), [7; 32]);
        for bad in [&b""[..], &[7; 31], &[7; 33], &[b'z'; 64]] {
            assert_eq!(key(bad).unwrap_err().kind(), ErrorKind::BadInput);
        }
    }
}
