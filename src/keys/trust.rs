//! Roots of trust: which keyring a policy means, and which KMS keys its files may name.
//!
//! A keyring says where its keys are wrapped before it can be authenticated, and what authenticates it is what that KMS
//! unwraps. So whoever can write the file could have a library loaded, a file read as a PIN, or a token sent to a host
//! of theirs; and whoever may wrap (with a public key: anybody) could make a keyring that opens. The policy, which is
//! trusted, pins both.

use super::ids::KeyringId;
use super::key_ref::KmsKeyRef;
use super::wrap::{Purpose, derive};
use crate::{Error, ErrorKind, Result, Secret};

/// Bytes of a root's check value.
const CHECK: usize = 16;

/// A root of trust: `[trust.NAME]` of a policy.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Place in the policy, for messages.
    place: String,
    keyring: Option<KeyringId>,
    roots: Vec<String>,
    kms: Vec<String>,
}

impl Trust {
    /// Trusts the least, where a policy pins nothing: the configured local KMS, and clients within the process.
    pub fn of_local_kms() -> Self {
        Self {
            place: "[trust.NAME]".to_owned(),
            keyring: None,
            roots: Vec::new(),
            kms: Vec::new(),
        }
    }

    /// An entry of a policy: the id of a keyring, check values of its root (several while it is replaced), and the KMS
    /// keys that files may name, each with `*` in its last part if need be.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadPolicy`] for a check value that is none, or a `*` elsewhere.
    pub fn try_new(name: &str, keyring: KeyringId, roots: Vec<String>, kms: Vec<String>) -> Result<Self> {
        let is_check = |root: &String| root.len() == 2 * CHECK && root.bytes().all(|byte| byte.is_ascii_hexdigit());
        if roots.is_empty() || !roots.iter().all(is_check) {
            return Err(Error::bad_policy(
                "root is a list of check values, each of 32 hexadecimal digits: `cipherform keys trust` prints them",
            ));
        }
        for pattern in &kms {
            let (fixed, last) = split(pattern);
            let reference = pattern.replace('*', "x");
            if fixed.contains('*') || last.matches('*').count() > 1 || reference.parse::<KmsKeyRef>().is_err() {
                return Err(Error::bad_policy(format!(
                    "kms: `{pattern}` is no KMS key, with `*` in its last part at most"
                )));
            }
        }
        Ok(Self {
            place: format!("[trust.{name}]"),
            keyring: Some(keyring),
            roots: roots.into_iter().map(|root| root.to_ascii_lowercase()).collect(),
            kms,
        })
    }

    /// Trusts a KMS key as well, since the person named it, and not a file.
    #[must_use]
    pub fn allowing(mut self, key: &KmsKeyRef) -> Self {
        self.kms.push(key.as_str().to_owned());
        self
    }

    /// Tells whether files may name this KMS key.
    pub fn names(&self, key: &KmsKeyRef) -> bool {
        self.check_reference(key).is_ok()
    }

    /// Checks that a file may name this KMS key, before anything is loaded, opened or sent for it.
    pub(crate) fn check_reference(&self, key: &KmsKeyRef) -> Result<()> {
        // The local KMS is the file that the host has opened, whatever the reference says; a client in memory is the
        // program's own.
        let within = matches!(key.scheme(), "local" | "memory");
        if within || self.kms.iter().any(|pattern| matches_pattern(pattern, key.as_str())) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::NotAllowed,
            format!("KMS key `{key}` is not trusted: {} does not name it", self.place),
        )
        .with_hint(format!(
            "find out who wrote the file that names it; if it is right, add \"{key}\" to kms in {} of the policy",
            self.place
        )))
    }

    /// Checks that this is the keyring that is meant.
    pub(super) fn check_keyring(&self, id: KeyringId) -> Result<()> {
        match self.keyring {
            Some(pinned) if pinned != id => Err(Error::new(
                ErrorKind::WrongKey,
                format!("this is another keyring, of id {id}, than {} pins", self.place),
            )
            .with_hint("restore the keyring that the policy was written for")),
            _ => Ok(()),
        }
    }

    /// Checks the root key, before the MAC under it says anything: a MAC only tells that whoever wrote the file knew
    /// the key.
    pub(super) fn check_root(&self, root: &Secret<Vec<u8>>) -> Result<()> {
        if self.keyring.is_none() {
            return Ok(());
        }
        let found = root_check(root)?;
        if self.roots.contains(&found) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::WrongKey,
            format!(
                "the keyring's root is not one that {} pins: somebody else made it, or the root was replaced",
                self.place
            ),
        )
        .with_hint(format!(
            "if you ran `keys new-root`, or this keyring is from before that, and its check value then was {found}, \
             add that to root in {}; else restore the keyring from a backup",
            self.place
        )))
    }
}

/// The check value of a root key, in hexadecimal: 128 bits of KBKDF output, which tell nothing about the key.
pub(super) fn root_check(root: &Secret<Vec<u8>>) -> Result<String> {
    let check = derive(root.expose(), Purpose::RootCheck, &[], CHECK)?;
    Ok(hex::encode(check.expose()))
}

/// A reference up to the last part of its path, and that part: hosts, regions and what follows a `?` are never in the
/// second.
fn split(reference: &str) -> (&str, &str) {
    let path_end = reference.find(['?', '#', ';']).unwrap_or(reference.len());
    let start = reference[..path_end].rfind(['/', ':']).map_or(0, |at| at + 1);
    reference.split_at(start)
}

fn matches_pattern(pattern: &str, reference: &str) -> bool {
    let ((fixed, last), (found, found_last)) = (split(pattern), split(reference));
    fixed == found
        && match last.split_once('*') {
            None => last == found_last,
            Some((start, end)) => {
                found_last.len() >= start.len() + end.len()
                    && found_last.starts_with(start)
                    && found_last.ends_with(end)
                    // Nothing that begins another part.
                    && !found_last[start.len()..found_last.len() - end.len()].contains(['/', '?', '#', ';', '%'])
            }
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_compared_by_parts() {
        for (pattern, reference, matches) in [
            (
                "vault:https://v.example:8200/transit/main",
                "vault:https://v.example:8200/transit/main",
                true,
            ),
            (
                "vault:https://v.example:8200/transit/*",
                "vault:https://v.example:8200/transit/pii",
                true,
            ),
            (
                "vault:https://v.example:8200/transit/*",
                "vault:https://v.example:8200/other/pii",
                false,
            ),
            (
                "vault:https://v.example:8200/transit/*",
                "vault:https://evil.example/transit/pii",
                false,
            ),
            (
                "vault:https://v.example/transit/*",
                "vault:https://v.example/transit/x/../../y",
                false,
            ),
            (
                "vault:https://v.example/transit/*",
                "vault:https://v.example/transit/x?namespace=y",
                false,
            ),
            (
                "vault:https://v.example/transit/pii",
                "vault:https://v.example.evil/transit/pii",
                false,
            ),
            (
                "aws-kms:alias/main?region=eu-west-1",
                "aws-kms:alias/main?region=eu-west-1",
                true,
            ),
            (
                "aws-kms:alias/main?region=eu-west-1",
                "aws-kms:alias/main?region=us-east-1",
                false,
            ),
            ("aws-kms:alias/pii-*", "aws-kms:alias/pii-2026", true),
            (
                "azure-kv:https://x.vault.azure.net/keys/*",
                "azure-kv:https://x.vault.azure.net/keys/pii",
                true,
            ),
            (
                "azure-kv:https://x.vault.azure.net/keys/*",
                "azure-kv:https://x.vault.azure.net.evil/keys/pii",
                false,
            ),
            ("pkcs11:token=a;object=b", "pkcs11:token=a;object=b", true),
            (
                "pkcs11:token=a;object=b",
                "pkcs11:token=a;object=b?module-path=/tmp/evil.so",
                false,
            ),
            ("pkcs11:token=a*", "pkcs11:token=a?module-path=/tmp/evil.so", false),
            ("kmip://k.example:5696/1", "kmip://k.example:5696/1", true),
        ] {
            assert_eq!(
                matches_pattern(pattern, reference),
                matches,
                "{pattern} and {reference}"
            );
        }
        let id = KeyringId::from_bytes([1; 16]);
        let trust = |kms: &str| Trust::try_new("main", id, vec!["ab".repeat(16)], vec![kms.to_owned()]);
        assert!(trust("vault:https://v.example/transit/*").is_ok());
        for bad in [
            "vault:https://*/transit/x",
            "vault:https://v.example/*/x",
            "*",
            "aws-kms:alias/*?region=*",
        ] {
            assert!(trust(bad).is_err(), "{bad}");
        }
        assert!(Trust::try_new("main", id, vec!["short".to_owned()], Vec::new()).is_err());
        assert!(Trust::try_new("main", id, Vec::new(), Vec::new()).is_err());
    }

    #[test]
    fn without_an_entry_only_the_local_kms_is_asked() {
        let trust = Trust::of_local_kms();
        assert!(trust.check_reference(&"local:main".parse().unwrap()).is_ok());
        for reference in [
            "vault:https://evil.example/transit/x",
            "pkcs11:token=a;object=b?module-path=/tmp/evil.so",
            "azure-kv:https://evil.vault.azure.net/keys/x",
            "gcp-kms:projects/p/locations/l/keyRings/r/cryptoKeys/k",
            "kmip://evil.example:5696/1",
        ] {
            let reference = reference.parse().unwrap();
            assert_eq!(
                trust.check_reference(&reference).unwrap_err().kind(),
                ErrorKind::NotAllowed
            );
            assert!(trust.clone().allowing(&reference).check_reference(&reference).is_ok());
        }
    }
}
