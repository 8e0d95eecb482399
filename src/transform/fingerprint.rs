//! Fingerprints of rules: equal if and only if their maps are, keys apart.

use sha2::{Digest, Sha256};

use crate::policy::{Rule, Treatment};

/// SHA-256 over everything about a rule that defines its map, other than key, domain and tweak: the treatment, its
/// algorithm, and the format's definition. It stands in the metadata, and goes into the check value.
pub(super) fn fingerprint(rule: &Rule) -> [u8; 32] {
    fingerprint_with(rule, &rule.format.definition())
}

/// The fingerprint that a rule had while its bands were of their first version, which bound nothing of a value to the
/// tweak; `None` for a rule without bands.
#[cfg(feature = "columns")]
pub(super) fn first_band_fingerprint(rule: &Rule) -> Option<[u8; 32]> {
    let definition = rule.format.definition();
    let first = definition.replace(" short=band/2", " short=band");
    (first != definition).then(|| fingerprint_with(rule, &first))
}

fn fingerprint_with(rule: &Rule, format: &str) -> [u8; 32] {
    // These strings are persisted by way of the fingerprint. They must not follow a rename in the code.
    let algorithm = match rule.treatment {
        Treatment::Encrypt => "FF1".to_owned(),
        Treatment::Tokenize => "random".to_owned(),
        Treatment::EncryptLegacy => "FF3-1".to_owned(),
        Treatment::Siv => "AES-256-SIV".to_owned(),
        Treatment::Hash => format!("HMAC-SHA-256 bits={}", rule.bits),
        Treatment::Mask => rule.mask.definition(),
        Treatment::Shift => format!("HMAC-SHA-256 days={}", rule.days),
        // The form that Rust's `Debug` of an option had when it was frozen.
        Treatment::Bucket => match &rule.bucket {
            Some(bucket) => format!("Some({})", bucket.definition()),
            None => "None".to_owned(),
        },
        Treatment::Drop => "none".to_owned(),
    };
    let mut parts = vec!["cipherform fingerprint v1", rule.treatment.name(), &algorithm, format];
    // Pushed only where it is set, so that rules from before the option keep their fingerprints.
    if rule.version_character {
        parts.push("version_character");
    }
    hashed(&parts)
}

/// The context that the subkey of `rule` is bound to, beside key and domain: all that defines its map. Of a shift
/// that is the number of days alone, and not what a date looks like: the dates and the timestamps of one entity move
/// together.
pub(super) fn subkey_context(rule: &Rule) -> [u8; 32] {
    match rule.treatment {
        Treatment::Shift => hashed(&[
            "cipherform fingerprint v1",
            rule.treatment.name(),
            &format!("HMAC-SHA-256 days={}", rule.days),
        ]),
        _ => fingerprint(rule),
    }
}

fn hashed(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        // With its length before it, so that no two lists of parts are hashed alike.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
