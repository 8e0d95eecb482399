//! Settings of rules that tokenize.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::file::RuleFile;
use super::source::RuleSource;
use crate::Result;
use crate::formats::Format;
use crate::policy::rule::{Tokens, Treatment};
use crate::tokens::StoreUrl;

impl RuleFile {
    /// Checks the settings of a rule that tokenizes, and that no other rule has them. `default` is the store of the
    /// policy, `formats` those of all rules by name.
    pub(super) fn check_tokens(
        &mut self,
        default: Option<&Spanned<String>>,
        formats: &BTreeMap<String, Format>,
        source: &RuleSource<'_>,
    ) -> Result<Option<Tokens>> {
        if self.treatment != Treatment::Tokenize {
            return self.check_no_tokens(formats, source).map(|()| None);
        }
        // Refused and not ignored: who writes a tweak expects equal values to differ by it.
        if let Some(tweak) = &self.tweak {
            return Err(source.error(tweak.span(), "a token is random: it takes no tweak"));
        }
        // No default place: a store that is made where nobody expects it is in no backup.
        let url = self.tokens.as_ref().or(default).ok_or_else(|| {
            source
                .whole("it does not say where its tokens are kept")
                .with_hint("add a line tokens = \"sqlite:tokens.db\" to the rule, or to the top of the policy")
        })?;
        let folder = source.policy.path.parent().unwrap_or(Path::new(""));
        let store = StoreUrl::parse(url.get_ref(), folder).map_err(|error| source.place(url.span(), error))?;
        let ttl = self.check_ttl(source)?;
        let mut never_valid_as = Vec::new();
        if let Some(rules) = &self.never_valid_as {
            for other in rules.get_ref() {
                let Some(format) = formats.get(other) else {
                    return Err(source.error(rules.span(), format_args!("there is no rule `{other}`")));
                };
                never_valid_as.push(format.clone());
            }
        }
        Ok(Some(Tokens {
            store,
            per_occurrence: self.per_occurrence.take().is_some_and(Spanned::into_inner),
            ttl,
            never_valid_as,
            on_forgotten: self.on_forgotten.take().map(Spanned::into_inner).unwrap_or_default(),
        }))
    }

    /// Refuses settings of tokens in a rule with another treatment.
    fn check_no_tokens(&self, formats: &BTreeMap<String, Format>, source: &RuleSource<'_>) -> Result<()> {
        let spans = [
            self.tokens.as_ref().map(Spanned::span),
            self.per_occurrence.as_ref().map(Spanned::span),
            self.ttl.as_ref().map(Spanned::span),
            self.never_valid_as.as_ref().map(Spanned::span),
            self.on_forgotten.as_ref().map(Spanned::span),
        ];
        // A setting without effect would be taken for one that protects.
        if let Some(span) = spans.into_iter().flatten().next() {
            return Err(source.error(span, "this is for rules with treatment = \"tokenize\""));
        }
        let is_opaque = |format: &Format| format.version().starts_with("opaque/");
        // An opaque format has no alphabet, so there is nothing to encrypt within.
        if !self.treatment.takes_anything() && formats.get(source.name).is_some_and(is_opaque) {
            return Err(source
                .whole("format \"opaque\" is for treatments that keep no format: tokenize, siv, hash, mask, bucket"));
        }
        Ok(())
    }

    fn check_ttl(&self, source: &RuleSource<'_>) -> Result<Option<Duration>> {
        let Some(text) = &self.ttl else { return Ok(None) };
        match humantime::parse_duration(text.get_ref()) {
            // In whole seconds, as the store has its times.
            Ok(ttl) if ttl.as_secs() > 0 => Ok(Some(ttl)),
            _ => Err(source.error(text.span(), "a time to live is written like \"90 days\" or \"12h\"")),
        }
    }
}
