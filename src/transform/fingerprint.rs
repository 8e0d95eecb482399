//! What must be equal for two results to be comparable, as bytes.

use sha2::{Digest, Sha256};

use crate::policy::{Rule, Treatment};

/// SHA-256 over everything about a rule that defines its map, other than key, domain and tweak: the treatment, its algorithm,
/// and the format's definition. It goes into the derivation of the subkey, so that two maps never share one.
pub(super) fn fingerprint(rule: &Rule) -> [u8; 32] {
    let mut hash = Sha256::new();
    let algorithm = match rule.treatment {
        Treatment::Encrypt => "FF1",
        Treatment::Tokenize => "random",
    };
    let treatment = rule.treatment.to_string();
    for part in [
        "cipherform fingerprint v1",
        &treatment,
        algorithm,
        &rule.format.definition(),
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
