//! The manual: why things are as they are, and what to expect of them. How to use a thing stands with the thing itself.
//!
//! | page | answers |
//! | --- | --- |
//! | [`architecture`] | Which layers are there, why, and what must stay true of each? |
//! | [`threats`] | Who is kept out, who is not, and what shows all the same? |
//! | [`formats`] | What does each format take, what stays in the clear, how many values are left? |
//! | [`treatments`] | What else can be done to a value: hashes, masks, shifted dates, buckets; nested columns |
//! | [`keys`] | What wraps what, byte for byte? What to back up, what rotation does? |
//! | [`audit`] | Who used which key, and how does one notice a log or a keyring that is not what it was? |
//! | [`sql`] | Which functions are there, what does a role see, what does `cipherform query` refuse? |
//! | [`tokens`] | What is kept in a token store, who may write to it, how is a value forgotten? |
//! | [`python`] | The same policy, from Python |
//! | [`limits`] | The numbers |
//! | [`changes`] | What is frozen, and how a format changes |
//!
//! Words: a *rule* is a name in the policy for one way to protect; columns under the same rule join with each other. To
//! *protect* is to do it, to *reveal* is to undo it. A *data key* does the work; a *KMS key* only wraps data keys. The
//! *keyring* is the file of wrapped data keys. Plain, or the plaintext, is what a person wrote; protected, or the
//! ciphertext, is what stands there afterwards.
//!
//! What a page says of this version, it says without a date. What is planned and not there is called "not yet", or is
//! not mentioned.

pub mod architecture;
pub mod audit;
pub mod changes;
pub mod formats;
pub mod keys;
pub mod limits;
pub mod python;
pub mod sql;
pub mod threats;
pub mod tokens;
pub mod treatments;
