//! The functions as DataFusion takes them.

use datafusion::logical_expr::ScalarUDF;

use super::denied::Denied;
use super::detokenize::Detokenize;
use super::fpe_decrypt::FpeDecrypt;
use super::fpe_encrypt::FpeEncrypt;
use super::mask::Mask;
use super::protect::Protect;
use super::reveal::Reveal;
use super::reveal_nested::RevealNested;
use super::tokenize::Tokenize;
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
