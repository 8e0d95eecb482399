//! Settings that only rules of one treatment have.

use std::ops::Range;

use toml::Spanned;

use super::file::{BucketFile, RuleFile};
use super::source::RuleSource;
use crate::Result;
use crate::policy::rule::{Bucket, Treatment};

/// Settings that only one treatment has.
pub(super) struct TreatmentSettings {
    pub(super) bucket: Option<Bucket>,
    pub(super) entity: Option<String>,
    pub(super) days: u32,
    pub(super) bits: u16,
}

impl Default for TreatmentSettings {
    fn default() -> Self {
        Self {
            bucket: None,
            entity: None,
            days: 365,
            bits: 256,
        }
    }
}

impl RuleFile {
    /// Checks the settings that only one treatment has, and that no other rule has them.
    pub(super) fn check_treatment(&mut self, source: &RuleSource<'_>) -> Result<TreatmentSettings> {
        let treatment = self.treatment;
        // A setting without effect would be taken for one that works.
        let only = |span: Option<Range<usize>>, whose: Treatment, key: &str| match span {
            Some(span) if treatment != whose => {
                Err(source.error(span, format_args!("{key} is for rules with treatment = \"{whose}\"")))
            }
            _ => Ok(()),
        };
        only(self.bucket.as_ref().map(Spanned::span), Treatment::Bucket, "bucket")?;
        only(self.entity.as_ref().map(Spanned::span), Treatment::Shift, "entity")?;
        only(self.days.as_ref().map(Spanned::span), Treatment::Shift, "days")?;
        only(self.bits.as_ref().map(Spanned::span), Treatment::Hash, "bits")?;
        let mut settings = TreatmentSettings::default();
        match treatment {
            Treatment::Bucket => settings.bucket = Some(self.check_bucket(source)?),
            Treatment::Shift => self.check_shift(&mut settings, source)?,
            Treatment::Hash => self.check_hash(&mut settings, source)?,
            _ => {}
        }
        Ok(settings)
    }

    fn check_bucket(&mut self, source: &RuleSource<'_>) -> Result<Bucket> {
        let bucket = self.bucket.take().ok_or_else(|| {
            source
                .whole("it does not say what a bucket is")
                .with_hint("add bucket = { width = 10 }, { edges = [0, 18, 65] }, { to = \"month\" } or { prefix = 3 }")
        })?;
        let at = bucket.span();
        Ok(match bucket.into_inner() {
            // A width of 0 would be a division by zero, and a prefix of 0 makes all values equal.
            BucketFile::Prefix(0) | BucketFile::Width(0) => return Err(source.error(at, "a bucket of nothing")),
            BucketFile::Prefix(length) => Bucket::Prefix(length),
            BucketFile::Width(width) => Bucket::Width(width),
            BucketFile::To(period) => Bucket::To(period),
            BucketFile::Edges(edges) if edges.is_empty() => return Err(source.error(at, "a bucket of nothing")),
            BucketFile::Edges(edges) => Bucket::Edges(edges.into_iter().map(plain_text).collect()),
        })
    }

    fn check_shift(&mut self, settings: &mut TreatmentSettings, source: &RuleSource<'_>) -> Result<()> {
        let entity = self.entity.take().ok_or_else(|| {
            source.whole("it does not say whose dates move together").with_hint(
                "add entity = \"patient_id\", a column that stays with the data: without it nothing can be revealed",
            )
        })?;
        if let Some(tweak) = &self.tweak {
            return Err(source.error(tweak.span(), "the entity is what a shift goes by: it takes no tweak"));
        }
        settings.entity = Some(entity.into_inner());
        if let Some(days) = &self.days {
            if !(1..=36_500).contains(days.get_ref()) {
                return Err(source.error(days.span(), "days is 1 to 36500"));
            }
            settings.days = *days.get_ref();
        }
        Ok(())
    }

    fn check_hash(&self, settings: &mut TreatmentSettings, source: &RuleSource<'_>) -> Result<()> {
        if let Some(bits) = &self.bits {
            // With 128 bits, two of 10^12 values are equal with a probability of about 10^-15.
            if !(128..=256).contains(bits.get_ref()) || bits.get_ref() % 8 != 0 {
                return Err(source.error(
                    bits.span(),
                    "bits is 128 to 256, in whole bytes: shorter hashes of different values are soon equal",
                ));
            }
            settings.bits = *bits.get_ref();
        }
        Ok(())
    }
}

/// Spells a value as a format would write it.
fn plain_text(value: toml::Value) -> String {
    match value {
        toml::Value::String(text) => text,
        other => other.to_string(),
    }
}
