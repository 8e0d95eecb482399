//! The unlock settings of the local KMS from the environment.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::unlock::Unlock;
use crate::{Error, Result, Secret};

const KEY_FILE: &str = "CIPHERFORM_KEY_FILE";
const PASSPHRASE: &str = "CIPHERFORM_PASSPHRASE";
const PASSPHRASE_FILE: &str = "CIPHERFORM_PASSPHRASE_FILE";

/// Bytes that are read of a passphrase file.
const MOST: usize = 4096;

impl Unlock {
    /// Reads the passphrase on the first line of the file at `path`.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::Io`] if it cannot be read, or is not UTF-8.
    pub fn passphrase_file(path: &Path) -> Result<Self> {
        let failed = |error| Error::io(format!("cannot read the passphrase from `{}`", path.display()), error);
        let file = File::open(path).map_err(failed)?;
        // Capacity for all of it at once: a string that grows leaves copies behind.
        let mut line = Secret::new(String::with_capacity(MOST));
        // A passphrase is short. `/dev/zero` or a table of data named by mistake must not fill the
        // memory.
        file.take(MOST as u64)
            .read_to_string(line.expose_mut())
            .map_err(failed)?;
        // Editors end a line with a line feed, on Windows with two characters; neither is part of the
        // passphrase.
        let length = line.expose().find(['\r', '\n']).unwrap_or(line.expose().len());
        line.expose_mut().truncate(length);
        Ok(Self::Passphrase(line))
    }

    /// Reads `CIPHERFORM_KEY_FILE`, `CIPHERFORM_PASSPHRASE_FILE` or `CIPHERFORM_PASSPHRASE`; `None` if none is set.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::BadInput`] if more than one is set; as [`Unlock::passphrase_file`].
    pub fn from_environment() -> Result<Option<Self>> {
        Self::from_variables(
            env::var_os(KEY_FILE),
            env::var_os(PASSPHRASE_FILE),
            env::var(PASSPHRASE).ok().map(Secret::new),
        )
    }

    fn from_variables(
        key_file: Option<OsString>,
        passphrase_file: Option<OsString>,
        passphrase: Option<Secret<String>>,
    ) -> Result<Option<Self>> {
        match (key_file, passphrase_file, passphrase) {
            (None, None, None) => Ok(None),
            (Some(path), None, None) => Ok(Some(Self::KeyFile(path.into()))),
            (None, Some(path), None) => Self::passphrase_file(Path::new(&path)).map(Some),
            (None, None, Some(passphrase)) => Ok(Some(Self::Passphrase(passphrase))),
            // No order of precedence: with two of them a file could be made under the one that its owner
            // did not mean.
            _ => Err(Error::bad_input(format!(
                "more than one of {KEY_FILE}, {PASSPHRASE_FILE} and {PASSPHRASE} is set"
            ))
            .with_hint("unset all but one, or say outright which it is")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_variable_says_it_and_two_are_an_error() {
        let secret = || Some(Secret::new("correct horse".to_owned()));
        assert!(Unlock::from_variables(None, None, None).unwrap().is_none());
        assert!(matches!(
            Unlock::from_variables(Some("k".into()), None, None),
            Ok(Some(Unlock::KeyFile(path))) if path == Path::new("k")
        ));
        assert!(matches!(
            Unlock::from_variables(None, None, secret()),
            Ok(Some(Unlock::Passphrase(_)))
        ));
        assert!(Unlock::from_variables(Some("k".into()), None, secret()).is_err());
        assert!(Unlock::from_variables(Some("k".into()), Some("p".into()), None).is_err());
    }

    #[test]
    fn only_the_first_line_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        for text in ["correct horse", "correct horse\n", "correct horse\r\nbattery\n"] {
            std::fs::write(&path, text).unwrap();
            let Ok(Unlock::Passphrase(passphrase)) = Unlock::passphrase_file(&path) else {
                panic!("no passphrase");
            };
            assert_eq!(passphrase.expose(), "correct horse");
        }
        assert!(Unlock::passphrase_file(&folder.path().join("missing")).is_err());
    }
}
