//! History.

use super::info::KmsKeyChange;
use super::model::KeyEntry;
use crate::keys::{Reason, Surroundings};

/// Puts down what was done with a key.
pub(super) fn record(key: &mut KeyEntry, what: &str, surroundings: &Surroundings, reason: Option<&Reason>) {
    key.history.push(KmsKeyChange {
        time: surroundings.now(),
        what: what.to_owned(),
        who: surroundings.actor().to_owned(),
        reason: reason.cloned(),
    });
}
