//! The chain of entries: MACs, each over the one before, under keys that come from a keyring's root.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::entry::AuditEntry;
use super::record::ClosedPart;
use crate::keys::encoding::{Base64, length_prefixed};
use crate::keys::ids::KeyringId;
use crate::keys::wrap::{Purpose, derive};
use crate::{Error, ErrorKind, Result, Secret};

/// A log whose entries were verified from the first to the last.
#[derive(Debug)]
#[non_exhaustive]
pub struct VerifiedLog {
    /// Entries, oldest first.
    pub entries: Vec<AuditEntry>,
    /// True if an unfinished entry follows the last one: its writer was interrupted. The next append cuts it off.
    pub unfinished: bool,
    /// MAC of each entry.
    pub(super) macs: Vec<Vec<u8>>,
}

/// A line of the file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogLine {
    pub(super) entry: AuditEntry,
    pub(super) mac: Base64,
}

/// The keys of a log, and the part of it that was closed when the root before was replaced.
pub(super) struct EntryChain {
    keyring: KeyringId,
    key: Secret<Vec<u8>>,
    pub(super) seed: Secret<Vec<u8>>,
    closed: Option<ClosedPart>,
}

impl EntryChain {
    pub(super) fn new(keyring: KeyringId, root: &Secret<Vec<u8>>, closed: Option<ClosedPart>) -> Result<Self> {
        // Two keys: whoever verifies a checkpoint needs the public key alone, and cannot write entries
        // with it.
        let subkey = |purpose| derive(root.expose(), purpose, &[keyring.as_bytes()], 32);
        Ok(Self {
            keyring,
            key: subkey(Purpose::AuditMac)?,
            seed: subkey(Purpose::AuditSigning)?,
            closed,
        })
    }

    pub(super) fn keyring(&self) -> KeyringId {
        self.keyring
    }

    /// Sets the part that is verified by its digest, and not under the keys.
    pub(super) fn set_closed(&mut self, closed: Option<ClosedPart>) {
        self.closed = closed;
    }

    /// Returns the number of entries that were written under former roots.
    pub(super) fn closed_entries(&self) -> u64 {
        self.closed.as_ref().map_or(0, |closed| closed.entries)
    }

    /// Returns what the MAC of the first entry follows.
    pub(super) fn start(&self) -> Vec<u8> {
        // The first entry follows the keyring's id: a log cannot be presented as that of another keyring.
        self.tag(&[b"cipherform audit start v1", self.keyring.as_bytes()])
    }

    /// Returns the MAC of `entry`, which follows an entry with the MAC `before`.
    pub(super) fn mac(&self, before: &[u8], entry: &AuditEntry) -> Vec<u8> {
        let entry = serde_json::to_vec(entry).expect("strings and numbers, which JSON always holds");
        // The MAC before is part of each: an entry cannot be taken out, put in or moved without the key.
        self.tag(&[b"cipherform audit entry v1", before, &entry])
    }

    /// Verifies the entries in `bytes`, which follow `before` entries, the last of them with `mac`.
    pub(super) fn verify(&self, bytes: &[u8], before: u64, mac: Vec<u8>) -> Result<VerifiedLog> {
        let mut verified = VerifiedLog {
            entries: Vec::new(),
            unfinished: false,
            macs: Vec::new(),
        };
        let (mut number, mut mac, mut open) = (before, mac, bytes);
        if let Some(closed) = &self.closed
            && before < closed.entries
        {
            // Entries under a former root have a digest from the first one on, not from the middle.
            if before > 0 {
                return Err(
                    Error::new(ErrorKind::KeyNotUsable, "the keyring's root was replaced meanwhile")
                        .with_hint("fetch the key again"),
                );
            }
            open = verify_closed(bytes, closed, &mut verified)?;
            number = closed.entries;
            mac = verified.macs.last().cloned().unwrap_or(mac);
        }
        for line in open.split_inclusive(|byte| *byte == b'\n') {
            number += 1;
            // The line feed is written last, so an entry without it was interrupted. A reader must not
            // call that tampering.
            let Some(text) = line.strip_suffix(b"\n") else {
                verified.unfinished = true;
                break;
            };
            let line: LogLine = serde_json::from_slice(text).map_err(|_| broken(number))?;
            mac = self.mac(&mac, &line.entry);
            // In constant time, or whoever writes to the file and watches a verification could find a
            // right MAC byte by byte.
            let same = subtle::ConstantTimeEq::ct_eq(&mac[..], &line.mac.0[..]);
            // The MAC covers the parsed entry; other spellings of it, which parsing does not tell apart,
            // are refused here.
            let as_written = serde_json::to_vec(&line).is_ok_and(|bytes| bytes == text);
            // One answer for all three: each means that an entry was changed, taken out or put in.
            if !bool::from(same) || line.entry.number != number || !as_written {
                return Err(broken(number));
            }
            verified.entries.push(line.entry);
            verified.macs.push(mac.clone());
        }
        Ok(verified)
    }

    fn tag(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose()).expect("HMAC takes a key of any length");
        mac.update(&length_prefixed(parts));
        mac.finalize().into_bytes().to_vec()
    }
}

/// Verifies the part of a log that was closed, and returns the bytes behind it.
fn verify_closed<'a>(bytes: &'a [u8], closed: &ClosedPart, verified: &mut VerifiedLog) -> Result<&'a [u8]> {
    let changed = || {
        let message = format!(
            "one of the first {} entries, of before the keyring's root was replaced, was changed, taken out or put in",
            closed.entries
        );
        Error::new(ErrorKind::WrongKey, message).with_hint("compare with a copy of the log to see what happened")
    };
    let length = usize::try_from(closed.bytes).map_err(|_| changed())?;
    let (part, open) = bytes.split_at_checked(length).ok_or_else(changed)?;
    // The keyring's MAC covers the digest, so the former root is not needed to verify what it wrote.
    if Sha256::digest(part)[..] != closed.sha256.0[..] {
        return Err(changed());
    }
    for line in part.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: LogLine = serde_json::from_slice(line).map_err(|_| changed())?;
        verified.entries.push(line.entry);
        verified.macs.push(line.mac.0);
    }
    if verified.entries.len() as u64 == closed.entries {
        Ok(open)
    } else {
        Err(changed())
    }
}

fn broken(number: u64) -> Error {
    Error::new(
        ErrorKind::WrongKey,
        format!("entry {number} does not follow the one before it: one of them was changed, taken out or put in"),
    )
    .with_hint("the entries before it are as they were written; compare with a copy of the log to see what happened")
}
