//! How far a log was, signed: to be kept where the log's writers cannot reach it.

use serde::{Deserialize, Serialize};

use crate::keys::encoding::Base64;
use crate::keys::ids::KeyringId;
use crate::keys::timestamp::Timestamp;
use crate::keys::wrap::{Signed, public_key};
use crate::{Error, ErrorKind, Result, Secret};

/// The format of the file; its versions are frozen.
const FORMAT: &str = "cipherform-audit-checkpoint/1";

/// How far an audit log and its keyring were at a time, signed with Ed25519 (FIPS 186-5).
///
/// Who has it can notice later that the log was cut or written anew, or that an older copy of the keyring was put back.
#[derive(Clone, Debug)]
pub struct Checkpoint(Signed<CheckpointContent>);

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CheckpointContent {
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
        let content = CheckpointContent {
            keyring,
            generation,
            entries,
            mac: Base64(mac.to_vec()),
            time,
            public_key: Base64(public_key(seed)?.to_vec()),
        };
        Signed::new(FORMAT, content, seed).map(Self)
    }

    /// Reads a checkpoint; its signature must be good, by the public key that it names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if it is no checkpoint, [`ErrorKind::WrongKey`] if its signature is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let signed = Signed::<CheckpointContent>::parse(FORMAT, "checkpoint of an audit log", bytes)?;
        match signed.is_signed_by(&signed.content().public_key.0) {
            true => Ok(Self(signed)),
            false => Err(Error::new(
                ErrorKind::WrongKey,
                "the signature of the checkpoint is wrong",
            )),
        }
    }

    /// The bytes of the file: JSON, with a line feed at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Which keyring.
    pub fn keyring(&self) -> KeyringId {
        self.0.content().keyring
    }

    /// The keyring's generation.
    pub fn generation(&self) -> u64 {
        self.0.content().generation
    }

    /// How many entries the log had.
    pub fn entries(&self) -> u64 {
        self.0.content().entries
    }

    /// When it was made.
    pub fn time(&self) -> Timestamp {
        self.0.content().time
    }

    /// The public key that its signature is good for, 32 bytes: to be compared with the one that `keys audit show` tells.
    pub fn public_key(&self) -> &[u8] {
        &self.0.content().public_key.0
    }

    /// The MAC of the last entry.
    pub(super) fn mac(&self) -> &[u8] {
        &self.0.content().mac.0
    }
}
