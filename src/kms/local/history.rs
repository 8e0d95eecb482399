//! The history of KMS keys.

use super::info::KmsKeyChange;
use super::model::LocalKeyEntry;
use crate::keys::{Context, Reason};

/// Adds a change to the history of a key.
pub(super) fn record(key: &mut LocalKeyEntry, what: &str, context: &Context, reason: Option<&Reason>) {
    // In the file itself, and so under its MAC: the record is written with the change or not at all.
    key.history.push(KmsKeyChange {
        time: context.now(),
        what: what.to_owned(),
        who: context.actor().to_owned(),
        reason: reason.cloned(),
    });
}
