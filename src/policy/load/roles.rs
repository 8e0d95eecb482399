//! The tables `[roles.NAME]`.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::source::PolicySource;
use crate::policy::grant::{Grant, Rights};
use crate::policy::policy::rule_names;
use crate::policy::rule::Rule;
use crate::{Error, Result};

/// The rights of each role by rule.
type Roles<Rule> = BTreeMap<String, BTreeMap<Rule, Rights>>;

/// Checks that roles name rules that exist, have no right that is the right to reveal, and see rules of one map alike.
pub(super) fn check_roles(
    file: Roles<Spanned<String>>,
    rules: &BTreeMap<String, Rule>,
    source: &PolicySource<'_>,
) -> Result<Roles<String>> {
    let mut roles: Roles<String> = BTreeMap::new();
    for (role, grants) in file {
        for (rule, rights) in &grants {
            if rule.get_ref() != "*" && !rules.contains_key(rule.get_ref()) {
                return Err(no_such_rule(rule, rules, source));
            }
            check_rights(&role, rule, rights, source)?;
        }
        let spans = grants
            .keys()
            .map(|rule| (rule.get_ref().clone(), rule.span()))
            .collect();
        let grants = grants
            .into_iter()
            .map(|(rule, rights)| (rule.into_inner(), rights))
            .collect();
        check_alike(&role, &grants, rules, &spans, source)?;
        roles.insert(role, grants);
    }
    Ok(roles)
}

/// The error of a line that names a rule which does not exist.
pub(super) fn no_such_rule(
    named: &Spanned<String>,
    rules: &BTreeMap<String, Rule>,
    source: &PolicySource<'_>,
) -> Error {
    source
        .error(named.span(), format_args!("there is no rule `{}`", named.get_ref()))
        .with_hint(format!("the rules are {}", rule_names(rules)))
}

/// Refuses the right to protect or to search where the values are not seen: whoever may try values reveals by it.
fn check_rights(role: &str, at: &Spanned<String>, rights: &Rights, source: &PolicySource<'_>) -> Result<()> {
    let oracle = match rights {
        Rights { see: Grant::Plain, .. } => return Ok(()),
        Rights { protect: true, .. } => "protect",
        Rights { search: true, .. } => "search",
        _ => return Ok(()),
    };
    match rights.insecure_oracle.as_deref().map(str::trim) {
        Some("") => Err(source.error(at.span(), "insecure_oracle is the reason, and it is empty")),
        Some(_) => Ok(()),
        None => Err(source
            .error(
                at.span(),
                format!(
                    "role `{role}` may {oracle} under `{}`, but not see its values: it can try values and compare, so \
                     that the right to {oracle} is the right to reveal",
                    at.get_ref()
                ),
            )
            .with_hint(format!(
                "write see = \"plain\", leave out {oracle} = true, or accept it with insecure_oracle = \"the reason\""
            ))),
    }
}

/// Refuses unlike grants on rules of one map: what one of them shows is what the other hides.
fn check_alike(
    role: &str,
    grants: &BTreeMap<String, Rights>,
    rules: &BTreeMap<String, Rule>,
    spans: &BTreeMap<String, Range<usize>>,
    source: &PolicySource<'_>,
) -> Result<()> {
    let grant = |rule: &Rule| grants.get(&rule.name).or_else(|| grants.get("*"));
    let see = |rule: &Rule| grant(rule).map_or(Grant::Denied, |rights| rights.see);
    let mut seen: BTreeMap<_, &Rule> = BTreeMap::new();
    for rule in rules.values() {
        let map = (
            rule.key.name.to_string(),
            rule.domain.as_str(),
            rule.treatment.name(),
            rule.format.definition(),
        );
        let first = *seen.entry(map).or_insert(rule);
        if see(first) != see(rule) {
            let span = spans.get(&rule.name).or_else(|| spans.get(&first.name)).cloned();
            let message = format!(
                "role `{role}` sees rule `{}` {} and rule `{}` {}, and both have one key, domain and format, so that \
                 each shows what the other hides",
                first.name,
                see(first),
                rule.name,
                see(rule)
            );
            return Err(source
                .error(span.unwrap_or_default(), message)
                .with_hint("grant both alike, or give them domains of their own"));
        }
    }
    Ok(())
}
