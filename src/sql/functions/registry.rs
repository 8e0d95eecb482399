//! The functions as DataFusion takes them.

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

use super::detokenize::Detokenize;
use super::fpe_decrypt::FpeDecrypt;
use super::fpe_encrypt::FpeEncrypt;
use super::mask::Mask;
use super::present::Present;
use super::protect::Protect;
use super::reencrypt::Reencrypt;
use super::reveal::Reveal;
use super::reveal_nested::RevealNested;
use super::stored::Stored;
use super::tokenize::Tokenize;
use crate::transform::Engine;

/// The names of all functions, those that statements cannot call among them.
pub(in crate::sql) const NAMES: [&str; 11] = [
    "protect",
    "reveal",
    "fpe_encrypt",
    "fpe_decrypt",
    "tokenize",
    "detokenize",
    super::mask::NAME,
    super::stored::NAME,
    super::present::NAME,
    super::reencrypt::NAME,
    super::reveal_nested::NAME,
];

/// The names of functions that fail on what is no value of their rule.
pub(in crate::sql) const FALLIBLE: [&str; 6] = [
    "protect",
    "reveal",
    "fpe_encrypt",
    "fpe_decrypt",
    "tokenize",
    "detokenize",
];

/// Every function that statements may call, bound to `engine`.
pub(in crate::sql) fn all(engine: &Engine) -> Vec<ScalarUDF> {
    vec![
        Protect::new(engine).into(),
        Reveal::new(engine).into(),
        FpeEncrypt::new(engine).into(),
        FpeDecrypt::new(engine).into(),
        Mask::new(engine).into(),
        Stored::new().into(),
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

/// `present`, for a rule that tokenizes or one that does not.
pub(in crate::sql) fn present_udf(engine: &Engine, tokenizes: bool) -> Arc<ScalarUDF> {
    Arc::new(Present::udf(engine, tokenizes))
}

/// `stored`, for what analysis compares with ciphertext.
pub(in crate::sql) fn stored_udf() -> ScalarUDF {
    Stored::new().into()
}

/// `reencrypt`, for views.
pub(in crate::sql) fn reencrypt_udf(engine: &Engine) -> ScalarUDF {
    Reencrypt::udf(engine)
}

/// `reveal_nested`, for fields of which none is a token, or one is.
pub(in crate::sql) fn reveal_nested_udf(engine: &Engine, detokenizes: bool) -> ScalarUDF {
    RevealNested::udf(engine, detokenizes)
}
