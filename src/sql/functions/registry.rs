//! The functions as DataFusion takes them.

use datafusion::logical_expr::ScalarUDF;

use super::Denied;
use super::Detokenize;
use super::FpeDecrypt;
use super::FpeEncrypt;
use super::Mask;
use super::Protect;
use super::Reveal;
use super::RevealNested;
use super::Tokenize;
use crate::columns::BatchPlan;
use crate::policy::RuleRef;
use crate::transform::Engine;

/// Every function, bound to `engine`.
pub(in crate::sql) fn all(engine: &Engine) -> Vec<ScalarUDF> {
    vec![
        Protect::new(engine).into(),
        Reveal::new(engine).into(),
        FpeEncrypt::new(engine).into(),
        FpeDecrypt::new(engine).into(),
        Mask::new(engine).into(),
        Tokenize::udf(engine),
        Detokenize::udf(engine),
    ]
}

/// `reveal`, bound to `engine`, for views.
pub(in crate::sql) fn reveal_udf(engine: &Engine) -> ScalarUDF {
    Reveal::new(engine).into()
}

/// `detokenize`, bound to `engine`, for views.
pub(in crate::sql) fn detokenize_udf(engine: &Engine) -> ScalarUDF {
    Detokenize::udf(engine)
}

/// The expression in a view for a struct or list with protected fields; its arguments are the columns of `plan`.
pub(in crate::sql) fn reveal_nested_udf(plan: BatchPlan) -> ScalarUDF {
    RevealNested::udf(plan)
}

/// The expression in a view for a column that a role may not see, by `rule` if the refusal is not in the audit log yet.
pub(in crate::sql) fn denied(engine: &Engine, message: String, rule: Option<RuleRef>) -> ScalarUDF {
    Denied::udf(engine, message, rule)
}
