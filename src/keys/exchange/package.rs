//! Packages: the key of one map for a partner, wrapped to the partner's public key and signed by the sender.
//!
//! ```text
//! { "format": "cipherform-exchange/1", "content": { …, "wrapped": base64 }, "signature": base64 }
//! label     = LP("cipherform exchange v1", content without `wrapped`, as JSON without spaces)
//! wrapped   = RSA-OAEP (RFC 8017, section 7.1) with SHA-256 and MGF1 over SHA-256,
//!             of key (32) ‖ check key (32), under that label
//! signature = Ed25519 (FIPS 186-5) over LP("cipherform-exchange/1", content as JSON without spaces)
//! ```
//!
//! The partner gets the key of one map: one rule's domain, format and tweak. With it values can be protected and
//! revealed under that map, and under no other: it is derived from the sender's data key by a one-way function.

use getrandom::SysRng;
use rsa::Oaep;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::recipient::{Identity, Recipient};
use super::sender::{ExchangeSigner, Sender};
use crate::keys::encoding::{Base64, length_prefixed};
use crate::keys::exchanged_map::ExchangedMap;
use crate::keys::ids::{KeyVersionId, KeyringId};
use crate::keys::reason::Reason;
use crate::keys::timestamp::Timestamp;
use crate::keys::wrap::Signed;
use crate::{Error, ErrorKind, Hint, Remedy, Result, Secret};

/// The format of the file; its versions are frozen.
const FORMAT: &str = "cipherform-exchange/1";

/// A package: the key of one map, wrapped for a partner and signed.
#[derive(Clone, Debug)]
pub struct ExchangePackage(Signed<PackageContent>);

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PackageContent {
    keyring: KeyringId,
    /// Name of the key at the sender.
    key: String,
    version: KeyVersionId,
    map: ExchangedMap,
    time: Timestamp,
    reason: Reason,
    public_key: Base64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wrapped: Option<Base64>,
}

impl PackageContent {
    /// Returns the label of RSA-OAEP, which binds the wrapped bytes to the rest of the content.
    fn label(&self) -> Vec<u8> {
        // The label cannot hold what is made with it, so `wrapped` is left out.
        let bare = Self {
            wrapped: None,
            ..self.clone()
        };
        let bare = serde_json::to_vec(&bare).expect("strings and numbers, which JSON always holds");
        length_prefixed(&[b"cipherform exchange v1", &bare])
    }
}

/// A request to export the key of one map.
pub(crate) struct ExportRequest<'a> {
    pub(crate) keyring: KeyringId,
    pub(crate) key: String,
    pub(crate) version: KeyVersionId,
    pub(crate) map: ExchangedMap,
    pub(crate) time: Timestamp,
    pub(crate) reason: Reason,
    pub(crate) material: &'a Secret<Vec<u8>>,
}

impl ExchangePackage {
    pub(crate) fn seal(request: ExportRequest<'_>, recipient: &Recipient, signer: &ExchangeSigner) -> Result<Self> {
        let mut content = PackageContent {
            keyring: request.keyring,
            key: request.key,
            version: request.version,
            map: request.map,
            time: request.time,
            reason: request.reason,
            public_key: Base64(signer.public_key()?.to_vec()),
            wrapped: None,
        };
        // The label binds map, version and sender inside the encryption (RFC 8017, section 7.1). With the
        // signature alone, somebody could take the wrapped key out, sign it as their own, and present it
        // as theirs for another map.
        let padding = Oaep::<Sha256>::new_with_label(content.label());
        let wrapped = recipient.key.encrypt(&mut SysRng, padding, request.material.expose());
        let wrapped = wrapped.map_err(|error| Error::bug("RSA-OAEP refuses 64 bytes").with_source(error))?;
        // Encrypted, then signed: the signature is over all that the recipient reads, and is verified
        // before decryption.
        content.wrapped = Some(Base64(wrapped));
        Signed::new(FORMAT, content, &signer.0).map(Self)
    }

    /// Reads a package. Its sender is not verified yet: see [`verify`](Self::verify).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Signed::parse(FORMAT, "exchanged key", bytes).map(Self)
    }

    /// Checks that `sender` signed the package.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`].
    pub fn verify(&self, sender: &Sender) -> Result<()> {
        let wrong = |message: &str| {
            Error::new(ErrorKind::WrongKey, message).with_hint(
                Hint::from("by another way than the package came, have the sender ").then(Remedy::ShowPublicKey),
            )
        };
        // Compared first only for the better message; the signature is checked under the key that the
        // caller trusts.
        if self.0.content().public_key.0 != sender.public_key {
            return Err(wrong("the exchanged key was signed by somebody else"));
        }
        if self.0.is_signed_by(&sender.public_key) {
            Ok(())
        } else {
            Err(wrong("the exchanged key was changed after it was signed"))
        }
    }

    pub(crate) fn open(&self, identity: &Identity) -> Result<Secret<Vec<u8>>> {
        // No wrapped key is as good as a wrong one.
        let wrapped = self.0.content().wrapped.as_ref().map_or(&[][..], |wrapped| &wrapped.0);
        let padding = Oaep::<Sha256>::new_with_label(self.0.content().label());
        // Blinded, since the time of the RSA operation depends on the private key and on bytes that
        // others chose.
        let opened = identity.0.decrypt_blinded(&mut SysRng, padding, wrapped);
        // One error for every failure of the padding: telling them apart is what Manger's attack on OAEP
        // needs.
        opened.map(Secret::new).map_err(|_| {
            Error::new(ErrorKind::WrongKey, "the exchanged key is not for this private key")
                .with_hint("name the private key whose public half the sender was given")
        })
    }

    /// Returns the bytes of the file: JSON, with a line feed at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Returns the map that the key is for.
    pub fn map(&self) -> &ExchangedMap {
        &self.0.content().map
    }

    /// Returns the id of the version, which columns protected with it name.
    pub fn version(&self) -> KeyVersionId {
        self.0.content().version
    }

    /// Returns the time of the export.
    pub fn time(&self) -> Timestamp {
        self.0.content().time
    }
}
