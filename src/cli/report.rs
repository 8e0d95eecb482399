//! Results of the commands for keys.

use super::args::ListFormat;
use super::printer::Printer;
use crate::keys::{KeyInfo, Keyring, KmsKeyInfo};
use crate::{Error, Result};

/// The output of the commands for keys: messages, and results in the form that was asked for.
pub(super) struct Report<'a> {
    pub(super) printer: &'a Printer,
    pub(super) format: ListFormat,
}

impl Report<'_> {
    /// Reports a changed key: in words, or all of it as JSON.
    pub(super) fn changed(&self, key: &KeyInfo, keyring: &Keyring, what: impl std::fmt::Display) -> Result<()> {
        // Words go to stderr, so JSON on stdout stays alone.
        self.printer.say(what);
        if self.format == ListFormat::Json {
            self.json(key)?;
        }
        self.back_up(keyring);
        Ok(())
    }

    // Said after every change: a backup from before does not open with the keys made since.
    pub(super) fn back_up(&self, keyring: &Keyring) {
        self.printer
            .say(format_args!("Back up `{}`: it has changed.", keyring.path().display()));
    }

    pub(super) fn json(&self, object: &impl serde::Serialize) -> Result<()> {
        let text = serde_json::to_string(object)
            .map_err(|error| Error::bug("a result that JSON cannot hold").with_source(error))?;
        self.printer.line(text)
    }

    /// Prints the answer of a KMS about its key.
    pub(super) fn kms_key(&self, kms: KmsKeyInfo) -> Result<()> {
        let created = kms.created.map(|created| created.to_string());
        for (what, said) in [
            ("manager", Some(kms.manager)),
            ("id", Some(kms.id)),
            ("state", Some(kms.state.to_string())),
            ("usage", kms.usage),
            ("origin", kms.origin),
            ("rotation", kms.rotation),
            ("created", created),
        ] {
            if let Some(said) = said {
                self.printer.line(format_args!("  {what:<14} {said}"))?;
            }
        }
        Ok(())
    }
}
