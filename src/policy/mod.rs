//! The policy: rules, which column gets which rule, which role may see what.
//!
//! ```toml
//! version = 1
//! keyring = "keyring.json"                 # relative to the policy
//! audit = "audit.jsonl"                    # every use and change of a key is written there first; no log if left out
//! keyring_generation = 12                  # an older copy of the keyring is refused
//! approved_only = true                     # what NIST has not approved is refused
//! unlisted = "error"                       # a column no line below names: "keep" (default) | "error" | "drop"
//!
//! [keys]                                   # how long unwrapped keys stay in memory; all of it may be left out
//! ttl = "1h"                               # then the KMS is asked again; through an outage a key serves until then
//! max_hold = "24h"                         # how long a running job may keep its keys
//! max_uses = 1000                          # how often a fetched key is given out; without limit if left out
//!
//! [rules.card]
//! format = "pan"                           # keeps the last four; treatment = "encrypt" is the default
//! key = "pii"                              # a name in the keyring, or `pii@3`
//!
//! [rules.account]
//! treatment = "tokenize"                   # a random token, kept in a store
//! tokens = "sqlite:tokens.db"              # relative to the policy; on top of the file it holds for every rule
//! format = "digits"                        # or "opaque": tok_…
//! key = "pii"
//!
//! [columns]                                # `table.column`, or a column of any table; `*` is a wildcard
//! "customer.c_card" = "card"
//! "customer.c_comment" = "keep"            # as it is; "drop" leaves a column out
//!
//! [roles.analyst]                          # rule → "plain" | "masked" | "protected" | "denied"
//! card = "masked"
//! "*" = "denied"
//!
//! [roles.loader]
//! card = { see = "plain", protect = true } # to protect is a right of its own
//!
//! [roles.clerk]                            # `=` and `IN` with given values; an oracle, so with a reason
//! card = { see = "masked", search = true, insecure_oracle = "callers are known by their card" }
//! ssn = { see = "masked", equality = false } # only to be shown and counted
//! ```
//!
//! Unknown fields are refused, and every error says file, line and column.

mod access;
mod bind;
mod column_line;
mod grant;
mod load;
mod policy;
mod rule;

#[cfg(feature = "columns")]
pub(crate) use bind::Astray;
pub use bind::Bound;
pub use grant::Grant;
#[cfg(feature = "sql")]
pub(crate) use grant::Rights;
pub use policy::{Policy, Unlisted};
pub(crate) use rule::FF3_1_TWEAK;
pub use rule::{
    Bucket, Mask, OnEmpty, OnForgotten, OnInvalid, OnShort, Period, Rule, RuleRef, Tokens, Treatment, Tweak,
};
