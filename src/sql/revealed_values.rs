//! The counter of what a statement reveals.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::Result;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};

/// Numbers of values that a statement revealed, by rule. Each statement has its own, which its functions find in their
/// configuration: counters of an engine would mix the statements of several people.
#[derive(Clone, Debug, Default)]
pub(super) struct RevealedValues(Arc<Mutex<BTreeMap<String, u64>>>);

impl RevealedValues {
    /// Counts values revealed under `rule`, if the statement is one that is counted.
    pub(super) fn count(options: &ConfigOptions, rule: &str, values: usize) {
        if let Some(counted) = options.extensions.get::<Self>() {
            *counted.counts().entry(rule.to_owned()).or_default() += values as u64;
        }
    }

    pub(super) fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConfigExtension for RevealedValues {
    const PREFIX: &'static str = "cipherform_query";
}

impl ExtensionOptions for RevealedValues {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        // Shared on purpose: the parts of one statement count together.
        Box::new(self.clone())
    }

    fn set(&mut self, _: &str, _: &str) -> Result<()> {
        datafusion::common::config_err!("cipherform_query is not for SET")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
