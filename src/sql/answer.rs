//! The answer to a statement: a stream of batches within the session's limits, which is written down when it ends.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures_util::StreamExt;

use super::from_execution;
use super::revealed_values::RevealedValues;
use crate::keys::QueryRecord;
use crate::transform::Engine;
use crate::{Error, ErrorKind, Result};

/// The answer to a statement, as it comes. What became of it is written into the audit log when it is dropped, however
/// far it came.
pub struct Answer {
    schema: SchemaRef,
    stream: SendableRecordBatchStream,
    deadline: Option<Instant>,
    rows_left: Option<u64>,
    record: Record,
}

/// The record for the audit log, written in the end.
pub(super) struct Record {
    pub(super) engine: Option<Engine>,
    pub(super) statement: String,
    pub(super) columns: Vec<String>,
    pub(super) revealed: RevealedValues,
    pub(super) outcome: Outcome,
}

/// How a statement ended.
pub(super) enum Outcome {
    Running,
    Done,
    Failed(ErrorKind),
}

impl Answer {
    pub(super) fn new(
        stream: SendableRecordBatchStream,
        deadline: Option<Instant>,
        rows: Option<u64>,
        record: Record,
    ) -> Self {
        Self {
            schema: stream.schema(),
            stream,
            deadline,
            rows_left: rows,
            record,
        }
    }

    /// The columns of the answer.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// A row that fails; a limit of the session.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        let next = match self.deadline {
            None => Ok(self.stream.next().await),
            Some(deadline) => tokio::time::timeout_at(deadline.into(), self.stream.next()).await,
        };
        let batch = match next {
            Err(_) => Err(at_limit("time")),
            Ok(None) => {
                self.record.outcome = Outcome::Done;
                return None;
            }
            Ok(Some(batch)) => batch.map_err(from_execution),
        };
        let batch = batch.and_then(|batch| match &mut self.rows_left {
            Some(left) if (batch.num_rows() as u64) > *left => Err(at_limit("rows")),
            Some(left) => {
                *left -= batch.num_rows() as u64;
                Ok(batch)
            }
            None => Ok(batch),
        });
        if let Err(error) = &batch {
            self.record.outcome = Outcome::Failed(error.kind());
        }
        Some(batch)
    }

    /// All rows.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

fn at_limit(what: &str) -> Error {
    Error::new(
        ErrorKind::NotAllowed,
        format!("the statement is at the session's limit of {what}"),
    )
    .with_hint("ask for less, or have the limit raised")
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(engine) = &self.engine else { return };
        let revealed = self.revealed.counts().clone();
        // Statements that have nothing to do with protected data are nobody's business.
        if self.columns.is_empty() && revealed.is_empty() && !matches!(self.outcome, Outcome::Failed(_)) {
            return;
        }
        let record = QueryRecord {
            statement: std::mem::take(&mut self.statement),
            columns: std::mem::take(&mut self.columns),
            revealed,
            refused: match self.outcome {
                Outcome::Done => None,
                Outcome::Running => Some("left".to_owned()),
                Outcome::Failed(kind) => Some(kind.to_string()),
            },
        };
        // A log that cannot be written refuses the next use of a key.
        let _ = engine.audit_query(record);
    }
}
