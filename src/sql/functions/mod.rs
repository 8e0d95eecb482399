//! The SQL functions, one a file.

mod call;
mod detokenize;
mod fpe_decrypt;
mod fpe_encrypt;
pub(super) mod mask;
pub(super) mod present;
mod protect;
pub(super) mod reencrypt;
mod registry;
mod reveal;
pub(super) mod reveal_nested;
pub(super) mod stored;
mod tokenize;

pub(super) use registry::{
    FALLIBLE, NAMES, all, detokenize_udf, present_udf, reencrypt_udf, reveal_nested_udf, reveal_udf, stored_udf,
};
