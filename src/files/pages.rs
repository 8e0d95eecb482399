//! Headers of pages, as far as copying needs them.
//!
//! A page is a header in Thrift's compact protocol, and its bytes. The library reads headers only to decode what
//! follows; here pages are copied as they stand, after their checksums, where they have some, were compared.

use std::io::{self, BufRead};

use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::ChunkReader as _;

use super::chunk::SharedFile;

/// The most bytes of a header: it may hold the least and the greatest value of its page.
const MOST: usize = 16 << 20;

/// A page's header (parquet-format, `PageHeader`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct PageHeader {
    /// Bytes of the header itself.
    pub(super) length: usize,
    /// Bytes of the page as it stands in the file.
    pub(super) compressed: usize,
    /// Bytes of the page once it is decompressed.
    pub(super) uncompressed: usize,
    /// CRC-32 of the page as it stands in the file.
    pub(super) crc: Option<u32>,
    /// The number of values, if it is a dictionary.
    pub(super) dictionary_values: Option<usize>,
}

/// Reads the header that `reader` begins with.
///
/// # Errors
/// An error for bytes that are no header.
pub(super) fn read_header(reader: &mut impl BufRead) -> io::Result<PageHeader> {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let more = reader.fill_buf()?;
        if more.is_empty() {
            return Err(damaged());
        }
        let before = bytes.len();
        bytes.extend_from_slice(more);
        if let Some(header) = parse(&bytes) {
            reader.consume(header.length - before);
            return Ok(header);
        }
        let read = more.len();
        reader.consume(read);
        if bytes.len() > MOST {
            return Err(damaged());
        }
    }
}

/// Reads the header of a column chunk's dictionary, if it has one that can be read.
pub(super) fn dictionary(file: &SharedFile, chunk: &ColumnChunkMetaData) -> Option<PageHeader> {
    let offset = u64::try_from(chunk.dictionary_page_offset()?).ok()?;
    let header = read_header(&mut file.get_read(offset).ok()?).ok()?;
    header.dictionary_values.map(|_| header)
}

/// Compares the checksums of the pages in the first `length` bytes of `reader`. `Ok(false)`: they have none.
///
/// # Errors
/// A page that is not what its writer wrote.
pub(super) fn verify(reader: impl BufRead, length: u64) -> io::Result<bool> {
    let mut reader = reader.take(length);
    while reader.limit() > 0 {
        let header = read_header(&mut reader)?;
        // Writers give all pages a checksum, or none.
        let Some(expected) = header.crc else { return Ok(false) };
        let mut hasher = crc32fast::Hasher::new();
        let mut left = header.compressed;
        while left > 0 {
            let bytes = reader.fill_buf()?;
            let bytes = &bytes[..bytes.len().min(left)];
            if bytes.is_empty() {
                return Err(damaged());
            }
            hasher.update(bytes);
            let read = bytes.len();
            reader.consume(read);
            left -= read;
        }
        if hasher.finalize() != expected {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a page does not have the checksum that its writer gave it",
            ));
        }
    }
    Ok(true)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a page has no header")
}

/// The header at the start of `bytes`; `None` if it is not whole.
fn parse(bytes: &[u8]) -> Option<PageHeader> {
    let mut input = Input { bytes, at: 0 };
    let mut header = PageHeader::default();
    let mut is_sized = false;
    let mut field = 0;
    while let Some((id, kind)) = input.field(field)? {
        field = id;
        match (id, kind) {
            (2, I32) => header.uncompressed = usize::try_from(input.number()?).ok()?,
            (3, I32) => {
                header.compressed = usize::try_from(input.number()?).ok()?;
                is_sized = true;
            }
            // Signed in Thrift; the bits count.
            (4, I32) => header.crc = Some(i32::try_from(input.number()?).ok()?.cast_unsigned()),
            (7, STRUCT) => header.dictionary_values = Some(input.dictionary()?),
            (_, kind) => input.skip(kind, 0)?,
        }
    }
    header.length = input.at;
    is_sized.then_some(header)
}

/// Types of Thrift's compact protocol.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A signed number, whose sign is its lowest bit.
    fn number(&mut self) -> Option<i64> {
        let number = self.unsigned()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// The number and type of the next field after `before`; `Some(None)` at the end of a structure.
    fn field(&mut self, before: i16) -> Option<Option<(i16, u8)>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        let id = match byte >> 4 {
            0 => i16::try_from(self.number()?).ok()?,
            delta => before.checked_add(i16::from(delta))?,
        };
        Some(Some((id, byte & 0x0f)))
    }

    fn dictionary(&mut self) -> Option<usize> {
        let (mut values, mut field) = (0, 0);
        while let Some((id, kind)) = self.field(field)? {
            field = id;
            match (id, kind) {
                (1, I32) => values = usize::try_from(self.number()?).ok()?,
                (_, kind) => self.skip(kind, 0)?,
            }
        }
        Some(values)
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        if depth > 8 {
            return None;
        }
        match kind {
            TRUE | FALSE => {}
            BYTE => self.at += 1,
            I16 | I32 | I64 => {
                self.number()?;
            }
            DOUBLE => self.at += 8,
            BINARY => {
                let length = usize::try_from(self.unsigned()?).ok()?;
                self.at = self.at.checked_add(length)?;
            }
            LIST | SET => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => self.unsigned()?,
                    count => u64::from(count),
                };
                for _ in 0..count {
                    // In a list, a flag takes a byte.
                    match head & 0x0f {
                        TRUE | FALSE => self.at += 1,
                        kind => self.skip(kind, depth + 1)?,
                    }
                    if self.at > self.bytes.len() {
                        return None;
                    }
                }
            }
            STRUCT => {
                let mut field = 0;
                while let Some((id, kind)) = self.field(field)? {
                    field = id;
                    self.skip(kind, depth + 1)?;
                }
            }
            _ => return None,
        }
        (self.at <= self.bytes.len()).then_some(())
    }
}
