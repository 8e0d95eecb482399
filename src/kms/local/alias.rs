//! Aliases: names for KMS keys that can move from one key to another.

use super::history::record;
use super::info::LocalKeyInfo;
use super::local_kms::LocalKms;
use super::model::AliasEntry;
use crate::keys::{KeyName, KmsKeyRef, Reason};
use crate::kms::local::key_policy::KmsAction;
use crate::{Error, ErrorKind, Remedy, Result};

impl LocalKms {
    /// Creates an alias for `key`: `local:alias/NAME`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if the alias exists; [`ErrorKind::KeyNotFound`] if there is no such key; errors of the
    /// file.
    pub fn create_alias(&self, alias: &KeyName, key: &KmsKeyRef, reason: Option<&Reason>) -> Result<LocalKeyInfo> {
        self.with_key(key, KmsAction::CreateAlias, |content, id, _| {
            // Creating never moves an alias: a mistyped name would send new keys to another KMS key
            // without a word.
            if content.aliases.iter().any(|entry| entry.name == *alias) {
                return Err(
                    Error::bad_input(format!("alias `{alias}` already exists")).with_hint(Remedy::MoveAlias {
                        alias: Some(alias.to_string()),
                        to: Some(key.to_string()),
                    }),
                );
            }
            content.aliases.push(AliasEntry {
                name: alias.clone(),
                key: id,
            });
            record(content.key_mut(id)?, &format!("alias {alias}"), &self.context, reason);
            Ok(())
        })
    }

    /// Moves an alias to another key. What was wrapped under it before still unwraps: the bytes name the key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`] if there is no such alias, or no such key; errors of the file.
    pub fn update_alias(&self, alias: &KeyName, key: &KmsKeyRef, reason: Option<&Reason>) -> Result<LocalKeyInfo> {
        self.with_key(key, KmsAction::UpdateAlias, |content, id, _| {
            let entry = content.aliases.iter_mut().find(|entry| entry.name == *alias);
            let before = std::mem::replace(&mut entry.ok_or_else(|| no_alias(alias))?.key, id);
            // In the history of both keys: whoever looks at either sees what became of the name.
            let moved = [(before, format!("alias {alias} gone")), (id, format!("alias {alias}"))];
            for (key, what) in moved {
                record(content.key_mut(key)?, &what, &self.context, reason);
            }
            Ok(())
        })
    }

    /// Deletes an alias. What was wrapped under it unwraps under the name of the key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`] if there is no such alias; errors of the file.
    pub fn delete_alias(&self, alias: &KeyName, reason: Option<&Reason>) -> Result<LocalKeyInfo> {
        self.with_key(
            // Named by the alias itself, so the policy of the key that it means now decides.
            &KmsKeyRef::local_alias(alias),
            KmsAction::DeleteAlias,
            |content, id, _| {
                content.aliases.retain(|entry| entry.name != *alias);
                record(
                    content.key_mut(id)?,
                    &format!("alias {alias} gone"),
                    &self.context,
                    reason,
                );
                Ok(())
            },
        )
    }
}

fn no_alias(alias: &KeyName) -> Error {
    Error::new(ErrorKind::KeyNotFound, format!("there is no alias `{alias}`"))
        .with_hint(Remedy::CreateAlias(Some(alias.to_string())))
}
