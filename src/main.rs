//! The command `cipherform`.
fn main() {}
