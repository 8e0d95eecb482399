//! Rules made ready for one key version.

use std::fmt;
use std::sync::Arc;

use super::batch::{BytesBatch, OrdinalBatch, Outcome, TextBatch, Texts, Values};
use super::bucket::Bucketing;
#[cfg(feature = "columns")]
use super::fingerprint::first_band_fingerprint;
use super::fingerprint::{fingerprint, subkey_context};
use super::fpe::{AsciiRows, AsciiScratch, Fpe};
use super::hash::{self, Hasher};
use super::mask::Masker;
use super::rows::{Unfit, handle_unfit};
use super::shift::{self, Shifter};
use super::siv::{self, Siv};
use super::treatment::Treatment;
use super::wrap::{Masked, Misfits, Versioned};
use crate::cipher::{Direction, Tweaks};
use crate::error::Detail;
use crate::formats::{FormatError, OrdinalRange, RowError};
#[cfg(feature = "exchange")]
use crate::keys::ExchangedMap;
use crate::keys::{KeyHandle, KeyUse, Purpose};
use crate::policy::{FF3_1_TWEAK, OnInvalid, OnShort, Rule, Treatment as TreatmentName, Tweak};
use crate::tokens::Tokenizer;
use crate::{Error, Result};

/// A rule made ready for one key version. Cheap to clone.
#[derive(Clone)]
pub struct Transform {
    rule: Rule,
    treatment: Arc<dyn Treatment>,
    key: KeyHandle,
    fingerprint: [u8; 32],
    check_value: [u8; 16],
    is_masked: bool,
}

impl Transform {
    /// Makes `rule` ready under `key`. To reveal under a rule with `version_character`, `others` are the other
    /// versions.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] when the rule's domain is under the floor;
    /// [`crate::ErrorKind::KeyNotUsable`] when the key is for another use.
    pub(super) fn try_new(rule: &Rule, key: KeyHandle, others: Vec<KeyHandle>) -> Result<Self> {
        // The usual case: one version, and nothing around the treatment.
        if !rule.version_character {
            let treatment = prepare(rule, &key)?;
            return Self::assemble(rule, key, treatment);
        }
        // A version that cannot be had was left out before, so each of these has its key.
        let versioned = |key: KeyHandle| -> Result<Versioned> {
            let treatment = prepare(rule, &key)?;
            Versioned::try_new(key, treatment)
        };
        let current = versioned(key.clone())?;
        let others: Vec<Versioned> = others.into_iter().map(versioned).collect::<Result<_>>()?;
        Self::assemble(rule, key, Arc::new(current.with_others(others)))
    }

    /// Makes a `rule` ready that tokenizes. `key` seals new values.
    ///
    /// # Errors
    /// Those of [`try_new`](Self::try_new).
    pub(super) fn with_tokenizer(rule: &Rule, key: KeyHandle, tokenizer: Tokenizer) -> Result<Self> {
        Self::assemble(rule, key, Arc::new(super::tokenize::Tokens(tokenizer)))
    }

    fn assemble(rule: &Rule, key: KeyHandle, treatment: Arc<dyn Treatment>) -> Result<Self> {
        let fingerprint = fingerprint(rule);
        // A key that came from a partner is bound to one map: another rule under it would be refused here.
        key.check_map(&rule.domain, &fingerprint, &rule.tweak.to_string())?;
        let check_value = key.check_value(&rule.domain, &fingerprint, &rule.tweak.to_string())?;
        Ok(Self {
            rule: rule.clone(),
            treatment,
            key,
            fingerprint,
            check_value,
            is_masked: false,
        })
    }

    /// Masks what this transform reveals.
    pub(super) fn masked(self) -> Self {
        Self {
            treatment: Arc::new(Masked(self.treatment)),
            is_masked: true,
            ..self
        }
    }

    /// Takes the tweak that the caller gives with each row in place of the rule's own.
    ///
    /// # Errors
    /// [`crate::ErrorKind::KeyNotUsable`] for a key that came from a partner for another tweak.
    // A copy, as the original may be in use under its own tweak. Fingerprint and check value stay those of the
    // rule.
    pub fn with_tweak_argument(&self) -> Result<Self> {
        let mut transform = self.clone();
        transform.rule.tweak = Tweak::Column("the tweak argument".to_owned());
        // A map whose tweaks come from a column is for whatever the column has.
        if !matches!(self.rule.tweak, Tweak::Column(_)) {
            let definition = transform.rule.tweak.to_string();
            self.key.check_map(&self.rule.domain, &self.fingerprint, &definition)?;
        }
        Ok(transform)
    }

    /// Handles values that do not fit as `on_invalid` says, in place of the rule's own setting.
    pub(crate) fn handling_misfits(&self, on_invalid: OnInvalid) -> Self {
        let mut transform = self.clone();
        transform.rule.on_invalid = on_invalid;
        transform
    }

    /// Takes `mark` for the first character of values that did not fit.
    #[cfg(feature = "columns")]
    #[must_use]
    pub(crate) fn with_wrap_mark(mut self, mark: char) -> Self {
        self.rule.wrap_mark = mark;
        self
    }

    /// Protects or reveals rows of text, appending one result a row to `out`.
    ///
    /// # Errors
    /// The first row that does not fit, if the rule says so; a treatment that cannot be undone; a rule that tokenizes
    /// (see [`token_texts`](Self::token_texts)).
    pub fn texts(&self, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        self.check_direction(batch.direction)?;
        // Before the treatment, since the cipher's own error could not name a row. Rows without a value need no
        // tweak.
        if let (true, Some(tweaks)) = (self.rule.takes_tweaks_of_56_bits(), batch.tweaks) {
            for (row, value) in batch.rows.iter().enumerate() {
                let found = tweaks.get(row).len();
                if value.is_some_and(|value| !value.is_empty()) && found != FF3_1_TWEAK {
                    let takes = FF3_1_TWEAK;
                    let cause = FormatError::TweakLength { found, takes };
                    return Err(RowError::Row { row, cause });
                }
            }
        }
        self.treatment.texts(&self.rule, batch, out)
    }

    /// Protects or reveals rows of numbers, dates or times. `None` in the result is NULL, as is every value masked.
    ///
    /// # Errors
    /// The first row that does not fit, if the rule says so; our bug unless [`takes_ordinals`](Self::takes_ordinals).
    pub fn ordinals(&self, batch: OrdinalBatch<'_>) -> Result<Values<i128>, RowError> {
        self.check_direction(batch.direction)?;
        self.treatment.ordinals(&self.rule, batch)
    }

    /// Protects or reveals rows of bytes.
    ///
    /// # Errors
    /// The first row that does not fit, if the rule says so; our bug unless [`takes_bytes`](Self::takes_bytes).
    pub fn bytes(&self, batch: BytesBatch<'_>) -> Result<Values<Vec<u8>>, RowError> {
        self.check_direction(batch.direction)?;
        self.treatment.bytes(&self.rule, batch)
    }

    /// Tells whether columns of numbers, dates and times can be treated.
    pub fn takes_ordinals(&self) -> bool {
        self.treatment.takes_ordinals()
    }

    /// Tells whether columns of bytes can be treated: no format is kept.
    pub fn takes_bytes(&self) -> bool {
        self.treatment.takes_bytes()
    }

    /// Tells whether columns of UUIDs in 16 bytes can be treated: their format is that of UUIDs in small letters.
    pub fn takes_uuids(&self) -> bool {
        let is_format = self.rule.format.definition().starts_with("uuid/1 case=lower ");
        is_format && self.rule.treatment == TreatmentName::Encrypt && !self.rule.version_character
    }

    /// The length of each result in bytes, if all have the same.
    pub fn result_length(&self) -> Option<usize> {
        self.treatment.result_length()
    }

    /// The range of the rule's format, if it is one of numbers, dates or times.
    pub fn ordinal_range(&self) -> Option<OrdinalRange> {
        self.rule.format.ordinal_range()
    }

    /// Tells whether [`ascii_rows`](Self::ascii_rows) can do most rows.
    pub fn has_ascii_rows(&self) -> bool {
        // None for masked and versioned treatments, so that no fast path goes around them.
        let fpe = self.treatment.fpe();
        fpe.is_some_and(|fpe| fpe.ascii_layout(&self.rule).is_some())
    }

    /// Encrypts or decrypts rows of `n` bytes each, all symbols, one after the other. Returns `false` if one of them is
    /// not like that, or the format does not just take all symbols: then `output` is of no use.
    ///
    /// # Errors
    /// Our bug.
    pub fn uniform_rows(
        &self,
        direction: Direction,
        (input, n): (&[u8], usize),
        tweaks: Option<Tweaks<'_>>,
        output: &mut [u8],
    ) -> Result<bool> {
        self.fpe()?
            .uniform_rows(&self.rule, direction, (input, n), tweaks, output)
    }

    /// Allocates what [`ascii_rows`](Self::ascii_rows) needs, for one direction.
    ///
    /// # Errors
    /// Our bug unless [`has_ascii_rows`](Self::has_ascii_rows).
    pub fn ascii_scratch(&self, direction: Direction) -> Result<AsciiScratch> {
        self.fpe()?.ascii_scratch(&self.rule, direction)
    }

    /// Encrypts or decrypts rows of ASCII text: `output`, which is as long as their buffer, gets the results in their
    /// places. Returns the rows that this cannot do, in order; bytes between rows are of no use then.
    ///
    /// # Errors
    /// A missing tweak column; our bug.
    pub fn ascii_rows(
        &self,
        direction: Direction,
        (rows, tweaks): (AsciiRows<'_>, Option<Tweaks<'_>>),
        scratch: &mut AsciiScratch,
        output: &mut [u8],
    ) -> Result<Vec<usize>, RowError> {
        self.fpe()?
            .ascii_rows(&self.rule, direction, (rows, tweaks), scratch, output)
    }

    /// The greatest rank that [`ranks`](Self::ranks) takes, which is that of the greatest
    /// [ordinal](Self::ordinal_range); `None` if this transform does not just encrypt ranks of up to 64 bits.
    pub fn last_rank(&self) -> Option<u64> {
        self.treatment.fpe()?.last_rank(&self.rule)
    }

    /// Encrypts or decrypts ranks in place: from 0, for the least ordinal, to [`last_rank`](Self::last_rank).
    ///
    /// # Errors
    /// A missing tweak column, or tweaks that do not suit the rows; our bug.
    pub fn ranks(&self, direction: Direction, ranks: &mut [u64], tweaks: Option<Tweaks<'_>>) -> Result<()> {
        self.fpe()?.ranks(&self.rule, direction, ranks, tweaks)
    }

    fn fpe(&self) -> Result<&Fpe> {
        let fpe = self.treatment.fpe();
        fpe.ok_or_else(|| Error::bug("a treatment without a cipher"))
    }

    /// Handles a row that does not fit as the rule says: `true` if it stays in the clear, `false` if it becomes NULL.
    ///
    /// # Errors
    /// That it does not fit, if the rule says so.
    pub fn keeps_unfit(&self, row: usize, cause: FormatError) -> Result<bool, RowError> {
        handle_unfit(&self.rule, row, cause).map(|unfit| unfit == Unfit::KeptClear)
    }

    /// Says in which column and row an error occurred; `number` gives the number that a row has for a person.
    // The only place that turns a row's error into a message: column, row and reason, and never the value.
    pub fn locate(&self, error: RowError, number: impl Fn(usize) -> u64, column: &str) -> Error {
        let rule = &self.rule;
        match error {
            RowError::Row { row, cause } => Error::bad_input(format!(
                "column `{column}`, row {}: {cause} (rule `{}`, format {})",
                number(row),
                rule.name,
                rule.format.version()
            ))
            .with_detail(Detail::Misfit(cause.reason()))
            .with_hint(remedy(&cause, rule)),
            RowError::Batch(error) => error.context(format_args!("column `{column}`, rule `{}`", rule.name)),
        }
    }

    /// The tokenizer of a rule that tokenizes.
    pub fn tokenizer(&self) -> Option<&Tokenizer> {
        self.treatment.tokenizer()
    }

    /// Tells whether what it reveals is masked, for a role that may see no more.
    pub fn is_masked(&self) -> bool {
        self.is_masked
    }

    /// The rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The data key's name, version number and version id; its bytes stay inside.
    pub fn key(&self) -> &KeyHandle {
        &self.key
    }

    /// Warnings about the key, and about the tokens that this transform has minted.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let tokens = self.tokenizer().and_then(Tokenizer::due);
        self.key.due().map(str::to_owned).into_iter().chain(tokens)
    }

    /// SHA-256 of all that defines the map, beside key, domain and tweak.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// The fingerprint that the rule had while its bands were of their first version; `None` for a rule without bands.
    #[cfg(feature = "columns")]
    pub(crate) fn first_band_fingerprint(&self) -> Option<[u8; 32]> {
        first_band_fingerprint(&self.rule)
    }

    /// Tells this key, rule and tweak definition from every other (SP 800-57 part 1 has key check values; ours is 128
    /// bits of KBKDF output, so it tells nothing about the key).
    pub fn check_value(&self) -> [u8; 16] {
        self.check_value
    }

    /// Describes the rule's map for a partner who is given its key, to protect and reveal alike.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] for a treatment that partners do not exchange keys of.
    #[cfg(feature = "exchange")]
    pub fn exchanged_map(&self) -> Result<ExchangedMap> {
        // A hash or a mask needs no partner, and tokens need the store.
        if self.rule.treatment != TreatmentName::Encrypt {
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

    /// The column whose plaintext is the tweak, if one is.
    pub fn tweak_column(&self) -> Option<&str> {
        match &self.rule.tweak {
            Tweak::Column(name) => Some(name),
            _ => None,
        }
    }

    /// Refuses to reveal results of a treatment that cannot be undone.
    fn check_direction(&self, direction: Direction) -> Result<()> {
        let treatment = self.rule.treatment;
        if direction == Direction::Encrypt || !treatment.is_one_way() {
            return Ok(());
        }
        Err(Error::bad_input(format!(
            "what treatment = \"{treatment}\" made cannot be revealed (rule `{}`)",
            self.rule.name
        ))
        .with_hint("use it as it is, or protect with encrypt, siv or tokenize what has to come back"))
    }
}

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The format's definition is public; the key prints its name and version only.
        f.debug_struct("Transform")
            .field("rule", &self.rule.name)
            .field("format", &self.rule.format.definition())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Makes the treatment of `rule` ready under `key`; one that tokenizes has a store instead.
fn prepare(rule: &Rule, key: &KeyHandle) -> Result<Arc<dyn Treatment>> {
    // Every treatment has a purpose of its own, so no two uses share key bytes.
    let context = subkey_context(rule);
    let subkey = |purpose, length| key.subkey(purpose, &rule.domain, &context, length);
    Ok(match rule.treatment {
        TreatmentName::Encrypt | TreatmentName::EncryptLegacy => {
            let fpe: Arc<dyn Treatment> = Arc::new(Fpe::try_new(rule, key, &context)?);
            // Also under a rule that has no place for misfits any more, since files may have some.
            if !has_misfits(rule, key) {
                return match rule.on_invalid {
                    OnInvalid::Siv => Err(Error::bad_policy(
                        "on_invalid = \"siv\" needs a key that others are derived from, and this one is for one cipher",
                    )
                    .with_hint("take another key, or another on_invalid")),
                    _ => Ok(fpe),
                };
            }
            let siv = Siv::new(subkey(Purpose::MisfitSiv, siv::KEY_LENGTH)?);
            Arc::new(Misfits::try_new(fpe, siv)?)
        }
        TreatmentName::Siv => Arc::new(Siv::new(subkey(Purpose::Siv, siv::KEY_LENGTH)?)),
        TreatmentName::Hash => Arc::new(Hasher::new(&subkey(Purpose::Hash, hash::KEY_LENGTH)?, rule.bits)?),
        TreatmentName::Mask => Arc::new(Masker),
        // The format's range bounds dates, and is no part of the subkey: see `subkey_context`.
        TreatmentName::Shift => {
            let key = subkey(Purpose::Shift, shift::KEY_LENGTH)?;
            Arc::new(Shifter::new(&key, rule.days, rule.format.ordinal_range())?)
        }
        TreatmentName::Bucket => {
            let bucket = rule.bucket.as_ref();
            let bucket = bucket.ok_or_else(|| Error::bug("a rule with no bucket"))?;
            Arc::new(Bucketing::new(bucket, rule.format.ranked())?)
        }
        TreatmentName::Drop => {
            return Err(Error::bad_policy("it drops its columns")
                .with_hint("leave the column out of the query; `protect` of a table leaves it out"));
        }
        TreatmentName::Tokenize => return Err(Error::bug("tokens have a store")),
    })
}

/// Can the rule have encrypted misfits as a whole?
///
/// A key that is shared with other software, or was made for a partner, is for the cipher alone.
fn has_misfits(rule: &Rule, key: &KeyHandle) -> bool {
    rule.treatment == TreatmentName::Encrypt && key.key_use() == KeyUse::Derive
}

/// Words the ways out for a value that does not fit: only settings that the rule could be given.
fn remedy(cause: &FormatError, rule: &Rule) -> String {
    let mut remedies: Vec<&str> = Vec::new();
    // For texts; what counts in a range mostly stands in columns that have no place for one.
    let takes_siv = rule.treatment == TreatmentName::Encrypt && rule.format.ordinal_range().is_none();
    let siv = takes_siv.then_some("encrypt such values as a whole with on_invalid = \"siv\"");
    match cause {
        FormatError::TweakLength { .. } => return "mend the tweak column".to_owned(),
        FormatError::UnderFloor { .. } | FormatError::SmallDomain { .. } => {
            // `banded` is tried, since only the format knows whether it has short values.
            let could_band = rule.treatment == TreatmentName::Encrypt && rule.on_short != OnShort::Band;
            if could_band && rule.format.banded().is_ok() {
                remedies.push("set on_short = \"band\" in the rule");
            }
            remedies.extend(siv);
            remedies.extend(["keep less of the value", "set on_invalid = \"null\""]);
            // A rule that has accepted the risk is under the lower floor already.
            if rule.insecure_small_domain.is_none() {
                remedies.push("accept the risk with insecure_small_domain = \"the reason\"");
            }
        }
        _ => {
            remedies.push("mend the value");
            remedies.extend(siv);
            remedies.push("set on_invalid = \"null\" in the rule");
            // As the policy has it.
            if rule.format.is_symmetric() && !rule.version_character {
                remedies.push("leave it in the clear with on_invalid = \"insecure-keep\"");
            }
        }
    }
    let last = remedies.pop().unwrap_or_default();
    format!("{}, or {last}", remedies.join(", "))
}
