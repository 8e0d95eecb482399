//! `version_character`: the last character of a protected value names the key version, for stores without metadata.

use std::sync::Arc;

use crate::cipher::Direction;
use crate::formats::{FormatError, RowError};
use crate::keys::KeyHandle;
use crate::policy::Rule;
use crate::transform::batch::{Outcome, TextBatch, Texts};
use crate::transform::rows::handle_unfit;
use crate::transform::treatment::Treatment;
use crate::{Error, Result};

/// The character of each version number.
// Digits first: version 1 ends in 1. The order is frozen, as every stored value ends in one of these.
const CHARACTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Looks up the character of a version.
///
/// # Errors
/// A version that has none.
fn character(version: u32) -> Result<char> {
    let character = usize::try_from(version)
        .ok()
        .and_then(|version| CHARACTERS.get(version));
    // Versions count from 1, so the character 0 is never given: 61 are left of 62.
    character.map(|byte| char::from(*byte)).ok_or_else(|| {
        Error::bad_policy("version_character can tell 61 versions of a key apart, and this one has more")
            .with_hint("use another key, in a rule of another name")
    })
}

/// A treatment under one key version, with the character of that.
#[derive(Clone)]
struct KeyVersion {
    character: char,
    key: KeyHandle,
    treatment: Arc<dyn Treatment>,
}

/// A treatment whose results end in the character of their key version.
///
/// It protects with the first version, and reveals with whichever version a value names.
#[derive(Clone)]
pub(in crate::transform) struct Versioned(Vec<KeyVersion>);

impl Versioned {
    /// Wraps `treatment`, which works under `key`.
    ///
    /// # Errors
    /// A version for which there is no character.
    pub(in crate::transform) fn try_new(key: KeyHandle, treatment: Arc<dyn Treatment>) -> Result<Self> {
        Ok(Self(Vec::new()).with(KeyVersion {
            character: character(key.version())?,
            key,
            treatment,
        }))
    }

    fn with(mut self, version: KeyVersion) -> Self {
        self.0.push(version);
        self
    }

    /// Adds the versions of `others`, to reveal values that name these.
    pub(in crate::transform) fn with_others(mut self, others: impl IntoIterator<Item = Self>) -> Self {
        self.0.extend(others.into_iter().flat_map(|other| other.0));
        self
    }

    fn append_character(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        // The first is the version that protects; `others` are there to reveal only.
        let current = &self.0[0];
        let mut done = Texts::default();
        let outcome = current.treatment.texts(rule, batch, &mut done)?;
        for text in done.iter() {
            match text {
                None => out.push_null(),
                // An empty text that was kept.
                // The character would make a value of what was none.
                Some("") => out.push_with(|_| ()),
                Some(text) => out.push_with(|out| {
                    out.push_str(text);
                    out.push(current.character);
                }),
            }
        }
        Ok(outcome)
    }

    /// Reveals each row with the version that its last character names.
    fn reveal_by_character(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        let rows = batch.rows;
        let mut by_version: Vec<Vec<Option<&str>>> = vec![Vec::new(); self.0.len()];
        for (row, value) in rows.iter().enumerate() {
            let Some(value) = value else { continue };
            // By character: the last one may be of several bytes in a value that nobody protected.
            let (text, at) = match value.chars().next_back() {
                // Kept empty by any version; the first handles it.
                None => ("", Some(0)),
                Some(last) => (
                    &value[..value.len() - last.len_utf8()],
                    self.0.iter().position(|version| version.character == last),
                ),
            };
            let Some(at) = at else {
                // NULL, if it is no error: values that do not fit are never kept under such a rule.
                let cause = FormatError::Malformed("ends in the character of no key version that can reveal it");
                // Its result is not needed: the row stays NULL.
                handle_unfit(rule, row, cause)?;
                continue;
            };
            // Lists of full length with NULLs for other versions' rows, so that errors and tweaks go by the
            // batch's row numbers.
            by_version[at].resize(rows.len(), None);
            by_version[at][row] = Some(text);
        }
        let mut results: Vec<Option<String>> = vec![None; rows.len()];
        let mut outcome = Outcome::default();
        for (version, rows) in self.0.iter().zip(&by_version) {
            if rows.is_empty() {
                continue;
            }
            // Each version has a lease of its own; the batch was checked for the first only.
            version.key.check_lease()?;
            let mut done = Texts::default();
            outcome += version.treatment.texts(rule, TextBatch { rows, ..batch }, &mut done)?;
            for (result, text) in results.iter_mut().zip(done.iter()) {
                if let Some(text) = text {
                    // Rows of other versions are NULL here, and must not overwrite what those gave.
                    *result = Some(text.to_owned());
                }
            }
        }
        for result in results {
            match result {
                Some(text) => out.push_with(|out| out.push_str(&text)),
                None => out.push_null(),
            }
        }
        Ok(outcome)
    }
}

impl Treatment for Versioned {
    fn texts(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        match batch.direction {
            Direction::Encrypt => self.append_character(rule, batch, out),
            Direction::Decrypt => self.reveal_by_character(rule, batch, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use crate::keys::{KeyUse, Keyring, KmsRegistry};
    use crate::kms::MemoryKms;
    use crate::policy::Policy;
    use crate::transform::Transform;

    const POLICY: &str = r#"
version = 1
keyring = "keyring.json"
[rules.phone]
format = "digits"
key = "pii"
version_character = true
on_invalid = "null"
[rules.note]
treatment = "siv"
key = "pii"
version_character = true
[rules.narrow]
format = { type = "integer", min = 0, max = 9_999_999 }
key = "pii"
version_character = true
"#;

    fn done(transform: &Arc<Transform>, direction: Direction, rows: &[Option<&str>]) -> Vec<Option<String>> {
        let mut out = Texts::default();
        transform.texts(TextBatch::new(direction, rows), &mut out).unwrap();
        out.iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[tokio::test]
    async fn values_of_several_versions_reveal_together() {
        let folder = tempfile::tempdir().unwrap();
        let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
        let path = folder.path().join("keyring.json");
        let mut keyring = Keyring::create(&path, &"memory:main".parse().unwrap(), &registry)
            .await
            .unwrap();
        let pii = "pii".parse().unwrap();
        keyring.create_key(&pii, KeyUse::Derive, None).await.unwrap();
        let values = [Some("555-010-0100"), None, Some("")];
        let mut column: Vec<Option<String>> = Vec::new();
        for version in 1..=3 {
            if version > 1 {
                keyring.rotate(&pii, None).await.unwrap();
            }
            let policy = Policy::parse(POLICY, &folder.path().join("policy.toml")).unwrap();
            let engine = Engine::new(policy, Keyring::open(&path, &registry).await.unwrap());
            let resolve =
                async |rule: &str, direction| engine.resolve(&rule.parse().unwrap(), direction).await.unwrap();
            let protect = resolve("phone", Direction::Encrypt).await;
            let protected = done(&protect, Direction::Encrypt, &values);
            let text = protected[0].as_deref().unwrap();
            assert!(
                text.len() == 13 && text.ends_with(char::from_digit(version, 10).unwrap()),
                "{text}"
            );
            assert_eq!(protected[1..], [None, Some(String::new())]);
            column.extend(protected);
            let rows: Vec<Option<&str>> = column.iter().map(Option::as_deref).collect();
            for rule in ["phone".to_owned(), "phone@1".to_owned()] {
                let revealed = done(&resolve(&rule, Direction::Decrypt).await, Direction::Decrypt, &rows);
                let expected = values
                    .iter()
                    .cycle()
                    .take(column.len())
                    .map(|value| value.map(str::to_owned));
                assert_eq!(revealed, expected.collect::<Vec<_>>());
            }
            // A version that is not there, and no character at all.
            let reveal = resolve("phone", Direction::Decrypt).await;
            for stranger in ["555-010-01009", "-"] {
                let rows = [Some(stranger)];
                let refused = reveal.texts(TextBatch::new(Direction::Decrypt, &rows), &mut Texts::default());
                assert!(matches!(refused, Err(RowError::Row { row: 0, .. })), "{stranger}");
            }

            let note = done(
                &resolve("note", Direction::Encrypt).await,
                Direction::Encrypt,
                &[Some("anything")],
            );
            let reveal = resolve("note", Direction::Decrypt).await;
            assert_eq!(
                done(&reveal, Direction::Decrypt, &[note[0].as_deref()]),
                [Some("anything".to_owned())]
            );
            assert!(!reveal.takes_bytes() && !resolve("narrow", Direction::Encrypt).await.takes_ordinals());
        }
        assert!(character(0).is_ok() && matches!(character(61), Ok('z')) && character(62).is_err());
    }
}
