//! The SQL functions, one a file.

mod call;
mod denied;
mod detokenize;
mod fpe_decrypt;
mod fpe_encrypt;
mod mask;
mod protect;
mod registry;
mod reveal;
mod reveal_nested;
mod tokenize;

pub(super) use registry::{all, denied, detokenize_udf, reveal_nested_udf, reveal_udf};
