//! Refusals of a KMS: tables from status and code to the kind of error, and the errors that all providers share.

use crate::{Error, ErrorKind};

/// One row of a provider's table of refusals. The first row that fits counts.
pub(in crate::kms) struct RefusalRule {
    /// HTTP status; 0 fits every status.
    pub(in crate::kms) status: u16,
    /// The service's code; empty fits every code, and a code that ends in `*` fits what begins so.
    pub(in crate::kms) code: &'static str,
    pub(in crate::kms) meaning: Meaning,
    /// Hint; empty for the default hint of the meaning.
    pub(in crate::kms) hint: &'static str,
}

/// The meaning of a refusal.
#[derive(Clone, Copy)]
pub(in crate::kms) enum Meaning {
    NoSuchKey,
    DoesNotUnwrap,
    Kind(ErrorKind),
}

/// The answer of a service that refused a request.
pub(in crate::kms) struct Complaint {
    pub(in crate::kms) service: &'static str,
    pub(in crate::kms) status: u16,
    pub(in crate::kms) code: String,
    /// The service's own words, which hold no key; see [`shortened`].
    pub(in crate::kms) message: String,
}

impl Complaint {
    /// Returns the error that the first fitting row of `table` gives; without one the service is taken to be down.
    pub(in crate::kms) fn error(&self, table: &[RefusalRule]) -> Error {
        let row = table.iter().find(|row| row.fits(self.status, &self.code));
        // An answer that is not in the table is no reason to call a key lost or forbidden: with
        // `ProviderDown` nothing is given up, and cached keys stay in use.
        let (meaning, hint) = row.map_or((Meaning::Kind(ErrorKind::ProviderDown), ""), |row| {
            (row.meaning, row.hint)
        });
        let error = match meaning {
            Meaning::NoSuchKey => no_such_key(self.service),
            Meaning::DoesNotUnwrap => does_not_unwrap(),
            Meaning::Kind(kind) => Error::new(kind, self.words())
                .with_hint("see the service's status page or log, or run this again later"),
        };
        if hint.is_empty() { error } else { error.with_hint(hint) }
    }

    fn words(&self) -> String {
        let Self {
            service,
            status,
            code,
            message,
        } = self;
        match (code.is_empty(), message.is_empty()) {
            (true, true) => format!("{service} refused the request (HTTP {status})"),
            (true, false) => format!("{service} refused the request: {message} (HTTP {status})"),
            (false, _) => format!("{service} refused the request: {code}: {message} (HTTP {status})"),
        }
    }
}

impl RefusalRule {
    fn fits(&self, status: u16, code: &str) -> bool {
        let fits_code = match self.code.strip_suffix('*') {
            Some(prefix) => code.starts_with(prefix),
            None => self.code.is_empty() || self.code == code,
        };
        fits_code && (self.status == 0 || self.status == status)
    }
}

/// Makes a row for a refusal of a kind.
pub(in crate::kms) const fn rule(status: u16, code: &'static str, kind: ErrorKind, hint: &'static str) -> RefusalRule {
    RefusalRule {
        status,
        code,
        meaning: Meaning::Kind(kind),
        hint,
    }
}

/// Makes a row for a refusal with a meaning of its own.
pub(in crate::kms) const fn means(
    status: u16,
    code: &'static str,
    meaning: Meaning,
    hint: &'static str,
) -> RefusalRule {
    RefusalRule {
        status,
        code,
        meaning,
        hint,
    }
}

/// Shortens a service's words to one line of at most 300 characters.
pub(in crate::kms) fn shortened(message: &str) -> String {
    // The words come from a server, or from a proxy before it. One line and a limit keep them from
    // looking like other lines of a log.
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(300).collect()
}

/// Returns the error for `service` that took too long; `stage` says at what.
pub(in crate::kms) fn timed_out(service: &str, stage: &str) -> Error {
    Error::new(
        ErrorKind::ProviderDown,
        format!("{service} does not answer in time ({stage})"),
    )
    .with_hint("CIPHERFORM_KMS_TIMEOUT gives it more seconds for one response; the default is 10")
}

/// Returns the error for wrapped bytes that do not authenticate.
pub(in crate::kms) fn does_not_unwrap() -> Error {
    Error::new(
        ErrorKind::WrongKey,
        "the wrapped bytes do not unwrap: another key, another context, or changed bytes",
    )
    .with_hint("use the KMS key that wrapped them; if it is that one, restore the keyring from a backup")
}

/// Returns the error for a key that the service does not have.
pub(in crate::kms) fn no_such_key(service: &str) -> Error {
    Error::new(ErrorKind::KeyNotFound, format!("{service} has no such key"))
        .with_hint("check the reference, letter by letter; a deleted key is gone with what it wrapped")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fitting_row_counts() {
        let table = [
            means(404, "", Meaning::NoSuchKey, ""),
            rule(403, "Key*", ErrorKind::KeyNotUsable, "enable it"),
            rule(403, "", ErrorKind::NotAllowed, "ask for the role"),
        ];
        let kind = |status, code: &str| {
            let complaint = Complaint {
                service: "The KMS",
                status,
                code: code.to_owned(),
                message: "no".to_owned(),
            };
            complaint.error(&table).kind()
        };
        assert_eq!(kind(404, "any"), ErrorKind::KeyNotFound);
        assert_eq!(kind(403, "KeyDisabled"), ErrorKind::KeyNotUsable);
        assert_eq!(kind(403, "Forbidden"), ErrorKind::NotAllowed);
        assert_eq!(kind(500, ""), ErrorKind::ProviderDown);
    }
}
