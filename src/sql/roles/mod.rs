//! Roles: what a statement may do with columns that its role does not see plain, checked when it is planned.
//!
//! Masking is presentation. Such a column stands in plans as it is stored, so that what equality alone needs (joins,
//! groups, distinct counts, set operations) is computed on ciphertext and the answers are true. Whatever is not in the
//! list of what is allowed is refused; the mask goes on where the column leaves the statement.
//!
//! | module | does |
//! | --- | --- |
//! | `checker` | the walk over a statement |
//! | `kind` | what an expression shows |
//! | `expressions` | the kind of each expression, or a refusal |
//! | `plans` | the kinds of each plan's columns, from what the statement needs of them |
//! | `present` | the mask at the root, and `mask(column)` |
//! | `rule` | the analyzer rule |

mod checker;
mod expressions;
mod kind;
mod plans;
mod present;
mod rule;

pub(super) use rule::RolesRule;
