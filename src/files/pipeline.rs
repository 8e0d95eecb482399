//! Row groups worked on by all cores, with results in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::encode::{Component, interrupted};
use super::source::Source;
use crate::{Error, Result};

/// Bytes, decompressed, of the row groups that are worked on at once.
const IN_FLIGHT: u64 = 256 << 20;

/// The progress of a job.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Rows done.
    pub rows: u64,
    /// Rows in all.
    pub total: u64,
}

/// Row groups on their way, some ahead of the one that is written.
pub(super) struct Pipeline<T> {
    pub(super) components: Vec<Arc<Component>>,
    source: Arc<Source>,
    /// Parts that were begun, in order.
    running: VecDeque<(JoinHandle<Result<T>>, u64)>,
    /// The next part to begin: row group and component.
    next: (usize, usize),
    /// Rows before the row group of the next part.
    base: u64,
    bytes: u64,
    stop: Arc<AtomicBool>,
    sender: mpsc::UnboundedSender<u64>,
    receiver: mpsc::UnboundedReceiver<u64>,
    /// Rows that were done, once for each component.
    rows: u64,
    part: Part<T>,
}

/// One component's work on a row group: its number, the rows before it, whether to stop, and whom to tell of rows.
pub(super) type Part<T> = fn(&Component, usize, u64, &AtomicBool, &dyn Fn(u64)) -> Result<T>;

impl<T: Send + 'static> Pipeline<T> {
    pub(super) fn new(components: Vec<Component>, source: &Arc<Source>, part: Part<T>) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            components: components.into_iter().map(Arc::new).collect(),
            source: Arc::clone(source),
            running: VecDeque::new(),
            next: (0, 0),
            base: 0,
            bytes: 0,
            stop: Arc::default(),
            sender,
            receiver,
            rows: 0,
            part,
        }
    }

    /// Begins as many parts as there are cores, within the memory that they may take.
    fn begin(&mut self) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        while self.next.0 < self.source.row_groups() && !self.components.is_empty() && self.running.len() <= cores {
            let (row_group, at) = self.next;
            let component = Arc::clone(&self.components[at]);
            let bytes = component.bytes(row_group);
            if !self.running.is_empty() && self.bytes + bytes > IN_FLIGHT {
                break;
            }
            let (stop, sender, base) = (Arc::clone(&self.stop), self.sender.clone(), self.base);
            let part = self.part;
            let running = tokio::task::spawn_blocking(move || {
                part(&component, row_group, base, &stop, &|rows| {
                    // Nobody listens any more when the job was given up.
                    let _ = sender.send(rows);
                })
            });
            self.bytes += bytes;
            self.running.push_back((running, bytes));
            self.next.1 += 1;
            if self.next.1 == self.components.len() {
                let group = self.source.parquet().row_group(row_group);
                self.base += u64::try_from(group.num_rows()).unwrap_or_default();
                self.next = (row_group + 1, 0);
            }
        }
    }

    /// Waits for what the components make of a row group.
    pub(super) async fn row_group(
        &mut self,
        number: usize,
        cancel: &AtomicBool,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Vec<T>> {
        let mut made = Vec::with_capacity(self.components.len());
        for _ in 0..self.components.len() {
            self.begin();
            let Some((mut running, bytes)) = self.running.pop_front() else {
                return Err(Error::bug("a part of the work that was not begun"));
            };
            let done = loop {
                tokio::select! {
                    biased;
                    Some(rows) = self.receiver.recv() => self.tell(rows, progress),
                    done = &mut running => break done,
                }
                if cancel.load(Ordering::Relaxed) {
                    return Err(interrupted());
                }
            };
            let done = done.map_err(|error| {
                let path = self.source.path.display();
                Error::bad_input(format!("`{path}` is damaged: the reader gave up in row group {number}"))
                    .with_source(error)
                    .with_hint("write it anew, or take a copy that is whole")
            })?;
            self.bytes -= bytes;
            made.push(done?);
        }
        while let Ok(rows) = self.receiver.try_recv() {
            self.tell(rows, progress);
        }
        Ok(made)
    }

    fn tell(&mut self, rows: u64, progress: &mut (dyn FnMut(Progress) + Send)) {
        self.rows += rows;
        progress(Progress {
            rows: self.rows / self.components.len().max(1) as u64,
            total: self.source.rows(),
        });
    }
}

impl<T> Drop for Pipeline<T> {
    fn drop(&mut self) {
        // Parts that nobody waits for end at their next batch.
        self.stop.store(true, Ordering::Relaxed);
    }
}
