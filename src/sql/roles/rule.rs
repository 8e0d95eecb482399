//! The analyzer rule.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::AnalyzerRule;

use super::checker::Checker;
use super::present;
use crate::cipher::Direction;
use crate::sql::access::{CheckResult, Refusal};
use crate::sql::external;
use crate::transform::Engine;

/// Checks statements by the role of an engine, and puts masks where columns leave them.
///
/// A plan is analyzed more than once: by EXECUTE, and again before it runs. What this rule made of it the first time
/// passes the second time as it is.
#[derive(Debug)]
pub(in crate::sql) struct RolesRule {
    engine: Engine,
}

impl RolesRule {
    pub(in crate::sql) fn new(engine: &Engine) -> Self {
        Self { engine: engine.clone() }
    }
}

impl AnalyzerRule for RolesRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        if self.engine.role().is_none() {
            return Ok(plan); // who has no role sees everything plain
        }
        analyzed(&self.engine, plan).map_err(|Refusal { rule, error }| {
            let logged = match &rule {
                Some(rule) => self.engine.audit_refusal(rule, Direction::Decrypt, &error),
                None => Ok(()),
            };
            external(logged.err().unwrap_or(error))
        })
    }

    fn name(&self) -> &str {
        "cipherform_roles"
    }
}

fn analyzed(engine: &Engine, plan: LogicalPlan) -> CheckResult<LogicalPlan> {
    let mut checker = Checker::new(engine);
    let kinds = checker.whole(&plan, None)?;
    let plan = if checker.masks_columns || checker.searches_columns {
        present::within(engine, plan)?
    } else {
        plan
    };
    present::at_root(engine, plan, &kinds)
}
