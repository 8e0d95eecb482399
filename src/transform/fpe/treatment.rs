//! The treatment of values by format-preserving encryption.

use super::cipher::Fpe;
use crate::formats::{Format, RowError};
use crate::policy::Rule;
use crate::transform::batch::{OrdinalBatch, Outcome, TextBatch, Texts, Values};
use crate::transform::treatment::Treatment;

impl Fpe {
    /// Treats values that belong to no band.
    pub(super) fn without_bands(
        &self,
        rule: &Rule,
        batch: TextBatch<'_>,
        out: &mut Texts,
    ) -> Result<Outcome, RowError> {
        match &rule.format {
            Format::String(format) => self.strings(rule, format.as_ref(), batch, out),
            Format::Ranked(format) => self.ranked_texts(rule, format.as_ref(), batch, out),
            Format::Segmented(format) => self.segmented_texts(rule, format.as_ref(), batch, out),
        }
    }
}

impl Treatment for Fpe {
    fn texts(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        self.with_bands(rule, batch, out)
    }

    fn ordinals(&self, rule: &Rule, batch: OrdinalBatch<'_>) -> Result<Values<i128>, RowError> {
        self.ranked_ordinals(rule, batch)
    }

    fn takes_ordinals(&self) -> bool {
        true
    }

    fn fpe(&self) -> Option<&Fpe> {
        Some(self)
    }
}
