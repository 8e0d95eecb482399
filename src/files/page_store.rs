//! Encoded pages on their way into the file: in memory, or, of large row groups, in a temporary file without a name.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use bytes::Bytes;
use parquet::column::page_store::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::errors::{ParquetError, Result};

/// Bytes of a column that stay in memory.
const IN_MEMORY: usize = 32 << 20;

/// Makes a store for each column of a row group.
#[derive(Debug)]
pub(super) struct PageStores {
    /// The folder of temporary files.
    pub(super) folder: PathBuf,
}

impl PageStoreFactory for PageStores {
    fn create(&self, _: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        Ok(Box::new(Pages {
            folder: self.folder.clone(),
            ..Pages::default()
        }))
    }
}

#[derive(Default)]
struct Pages {
    folder: PathBuf,
    pages: Vec<Option<Page>>,
    in_memory: usize,
    file: Option<File>,
    written: u64,
}

enum Page {
    Memory(Bytes),
    File { at: u64, length: usize },
}

impl PageStore for Pages {
    fn put(&mut self, value: Bytes) -> Result<PageKey> {
        let page = if self.in_memory + value.len() <= IN_MEMORY {
            self.in_memory += value.len();
            Page::Memory(value)
        } else {
            let file = match &mut self.file {
                Some(file) => file,
                None => self.file.insert(tempfile::tempfile_in(&self.folder)?),
            };
            file.write_all(&value)?;
            self.written += value.len() as u64;
            Page::File {
                at: self.written - value.len() as u64,
                length: value.len(),
            }
        };
        self.pages.push(Some(page));
        Ok(PageKey::new(self.pages.len() as u64 - 1))
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
        let page = usize::try_from(key.get())
            .ok()
            .and_then(|at| self.pages.get_mut(at)?.take());
        match (page, &mut self.file) {
            (Some(Page::Memory(bytes)), _) => Ok(bytes),
            (Some(Page::File { at, length }), Some(file)) => {
                let mut bytes = vec![0; length];
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(&mut bytes)?;
                Ok(bytes.into())
            }
            _ => Err(ParquetError::General("a page that was not stored".to_owned())),
        }
    }

    fn memory_size(&self) -> usize {
        self.in_memory
    }
}
