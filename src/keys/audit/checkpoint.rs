//! How far a log was, signed: to be kept where the log's writers cannot reach it.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::keys::encoding::{Base64, length_prefixed};
use crate::keys::{KeyringId, Timestamp};
use crate::{Error, ErrorKind, Result, Secret};

/// The format of the file; its versions are frozen.
const FORMAT: &str = "cipherform-audit-checkpoint/1";

/// How far an audit log and its keyring were at a time, signed with Ed25519 (FIPS 186-5).
///
/// Who has it can notice later that the log was cut or written anew, or that an older copy of the keyring was put back.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    format: String,
    content: Content,
    signature: Base64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    keyring: KeyringId,
    /// Of the keyring.
    generation: u64,
    /// Of the log.
    entries: u64,
    /// Of the last entry.
    mac: Base64,
    time: Timestamp,
    public_key: Base64,
}

impl Checkpoint {
    pub(super) fn sign(
        keyring: KeyringId,
        generation: u64,
        entries: u64,
        mac: &[u8],
        time: Timestamp,
        seed: &Secret<Vec<u8>>,
    ) -> Result<Self> {
        let key = signing_key(seed)?;
        let content = Content {
            keyring,
            generation,
            entries,
            mac: Base64(mac.to_vec()),
            time,
            public_key: Base64(key.verifying_key().to_bytes().to_vec()),
        };
        let signature = Base64(key.sign(&content.to_bytes()).to_bytes().to_vec());
        Ok(Self {
            format: FORMAT.to_owned(),
            content,
            signature,
        })
    }

    /// Reads a checkpoint; its signature must be good, by the public key that it names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if it is no checkpoint, [`ErrorKind::WrongKey`] if its signature is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let checkpoint: Self = serde_json::from_slice(bytes).map_err(|error| {
            Error::bad_input(format!(
                "this is no checkpoint of an audit log: line {}, column {}",
                error.line(),
                error.column()
            ))
        })?;
        if checkpoint.format != FORMAT {
            return Err(
                Error::bad_input("the checkpoint is of a version this program does not know")
                    .with_hint(format!("this program reads `{FORMAT}`")),
            );
        }
        let wrong = || Error::new(ErrorKind::WrongKey, "the signature of the checkpoint is wrong");
        let key = <[u8; 32]>::try_from(&checkpoint.content.public_key.0[..]).map_err(|_| wrong())?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| wrong())?;
        let signature = Signature::from_slice(&checkpoint.signature.0).map_err(|_| wrong())?;
        key.verify_strict(&checkpoint.content.to_bytes(), &signature)
            .map_err(|_| wrong())?;
        Ok(checkpoint)
    }

    /// The bytes of the file: JSON, with a line feed at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("strings and numbers, which JSON always holds");
        bytes.push(b'\n');
        bytes
    }

    /// Which keyring.
    pub fn keyring(&self) -> KeyringId {
        self.content.keyring
    }

    /// The keyring's generation.
    pub fn generation(&self) -> u64 {
        self.content.generation
    }

    /// How many entries the log had.
    pub fn entries(&self) -> u64 {
        self.content.entries
    }

    /// When it was made.
    pub fn time(&self) -> Timestamp {
        self.content.time
    }

    /// The public key that its signature is good for, 32 bytes: to be compared with the one that `keys audit show` tells.
    pub fn public_key(&self) -> &[u8] {
        &self.content.public_key.0
    }

    /// The MAC of the last entry.
    pub(super) fn mac(&self) -> &[u8] {
        &self.content.mac.0
    }
}

impl Content {
    /// What is signed.
    fn to_bytes(&self) -> Vec<u8> {
        let content = serde_json::to_vec(self).expect("strings and numbers, which JSON always holds");
        length_prefixed(&[FORMAT.as_bytes(), &content])
    }
}

/// The key that signs, from its seed (RFC 8032, section 5.1.5).
pub(in crate::keys) fn signing_key(seed: &Secret<Vec<u8>>) -> Result<SigningKey> {
    let mut bytes = Secret::new([0; 32]);
    match seed.expose().len() {
        32 => bytes.expose_mut().copy_from_slice(seed.expose()),
        _ => return Err(Error::bug("a signing key that is not 32 bytes")),
    }
    Ok(SigningKey::from_bytes(bytes.expose()))
}
