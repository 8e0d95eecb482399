//! The record of a statement in the audit log: who asked what, which columns it needed, and how many values were
//! revealed under which rule.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::Result;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::tables::provider::StoredTable;
use super::tables::view::original_name;

/// Numbers of values that a statement revealed, by rule. Each statement has its own, which its functions find in their
/// configuration: counters of an engine would mix the statements of several people.
#[derive(Clone, Debug, Default)]
pub(super) struct RevealedValues(Arc<Mutex<BTreeMap<String, u64>>>);

impl RevealedValues {
    /// Counts values revealed under `rule`, if the statement is one that is counted.
    pub(super) fn count(options: &ConfigOptions, rule: &str, values: usize) {
        if let Some(counted) = options.extensions.get::<Self>() {
            *counted.counts().entry(rule.to_owned()).or_default() += values as u64;
        }
    }

    pub(super) fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConfigExtension for RevealedValues {
    const PREFIX: &'static str = "cipherform_query";
}

impl ExtensionOptions for RevealedValues {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        // Shared on purpose: the parts of one statement count together.
        Box::new(self.clone())
    }

    fn set(&mut self, _: &str, _: &str) -> Result<()> {
        datafusion::common::config_err!("cipherform_query is not for SET")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

/// The protected columns that an optimized plan reads: `table.column`.
pub(super) fn protected_columns(plan: &LogicalPlan) -> Vec<String> {
    let mut columns = BTreeSet::new();
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<StoredTable>()
        {
            let all: Vec<usize> = (0..table.protected().len()).collect();
            let read = scan.projection.as_ref().unwrap_or(&all);
            let schema = scan.source.schema();
            let protected = read.iter().filter(|at| table.protected()[**at]);
            columns.extend(protected.map(|at| {
                format!(
                    "{}.{}",
                    scan.table_name.table(),
                    original_name(schema.field(*at).name())
                )
            }));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    columns.into_iter().collect()
}

/// A statement with `?` for each of its literals, which may be values.
pub(super) fn without_literals(statement: &str) -> String {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, statement).tokenize() else {
        return "a statement".to_owned();
    };
    let text = |token: Token| match token {
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::TripleSingleQuotedString(_)
        | Token::TripleDoubleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::SingleQuotedByteStringLiteral(_)
        | Token::DoubleQuotedByteStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::HexStringLiteral(_) => "?".to_owned(),
        Token::Whitespace(_) => " ".to_owned(),
        other => other.to_string(),
    };
    tokens.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_left_out() {
        assert_eq!(
            without_literals(
                "SELECT \"ssn\", 'a''b' FROM p -- 123-45-6789\nWHERE ssn = '123-45-6789' AND id IN (1, 2.5e3, x'ff')"
            ),
            "SELECT \"ssn\", ? FROM p  WHERE ssn = ? AND id IN (?, ?, ?)"
        );
    }
}
