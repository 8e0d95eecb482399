//! Spill files, sealed: what a sort or a group writes to disk holds values that were just revealed.
//!
//! ```text
//! file  = chunk ‖ chunk ‖ …
//! chunk = [length]³² big-endian ‖ AES-256-GCM(key of the file, nonce = [number]⁹⁶, aad = [number]⁶⁴ ‖ [last]⁸)
//! ```
//!
//! The key is random, is the file's own and never leaves memory. The number of a chunk is in the nonce and in the
//! associated data, and the last one is marked, so that chunks cannot change places, be left out, or be cut off. Each
//! is authenticated before a byte of it is handed on: DataFusion reads these files without looking at them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures_util::Stream;

use crate::Secret;
use crate::keys::random;

/// Plaintext bytes of a chunk.
const CHUNK: usize = 64 << 10;

/// Bytes of GCM's tag.
const TAG: usize = 16;

/// Makes sealed files, up to a quota for all of them together.
pub(super) struct SealedSpill {
    quota: Arc<Quota>,
}

#[derive(Debug)]
struct Quota {
    limit: u64,
    used: AtomicU64,
}

impl SealedSpill {
    pub(super) fn new(limit: u64) -> Self {
        let used = AtomicU64::new(0);
        Self {
            quota: Arc::new(Quota { limit, used }),
        }
    }
}

impl TempFileFactory for SealedSpill {
    fn create_temp_file(&self, _: &str) -> Result<Arc<dyn SpillFile>> {
        // Without a name, so that it is gone with the process, however that ends.
        let file = tempfile::tempfile()?;
        let key: Secret<[u8; 32]> = Secret::new(random::array().map_err(crate::sql::external)?);
        let cipher = Aes256Gcm::new_from_slice(key.expose()).map_err(|_| broken("a key of another length"))?;
        Ok(Arc::new(SealedFile(Arc::new(Sealed {
            file: Mutex::new(file),
            cipher,
            written: AtomicU64::new(0),
            quota: Arc::clone(&self.quota),
        }))))
    }
}

struct Sealed {
    file: Mutex<File>,
    cipher: Aes256Gcm,
    written: AtomicU64,
    quota: Arc<Quota>,
}

impl Drop for Sealed {
    fn drop(&mut self) {
        let written = self.written.load(Ordering::Relaxed);
        self.quota.used.fetch_sub(written, Ordering::Relaxed);
    }
}

impl Sealed {
    fn file(&self) -> std::sync::MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a chunk.
    fn put(&self, number: u64, last: bool, plain: &[u8]) -> io::Result<()> {
        let sealed = self
            .cipher
            .encrypt(&nonce(number), payload(plain, &associated(number, last)));
        let sealed = sealed.map_err(|_| io::Error::other("a chunk of a spill file cannot be sealed"))?;
        let length = 4 + sealed.len() as u64;
        let used = self.quota.used.fetch_add(length, Ordering::Relaxed) + length;
        self.written.fetch_add(length, Ordering::Relaxed);
        if used > self.quota.limit {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                DataFusionError::ResourcesExhausted("the spill files of this session are at their limit".to_owned()),
            ));
        }
        let mut file = self.file();
        file.seek(SeekFrom::End(0))?;
        file.write_all(&(sealed.len() as u32).to_be_bytes())?; // a chunk and a tag
        file.write_all(&sealed)
    }

    /// Reads the chunk at `place`; returns it, whether it is the last, and the place of the next.
    fn get(&self, number: u64, place: u64) -> Result<(Vec<u8>, bool, u64)> {
        let mut sealed = Vec::new();
        {
            let mut file = self.file();
            file.seek(SeekFrom::Start(place))?;
            let mut length = [0; 4];
            file.read_exact(&mut length).map_err(|_| broken("it ends too early"))?;
            let length = u32::from_be_bytes(length) as usize;
            if length > CHUNK + TAG {
                return Err(broken("a chunk is too long"));
            }
            sealed.resize(length, 0);
            file.read_exact(&mut sealed).map_err(|_| broken("it ends too early"))?;
        }
        let next = place + 4 + sealed.len() as u64;
        for last in [false, true] {
            let opened = self
                .cipher
                .decrypt(&nonce(number), payload(&sealed, &associated(number, last)));
            if let Ok(plain) = opened {
                return Ok((plain, last, next));
            }
        }
        Err(broken("a chunk does not authenticate"))
    }
}

fn nonce(number: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes.into()
}

fn associated(number: u64, last: bool) -> [u8; 9] {
    let mut bytes = [0; 9];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes[8] = last.into();
    bytes
}

fn payload<'a>(msg: &'a [u8], aad: &'a [u8]) -> Payload<'a, 'a> {
    Payload { msg, aad }
}

fn broken(how: &str) -> DataFusionError {
    DataFusionError::Execution(format!("a spill file was changed while the query ran: {how}"))
}

struct SealedFile(Arc<Sealed>);

impl SpillFile for SealedFile {
    fn size(&self) -> Option<u64> {
        Some(self.0.written.load(Ordering::Relaxed))
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let sealed = Arc::clone(&self.0);
        let chunks = futures_util::stream::unfold(Some((sealed, 0u64, 0u64)), |state| async move {
            let (sealed, number, place) = state?;
            let reader = Arc::clone(&sealed);
            // The disk may be slow, and other tasks run on this thread.
            let read = tokio::task::spawn_blocking(move || reader.get(number, place)).await;
            let read = read.unwrap_or_else(|error| Err(DataFusionError::External(Box::new(error))));
            match read {
                Ok((plain, last, next)) => {
                    let state = (!last).then_some((sealed, number + 1, next));
                    Some((Ok(Bytes::from(plain)), state))
                }
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Box::pin(chunks))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        if self.0.written.load(Ordering::Relaxed) > 0 {
            // Its chunks would have numbers that were used.
            return Err(broken("it is written to a second time"));
        }
        Ok(Box::new(SealedWriter {
            sealed: Arc::clone(&self.0),
            pending: Vec::with_capacity(CHUNK),
            number: 0,
            finished: false,
        }))
    }
}

struct SealedWriter {
    sealed: Arc<Sealed>,
    pending: Vec<u8>,
    number: u64,
    finished: bool,
}

impl Write for SealedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK - self.pending.len());
        self.pending.extend_from_slice(&bytes[..taken]);
        // The last chunk is marked, so a full one waits until it is known that another comes.
        if self.pending.len() == CHUNK && taken < bytes.len() {
            self.sealed.put(self.number, false, &self.pending)?;
            self.number += 1;
            self.pending.clear();
        }
        if taken == 0 && !bytes.is_empty() {
            return self.write(bytes);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for SealedWriter {
    fn finish(&mut self) -> Result<()> {
        if !self.finished {
            self.sealed.put(self.number, true, &self.pending)?;
            self.finished = true;
            self.pending.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    fn file(limit: u64) -> Arc<dyn SpillFile> {
        SealedSpill::new(limit).create_temp_file("a test").unwrap()
    }

    async fn read(file: &dyn SpillFile) -> Result<Vec<u8>> {
        let chunks: Vec<Bytes> = file.read_stream()?.try_collect().await?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn what_is_written_is_read_back() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 5 * CHUNK + 7] {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let file = file(1 << 30);
            let mut writer = file.open_writer().unwrap();
            for part in bytes.chunks(999) {
                writer.write_all(part).unwrap();
            }
            writer.finish().unwrap();
            assert_eq!(read(file.as_ref()).await.unwrap(), bytes, "{length}");
        }
    }

    #[tokio::test]
    async fn a_quota_ends_it() {
        let file = file(CHUNK as u64);
        let mut writer = file.open_writer().unwrap();
        let done = writer
            .write_all(&vec![0; 3 * CHUNK])
            .map_err(DataFusionError::from)
            .and_then(|()| writer.finish());
        assert!(done.is_err());
    }

    /// Every chunk changed, left out, moved or cut off is noticed before a byte of it is handed on.
    #[tokio::test]
    async fn what_was_changed_is_not_read() {
        let sealed = || {
            let spill = SealedSpill::new(1 << 30);
            let sealed = Arc::new(Sealed {
                file: Mutex::new(tempfile::tempfile().unwrap()),
                cipher: Aes256Gcm::new_from_slice(&[7; 32]).unwrap(),
                written: AtomicU64::new(0),
                quota: Arc::clone(&spill.quota),
            });
            let file = SealedFile(Arc::clone(&sealed));
            let mut writer = file.open_writer().unwrap();
            writer.write_all(&vec![1; 2 * CHUNK + 5]).unwrap();
            writer.finish().unwrap();
            (sealed, file)
        };
        let chunk = (4 + CHUNK + TAG) as u64;
        type Change = fn(&mut Vec<u8>, usize);
        let changes: [Change; 4] = [
            |bytes, _| bytes[10] ^= 1,
            |bytes, chunk| bytes.truncate(2 * chunk),
            |bytes, chunk| drop(bytes.drain(..chunk)),
            |bytes, chunk| bytes.rotate_left(chunk),
        ];
        for change in changes {
            let (sealed, file) = sealed();
            let mut bytes = Vec::new();
            sealed.file().seek(SeekFrom::Start(0)).unwrap();
            sealed.file().read_to_end(&mut bytes).unwrap();
            assert!(
                !bytes.windows(16).any(|part| part == [1; 16]),
                "it stands there in the clear"
            );
            change(&mut bytes, chunk as usize);
            sealed.file().set_len(0).unwrap();
            sealed.file().seek(SeekFrom::Start(0)).unwrap();
            sealed.file().write_all(&bytes).unwrap();
            assert!(read(&file).await.is_err());
        }
    }
}
