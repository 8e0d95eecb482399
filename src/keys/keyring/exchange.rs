//! Export of keys to partners, and import from them.

use super::document::{DataKeyEntry, VersionEntry};
use super::info::KeyInfo;
use super::keyring::Keyring;
use super::lifecycle;
use crate::keys::audit::{AuditEntry, AuditEvent};
use crate::keys::encoding::Base64;
use crate::keys::exchange::{ExchangePackage, ExchangeSigner, ExportRequest, Identity, Recipient, Sender};
use crate::keys::exchanged_map::ExchangedMap;
use crate::keys::handle::{KeyHandle, KeyMaterial};
use crate::keys::ids::DataKeyId;
use crate::keys::key_ref::{KeyName, KmsKeyRef};
use crate::keys::key_use::{DirectMode, KeyBits, KeyUse};
use crate::keys::reason::Reason;
use crate::keys::state::KeyState;
use crate::keys::timestamp::Timestamp;
use crate::keys::wrap::{Purpose, derive, envelope};
use crate::{Error, ErrorKind, Hint, Remedy, Result, Secret};

/// The use of keys from partners: the AES key of FF1, with a check key.
const IMPORTED: KeyUse = KeyUse::Direct {
    mode: DirectMode::Ff1,
    bits: KeyBits::B256,
};

/// An import of a partner's key.
#[derive(Clone, Copy, Debug)]
pub struct KeyImport<'a> {
    /// Package from the partner.
    pub package: &'a ExchangePackage,
    /// Name of the key in this keyring.
    pub name: &'a KeyName,
    /// Private key that opens the package.
    pub identity: &'a Identity,
    /// Public key of the sender.
    pub sender: &'a Sender,
    /// KMS key that wraps the key; without one that of the keyring.
    pub kms_key: Option<&'a KmsKeyRef>,
    /// Reason for the audit log.
    pub reason: &'a Reason,
}

impl Keyring {
    /// Returns the public key that keys for partners are signed with (Ed25519, 32 bytes).
    ///
    /// # Errors
    ///
    /// None that a caller can cause.
    pub fn exchange_public_key(&self) -> Result<[u8; 32]> {
        self.exchange_signer()?.public_key()
    }

    /// Exports the key of one map for a partner. `key` is the key that its rule resolves to for protecting, `map` the
    /// rule.
    ///
    /// From a key of use `derive` this is the subkey of that map: whoever opens the package can protect and reveal
    /// under it, and under no other. A key of use `direct-ff1-256` has no subkeys: it leaves as a whole, so it should
    /// serve that one map only. The package is signed with `signer`, or else with the keyring's own key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotUsable`] for a key that came from a partner itself, or is for another mode; errors of the
    /// audit log.
    pub fn export(
        &self,
        key: &KeyHandle,
        map: ExchangedMap,
        recipient: &Recipient,
        signer: Option<&ExchangeSigner>,
        reason: &Reason,
    ) -> Result<ExchangePackage> {
        let subject = format!("key `{}@{}`", key.name(), key.version());
        // The owner's audit log names its recipients; a key passed on from here would reach somebody who
        // is in no log of the owner.
        if key.only_for.is_some() {
            let message = format!("{subject} came from a partner: it is not ours to pass on");
            return Err(Error::new(ErrorKind::KeyNotUsable, message)
                .with_hint("ask the partner for a package of your own recipient"));
        }
        let fingerprint =
            hex::decode(&map.fingerprint).map_err(|_| Error::bug("a fingerprint that is not hexadecimal"))?;
        let aes = match key.key_use() {
            // One way: from a subkey nobody gets the data key, nor the subkey of another map.
            KeyUse::Derive => key.subkey(Purpose::Ff1, &map.domain, &fingerprint, 32)?,
            IMPORTED => key.direct_key(DirectMode::Ff1)?,
            other => {
                let message = format!("{subject} is for the use `{other}`, and partners exchange FF1 keys of 256 bits");
                return Err(Error::new(ErrorKind::KeyNotUsable, message).with_hint(Remedy::CreateKey(None)));
            }
        };
        // The partner needs a check key for the columns it protects. It gets one derived for this map,
        // not ours.
        let check = key.exchange_check_key(&map.domain, &fingerprint)?;
        // Capacity for both at once: a vector that grows leaves copies behind.
        let mut material = Secret::new(Vec::with_capacity(KeyMaterial::length(IMPORTED)));
        material.expose_mut().extend_from_slice(aes.expose());
        material.expose_mut().extend_from_slice(check.expose());
        let (_, time) = self.actor_and_time();
        // Before the package exists: an export that could not be logged has given nothing away.
        self.audit([AuditEntry {
            version: Some(key.version_id()),
            context: Some(context(
                &map.domain,
                format_args!("recipient sha256:{}", recipient.fingerprint()),
                recipient.subject(),
            )),
            ..self.audit_entry(AuditEvent::Export, key.name(), Some(key.version()), Some(reason))
        }])?;
        let request = ExportRequest {
            keyring: self.id(),
            key: key.name().to_string(),
            version: key.version_id(),
            map,
            time,
            reason: reason.clone(),
            material: &material,
        };
        match signer {
            Some(signer) => ExchangePackage::seal(request, recipient, signer),
            None => ExchangePackage::seal(request, recipient, &self.exchange_signer()?),
        }
    }

    /// Imports a key from a partner. If a key from the partner for the same map has that name, the package becomes a
    /// version of it: the active one, unless a newer package was imported before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`] if the sender did not sign the package, or it is for another private key;
    /// [`ErrorKind::BadInput`] if the name is taken by another key, or the key was imported before.
    pub async fn import(&mut self, import: KeyImport<'_>) -> Result<KeyInfo> {
        let KeyImport {
            package,
            name,
            identity,
            sender,
            kms_key,
            reason,
        } = import;
        // First of all, on public data: RSA decryption with our private key is not done for a stranger.
        package.verify(sender)?;
        let material = package.open(identity)?;
        if material.expose().len() != KeyMaterial::length(IMPORTED) {
            return Err(Error::bad_input("the exchanged key is not 64 bytes"));
        }
        let sender_key = hex::encode(sender.public_key());
        let (id, kms_key) = match self.document.key(name) {
            Some(key) => {
                // Checked before the KMS is asked, and again under the lock.
                expect_same_map(key, package, &sender_key)?;
                if let Some(other) = kms_key.filter(|other| **other != key.kms_key) {
                    return Err(Error::bad_input(format!(
                        "the versions of key `{name}` are wrapped by `{}`, not by `{other}`",
                        key.kms_key
                    ))
                    .with_hint(
                        Hint::from("leave the KMS key unsaid; to move all versions, ").then(Remedy::RewrapKeys),
                    ));
                }
                (key.id, key.kms_key.clone())
            }
            None => (DataKeyId::random()?, kms_key.unwrap_or(self.kms_key()).clone()),
        };
        // The version keeps the sender's id: columns that the sender protected name it.
        let context = self.document.context(id, package.version(), IMPORTED);
        let wrapped = envelope::wrap(&self.registry, &kms_key, &material, &context).await?;
        let (who, now) = self.actor_and_time();
        // The sender's clock may be ahead.
        let made = package.time().min(now);
        let version = imported_version(package, &sender_key, wrapped, made);
        let entry = AuditEntry {
            version: Some(package.version()),
            context: Some(self::context(
                &package.map().domain,
                format_args!("sender {sender_key}"),
                sender.subject(),
            )),
            ..self.audit_entry(AuditEvent::Import, name, None, Some(reason))
        };
        self.commit(Some(entry), |document| {
            // Over all keys: the same version under two names would make a column's version id ambiguous.
            let here = document
                .keys
                .iter()
                .find(|key| key.versions.iter().any(|version| version.id == package.version()));
            if let Some(here) = here {
                let gone =
                    (here.versions.iter()).any(|version| version.id == package.version() && version.state.is_gone());
                let message = format!("this key already exists, as `{}`", here.name);
                return Err(Error::bad_input(message).with_hint(if gone {
                    "it was removed: a backup of the keyring from before still has it"
                } else {
                    "nothing needs to be done"
                }));
            }
            if document.key(name).is_none() {
                document.keys.push(DataKeyEntry {
                    name: name.clone(),
                    id,
                    key_use: IMPORTED,
                    created: now,
                    kms_key,
                    versions: Vec::new(),
                    periods: None,
                    values_limit: None,
                    limited_since: None,
                });
            }
            let changed = || Error::bad_input(format!("key `{name}` was replaced meanwhile")).with_hint("try again");
            let key = document.key_mut(id).ok_or_else(changed)?;
            expect_same_map(key, package, &sender_key)?;
            let number = 1 + key.versions.last().map_or(0, |last| last.number);
            let mut version = VersionEntry { number, ..version };
            // An older package, late or replayed, must not become the version that protects.
            let newer = key.versions.iter().find(|other| other.created > made);
            let newer = newer.map(|newer| newer.number);
            if newer.is_none() {
                lifecycle::replace_active(key, number, &who, now)?;
            }
            lifecycle::apply_transition(name, &mut version, KeyState::Active, &who, now, reason)?;
            if let Some(newer) = newer {
                // Both steps, since no transition leads from pre-activation to deactivated at once.
                let replaced = format!("older than version {newer}").parse()?;
                lifecycle::apply_transition(name, &mut version, KeyState::Deactivated, &who, now, &replaced)?;
            }
            key.versions.push(version);
            Ok(key.info())
        })
    }

    fn exchange_signer(&self) -> Result<ExchangeSigner> {
        let context = [self.document.id.as_bytes().as_slice()];
        // Derived from the root, so it needs no place in the file, and every holder of the keyring signs
        // with one key.
        let seed = derive::derive(self.root.expose(), Purpose::ExchangeSigning, &context, 32)?;
        Ok(ExchangeSigner::from_seed(seed))
    }
}

/// Makes the version of an imported key, before it is active; `made` is the time of the export.
fn imported_version(package: &ExchangePackage, sender: &str, wrapped: Vec<u8>, made: Timestamp) -> VersionEntry {
    VersionEntry {
        number: 1,
        id: package.version(),
        state: KeyState::PreActivation,
        created: made,
        wrapped: Some(Base64(wrapped)),
        // The periods began at the sender.
        activated: Some(made),
        history: Vec::new(),
        only_for: Some(package.map().clone()),
        sender: Some(sender.to_owned()),
    }
}

/// Checks that the package can be a version of `key`: from the same sender, for the same map.
fn expect_same_map(key: &DataKeyEntry, package: &ExchangePackage, sender: &str) -> Result<()> {
    // The name of a key is a promise about its origin: another sender could otherwise slip a key of its
    // own under the name of a partner, and read what is protected with it from then on.
    if (key.versions.iter()).any(|version| version.only_for.is_some() && version.sender.as_deref() != Some(sender)) {
        return Err(
            Error::bad_input(format!("key `{}` came from another sender than this package", key.name))
                .with_hint("import it under another name"),
        );
    }
    let map = package.map();
    let same = |version: &VersionEntry| {
        (version.only_for.as_ref()).is_some_and(|other| {
            // `format` is for people; `check` is bound to the version and differs in each package.
            (&other.domain, &other.fingerprint, &other.tweak) == (&map.domain, &map.fingerprint, &map.tweak)
        })
    };
    if key.versions.iter().all(same) {
        return Ok(());
    }
    let message = format!("key `{}` already exists, and is for another rule", key.name);
    Err(Error::bad_input(message).with_hint("import it under another name"))
}

/// Returns the context of an audit entry about an exchange.
fn context(domain: &str, partner: impl std::fmt::Display, subject: Option<&str>) -> String {
    match subject {
        Some(subject) => format!("domain {domain}, {partner}, {subject}"),
        None => format!("domain {domain}, {partner}"),
    }
}
