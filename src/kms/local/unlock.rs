//! What unlocks the file of a local KMS.

use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};

use crate::keys::ids::random_id;
use crate::keys::{random, store};
use crate::{Error, ErrorKind, Result, Secret};

/// The length of the unlock key, and of what a key file holds.
const KEY: usize = 32;

/// What SP 800-63B, section 5.1.1.2, asks of a secret that a person chooses.
const SHORTEST_PASSPHRASE: usize = 8;

/// What unlocks the file of a local KMS.
#[derive(Clone, Debug)]
pub enum Unlock {
    /// A passphrase, stretched by Argon2id.
    Passphrase(Secret<String>),
    /// A file with 256 random bits: 32 bytes, or 64 hexadecimal digits.
    KeyFile(PathBuf),
}

/// How the file says that it is unlocked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum UnlockMethod {
    Argon2id {
        memory_kib: u32,
        passes: u32,
        lanes: u32,
        salt: Salt,
    },
    KeyFile,
}

random_id! {
    /// Makes the same passphrase give another key in another file.
    pub(super) struct Salt
}

impl UnlockMethod {
    /// Whether NIST has approved what makes the unlock key.
    pub(super) fn is_approved(&self) -> bool {
        matches!(self, Self::KeyFile)
    }

    /// What a new file that `unlock` opens will say.
    pub(super) fn for_new_file(unlock: &Unlock) -> Result<Self> {
        match unlock {
            Unlock::Passphrase(passphrase) if passphrase.expose().is_empty() => {
                Err(Error::bad_input("the passphrase is empty")
                    .with_hint("choose one that nobody guesses, or use a key file"))
            }
            Unlock::Passphrase(passphrase) if passphrase.expose().chars().count() < SHORTEST_PASSPHRASE => {
                Err(Error::bad_input(format!(
                    "the passphrase is shorter than {SHORTEST_PASSPHRASE} characters"
                ))
                .with_hint("choose several words that nobody guesses, or use a key file"))
            }
            // RFC 9106, the second recommended choice, with one lane: a tenth of a second or two.
            Unlock::Passphrase(_) => Ok(Self::Argon2id {
                memory_kib: 64 * 1024,
                passes: 3,
                lanes: 1,
                salt: Salt::random()?,
            }),
            Unlock::KeyFile(_) => Ok(Self::KeyFile),
        }
    }
}

impl Unlock {
    /// The unlock key of a file that says `method`.
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
                let params = params(memory_kib, passes, lanes)?;
                let mut key = Secret::new(vec![0; KEY]);
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into(passphrase.expose().as_bytes(), salt.as_bytes(), key.expose_mut())
                    .map_err(|error| Error::new(ErrorKind::Io, "Argon2id cannot run").with_source(error))?;
                Ok(key)
            }
            (Self::KeyFile(path), UnlockMethod::KeyFile) => read_key_file(path),
            (Self::Passphrase(_), UnlockMethod::KeyFile) => Err(Error::new(
                ErrorKind::WrongKey,
                "a key file unlocks it, not a passphrase",
            )
            .with_hint("name the key file")),
            (Self::KeyFile(_), UnlockMethod::Argon2id { .. }) => Err(Error::new(
                ErrorKind::WrongKey,
                "a passphrase unlocks it, not a key file",
            )
            .with_hint("give the passphrase")),
        }
    }

    /// The error when the key does not authenticate the file.
    pub(super) fn wrong(&self) -> Error {
        let (message, hint) = match self {
            Self::Passphrase(_) => (
                "wrong passphrase or damaged file",
                "try the passphrase again; if it is right, restore the file from a backup",
            ),
            Self::KeyFile(_) => (
                "wrong key file or damaged file",
                "check which key file belongs to it; if it is right, restore the file from a backup",
            ),
        };
        Error::new(ErrorKind::WrongKey, message).with_hint(hint)
    }
}

/// Writes a new key file.
pub(super) fn create_key_file(path: &Path) -> Result<()> {
    let key = random::secret(KEY)?;
    let mut text = Secret::new(vec![b'\n'; 2 * KEY + 1]);
    hex::encode_to_slice(key.expose(), &mut text.expose_mut()[..2 * KEY])
        .map_err(|error| Error::bug("a key file of the wrong length").with_source(error))?;
    store::create_atomic(path, text.expose(), store::PRIVATE)
}

fn read_key_file(path: &Path) -> Result<Secret<Vec<u8>>> {
    let bytes = Secret::new(store::read(path).map_err(|error| error.context("key file"))?);
    if bytes.expose().len() == KEY {
        return Ok(bytes);
    }
    let mut key = Secret::new(vec![0; KEY]);
    hex::decode_to_slice(bytes.expose().trim_ascii_end(), key.expose_mut()).map_err(|_| {
        Error::bad_input(format!(
            "key file `{}`: not 32 bytes or 64 hexadecimal digits",
            path.display()
        ))
    })?;
    Ok(key)
}

/// The parameters, if they are neither so weak that a passphrase is guessed nor so heavy that a stranger's file stalls us.
///
/// The file is authenticated only after they are used. At least what OWASP asks for (19 MiB, 2 passes, or as much work); at most 2 GiB, 64 passes, and
/// 16 GiB touched, which takes under a minute.
fn params(memory_kib: u32, passes: u32, lanes: u32) -> Result<Params> {
    const GIB: u64 = 1024 * 1024;
    const LEAST: u32 = 19 * 1024;
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
        // Computed with the reference implementation: `argon2.low_level.hash_secret_raw` of the Python package `argon2-cffi`.
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
