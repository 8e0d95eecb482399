//! Each wrapped key is unwrapped once while a keyring is open, however many columns, rules and tasks ask for it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::lock::Mutex as AsyncMutex;

use super::KeyVersionId;
use super::handle::Material;
use crate::Result;

type Slot = Arc<AsyncMutex<Option<Arc<Material>>>>;

/// Unwrapped keys by version. Keys that handles still use outlive it.
#[derive(Default)]
pub(crate) struct Cache {
    slots: Mutex<HashMap<KeyVersionId, Slot>>,
}

impl Cache {
    /// The key, by `fetch` if it is not here yet. Whoever else asks for the same version meanwhile waits; a failure is not kept.
    pub(crate) async fn fetch_once(
        &self,
        version: KeyVersionId,
        fetch: impl Future<Output = Result<Material>>,
    ) -> Result<Arc<Material>> {
        let slot = self.slot(version);
        let mut slot = slot.lock().await;
        if let Some(material) = &*slot {
            return Ok(Arc::clone(material));
        }
        let material = Arc::new(fetch.await?);
        *slot = Some(Arc::clone(&material));
        Ok(material)
    }

    fn slot(&self, version: KeyVersionId) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(version).or_default())
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}
