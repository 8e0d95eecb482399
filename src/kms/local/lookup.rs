//! Look-up of keys by name or alias.

use super::model::{AliasEntry, LocalKeyEntry, LocalKmsContent};
use crate::keys::KeyName;
use crate::{Error, ErrorKind, Result};

/// The name in a reference: of a key, or of an alias.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum LocalName {
    /// `NAME`
    Key(KeyName),
    /// `alias/NAME`
    Alias(KeyName),
}

impl LocalName {
    pub(super) fn parse(text: &str) -> Result<Self> {
        // As in AWS KMS. Names of keys have no `/`, so an alias can never be taken for a key.
        match text.strip_prefix("alias/") {
            Some(alias) => alias.parse().map(Self::Alias),
            None => text.parse().map(Self::Key),
        }
    }
}

pub(super) fn find<'a>(content: &'a LocalKmsContent, name: &LocalName) -> Result<&'a LocalKeyEntry> {
    let found = match name {
        LocalName::Key(name) => content.keys.iter().find(|key| key.name == *name),
        LocalName::Alias(alias) => {
            let alias = content.aliases.iter().find(|entry| entry.name == *alias);
            // By the id: a name that is used again would silently move the alias.
            alias.and_then(|alias| content.keys.iter().find(|key| key.id == alias.key))
        }
    };
    found.ok_or_else(|| {
        let (what, names): (String, Vec<&KeyName>) = match name {
            LocalName::Key(name) => (
                format!("there is no KMS key `{name}`"),
                content.keys.iter().map(|key| &key.name).collect(),
            ),
            LocalName::Alias(name) => (
                format!("there is no alias `{name}`"),
                content.aliases.iter().map(|alias: &AliasEntry| &alias.name).collect(),
            ),
        };
        let names: Vec<_> = names.into_iter().map(KeyName::as_str).collect();
        let known = if names.is_empty() {
            "it has none".to_owned()
        } else {
            format!("it has {}", names.join(", "))
        };
        Error::new(ErrorKind::KeyNotFound, what).with_hint(known)
    })
}
