//! From a rule and a key to a transform.

use std::fmt;
use std::sync::Arc;

use super::bucket::Bucketing;
use super::fingerprint::{fingerprint, subkey_context};
use super::hash::{self, Hasher};
use super::shift::{self, Shifter};
use super::siv::{self, Siv};
use super::version;
use crate::cipher::{AesKey, Cipher, DomainFloor, Mode, Radix};
use crate::formats::{Counts, Format, grouped};
#[cfg(feature = "exchange")]
use crate::keys::ExchangedMap;
use crate::keys::{DirectMode, KeyHandle, KeyUse, Purpose};
use crate::policy::{Rule, Treatment, Tweak};
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
    pub(super) work: Work,
    key: KeyHandle,
    fingerprint: [u8; 32],
    check_value: [u8; 16],
    /// Whether what it reveals is masked, for a role that may see no more.
    pub(super) masked: bool,
    /// To reveal what says itself that another version of the key made it: the same with that version.
    pub(super) others: Vec<Transform>,
}

/// What does the work.
#[derive(Clone)]
pub(super) enum Work {
    Cipher {
        cipher: Box<Cipher>,
        /// For numbers: the same key with radix 2.
        binary: Box<Cipher>,
    },
    Tokens(Arc<Tokenizer>),
    Siv(Siv),
    Hash(Hasher),
    Mask,
    Shift(Shifter),
    Bucket(Bucketing),
}

impl Transform {
    /// The transform of `rule` under `key`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] when the rule's domain is under the floor;
    /// [`crate::ErrorKind::KeyNotUsable`] when the key is for another use.
    pub(super) fn try_new(rule: &Rule, key: KeyHandle) -> Result<Self> {
        let fingerprint = fingerprint(rule);
        let context = subkey_context(rule);
        let subkey = |purpose, length| key.subkey(purpose, &rule.domain, &context, length);
        let work = match rule.treatment {
            Treatment::Encrypt | Treatment::EncryptLegacy => Self::ciphers(rule, &key, &context)?,
            Treatment::Siv => Work::Siv(Siv::new(subkey(Purpose::Siv, siv::KEY_LENGTH)?)),
            Treatment::Hash => Work::Hash(Hasher::new(&subkey(Purpose::Hash, hash::KEY_LENGTH)?, rule.bits)?),
            Treatment::Mask => Work::Mask,
            Treatment::Shift => {
                let key = subkey(Purpose::Shift, shift::KEY_LENGTH)?;
                Work::Shift(Shifter::new(&key, rule.days, counts_of(&rule.format))?)
            }
            Treatment::Bucket => {
                let ranked = match &rule.format {
                    Format::Ranked(format) => Some(format.as_ref()),
                    Format::String(_) | Format::Mixed(_) => None,
                };
                let bucket = rule
                    .bucket
                    .as_ref()
                    .ok_or_else(|| Error::bug("a rule with no bucket"))?;
                Work::Bucket(Bucketing::new(bucket, ranked)?)
            }
            Treatment::Drop => {
                return Err(Error::bad_policy("it drops its columns")
                    .with_hint("leave the column out of the query; `protect` of a table leaves it out"));
            }
            Treatment::Tokenize => return Err(Error::bug("tokens have a store")),
        };
        Self::assemble(rule, key, fingerprint, work)
    }

    fn ciphers(rule: &Rule, key: &KeyHandle, context: &[u8; 32]) -> Result<Work> {
        let floor = check_floor(rule)?;
        let legacy = rule.treatment == Treatment::EncryptLegacy;
        let (purpose, mode) = match legacy {
            false => (Purpose::Ff1, DirectMode::Ff1),
            true => (Purpose::Ff31Legacy, DirectMode::Ff31Legacy),
        };
        let bytes = match key.key_use() {
            KeyUse::Derive => key.subkey(purpose, &rule.domain, context, 32)?,
            KeyUse::Direct { .. } => key.direct_key(mode)?,
        };
        let aes = AesKey::try_new(bytes.expose())?;
        let radix = match &rule.format {
            Format::String(format) => format.radix(),
            Format::Ranked(_) | Format::Mixed(_) if legacy => {
                return Err(
                    Error::bad_policy("treatment = \"encrypt-legacy\" takes formats over one alphabet")
                        .with_hint("digits, alphanumeric, alphabet, hex, pan and email are such"),
                );
            }
            Format::Ranked(_) | Format::Mixed(_) => 2,
        };
        let cipher = |radix: u32| {
            let radix = Radix::try_new(radix)?;
            let cipher = match legacy {
                false => Cipher::ff1(&aes, radix),
                true => Cipher::ff3_1_legacy(&aes, radix),
            };
            Ok::<_, Error>(Box::new(cipher.with_floor(floor.clone())))
        };
        Ok(Work::Cipher {
            cipher: cipher(radix)?,
            // FF1's first block says which radix it is for, so one key may serve both.
            binary: cipher(2)?,
        })
    }

    /// The transform of a `rule` that tokenizes. `key` seals new values.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub(super) fn tokens(rule: &Rule, key: KeyHandle, tokenizer: Tokenizer) -> Result<Self> {
        Self::assemble(rule, key, fingerprint(rule), Work::Tokens(Arc::new(tokenizer)))
    }

    fn assemble(rule: &Rule, key: KeyHandle, fingerprint: [u8; 32], work: Work) -> Result<Self> {
        if rule.version_character {
            version::character(key.version())?;
        }
        key.check_map(&rule.domain, &fingerprint, &rule.tweak.to_string())?;
        let check_value = key.check_value(&rule.domain, &fingerprint, &rule.tweak.to_string())?;
        Ok(Self {
            rule: rule.clone(),
            work,
            key,
            fingerprint,
            check_value,
            masked: false,
            others: Vec::new(),
        })
    }

    /// The cipher; a rule that tokenizes has none.
    pub(super) fn cipher(&self) -> Result<&Cipher> {
        match &self.work {
            Work::Cipher { cipher, .. } => Ok(cipher),
            _ => Err(no_cipher()),
        }
    }

    /// The cipher for numbers.
    pub(super) fn binary(&self) -> Result<&Cipher> {
        match &self.work {
            Work::Cipher { binary, .. } => Ok(binary),
            _ => Err(no_cipher()),
        }
    }

    /// What mints and reveals the tokens of a rule that tokenizes.
    pub fn tokenizer(&self) -> Option<&Tokenizer> {
        match &self.work {
            Work::Tokens(tokenizer) => Some(tokenizer),
            _ => None,
        }
    }

    /// The same, but what it reveals is masked.
    pub(super) fn masked(mut self) -> Self {
        self.masked = true;
        self.others = self.others.into_iter().map(Self::masked).collect();
        self
    }

    /// The same, and what says itself that another version of the key made it is revealed by one of `others`.
    pub(super) fn with_others(mut self, others: Vec<Self>) -> Self {
        self.others = others;
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

    /// What is due: with its key, and with the tokens it has minted.
    pub fn due(&self) -> impl Iterator<Item = String> {
        let tokens = self.tokenizer().and_then(Tokenizer::due);
        self.key.due().map(str::to_owned).into_iter().chain(tokens)
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

    /// What a partner must know of the rule, beside its key, to protect and reveal as it does.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] for a treatment that partners do not exchange keys of.
    #[cfg(feature = "exchange")]
    pub fn exchanged_map(&self) -> Result<ExchangedMap> {
        if self.rule.treatment != Treatment::Encrypt {
            return Err(Error::bad_policy(format!(
                "rule `{}` has treatment = \"{}\": partners exchange keys of rules that encrypt",
                self.rule.name, self.rule.treatment
            )));
        }
        Ok(ExchangedMap {
            domain: self.rule.domain.clone(),
            fingerprint: hex::encode(self.fingerprint),
            format: self.rule.format.definition(),
            tweak: self.rule.tweak.to_string(),
            check: hex::encode(self.check_value),
        })
    }

    /// The same, but the tweak is what the caller gives with each row.
    pub fn with_tweak_argument(&self) -> Self {
        let mut transform = self.clone();
        transform.rule.tweak = Tweak::Column("the tweak argument".to_owned());
        transform.others = self.others.iter().map(Self::with_tweak_argument).collect();
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
        counts_of(&self.rule.format)
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
    Error::bug("a treatment without a cipher")
}

fn counts_of(format: &Format) -> Option<Counts> {
    match format {
        Format::Ranked(format) => format.counts(),
        Format::String(_) | Format::Mixed(_) => None,
    }
}

/// The floor this rule works under; an error when its usual value is already below it.
fn check_floor(rule: &Rule) -> Result<DomainFloor> {
    let domain = rule.possible_values();
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
                rule.format.described(),
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
