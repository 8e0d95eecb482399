//! Derivation of one subkey for each purpose: KBKDF of SP 800-108r1, counter mode, HMAC-SHA-256.
//!
//! ```text
//! K(i)  = HMAC(key, [i]₃₂ ‖ label ‖ 0x00 ‖ context ‖ [L]₃₂)      i = 1, 2, …; L = output length in bits
//! label   = the purpose's ASCII string
//! context = its parts, each behind its length (32 bits, big-endian)
//! ```

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroize;

use crate::keys::encoding::length_prefixed;
use crate::{Error, Result, Secret};

/// The purpose of a derived key. No derived key serves two purposes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Purpose {
    /// The AES key of FF1.
    Ff1,
    /// The AES key of FF3-1, for data that others protected so.
    Ff31Legacy,
    /// The 512-bit key of the deterministic AEAD.
    Siv,
    /// The 512-bit key of the deterministic AEAD for values that do not fit their format.
    MisfitSiv,
    /// The key of keyed, one-way hashes.
    Hash,
    /// The key of date shifts.
    Shift,
    /// Finds the token of a value that has one.
    TokenIndex,
    /// Seals the values that tokens stand for.
    TokenSeal,
    /// Binds a row of a token store together: look-up hash, token and end of life.
    TokenRow,
    /// Proves that key, rule and tweak are those that protected a column.
    CheckValue,
    /// Tells a keyring's root key from another, in a policy.
    RootCheck,
    /// Authenticates a keyring.
    KeyringMac,
    /// Chains the entries of an audit log.
    AuditMac,
    /// Signs the checkpoints of an audit log.
    AuditSigning,
    /// The check key that goes with a key for a partner.
    ExchangeCheck,
    /// Signs keys for partners.
    ExchangeSigning,
    /// Authenticates the file of a local KMS.
    LocalKmsMac,
    /// Seals the KMS keys in the file of a local KMS.
    LocalKmsSeal,
    /// Tells whether imported material of a KMS key is the same that comes again.
    LocalKmsCheck,
    /// Authenticates a backup.
    BackupMac,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 20] = [
        Self::Ff1,
        Self::Ff31Legacy,
        Self::Siv,
        Self::MisfitSiv,
        Self::Hash,
        Self::Shift,
        Self::TokenIndex,
        Self::TokenSeal,
        Self::TokenRow,
        Self::CheckValue,
        Self::RootCheck,
        Self::KeyringMac,
        Self::AuditMac,
        Self::AuditSigning,
        Self::ExchangeCheck,
        Self::ExchangeSigning,
        Self::LocalKmsMac,
        Self::LocalKmsSeal,
        Self::LocalKmsCheck,
        Self::BackupMac,
    ];

    /// Returns the label in the derivation, which is frozen.
    pub const fn label(self) -> &'static str {
        match self {
            // Labels separate purposes: equal labels would make two purposes share a key. A changed label
            // would change every subkey, and nothing protected before could be revealed.
            Self::Ff1 => "cipherform ff1 subkey v1",
            Self::Ff31Legacy => "cipherform ff3-1 legacy subkey v1",
            Self::Siv => "cipherform siv subkey v1",
            Self::MisfitSiv => "cipherform misfit siv subkey v1",
            Self::Hash => "cipherform hash subkey v1",
            Self::Shift => "cipherform shift subkey v1",
            Self::TokenIndex => "cipherform token index subkey v1",
            Self::TokenSeal => "cipherform token seal subkey v1",
            Self::TokenRow => "cipherform token row v1",
            Self::CheckValue => "cipherform check value v1",
            Self::RootCheck => "cipherform root check v1",
            Self::KeyringMac => "cipherform keyring mac v1",
            Self::AuditMac => "cipherform audit mac v1",
            Self::AuditSigning => "cipherform audit signing v1",
            Self::ExchangeCheck => "cipherform exchange check key v1",
            Self::ExchangeSigning => "cipherform exchange signing v1",
            Self::LocalKmsMac => "cipherform local kms mac v1",
            Self::LocalKmsSeal => "cipherform local kms seal v1",
            Self::LocalKmsCheck => "cipherform local kms check value v1",
            Self::BackupMac => "cipherform backup mac v1",
        }
    }

    /// Checks whether a data key derives it for a treatment; the other purposes are internal to keys and KMS.
    pub const fn is_subkey(self) -> bool {
        // The others are derived from roots, unlock keys and imported material, or under their own
        // method; a caller who could name them here would get the key that authenticates something else.
        !matches!(
            self,
            Self::CheckValue
                | Self::RootCheck
                | Self::KeyringMac
                | Self::AuditMac
                | Self::AuditSigning
                | Self::ExchangeCheck
                | Self::ExchangeSigning
                | Self::LocalKmsMac
                | Self::LocalKmsSeal
                | Self::LocalKmsCheck
                | Self::BackupMac
        )
    }
}

/// Derives `length` bytes for `purpose`, bound to the parts of the context.
///
/// # Errors
///
/// [`crate::ErrorKind::Bug`] if `length` is zero or more than any purpose needs.
pub(crate) fn derive(key: &[u8], purpose: Purpose, context: &[&[u8]], length: usize) -> Result<Secret<Vec<u8>>> {
    // Far more than the longest subkey, 64 bytes, and the number of bits stays within 32 bits.
    const LONGEST: usize = 1024;
    if !(1..=LONGEST).contains(&length) {
        return Err(Error::bug(format!(
            "a derived key of {length} bytes; the limits are 1 and {LONGEST}"
        )));
    }
    // [L] is part of the PRF input: keys of two lengths for one purpose and context share no prefix.
    let bits = 8 * length as u32;
    let fixed = [
        purpose.label().as_bytes(),
        // The zero byte ends the label (SP 800-108r1, section 4.1), so that no label is the beginning of
        // another one with some context.
        &[0],
        &length_prefixed(context),
        &bits.to_be_bytes(),
    ]
    .concat();
    Ok(counter_mode(key, &fixed, length))
}

/// SP 800-108r1, section 4.1, with a 32-bit counter before the fixed input.
fn counter_mode(key: &[u8], fixed: &[u8], length: usize) -> Secret<Vec<u8>> {
    let mut output = Secret::new(vec![0; length]);
    // The counter starts at 1 and stands first, as in the vectors of the CAVP below.
    for (counter, block) in (1u32..).zip(output.expose_mut().chunks_mut(32)) {
        let mut prf = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        prf.update(&counter.to_be_bytes());
        prf.update(fixed);
        // A copy of the block on the stack, which `Secret` does not know of.
        let mut bytes = prf.finalize().into_bytes();
        block.copy_from_slice(&bytes[..block.len()]);
        bytes.as_mut_slice().zeroize();
    }
    output
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// NIST CAVS, KDFCTR_gen: `[PRF=HMAC_SHA256] [CTRLOCATION=BEFORE_FIXED] [RLEN=32_BITS]`, L = 128, COUNT = 0.
    #[test]
    fn nist_counter_mode() {
        let key = hex::decode("dd1d91b7d90b2bd3138533ce92b272fbf8a369316aefe242e659cc0ae238afe0").unwrap();
        let fixed = hex::decode(
            "01322b96b30acd197979444e468e1c5c6859bf1b1cf951b7e725303e237e46b864a145fab25e517b08f8683\
             d0315bb2911d80a0e8aba17f3b413faac",
        )
        .unwrap();
        assert_eq!(
            hex::encode(counter_mode(&key, &fixed, 16).expose()),
            "10621342bfb0fd40046c0e29f2cfdbf0"
        );
    }

    /// Computed with `KBKDFHMAC` of the Python package `cryptography` (OpenSSL): SHA-256, counter mode, rlen = llen =
    /// 4, counter before the fixed input.
    #[test]
    fn independent_answers() {
        let key: Vec<u8> = (0..32).collect();
        let version: Vec<u8> = (0xa0..0xb0).collect();
        let parts: [&[u8]; 3] = [&version, b"customer-key", &[0x00, 0xff, 0x10]];
        let with_tweak: [&[u8]; 4] = [parts[0], parts[1], parts[2], b"none"];
        let cases: [(Purpose, &[&[u8]], &str); 5] = [
            (Purpose::Ff1, &parts, "13a22e285e208b5612bd77b627a18d5b"),
            (
                Purpose::Ff1,
                &parts,
                "28edb42c1603e192970b1d5b625f3ba637ab8373ddd840a6737f48a148ae97be",
            ),
            (
                Purpose::Siv,
                &parts,
                "6da1d77603a02831e087a37cdbfc9df86082d1874171611a8fd463a31ec43c93d8f9f0e44af06ad55f7\
                 8b6280653d66bdd318b85cbf5d0df819137d1b642a1e0",
            ),
            (Purpose::CheckValue, &with_tweak, "adc788444636f33b76090a3dd94ae77b"),
            (
                Purpose::Hash,
                &[],
                "c748496ede34de9440bc91c02752354a8b4f4fba988dd1411b61df8c564393112ef9b0359b4ceeb0ea7\
                 72fdbd160330e1663dd5c0ec1aa76c7de45ec1d1ac7ec546fd92d5046a13b0fe878586acef967479d20\
                 885f8fbc07c463a90e520b5bca9be5f294",
            ),
        ];
        for (purpose, context, answer) in cases {
            let derived = derive(&key, purpose, context, answer.len() / 2).unwrap();
            assert_eq!(hex::encode(derived.expose()), answer, "{purpose:?}");
        }
    }

    #[test]
    fn labels_are_distinct_ascii() {
        // Printable ASCII has no zero byte, which ends the label in the PRF input.
        let labels: HashSet<_> = Purpose::ALL.iter().map(|purpose| purpose.label()).collect();
        assert_eq!(labels.len(), Purpose::ALL.len());
        assert!(
            labels
                .iter()
                .all(|label| label.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '))
        );
    }

    #[test]
    fn lengths_out_of_reach_are_refused() {
        // HMAC would take a derived key of no bytes, which is no secret at all.
        assert!(derive(&[0; 32], Purpose::Ff1, &[], 0).is_err());
        assert!(derive(&[0; 32], Purpose::Ff1, &[], 1025).is_err());
    }
}
