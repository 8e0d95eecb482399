//! The ciphers of a rule.

use crate::cipher::{AesKey, Cipher, DomainFloor, Radix};
use crate::formats::{Format, digit_groups};
use crate::keys::{DirectMode, KeyHandle, KeyUse, Purpose};
use crate::policy::{Rule, Treatment as TreatmentName};
use crate::{Error, Result};

/// The smallest effective domain at all (SP 800-38G, 2016).
const FLOOR_2016: u64 = 100;

/// The ciphers of a rule that encrypts.
#[derive(Clone, Debug)]
pub(in crate::transform) struct Fpe {
    /// Over the format's alphabet, for formats of strings.
    pub(super) cipher: Cipher,
    /// Over bits, for ranks. FF1's first block names the radix, so one key may serve both.
    // The first block P of FF1 (SP 800-38G, algorithm 7, step 5) also has the length, so neither lengths nor
    // radices meet.
    pub(super) binary: Cipher,
}

impl Fpe {
    /// Derives the keys of `rule`; `context` is what its subkey is bound to beside key and domain.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] when the rule's domain is under the floor, or the mode does not take its format;
    /// [`crate::ErrorKind::KeyNotUsable`] when the key is for another use.
    pub(in crate::transform) fn try_new(rule: &Rule, key: &KeyHandle, context: &[u8; 32]) -> Result<Self> {
        // Before any key is derived: a rule under the floor never gets one.
        let floor = check_floor(rule)?;
        let legacy = rule.treatment == TreatmentName::EncryptLegacy;
        let (purpose, mode) = if legacy {
            (Purpose::Ff31Legacy, DirectMode::Ff31Legacy)
        } else {
            (Purpose::Ff1, DirectMode::Ff1)
        };
        // A key that is shared with other FF1 software is used as it is; every other use has a key of its own,
        // derived by purpose.
        let bytes = match key.key_use() {
            KeyUse::Derive => key.subkey(purpose, &rule.domain, context, 32)?,
            KeyUse::Direct { .. } => key.direct_key(mode)?,
        };
        let aes = AesKey::try_new(bytes.expose())?;
        // FF3-1 is for interchange with software that has strings only; ranks would be a format of our own over a
        // broken cipher.
        let radix = match &rule.format {
            Format::String(format) => format.radix(),
            Format::Ranked(_) | Format::Segmented(_) if legacy => {
                return Err(
                    Error::bad_policy("treatment = \"encrypt-legacy\" takes formats over one alphabet")
                        .with_hint("digits, alphanumeric, alphabet, hex, pan and email are such"),
                );
            }
            Format::Ranked(_) | Format::Segmented(_) => 2,
        };
        // Both ciphers have the floor, so a path that forgets to test it cannot encrypt below it.
        let cipher = |radix: u32| {
            let radix = Radix::try_new(radix)?;
            let cipher = if legacy {
                Cipher::ff3_1_legacy(&aes, radix)
            } else {
                Cipher::ff1(&aes, radix)
            };
            Ok::<_, Error>(cipher.with_floor(floor.clone()))
        };
        Ok(Self {
            cipher: cipher(radix)?,
            binary: cipher(2)?,
        })
    }
}

/// The least number of possible values that `rule` takes.
///
/// # Errors
/// An override without a reason.
pub(in crate::transform) fn floor(rule: &Rule) -> Result<DomainFloor> {
    // An override still ends at the 100 values of the 2016 edition, below which no setting leads.
    match &rule.insecure_small_domain {
        Some(reason) => Ok(DomainFloor::insecure(FLOOR_2016, reason)?),
        None => Ok(DomainFloor::REV1),
    }
}

/// The floor that `rule` works under.
///
/// # Errors
/// A rule whose usual value is below it already.
fn check_floor(rule: &Rule) -> Result<DomainFloor> {
    let floor = floor(rule)?;
    let least = u128::from(floor.value());
    // Only what the format knows of itself. A shape that depends on the value is judged row by row.
    match rule.possible_values() {
        Some(domain) if domain < least => {
            let error = Error::bad_policy(format!(
                "format {} leaves {} possible values to encrypt, under the floor of {}: so few could all be tried",
                rule.format.described(),
                digit_groups(domain),
                digit_groups(least)
            ));
            // What is still possible differs: below 100 there is nothing left to accept.
            let hint = if rule.insecure_small_domain.is_none() {
                "keep less of the value, widen its range, or accept the risk with insecure_small_domain = \
                 \"the reason\" (down to 100 values)"
            } else {
                "below 100 values nothing is encrypted; keep less of the value or widen its range"
            };
            Err(error.with_hint(hint))
        }
        _ => Ok(floor),
    }
}
