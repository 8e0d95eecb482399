//! Policies, read and checked.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};
use toml::Spanned;

use super::file::{PolicyFile, RuleFile, parse_format};
use super::roles::{check_roles, no_such_rule};
use super::rule::check_approved;
use super::source::PolicySource;
use crate::formats::Format;
use crate::keys::Trust;
use crate::policy::column_line::{ColumnLine, ColumnTarget};
use crate::policy::policy::Policy;
use crate::policy::rule::Rule;
use crate::{Error, Hint, Remedy, Result};

/// Words of `[columns]` in place of a rule's name: the column stays as it is, or is left out.
const KEEP: &str = "keep";
const DROP: &str = "drop";

impl Policy {
    /// Reads the policy at `path`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] with file, line and column; [`crate::ErrorKind::Io`] when it cannot be read.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let error = Error::io(format!("cannot read the policy `{}`", path.display()), error);
            if missing {
                let hint = Hint::from(Remedy::NamePolicy).then(", here or in CIPHERFORM_POLICY, or ");
                error.with_hint(hint.then(Remedy::Initialize))
            } else {
                error
            }
        })?;
        Self::parse(&text, path)
    }

    /// Reads the policy in `text`; `path` is for messages, and what relative paths in it start from.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let source = PolicySource { text, path };
        let file: PolicyFile = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            // The parser's own form would print the line, too; the place is told in the form of all other
            // errors.
            source.error(span, error.message())
        })?;
        // A later version may give a known word another meaning: what is not understood whole is refused
        // whole.
        if *file.version.get_ref() != 1 {
            return Err(source.error(
                file.version.span(),
                format!("version = {} is not known, this is 1", file.version.get_ref()),
            ));
        }
        let rules = check_rules(&file.tokens, file.approved_only, file.rules, &source)?;
        let columns = check_columns(file.columns, &rules, &source)?;
        let roles = check_roles(file.roles, &rules, &source)?;
        let trust = file.trust.into_iter().map(|(name, entry)| {
            let trust = Trust::try_new(name.get_ref(), entry.keyring, entry.root, entry.kms);
            let trust = trust.map_err(|error| source.place(name.span(), error))?;
            Ok((name.into_inner(), trust))
        });
        let trust = trust.collect::<Result<_>>()?;
        Ok(Self {
            path: path.to_owned(),
            // From the policy's folder, so the same file means the same keyring wherever a process runs.
            keyring: path.parent().unwrap_or(Path::new("")).join(file.keyring),
            unlisted: file.unlisted,
            cache: file.keys.check(&source)?,
            audit: file
                .audit
                .map(|audit| path.parent().unwrap_or(Path::new("")).join(audit)),
            keyring_generation: file.keyring_generation.unwrap_or_default(),
            approved_only: file.approved_only,
            // Of the text itself, comments included, so that anybody can compute it with `sha256sum`.
            digest: Sha256::digest(text).into(),
            rules,
            columns,
            roles,
            trust,
        })
    }
}

/// Checks all rules; `tokens` is the store of the policy.
fn check_rules(
    tokens: &Option<Spanned<String>>,
    approved_only: bool,
    file: BTreeMap<String, RuleFile>,
    source: &PolicySource<'_>,
) -> Result<BTreeMap<String, Rule>> {
    let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
    // Before any rule is checked, since `never_valid_as` may name a rule that comes later.
    let formats = token_formats(&file);
    for (name, rule) in file {
        // Else `column = "keep"` would protect it.
        if [KEEP, DROP].contains(&name.as_str()) {
            return Err(source.error(
                rule.key.span(),
                format!("a rule cannot be called `{name}`: in [columns] that word says what becomes of a column"),
            ));
        }
        let at = rule.format.as_ref().map_or(rule.key.span(), Spanned::span);
        let rule = rule.check(name.clone(), tokens.as_ref(), &formats, source)?;
        if approved_only {
            check_approved(&rule, at.clone(), source)?;
        }
        for other in rules.values().filter(|other| share_tokens(&rule, other)) {
            check_shared_tokens(&rule, other).map_err(|error| source.place(at.clone(), error))?;
        }
        rules.insert(name, rule);
    }
    Ok(rules)
}

/// Checks that the lines of `[columns]` name rules that exist.
fn check_columns(
    file: BTreeMap<Spanned<String>, Spanned<String>>,
    rules: &BTreeMap<String, Rule>,
    source: &PolicySource<'_>,
) -> Result<Vec<ColumnLine>> {
    let mut columns = Vec::with_capacity(file.len());
    for (pattern, rule) in file {
        let at = source.at(pattern.span());
        let target = match rule.get_ref().as_str() {
            KEEP => ColumnTarget::Keep,
            DROP => ColumnTarget::Drop,
            name if rules.contains_key(name) => ColumnTarget::Rule(name.to_owned()),
            _ => return Err(no_such_rule(&rule, rules, source)),
        };
        columns.push(ColumnLine {
            pattern: pattern.into_inner(),
            target,
            at,
        });
    }
    Ok(columns)
}

/// Parses the formats that `never_valid_as` may name; an error in one is reported where its rule is checked.
fn token_formats(rules: &BTreeMap<String, RuleFile>) -> BTreeMap<String, Format> {
    let parsed = rules.iter().filter_map(|(name, rule)| {
        Some((
            name.clone(),
            parse_format(rule.format.as_ref()?.get_ref().clone()).ok()?,
        ))
    });
    parsed.collect()
}

/// Tells whether both rules mint into one domain of one store.
fn share_tokens(one: &Rule, other: &Rule) -> bool {
    let store = |rule: &Rule| rule.tokens.as_ref().map(|tokens| tokens.store.clone());
    one.domain == other.domain && one.tokens.is_some() && store(one) == store(other)
}

/// Checks that two rules which share a domain of tokens can share them.
fn check_shared_tokens(one: &Rule, other: &Rule) -> Result<()> {
    let per_occurrence = |rule: &Rule| rule.tokens.as_ref().map(|tokens| tokens.per_occurrence);
    let what = if per_occurrence(one) != per_occurrence(other) {
        // Tokens per occurrence stand apart in the store, so the two rules would share no tokens, though
        // their domain says so.
        "only one of them mints per occurrence"
    } else if one.format.definition() != other.format.definition() {
        // A value would get the token of the format that met it first, which is no value of the other; and
        // each format would count its own half of what they share.
        "they have unlike formats"
    } else {
        return Ok(());
    };
    Err(Error::bad_policy(format!(
        "rules `{}` and `{}` share a domain of tokens, and {what}",
        other.name, one.name
    ))
    .with_hint("give one of them a `domain` of its own, or make them alike"))
}
