//! The tables `[roles.NAME]`.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use super::source::PolicySource;
use crate::policy::access::is_enumerable;
use crate::policy::grant::{Grant, Rights};
use crate::policy::policy::rule_names;
use crate::policy::rule::Rule;
use crate::{Error, Result};

/// The rights of each role by rule.
type Roles<Rule> = BTreeMap<String, BTreeMap<Rule, Rights>>;

/// Checks that roles name rules that exist, and have no right to protect that is the right to reveal.
pub(super) fn check_roles(
    file: Roles<Spanned<String>>,
    rules: &BTreeMap<String, Rule>,
    source: &PolicySource<'_>,
) -> Result<Roles<String>> {
    let mut roles: Roles<String> = BTreeMap::new();
    for (role, grants) in file {
        let named: BTreeSet<&str> = grants.keys().map(|rule| rule.get_ref().as_str()).collect();
        for (rule, rights) in &grants {
            // A misspelt rule would leave the real one to the line `*`, which may grant more.
            if rule.get_ref() != "*" && !rules.contains_key(rule.get_ref()) {
                return Err(no_such_rule(rule, rules, source));
            }
            let meant = rules.values().filter(|known| match rule.get_ref().as_str() {
                // The line `*` is checked for the rules that it decides on: those without a line of their
                // own.
                "*" => !named.contains(known.name.as_str()),
                name => known.name == name,
            });
            check_rights(&role, rule, *rights, meant, source)?;
        }
        let checked = roles.entry(role).or_default();
        checked.extend(grants.into_iter().map(|(rule, rights)| (rule.into_inner(), rights)));
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

/// Refuses the right to protect where it is the right to reveal, unless that is given, too.
fn check_rights<'a>(
    role: &str,
    at: &Spanned<String>,
    rights: Rights,
    mut meant: impl Iterator<Item = &'a Rule>,
    source: &PolicySource<'_>,
) -> Result<()> {
    if !rights.protect || rights.see == Grant::Plain {
        return Ok(());
    }
    // Refused when the policy is read, not when a query runs: the two lines contradict each other in any
    // query.
    match meant.find(|rule| is_enumerable(rule)) {
        None => Ok(()),
        Some(rule) => Err(source
            .error(
                at.span(),
                format!(
                    "role `{role}` may protect under rule `{}`, but not see its values; all of them can be listed, \
                     protected and compared, so that the right to protect is the right to reveal",
                    rule.name
                ),
            )
            .with_hint("write see = \"plain\", too, or leave out protect = true")),
    }
}
