//! Choosing entries of an audit log.

use clap::Args;

use crate::cli::args::ours;
use crate::keys::{AuditEntry, AuditEvent, Timestamp};

/// A choice of entries: those that everything given here is true of.
#[derive(Args, Debug, Default)]
pub(super) struct FilterArgs {
    /// Only what this person or job did: USER@HOST, as the log has it
    #[arg(long, value_name = "WHO")]
    who: Option<String>,
    /// Only what was done in this role
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Only from this moment on: 2026-03-01 (in UTC), or 2026-03-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only before this moment
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Only what is about this key: a data key, NAME or NAME@VERSION, or a KMS key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only what is about this rule
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Only this event, as `WHAT` shows it: access, use, query, rotate …
    #[arg(long, value_name = "EVENT", value_parser = event)]
    event: Option<AuditEvent>,
}

impl FilterArgs {
    /// Tells whether nothing is left out.
    pub(super) fn is_empty(&self) -> bool {
        self.who.is_none()
            && self.role.is_none()
            && self.since.is_none()
            && self.until.is_none()
            && self.key.is_none()
            && self.rule.is_none()
            && self.event.is_none()
    }

    /// Tells whether an entry is meant.
    pub(super) fn matches(&self, entry: &AuditEntry) -> bool {
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| found == Some(wanted));
        is(&self.who, Some(&entry.who))
            && is(&self.role, entry.role.as_deref())
            && self.since.is_none_or(|since| entry.time >= since)
            && self.until.is_none_or(|until| entry.time < until)
            && self.key.as_deref().is_none_or(|key| is_about_key(entry, key))
            && self.rule.as_deref().is_none_or(|rule| is_about_rule(entry, rule))
            && self.event.is_none_or(|event| entry.event == event)
    }
}

/// Tells whether `found`, which may end in `@VERSION`, is `wanted`, with any version if that names none.
fn is_version_of(found: &str, wanted: &str) -> bool {
    found == wanted || found.split_once('@').is_some_and(|(name, _)| name == wanted)
}

fn is_about_key(entry: &AuditEntry, key: &str) -> bool {
    // Several keys that were rewrapped together stand in one entry.
    let names = entry.key.iter().flat_map(|names| names.split(", "));
    let kms_key = entry.kms_key.as_ref();
    names.into_iter().any(|name| is_version_of(name, key))
        || kms_key.is_some_and(|found| found.as_str() == key || found.as_str() == format!("local:{key}"))
}

fn is_about_rule(entry: &AuditEntry, rule: &str) -> bool {
    // The entry of a statement counts what it revealed by rule.
    let rules = entry.rule.iter().chain(entry.revealed.keys());
    rules.into_iter().any(|found| is_version_of(found, rule))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let is_day = text.len() == "2026-03-01".len();
    ours(&if is_day {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    })
}

fn event(text: &str) -> Result<AuditEvent, String> {
    // The spelling in the file is the one that is shown.
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_chosen_by_all_that_is_given() {
        let mut entry = AuditEntry::new(AuditEvent::Use);
        entry.who = "ann@laptop".to_owned();
        entry.key = Some("pii@2".to_owned());
        entry.rule = Some("ssn".to_owned());
        entry.time = moment("2026-03-02").unwrap();
        let filter = |change: &dyn Fn(&mut FilterArgs)| {
            let mut filter = FilterArgs::default();
            change(&mut filter);
            filter.matches(&entry)
        };
        assert!(filter(&|_| {}));
        for (matches, key) in [(true, "pii"), (true, "pii@2"), (false, "pii@1"), (false, "pi")] {
            assert_eq!(filter(&|filter| filter.key = Some(key.to_owned())), matches, "{key}");
        }
        assert!(filter(&|filter| filter.who = Some("ann@laptop".to_owned())));
        assert!(!filter(&|filter| filter.who = Some("ann".to_owned())));
        assert!(filter(&|filter| filter.since = Some(moment("2026-03-02").unwrap())));
        assert!(!filter(&|filter| filter.until = Some(moment("2026-03-02").unwrap())));
        assert!(!filter(&|filter| {
            filter.rule = Some("ssn".to_owned());
            filter.event = Some(event("access").unwrap());
        }));
        assert!(event("acces").unwrap_err().contains("access"));
        assert!(moment("yesterday").is_err());
    }
}
