//! From a rule and a key to a transform.

use std::fmt;
use std::sync::Arc;

use super::fingerprint::fingerprint;
use crate::cipher::{AesKey, Cipher, DomainFloor, Mode, Radix};
use crate::formats::{Counts, Format, grouped};
use crate::keys::{DirectMode, KeyHandle, KeyUse, Purpose};
use crate::policy::{Rule, Tweak};
use crate::tokens::Tokenizer;
use crate::{Error, Result};

/// The smallest effective domain without an override (SP 800-38G Rev 1 drafts, section 5.1).
const FLOOR: u128 = 1_000_000;

/// The smallest effective domain at all (SP 800-38G, 2016).
const FLOOR_2016: u128 = 100;

/// A rule made ready for one key version.
#[derive(Clone)]
pub struct Transform {
    pub(super) rule: Rule,
    work: Work,
    key: KeyHandle,
    fingerprint: [u8; 32],
    check_value: [u8; 16],
    /// Whether what it reveals is masked, for a role that may see no more.
    pub(super) masked: bool,
}

/// What does the work.
#[derive(Clone)]
enum Work {
    Cipher {
        cipher: Box<Cipher>,
        /// For numbers: the same key with radix 2.
        binary: Box<Cipher>,
    },
    Tokens(Arc<Tokenizer>),
}

impl Transform {
    /// The transform of `rule` under `key`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] when the rule's domain is under the floor;
    /// [`crate::ErrorKind::KeyNotUsable`] when the key is for another use.
    pub(super) fn try_new(rule: &Rule, key: KeyHandle) -> Result<Self> {
        let floor = check_floor(rule).map_err(|error| error.context(format_args!("rule `{}`", rule.name)))?;
        let fingerprint = fingerprint(rule);
        let bytes = match key.key_use() {
            KeyUse::Derive => key.subkey(Purpose::Ff1, &rule.domain, &fingerprint, 32)?,
            KeyUse::Direct { .. } => key.direct_key(DirectMode::Ff1)?,
        };
        let radix = match &rule.format {
            Format::String(format) => format.radix(),
            Format::Ranked(_) | Format::Mixed(_) => 2,
        };
        let aes = AesKey::try_new(bytes.expose())?;
        let ff1 = |radix| {
            Ok::<_, Error>(Box::new(
                Cipher::ff1(&aes, Radix::try_new(radix)?).with_floor(floor.clone()),
            ))
        };
        let work = Work::Cipher {
            cipher: ff1(radix)?,
            // FF1's first block says which radix it is for, so one key may serve both.
            binary: ff1(2)?,
        };
        Self::assemble(rule, key, fingerprint, work)
    }

    /// The transform of a `rule` that tokenizes. `key` seals new values.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub(super) fn tokens(rule: &Rule, key: KeyHandle, tokenizer: Tokenizer) -> Result<Self> {
        Self::assemble(rule, key, fingerprint(rule), Work::Tokens(Arc::new(tokenizer)))
    }

    fn assemble(rule: &Rule, key: KeyHandle, fingerprint: [u8; 32], work: Work) -> Result<Self> {
        let check_value = key.check_value(&rule.domain, &fingerprint, &rule.tweak.to_string())?;
        Ok(Self {
            rule: rule.clone(),
            work,
            key,
            fingerprint,
            check_value,
            masked: false,
        })
    }

    /// The cipher; a rule that tokenizes has none.
    pub(super) fn cipher(&self) -> Result<&Cipher> {
        match &self.work {
            Work::Cipher { cipher, .. } => Ok(cipher),
            Work::Tokens(_) => Err(no_cipher()),
        }
    }

    /// The cipher for numbers.
    pub(super) fn binary(&self) -> Result<&Cipher> {
        match &self.work {
            Work::Cipher { binary, .. } => Ok(binary),
            Work::Tokens(_) => Err(no_cipher()),
        }
    }

    /// What mints and reveals the tokens of a rule that tokenizes.
    pub fn tokenizer(&self) -> Option<&Tokenizer> {
        match &self.work {
            Work::Cipher { .. } => None,
            Work::Tokens(tokenizer) => Some(tokenizer),
        }
    }

    /// The same, but what it reveals is masked.
    pub(super) fn masked(mut self) -> Self {
        self.masked = true;
        self
    }

    /// Whether what it reveals is masked, for a role that may see no more.
    pub fn is_masked(&self) -> bool {
        self.masked
    }

    /// The rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The data key's name, version number and version id; its bytes stay inside.
    pub fn key(&self) -> &KeyHandle {
        &self.key
    }

    /// What defines the map, beside key, domain and tweak.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Tells this key, rule and tweak definition from every other (SP 800-57 part 1 has key check values; ours is 128 bits of
    /// KBKDF output, so it tells nothing about the key).
    pub fn check_value(&self) -> [u8; 16] {
        self.check_value
    }

    /// The same, but the tweak is what the caller gives with each row.
    pub fn with_tweak_argument(&self) -> Self {
        let mut transform = self.clone();
        transform.rule.tweak = Tweak::Column("the tweak argument".to_owned());
        transform
    }

    /// Which block cipher mode, key size and kernel does the work; `None` for tokens.
    pub fn mode(&self) -> Option<Mode> {
        self.cipher().ok().map(Cipher::mode)
    }

    /// The column whose plaintext is the tweak, if one is.
    pub fn tweak_column(&self) -> Option<&str> {
        match &self.rule.tweak {
            Tweak::Column(name) => Some(name),
            _ => None,
        }
    }

    /// What it counts, if it works on columns of numbers, dates or times.
    pub fn counts(&self) -> Option<Counts> {
        match &self.rule.format {
            Format::Ranked(format) => format.counts(),
            Format::String(_) | Format::Mixed(_) => None,
        }
    }
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transform")
            .field("rule", &self.rule.name)
            .field("format", &self.rule.format.definition())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

fn no_cipher() -> Error {
    Error::bug("a rule that tokenizes has no cipher")
}

/// The floor this rule works under; an error when its usual value is already below it.
fn check_floor(rule: &Rule) -> Result<DomainFloor> {
    let domain = match &rule.format {
        Format::String(format) => {
            let length = format.usual_numerals();
            length.map(|length| u128::from(format.radix()).saturating_pow(u32::try_from(length).unwrap_or(u32::MAX)))
        }
        Format::Ranked(format) => Some(format.size()),
        Format::Mixed(format) => format.usual_size(),
    };
    let floor = match &rule.insecure_small_domain {
        Some(reason) => DomainFloor::insecure(FLOOR_2016 as u64, reason)?,
        None => DomainFloor::REV1,
    };
    let least = if rule.insecure_small_domain.is_some() {
        FLOOR_2016
    } else {
        FLOOR
    };
    match domain {
        Some(domain) if domain < least => {
            let error = Error::bad_policy(format!(
                "format {} leaves {} possible values to encrypt, under the floor of {}: so few could all be tried",
                rule.format.definition(),
                grouped(domain),
                grouped(least)
            ));
            Err(match least {
                FLOOR => error.with_hint(
                    "keep less of the value, widen its range, or accept the risk with insecure_small_domain = \"the reason\" \
                     (down to 100 values)",
                ),
                _ => error.with_hint("below 100 values nothing is encrypted; keep less of the value or widen its range"),
            })
        }
        _ => Ok(floor),
    }
}
