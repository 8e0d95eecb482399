//! Limits of a session: memory, disk, time and rows.

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};

use super::from_datafusion;
use super::spill::SealedSpill;
use crate::Result;

/// Limits of a session. `None` is no limit, but for the disk: without a limit nothing is written there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Bytes of memory for what statements sort, group and join.
    pub memory: Option<usize>,
    /// Bytes of sealed spill files. Sorts and groups that need more than the memory go there; joins do not spill.
    pub disk: Option<u64>,
    /// The longest time of a statement.
    pub time: Option<Duration>,
    /// The most rows of an answer.
    pub rows: Option<u64>,
}

impl Limits {
    /// The limits of a role, unless the host sets others.
    pub const FOR_ROLES: Self = Self {
        memory: Some(4 << 30),
        disk: None,
        time: Some(Duration::from_secs(600)),
        rows: Some(1_000_000),
    };

    /// The environment of a session with these limits.
    pub(super) fn runtime(&self) -> Result<Arc<RuntimeEnv>> {
        let disk = match self.disk {
            // Plaintexts must not land in files that nobody sealed.
            None => DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
            Some(quota) => DiskManagerBuilder::default().with_temp_file_factory(Arc::new(SealedSpill::new(quota))),
        };
        let mut runtime = RuntimeEnvBuilder::new().with_disk_manager_builder(disk);
        if let Some(bytes) = self.memory {
            let pool: Arc<dyn MemoryPool> = match self.disk {
                // So that each operator that can spill has its part, and does so in time.
                Some(_) => Arc::new(FairSpillPool::new(bytes)),
                None => Arc::new(GreedyMemoryPool::new(bytes)),
            };
            runtime = runtime.with_memory_pool(pool);
        }
        runtime.build_arc().map_err(from_datafusion)
    }
}
