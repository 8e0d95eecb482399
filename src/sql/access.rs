//! Access of a role to the columns of a table as they are stored.

use std::sync::Arc;

use arrow::datatypes::FieldRef;

use crate::columns::ProtectedColumn;
use crate::policy::{Grant, Rights, RuleRef, Treatment, Tweak};
use crate::transform::Engine;
use crate::{Error, ErrorKind, Result};

/// Why a statement was not planned: what the role may not, under a rule; or any other error.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The rule that the role asked for more of than it may.
    pub(super) rule: Option<RuleRef>,
    pub(super) error: Error,
}

/// The result of looking at a part of a statement.
pub(super) type CheckResult<T> = std::result::Result<T, Refusal>;

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { rule: None, error }
    }
}

/// Access of a role to a stored column.
#[derive(Clone, Debug)]
pub(super) enum Access {
    /// Anything: the column is not protected, or a view reveals it.
    Open,
    /// Only what its grant allows.
    Sealed(Arc<Sealed>),
    /// A struct or list of which some fields are sealed.
    Nested(Arc<Nested>),
}

/// A struct or list of which some fields are sealed.
#[derive(Debug)]
pub(super) struct Nested {
    /// The column; the fields within say how they are protected.
    pub(super) field: FieldRef,
    /// The sealed fields, each by its path.
    pub(super) sealed: Vec<(String, Arc<Sealed>)>,
}

/// A stored column, or a field within one, that a role does not see plain.
#[derive(Debug)]
pub(super) struct Sealed {
    /// The column's name, or the field's path.
    pub(super) column: String,
    /// The rule that it is under.
    pub(super) rule: RuleRef,
    /// The role's view of it: never plain.
    pub(super) grant: Grant,
    /// May given values be looked for?
    pub(super) search: bool,
    /// Equal for columns whose stored values can be compared; `None` for columns that can only be shown.
    pub(super) identity: Option<String>,
    /// Has each value one stored value, so that it can be encrypted anew under another version of its key?
    pub(super) is_one_to_one: bool,
    /// The reason why the grant is `denied`, if it is not the policy's grant itself.
    reason: Option<String>,
    role: String,
}

impl Access {
    /// The access of the engine's role to a column that describes itself, if it does not see it plain. `rule` says
    /// under which version the column is stored, or is once a view has encrypted it anew.
    pub(super) fn to_described(
        engine: &Engine,
        column: &str,
        described: &ProtectedColumn,
        rule: RuleRef,
    ) -> Result<Option<Arc<Sealed>>> {
        let rights = engine.rights(&described.rule)?;
        let is_shown = match rights.see {
            Grant::Plain => true,
            // Nobody sees more of what is one-way, and what it shows can be computed with.
            Grant::Masked | Grant::Protected => described.treatment.is_one_way(),
            Grant::Denied => false,
        };
        if is_shown {
            return Ok(None);
        }
        let map = identity(engine, described, &rule, &rights)?;
        let is_one_to_one = map.is_some();
        let identity = map.filter(|_| rights.equality && rights.see != Grant::Denied);
        Ok(Some(Arc::new(Sealed {
            column: column.to_owned(),
            rule,
            grant: rights.see,
            search: rights.search,
            identity,
            is_one_to_one,
            reason: None,
            role: engine.role().unwrap_or_default().to_owned(),
        })))
    }

    /// The access to a column that the policy puts under `rule`, and that does not say how it was protected: nobody
    /// knows what stands in it, so that only who sees the rule plain may see it.
    pub(super) fn to_undescribed(engine: &Engine, column: &str, rule: &str) -> Result<Option<Arc<Sealed>>> {
        if engine.grant(rule)? == Grant::Plain {
            return Ok(None);
        }
        let reason = "the policy names it, and the file does not say whether it is protected";
        Ok(Some(Self::denied(engine, column, rule, reason)))
    }

    /// The access to a column that the role cannot be shown, for a reason beside its grant.
    pub(super) fn denied(engine: &Engine, column: &str, rule: &str, reason: &str) -> Arc<Sealed> {
        Arc::new(Sealed {
            column: column.to_owned(),
            rule: RuleRef {
                rule: rule.to_owned(),
                version: None,
            },
            grant: Grant::Denied,
            search: false,
            identity: None,
            is_one_to_one: false,
            reason: Some(reason.to_owned()),
            role: engine.role().unwrap_or_default().to_owned(),
        })
    }
}

impl Sealed {
    /// The refusal of something that a role wants to do with the column, such as "LIKE".
    pub(super) fn refuse(&self, what: &str) -> Refusal {
        Refusal {
            // The log names what was asked for, whatever version the file has.
            rule: Some(RuleRef {
                rule: self.rule.rule.clone(),
                version: None,
            }),
            error: self.refusal(what),
        }
    }

    fn refusal(&self, what: &str) -> Error {
        let Self { column, rule, role, .. } = self;
        let rule = &rule.rule;
        if self.grant == Grant::Denied {
            let reason = self
                .reason
                .as_ref()
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default();
            return Error::new(
                ErrorKind::NotAllowed,
                format!("role `{role}` may not see column `{column}` (rule `{rule}`){reason}"),
            )
            .with_hint("DESCRIBE the table: it says what the role may see");
        }
        let grant = self.grant;
        let error = Error::new(
            ErrorKind::NotAllowed,
            format!("role `{role}` sees column `{column}` {grant} (rule `{rule}`), so it cannot be used in {what}"),
        );
        let text = match grant {
            Grant::Masked => "; mask(column) makes text of what is shown",
            _ => "; stored(column) makes text of what is shown",
        };
        error.with_hint(match &self.identity {
            Some(_) => format!(
                "it can be shown, counted, grouped, and compared for equality with columns under the same rule{text}"
            ),
            None => format!("it can be shown and counted{text}"),
        })
    }
}

/// The identity of a stored column, which two have to share to be compared: the map of values, and the grant. `None`
/// for maps that give one value several stored ones.
fn identity(engine: &Engine, described: &ProtectedColumn, rule: &RuleRef, rights: &Rights) -> Result<Option<String>> {
    let Rights { see: grant, search, .. } = rights;
    let definition = engine.policy().rule(&described.rule)?;
    let is_one_to_one = !definition.version_character
        && !matches!(definition.tweak, Tweak::Column(_))
        && described.treatment != Treatment::Shift
        && !definition.tokens.as_ref().is_some_and(|tokens| tokens.per_occurrence);
    if !is_one_to_one {
        return Ok(None);
    }
    let version = match (&described.store, rule.version) {
        // Tokens go by their store, whatever version seals them.
        (Some(store), _) => store.clone(),
        (None, version) => format!("{}@{version:?}", described.key),
    };
    Ok(Some(format!(
        "{version} {} {} {} {:?} {:?} {:?} {grant} {} {search}",
        described.domain,
        described.fingerprint,
        described.tweak,
        definition.on_empty,
        definition.on_short,
        definition.on_invalid,
        // What is shown of either must be shown of both, and what may be done with either, done with both.
        definition.mask.definition(),
    )))
}
