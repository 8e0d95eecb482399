//! `version_character`: the last character of a protected value says which version of the key made it, for stores that keep no metadata.

use super::{RowError, Texts, Transform};
use crate::cipher::Direction;
use crate::formats::Misfit;
use crate::{Error, Result};

/// Version n has the character at n.
const CHARACTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The character of a version.
///
/// # Errors
/// One that has none.
pub(super) fn character(version: u32) -> Result<char> {
    let character = usize::try_from(version)
        .ok()
        .and_then(|version| CHARACTERS.get(version));
    character.map(|byte| char::from(*byte)).ok_or_else(|| {
        Error::bad_policy("version_character can tell 61 versions of a key apart, and this one has more")
            .with_hint("use another key, in a rule of another name")
    })
}

impl Transform {
    /// [`Transform::texts`] with the character behind each result, or in front of it: for rules that have it.
    pub(super) fn marked_texts(
        &self,
        direction: Direction,
        rows: &[Option<&str>],
        tweaks: Option<&[&[u8]]>,
        out: &mut Texts,
    ) -> Result<usize, RowError> {
        match direction {
            Direction::Encrypt => self.mark(rows, tweaks, out),
            Direction::Decrypt => self.unmark(rows, tweaks, out),
        }
    }

    fn mark(&self, rows: &[Option<&str>], tweaks: Option<&[&[u8]]>, out: &mut Texts) -> Result<usize, RowError> {
        let mark = character(self.key().version())?;
        let mut done = Texts::default();
        let left = self.unmarked_texts(Direction::Encrypt, rows, tweaks, &mut done)?;
        for text in done.iter() {
            match text {
                None => out.push_null(),
                // An empty text that was kept.
                Some("") => out.push_with(|_| ()),
                Some(text) => out.push_with(|out| {
                    out.push_str(text);
                    out.push(mark);
                }),
            }
        }
        Ok(left)
    }

    /// Each row by the version that its character tells.
    fn unmark(&self, rows: &[Option<&str>], tweaks: Option<&[&[u8]]>, out: &mut Texts) -> Result<usize, RowError> {
        let versions: Vec<&Self> = std::iter::once(self).chain(&self.others).collect();
        let marks: Vec<char> = versions
            .iter()
            .map(|version| character(version.key().version()))
            .collect::<Result<_>>()?;
        let mut by_version: Vec<Vec<Option<&str>>> = vec![Vec::new(); versions.len()];
        for (row, value) in rows.iter().enumerate() {
            let Some(value) = value else { continue };
            let (text, at) = match value.chars().next_back() {
                None => ("", Some(0)),
                Some(mark) => (
                    &value[..value.len() - mark.len_utf8()],
                    marks.iter().position(|known| *known == mark),
                ),
            };
            match at {
                Some(at) => {
                    by_version[at].resize(rows.len(), None);
                    by_version[at][row] = Some(text);
                }
                None => {
                    self.on_misfit(
                        row,
                        Misfit::Malformed("ends in the character of no key version that can reveal it"),
                    )?;
                }
            }
        }
        let (mut results, mut left): (Vec<Option<String>>, usize) = (vec![None; rows.len()], 0);
        for (version, rows) in versions.into_iter().zip(by_version) {
            if rows.is_empty() {
                continue;
            }
            version.key().check_lease()?;
            let mut done = Texts::default();
            left += version.unmarked_texts(Direction::Decrypt, &rows, tweaks, &mut done)?;
            for (result, text) in results.iter_mut().zip(done.iter()) {
                if let Some(text) = text {
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
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Engine;
    use crate::keys::{KeyUse, Keyring, KmsRegistry, Operation};
    use crate::kms::MemoryKms;
    use crate::policy::Policy;

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
        transform.texts(direction, rows, None, &mut out).unwrap();
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
                async |rule: &str, operation| engine.resolve(&rule.parse().unwrap(), operation).await.unwrap();
            let protect = resolve("phone", Operation::Protect).await;
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
                let revealed = done(&resolve(&rule, Operation::Reveal).await, Direction::Decrypt, &rows);
                let expected = values
                    .iter()
                    .cycle()
                    .take(column.len())
                    .map(|value| value.map(str::to_owned));
                assert_eq!(revealed, expected.collect::<Vec<_>>());
            }
            // A version that is not there, and no character at all.
            let reveal = resolve("phone", Operation::Reveal).await;
            assert_eq!(
                done(&reveal, Direction::Decrypt, &[Some("555-010-01009"), Some("-")]),
                [None, None]
            );

            let note = done(
                &resolve("note", Operation::Protect).await,
                Direction::Encrypt,
                &[Some("anything")],
            );
            let reveal = resolve("note", Operation::Reveal).await;
            assert_eq!(
                done(&reveal, Direction::Decrypt, &[note[0].as_deref()]),
                [Some("anything".to_owned())]
            );
            assert!(!reveal.takes_bytes() && !resolve("narrow", Operation::Protect).await.takes_counts());
        }
        assert!(character(0).is_ok() && matches!(character(61), Ok('z')) && character(62).is_err());
    }
}
