//! The tables `[rules.NAME]`.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::file::{RuleFile, parse_format, parse_tweak};
use super::source::{PolicySource, RuleSource};
use super::treatment::TreatmentSettings;
use crate::Result;
use crate::formats::Format;
use crate::policy::rule::{FF3_1_TWEAK, OnInvalid, OnShort, Rule, Treatment, Tweak};

/// The first character of values that did not fit, unless a rule names another one.
const WRAP_MARK: char = '~';

impl RuleFile {
    /// Checks a rule; `tokens` is the store of the policy, `formats` the formats of all rules by name.
    pub(super) fn check(
        mut self,
        name: String,
        tokens: Option<&Spanned<String>>,
        formats: &BTreeMap<String, Format>,
        policy: &PolicySource<'_>,
    ) -> Result<Rule> {
        let (format, span) = self.take_format(&name, policy)?;
        let source = RuleSource {
            policy,
            name: &name,
            span,
        };
        let source = &source;
        // Settings of other treatments first: a message about the format would hide that the treatment is
        // the wrong one.
        let tokens = self.check_tokens(tokens, formats, source)?;
        let settings = self.check_treatment(source)?;
        let format = parse_format(format).map_err(|error| source.place(source.span.clone(), error))?;
        let format = self.check_band(format, source)?;
        let key = self.key.get_ref().parse();
        let key = key.map_err(|error| source.place(self.key.span(), error))?;
        let domain = match self.domain.take() {
            // Only an error of somebody who meant something else: the derivation would take it.
            Some(domain) if domain.get_ref().is_empty() => {
                return Err(source.error(domain.span(), "the domain is empty"));
            }
            Some(domain) => domain.into_inner(),
            // Renaming a rule without a line `domain` would change its subkeys; the check value then
            // refuses old files.
            None => name.clone(),
        };
        let tweak = self.check_tweak(settings.entity.as_deref(), source)?;
        self.check_reasons(source)?;
        self.check_version_character(source)?;
        if self.on_invalid == OnInvalid::InsecureKeep && !format.is_symmetric() {
            return Err(source.whole(
                "on_invalid = \"insecure-keep\" does not go with this format: its protected values are values that do \
                 not fit, so reveal could not tell them from those left in the clear",
            ));
        }
        let wrap_mark = self.check_misfits(&format, source)?;
        let TreatmentSettings { bucket, days, bits, .. } = settings;
        Ok(Rule {
            treatment: self.treatment,
            format,
            key,
            domain,
            tweak,
            version_character: self.version_character.is_some_and(Spanned::into_inner),
            mask: self.mask.unwrap_or_default(),
            on_invalid: self.on_invalid,
            wrap_mark,
            on_empty: self.on_empty,
            on_short: self.on_short.map(Spanned::into_inner).unwrap_or_default(),
            insecure_small_domain: self.insecure_small_domain.map(Spanned::into_inner),
            insecure_legacy: self.insecure_legacy.map(Spanned::into_inner),
            tokens,
            bucket,
            days,
            bits,
            name,
        })
    }

    /// Takes the format and its place; treatments that take anything need none.
    fn take_format(&mut self, name: &str, source: &PolicySource<'_>) -> Result<(toml::Value, Range<usize>)> {
        match self.format.take() {
            Some(format) => {
                let span = format.span();
                Ok((format.into_inner(), span))
            }
            None if self.treatment.takes_anything() => Ok((toml::Value::from("opaque"), self.key.span())),
            None => Err(source
                .error(self.key.span(), format!("rule `{name}` names no format"))
                .with_hint("add a line like format = \"digits\"")),
        }
    }

    /// Gives the format a band for short values, if the rule says so.
    fn check_band(&self, format: Format, source: &RuleSource<'_>) -> Result<Format> {
        match &self.on_short {
            Some(on_short) if *on_short.get_ref() == OnShort::Band => {
                if self.treatment != Treatment::Encrypt {
                    let message = "on_short = \"band\" is for rules with treatment = \"encrypt\"";
                    return Err(source.error(on_short.span(), message));
                }
                // The band becomes part of the format, and so of its fingerprint: with and without it are
                // two maps.
                format.banded().map_err(|error| source.place(on_short.span(), error))
            }
            _ => Ok(format),
        }
    }

    /// Checks the setting for values that do not fit, and returns the mark of those that are encrypted as a whole.
    fn check_misfits(&self, format: &Format, source: &RuleSource<'_>) -> Result<char> {
        let mark = self.wrap_mark.as_ref().map_or(WRAP_MARK, |mark| *mark.get_ref());
        if self.on_invalid != OnInvalid::Siv {
            return match &self.wrap_mark {
                Some(at) => Err(source.error(at.span(), "wrap_mark is for rules with on_invalid = \"siv\"")),
                None => Ok(mark),
            };
        }
        if self.treatment != Treatment::Encrypt {
            return Err(source.whole("on_invalid = \"siv\" is for rules with treatment = \"encrypt\""));
        }
        if !mark.is_ascii_punctuation() {
            return Err(source.whole("wrap_mark is one ASCII character that is no letter, digit or blank"));
        }
        // Else a protected value of the format could be taken for one that did not fit.
        if format.writes_first(mark) {
            return Err(source
                .whole(format!(
                    "protected values of its format may begin with `{mark}`, the mark of those that did not fit"
                ))
                .with_hint("choose another mark, which the format cannot write: wrap_mark = \"!\""));
        }
        Ok(mark)
    }

    /// Checks the tweak; `entity` is the column that a shift goes by.
    fn check_tweak(&self, entity: Option<&str>, source: &RuleSource<'_>) -> Result<Tweak> {
        let tweak = match (&self.tweak, entity) {
            // The entity takes the place of the tweak: it is the column that the number of days depends
            // on.
            (_, Some(entity)) => Tweak::Column(entity.to_owned()),
            // The parts kept clear go in, so that equal rests behind other prefixes do not look equal.
            (None, None) if self.treatment == Treatment::Encrypt => Tweak::Kept,
            (None, None) => Tweak::None,
            (Some(tweak), None) => {
                parse_tweak(tweak.get_ref()).map_err(|message| source.error(tweak.span(), message))?
            }
        };
        if self.treatment != Treatment::EncryptLegacy {
            return Ok(tweak);
        }
        match &tweak {
            // Of a column the length is known row by row only, and checked there.
            Tweak::Column(_) => Ok(tweak),
            // Exactly 56 bits: FF3 took 64, and the attack of Durak and Vaudenay (2017) used the freedom
            // in them.
            Tweak::Fixed(bytes) if bytes.len() == FF3_1_TWEAK => Ok(tweak),
            _ => Err(source.whole("FF3-1 takes a tweak of 56 bits").with_hint(
                "add tweak = { hex = \"…\" } with 14 hexadecimal digits, or tweak = { column = \"…\" } with 7 bytes \
                 a row",
            )),
        }
    }

    /// Checks that settings which accept a risk come with a reason.
    fn check_reasons(&self, source: &RuleSource<'_>) -> Result<()> {
        // A reason that is empty would make the setting a mere switch, and nobody could tell later why it
        // was set.
        if let Some(reason) = &self.insecure_small_domain
            && reason.get_ref().trim().is_empty()
        {
            let message = "insecure_small_domain takes the reason why so few values are accepted";
            return Err(source.error(reason.span(), message));
        }
        if let Some(reason) = &self.insecure_legacy {
            if self.treatment != Treatment::EncryptLegacy {
                let message = "insecure_legacy is for rules with treatment = \"encrypt-legacy\"";
                return Err(source.error(reason.span(), message));
            }
            if reason.get_ref().trim().is_empty() {
                let message = "insecure_legacy takes the reason why FF3-1 is still used to protect";
                return Err(source.error(reason.span(), message));
            }
        }
        Ok(())
    }

    fn check_version_character(&self, source: &RuleSource<'_>) -> Result<()> {
        let Some(at) = self.version_character.as_ref().filter(|at| *at.get_ref()) else {
            return Ok(());
        };
        // A hash, a mask or a bucket is never revealed, and tokens name their key version in the store.
        let is_cipher = matches!(
            self.treatment,
            Treatment::Encrypt | Treatment::EncryptLegacy | Treatment::Siv
        );
        if !is_cipher {
            let message = "version_character is for rules with treatment = \"encrypt\", \"encrypt-legacy\" or \"siv\"";
            return Err(source.error(at.span(), message));
        }
        if self.on_invalid == OnInvalid::InsecureKeep {
            let message = "version_character does not go with on_invalid = \"insecure-keep\": what was left in the \
                clear \
                           has no such character";
            return Err(source.error(at.span(), message));
        }
        Ok(())
    }
}

/// Refuses a rule that uses something that NIST has not approved.
pub(super) fn check_approved(rule: &Rule, at: Range<usize>, source: &PolicySource<'_>) -> Result<()> {
    let what = match rule.treatment {
        Treatment::Siv => "AES-SIV (RFC 5297)",
        Treatment::EncryptLegacy => "FF3-1, which has been withdrawn",
        Treatment::Shift => "treatment = \"shift\", which is no encryption",
        _ if rule.on_invalid == OnInvalid::Siv => "AES-SIV (RFC 5297), which on_invalid = \"siv\" uses",
        // SP 800-38G asks for a domain of at least 100 values, its drafts for a million.
        _ if rule.insecure_small_domain.is_some() => "a domain under the floor (insecure_small_domain)",
        _ => return Ok(()),
    };
    Err(source
        .error(
            at,
            format!(
                "rule `{}`: approved_only = true, and NIST has not approved {what}",
                rule.name
            ),
        )
        .with_hint("use encrypt, tokenize or hash, or take the line approved_only out"))
}
