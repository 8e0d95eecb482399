//! Checked policies.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::column_line::ColumnLine;
use super::grant::Rights;
use super::rule::Rule;
use crate::keys::{CacheLimits, DirectMode, KeyUse, Trust};
use crate::{Error, Remedy, Result};

/// Treatment of a column that no line names.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Unlisted {
    /// It stays as it is.
    #[default]
    Keep,
    /// The operation fails.
    Error,
    /// It is left out.
    Drop,
}

/// A policy, checked: every column's rule exists, every format and key reference is well-formed.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The file that it was read from.
    pub path: PathBuf,
    /// The file of its keyring.
    pub keyring: PathBuf,
    /// Treatment of a column that no line names.
    pub unlisted: Unlisted,
    /// Limits of unwrapped keys in memory.
    pub cache: CacheLimits,
    /// The file of the audit log, if one is written.
    pub audit: Option<PathBuf>,
    /// The generation that the keyring has at least: an older copy is refused.
    pub keyring_generation: u64,
    /// Refuses whatever NIST has not approved.
    pub approved_only: bool,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
    pub(super) rules: BTreeMap<String, Rule>,
    pub(super) columns: Vec<ColumnLine>,
    pub(super) roles: BTreeMap<String, BTreeMap<String, Rights>>,
    pub(super) trust: BTreeMap<String, Trust>,
}

impl Policy {
    /// Returns the policy's root of trust: its one `[trust.NAME]`, the one called `name` of several, or the configured
    /// local KMS alone if there is none.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] when there is no such entry, or there are several and none is named.
    pub fn trust(&self, name: Option<&str>) -> Result<Trust> {
        let known = || self.trust.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let found = match name {
            Some(name) => self.trust.get(name),
            None if self.trust.is_empty() => return Ok(Trust::of_local_kms()),
            None if self.trust.len() == 1 => self.trust.values().next(),
            None => None,
        };
        found.cloned().ok_or_else(|| match name {
            Some(name) => Error::bad_policy(format!("the policy `{}` has no [trust.{name}]", self.path.display()))
                .with_hint(format!("it has {}", known())),
            None => Error::bad_policy(format!("the policy `{}` has several [trust.NAME]", self.path.display()))
                .with_hint(format!("say which, by --trust or CIPHERFORM_TRUST: {}", known())),
        })
    }

    /// Refuses a use of a key that NIST has not approved, if the policy says so.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`].
    pub fn check_use(&self, key_use: KeyUse) -> Result<()> {
        match key_use {
            KeyUse::Direct {
                mode: DirectMode::Ff31Legacy,
                ..
            // Checked when the key is resolved: the policy names it, but only the keyring knows what it
            // is for.
            } if self.approved_only => Err(Error::bad_policy(format!(
                "`{}` says approved_only = true, and NIST has withdrawn FF3-1",
                self.path.display()
            ))
            .with_hint(Remedy::CreateFf1Key)),
            _ => Ok(()),
        }
    }

    /// Looks up the rule called `name`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] when there is none.
    pub fn rule(&self, name: &str) -> Result<&Rule> {
        self.rules.get(name).ok_or_else(|| {
            Error::bad_policy(format!("the policy `{}` has no rule `{name}`", self.path.display()))
                .with_hint(format!("its rules are {}", rule_names(&self.rules)))
        })
    }

    /// Iterates over the rules, by name.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }
}

/// Lists the names of rules, for hints.
pub(super) fn rule_names(rules: &BTreeMap<String, Rule>) -> String {
    rules.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}
