//! `on_invalid = "siv"`: values that do not fit their format are encrypted as a whole, and stand behind a mark.
//!
//! ```text
//! result = mark ‖ "1" ‖ base32(AES-SIV(key, ["cipherform misfit v1", tweak], value ‖ 0x80 ‖ 0x00…))
//! key    = the subkey "cipherform misfit siv subkey v1" of the rule
//! base32 = RFC 4648, lower case, no padding, the last bits zero
//! ```
//!
//! The value is padded to blocks of 16 bytes, so that its length shows in steps only. The first character decides on
//! both sides: a value that begins with the mark is treated so although the format takes it, and a result that begins
//! with it is never read as one of the format. So no two values have one result. AES-SIV (RFC 5297) is deterministic,
//! so that equal values stay equal.

use std::sync::Arc;

use data_encoding::{Encoding, Specification};

use crate::cipher::Direction;
use crate::formats::{FormatError, RowError};
use crate::policy::{OnInvalid, Rule};
use crate::tokens::Tokenizer;
use crate::transform::batch::{OrdinalBatch, Outcome, TextBatch, Texts, Values};
use crate::transform::fpe::Fpe;
use crate::transform::rows::GatheredTweaks;
use crate::transform::siv::{Siv, SivBatch};
use crate::transform::treatment::Treatment;
use crate::{Error, Result};

/// The version of the bytes behind the mark.
const VERSION: char = '1';

/// Associated data beside the tweak.
const PURPOSE: &[u8] = b"cipherform misfit v1";

/// Bytes of a block of the padded value.
const BLOCK: usize = 16;

/// A treatment, and what becomes of the values that do not fit it.
pub(in crate::transform) struct Misfits {
    inner: Arc<dyn Treatment>,
    siv: Siv,
    base32: Encoding,
}

impl Misfits {
    /// Adds a place for misfits to `inner`, under a key of their own.
    ///
    /// # Errors
    /// Our bug.
    pub(in crate::transform) fn try_new(inner: Arc<dyn Treatment>, siv: Siv) -> Result<Self> {
        let mut base32 = Specification::new();
        base32.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
        // Trailing bits are checked by default: a result spelt in another way is refused.
        let base32 = base32
            .encoding()
            .map_err(|error| Error::bug("an encoding that is none").with_source(error))?;
        Ok(Self { inner, siv, base32 })
    }

    fn protect(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        let start = out.len();
        let is_marked = |value: &Option<&str>| value.is_some_and(|value| value.starts_with(rule.wrap_mark));
        let mut outcome = if batch.rows.iter().any(is_marked) {
            // As NULL, so that the format neither encrypts nor refuses them.
            let rows: Vec<Option<&str>> = batch.rows.iter().map(|row| row.filter(|_| !is_marked(row))).collect();
            self.inner.texts(rule, TextBatch { rows: &rows, ..batch }, out)?
        } else {
            self.inner.texts(rule, batch, out)?
        };
        let mut misfits: Vec<usize> = out.take_misfits().into_iter().map(|(at, _)| at - start).collect();
        misfits.extend((0..batch.rows.len()).filter(|row| is_marked(&batch.rows[*row])));
        if misfits.is_empty() {
            return Ok(outcome);
        }
        misfits.sort_unstable();
        let tweaks = GatheredTweaks::for_rule(rule, batch.tweaks, misfits.iter().copied())?;
        let mut siv = self.siv.batch()?;
        let mut wrapped = Vec::with_capacity(misfits.len());
        for (at, row) in misfits.iter().enumerate() {
            let value = batch.rows[*row].unwrap_or_default();
            let sealed = siv.seal(&[PURPOSE, tweaks.get(at)], &padded(value.as_bytes()));
            let sealed = sealed.map_err(|cause| RowError::Row { row: *row, cause })?;
            let mut text = String::with_capacity(2 + self.base32.encode_len(sealed.len()));
            text.push(rule.wrap_mark);
            text.push(VERSION);
            self.base32.encode_append(&sealed, &mut text);
            wrapped.push((start + row, text));
        }
        outcome.wrapped += wrapped.len();
        out.replace(wrapped);
        Ok(outcome)
    }

    fn reveal(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        let mut opened = Vec::new();
        let mut siv = self.siv.batch()?;
        for (row, value) in batch.rows.iter().enumerate() {
            let Some(behind) = value.and_then(|value| value.strip_prefix(rule.wrap_mark)) else {
                continue;
            };
            let tweaks = GatheredTweaks::for_rule(rule, batch.tweaks, std::iter::once(row))?;
            match self.open(&mut siv, behind, tweaks.get(0)) {
                Some(text) => opened.push((row, text)),
                // Before the rule had a place for misfits, the format may have kept the mark as a separator.
                None if rule.on_invalid != OnInvalid::Siv => {}
                None => {
                    let cause = FormatError::Malformed(
                        "begins with the mark of values that did not fit, but was not protected under this rule and \
                         key, or was changed since (AES-SIV)",
                    );
                    return Err(RowError::Row { row, cause });
                }
            }
        }
        let start = out.len();
        let mut outcome = if opened.is_empty() {
            self.inner.texts(rule, batch, out)?
        } else {
            let mut rows = batch.rows.to_vec();
            for (row, _) in &opened {
                rows[*row] = None;
            }
            self.inner.texts(rule, TextBatch { rows: &rows, ..batch }, out)?
        };
        // On this side nothing is wrapped: what neither opens nor fits is an error.
        if let Some((at, cause)) = out.take_misfits().into_iter().next() {
            return Err(RowError::Row { row: at - start, cause });
        }
        outcome.wrapped += opened.len();
        out.replace(opened.into_iter().map(|(row, text)| (start + row, text)).collect());
        Ok(outcome)
    }

    /// The value of what stands behind the mark, if that is what [`protect`](Self::protect) made.
    fn open(&self, siv: &mut SivBatch, behind: &str, tweak: &[u8]) -> Option<String> {
        let sealed = self.base32.decode(behind.strip_prefix(VERSION)?.as_bytes()).ok()?;
        let mut value = siv.open(&[PURPOSE, tweak], &sealed).ok()?;
        // What authenticates was padded by us; the rest is for an error of ours.
        let end = value.iter().rposition(|byte| *byte != 0)?;
        if value[end] != 0x80 {
            return None;
        }
        value.truncate(end);
        String::from_utf8(value).ok()
    }
}

/// `value` with 0x80 and zeros up to a whole number of blocks.
fn padded(value: &[u8]) -> Vec<u8> {
    let mut padded = value.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(BLOCK), 0);
    padded
}

impl Treatment for Misfits {
    fn texts(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        match batch.direction {
            Direction::Encrypt if rule.on_invalid == OnInvalid::Siv => self.protect(rule, batch, out),
            Direction::Encrypt => self.inner.texts(rule, batch, out),
            Direction::Decrypt => self.reveal(rule, batch, out),
        }
    }

    // A column of numbers has no place for a text.
    fn ordinals(&self, rule: &Rule, batch: OrdinalBatch<'_>) -> Result<Values<i128>, RowError> {
        self.inner.ordinals(rule, batch)
    }

    fn takes_ordinals(&self) -> bool {
        self.inner.takes_ordinals()
    }

    fn result_length(&self) -> Option<usize> {
        None
    }

    // The fast ways leave rows that begin with the mark to `texts`.
    fn fpe(&self) -> Option<&Fpe> {
        self.inner.fpe()
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        self.inner.tokenizer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;
    use crate::policy::{Policy, Tweak};
    use crate::transform::mask::Masker;

    /// The bytes are part of the format. The answers are from OpenSSL's AES-SIV and Python's base32.
    #[test]
    fn results_are_known() {
        let policy =
            "version = 1\nkeyring = \"k\"\n[rules.r]\nformat = \"digits\"\nkey = \"pii\"\non_invalid = \"siv\"\n";
        let policy = Policy::parse(policy, "p.toml".as_ref()).unwrap();
        let mut rule = policy.rule("r").unwrap().clone();
        let key = Secret::new((0..64).collect::<Vec<u8>>());
        // What it is around has no part in values that begin with the mark, as these two do once `~` is before them.
        let misfits = Misfits::try_new(Arc::new(Masker), Siv::new(key)).unwrap();
        for (value, tweak, expected) in [
            ("~n/a", Tweak::Kept, KNOWN[0]),
            ("~a value of 16 byt", Tweak::Fixed(vec![0x00, 0xff]), KNOWN[1]),
        ] {
            rule.tweak = tweak;
            let mut out = Texts::default();
            let rows = [Some(value)];
            misfits
                .texts(&rule, TextBatch::new(Direction::Encrypt, &rows), &mut out)
                .unwrap();
            assert_eq!(out.iter().next().flatten(), Some(expected));
            let rows = [Some(expected)];
            let mut back = Texts::default();
            misfits
                .texts(&rule, TextBatch::new(Direction::Decrypt, &rows), &mut back)
                .unwrap();
            assert_eq!(back.iter().next().flatten(), Some(value));
        }
    }

    const KNOWN: [&str; 2] = [
        "~1rvn6trz6zndnfva7ym7jclil7pevgni67qevby6lsesuve7fwpra",
        "~1wdxqnxiogq7xpln6dwxkxpprcrtd57aeqtenidngu4p4zf3pddeyotggqgp2mz2vrcwads3tamam2",
    ];
}
