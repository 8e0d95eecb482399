//! The record of a statement in the audit log: who asked what, which columns it needed.

use std::collections::BTreeSet;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::tables::original_name;
use super::tables::provider::StoredTable;

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
