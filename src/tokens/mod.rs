//! Tokens: random stand-ins, kept in a store, reversible for those who may.
//!
//! Where a value must have no mathematical tie to its stand-in, it gets a random token of the same format. A
//! [`Tokenizer`] is one rule over one [`TokenStore`]: it draws tokens, seals values, and finds the token of a value
//! that has one.
//!
//! ```text
//! value ──HMAC, index key──► look-up hash ──► in the store? its token
//!                                         └─► else: a random token of the format, stored with
//!                                             the value, sealed under a key of this batch
//! token ──► sealed value ──key of its batch──► value
//! ```
//!
//! | in the store | what it tells without the keys |
//! | --- | --- |
//! | token | nothing but what its format keeps clear, and how many there are |
//! | look-up hash | nothing: a keyed hash, and no two rows of a domain share one |
//! | sealed value | its length, and which key version sealed it |
//! | tag | nothing: a MAC over domain, look-up hash, token and end of life |
//!
//! A value is sealed with AES-256-GCM. The key is derived for one batch from the data key and a random salt, so a
//! counter serves as the nonce. The associated data are the store, the domain, the token, the look-up hash, the key
//! version and the end of life: a row that was changed, moved or copied does not open.
//!
//! A look-up hash leads to a token and is no part of what is opened then, so each row has a tag that binds the two: who
//! exchanges the look-up hashes of two people is found out when one of them is looked up.
//!
//! What makes tokens unique are the constraints of the store: one row for a token, one row for a look-up hash. Two
//! processes that mint at the same time are told apart there, and nowhere else.
//!
//! A token is never issued again. What was deleted, or has expired, stays as a token without a value.

pub mod conformance;
mod distinct;
mod lookup_index;
mod maintenance;
mod memory;
mod mint;
#[cfg(feature = "tokens-postgres")]
mod postgres;
mod row_check;
mod seal;
#[cfg(feature = "tokens-sqlite")]
mod sqlite;
mod store;
#[cfg(test)]
mod tests;
mod tokenizer;
mod url;

pub use memory::MemoryTokens;
#[cfg(feature = "tokens-postgres")]
pub use postgres::PostgresTokens;
#[cfg(feature = "tokens-sqlite")]
pub use sqlite::SqliteTokens;
pub use store::{
    DomainState, DomainStats, Emptied, Entry, Found, Inserted, Insertion, KnownToken, Lookup, Minted, Record, Remains,
    Replacement, RowTag, Space, SpaceId, TokenStore,
};
pub use tokenizer::{Progress, Revealed, TokenRule, Tokenized, Tokenizer};
pub use url::StoreUrl;
