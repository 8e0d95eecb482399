//! Keys of single maps, to partners and from them.

use super::Keyring;
use crate::keys::document::{KeyEntry, VersionEntry};
use crate::keys::encoding::Base64;
use crate::keys::exchange::Parcel;
use crate::keys::handle::Material;
use crate::keys::{
    AuditEntry, AuditEvent, DataKeyId, DirectMode, ExchangePackage, ExchangeSigner, ExchangedMap, Identity, KeyBits,
    KeyHandle, KeyInfo, KeyName, KeyState, KeyUse, KmsKeyRef, Purpose, Reason, Recipient, Sender, derive, envelope,
};
use crate::{Error, ErrorKind, Result, Secret};

/// What a key from a partner is here: the AES key of FF1, and a check key.
const IMPORTED: KeyUse = KeyUse::Direct {
    mode: DirectMode::Ff1,
    bits: KeyBits::B256,
};

impl Keyring {
    /// The public key that keys for partners are signed with (Ed25519, 32 bytes).
    ///
    /// # Errors
    ///
    /// None that a caller can cause.
    pub fn exchange_public_key(&self) -> Result<[u8; 32]> {
        self.exchange_signer()?.public_key()
    }

    /// The key of one map for a partner. `key` is what its rule resolves to for protecting, and `map` is that rule.
    ///
    /// Whoever opens the package can protect and reveal under that map, and under no other. A data key itself never leaves. It is signed with `signer`, or else
    /// with the keyring's own key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotUsable`] for a key that came from a partner itself, or is for another mode; what the audit log says.
    pub fn export(
        &self,
        key: &KeyHandle,
        map: ExchangedMap,
        recipient: &Recipient,
        signer: Option<&ExchangeSigner>,
        reason: &Reason,
    ) -> Result<ExchangePackage> {
        let subject = format!("key `{}@{}`", key.name(), key.version());
        if key.only_for.is_some() {
            let message = format!("{subject} came from a partner: it is not ours to pass on");
            return Err(Error::new(ErrorKind::KeyNotUsable, message)
                .with_hint("ask the partner for a package of your own recipient"));
        }
        let fingerprint =
            hex::decode(&map.fingerprint).map_err(|_| Error::bug("a fingerprint that is not hexadecimal"))?;
        let aes = match key.key_use() {
            KeyUse::Derive => key.subkey(Purpose::Ff1, &map.domain, &fingerprint, 32)?,
            IMPORTED => key.direct_key(DirectMode::Ff1)?,
            other => {
                let message = format!("{subject} is for the use `{other}`, and partners exchange FF1 keys of 256 bits");
                return Err(Error::new(ErrorKind::KeyNotUsable, message)
                    .with_hint("create a key for it: `cipherform keys create NAME --use direct-ff1-256`"));
            }
        };
        let check = key.exchange_check_key(&map.domain, &fingerprint)?;
        // Room for both at once: a list that grows leaves copies behind.
        let mut material = Secret::new(Vec::with_capacity(Material::length(IMPORTED)));
        material.expose_mut().extend_from_slice(aes.expose());
        material.expose_mut().extend_from_slice(check.expose());
        let (_, time) = self.by();
        self.audit([AuditEntry {
            version: Some(key.version_id()),
            context: Some(context(
                &map.domain,
                format_args!("recipient sha256:{}", recipient.fingerprint()),
                recipient.subject(),
            )),
            ..self.about(AuditEvent::Export, key.name(), Some(key.version()), Some(reason))
        }])?;
        let parcel = Parcel {
            keyring: self.id(),
            key: key.name().to_string(),
            version: key.version_id(),
            map,
            time,
            reason: reason.clone(),
            material: &material,
        };
        match signer {
            Some(signer) => ExchangePackage::seal(parcel, recipient, signer),
            None => ExchangePackage::seal(parcel, recipient, &self.exchange_signer()?),
        }
    }

    /// Takes in a partner's key under the name `name`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`] if `sender` did not sign it or it is for another private key; [`ErrorKind::BadInput`] if the name is taken, or the key is here
    /// already.
    pub async fn import(
        &mut self,
        package: &ExchangePackage,
        name: &KeyName,
        identity: &Identity,
        sender: &Sender,
        kms_key: Option<&KmsKeyRef>,
        reason: &Reason,
    ) -> Result<KeyInfo> {
        package.verify(sender)?;
        let material = package.open(identity)?;
        if material.expose().len() != Material::length(IMPORTED) {
            return Err(Error::bad_input("the exchanged key is not 64 bytes"));
        }
        let kms_key = kms_key.unwrap_or(self.kms_key()).clone();
        let id = DataKeyId::random()?;
        let context = self.document.context(id, package.version(), IMPORTED);
        let wrapped = envelope::wrap(&self.registry, &kms_key, &material, &context).await?;
        let (_, now) = self.by();
        let version = VersionEntry {
            number: 1,
            id: package.version(),
            state: KeyState::Active,
            created: now,
            wrapped: Some(Base64(wrapped)),
            activated: Some(now),
            history: Vec::new(),
            only_for: Some(package.map().clone()),
        };
        let key = KeyEntry {
            name: name.clone(),
            id,
            key_use: IMPORTED,
            created: now,
            kms_key,
            versions: vec![version],
            periods: None,
            values_limit: None,
        };
        let info = key.info();
        let entry = AuditEntry {
            version: Some(package.version()),
            context: Some(self::context(
                &package.map().domain,
                format_args!("sender {}", hex::encode(sender.public_key())),
                sender.subject(),
            )),
            ..self.about(AuditEvent::Import, name, Some(1), Some(reason))
        };
        self.commit(Some(entry), |document| {
            super::change::refuse_taken(document, name)?;
            let here = document
                .keys
                .iter()
                .find(|key| key.versions.iter().any(|version| version.id == package.version()));
            if let Some(here) = here {
                return Err(Error::bad_input(format!(
                    "this key is here already, as `{}`",
                    here.name
                )));
            }
            document.keys.push(key);
            Ok(info)
        })
    }

    fn exchange_signer(&self) -> Result<ExchangeSigner> {
        let context = [self.document.id.as_bytes().as_slice()];
        let seed = derive::derive(self.root.expose(), Purpose::ExchangeSigning, &context, 32)?;
        Ok(ExchangeSigner::from_seed(seed))
    }
}

/// What an entry of the audit log says of an exchange.
fn context(domain: &str, partner: impl std::fmt::Display, subject: Option<&str>) -> String {
    match subject {
        Some(subject) => format!("domain {domain}, {partner}, {subject}"),
        None => format!("domain {domain}, {partner}"),
    }
}
