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
            version.key().check_hold()?;
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
