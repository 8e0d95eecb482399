//! Signed checkpoints of an audit log, to be kept where the log's writers cannot reach them.

use serde::{Deserialize, Serialize};

use crate::keys::encoding::Base64;
use crate::keys::ids::KeyringId;
use crate::keys::timestamp::Timestamp;
use crate::keys::wrap::{Signed, public_key};
use crate::{Error, ErrorKind, Result, Secret};

/// The format of the file; its versions are frozen.
const FORMAT: &str = "cipherform-audit-checkpoint/1";

/// The end of an audit log and the generation of its keyring at a time, signed with Ed25519 (FIPS 186-5).
///
/// It shows later that the log was cut or written anew, or that an older copy of the keyring was put back.
#[derive(Clone, Debug)]
pub struct Checkpoint(Signed<CheckpointContent>);

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CheckpointContent {
    keyring: KeyringId,
    /// Generation of the keyring.
    generation: u64,
    /// Number of entries of the log.
    entries: u64,
    /// MAC of the last entry.
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
            // The key is in the file so that it can be verified by somebody who has no keyring, once its
            // key was compared by another way.
            public_key: Base64(public_key(seed)?.to_vec()),
        };
        Signed::new(FORMAT, content, seed).map(Self)
    }

    /// Reads a checkpoint and verifies its signature with the public key that it names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadInput`] if it is not a checkpoint, [`ErrorKind::WrongKey`] if its signature is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let signed = Signed::<CheckpointContent>::parse(FORMAT, "checkpoint of an audit log", bytes)?;
        // It proves that the file is whole, not whose it is: the caller compares the public key.
        if signed.is_signed_by(&signed.content().public_key.0) {
            Ok(Self(signed))
        } else {
            Err(Error::new(
                ErrorKind::WrongKey,
                "the signature of the checkpoint is wrong",
            ))
        }
    }

    /// Returns the bytes of the file: JSON, with a line feed at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Returns the id of the keyring.
    pub fn keyring(&self) -> KeyringId {
        self.0.content().keyring
    }

    /// Returns the generation of the keyring.
    pub fn generation(&self) -> u64 {
        self.0.content().generation
    }

    /// Returns the number of entries of the log.
    pub fn entries(&self) -> u64 {
        self.0.content().entries
    }

    /// Returns the time of the checkpoint.
    pub fn time(&self) -> Timestamp {
        self.0.content().time
    }

    /// Returns the public key that verifies the signature, 32 bytes: compare it with that of the log.
    pub fn public_key(&self) -> &[u8] {
        &self.0.content().public_key.0
    }

    /// Returns the MAC of the last entry.
    pub(super) fn mac(&self) -> &[u8] {
        &self.0.content().mac.0
    }
}
