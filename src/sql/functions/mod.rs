//! The SQL functions, one a file.

mod call;
mod denied;
mod detokenize;
mod fpe_decrypt;
mod fpe_encrypt;
mod mask;
mod protect;
mod reveal;
mod reveal_nested;
mod tokenize;

use datafusion::logical_expr::ScalarUDF;

use crate::columns::BatchPlan;
use crate::policy::RuleRef;
use crate::transform::Engine;

/// Every function, bound to `engine`.
pub(super) fn all(engine: &Engine) -> Vec<ScalarUDF> {
    vec![
        protect::Protect::new(engine).into(),
        reveal::Reveal::new(engine).into(),
        fpe_encrypt::FpeEncrypt::new(engine).into(),
        fpe_decrypt::FpeDecrypt::new(engine).into(),
        mask::Mask::new(engine).into(),
        tokenize::Tokenize::udf(engine),
        detokenize::Detokenize::udf(engine),
    ]
}

/// `reveal`, bound to `engine`, for views.
pub(super) fn reveal(engine: &Engine) -> ScalarUDF {
    reveal::Reveal::new(engine).into()
}

/// `detokenize`, bound to `engine`, for views.
pub(super) fn detokenize(engine: &Engine) -> ScalarUDF {
    detokenize::Detokenize::udf(engine)
}

/// What stands in a view for a struct or list that has protected fields; its arguments are the columns of `plan`.
pub(super) fn reveal_nested(plan: BatchPlan) -> ScalarUDF {
    reveal_nested::RevealNested::udf(plan)
}

/// What stands in a view for a column that a role may not see, by `rule` if the refusal is not in the audit log yet.
pub(super) fn denied(engine: &Engine, message: String, rule: Option<RuleRef>) -> ScalarUDF {
    denied::Denied::udf(engine, message, rule)
}
