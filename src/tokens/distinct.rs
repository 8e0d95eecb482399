//! Distinct values and spaces of a batch.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::lookup_index::LookupIndex;
use super::{Lookup, Space, SpaceId};
use crate::Result;
use crate::keys::random;

/// The distinct values of a batch.
pub(super) struct DistinctValues {
    pub(super) lookups: Vec<Lookup>,
    /// The first row of each.
    pub(super) first: Vec<usize>,
    /// For each row, the place of its value among the distinct.
    pub(super) rows: Vec<u32>,
    places: HashMap<Lookup, u32, BuildHasherDefault<FirstBytes>>,
}

/// Look-up hashes are uniform already, and nobody without the key can choose them: a part of them will do.
#[derive(Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

impl DistinctValues {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self {
            lookups: Vec::with_capacity(rows),
            first: Vec::with_capacity(rows),
            rows: Vec::with_capacity(rows),
            places: HashMap::with_capacity_and_hasher(rows, BuildHasherDefault::default()),
        }
    }

    /// Adds further rows.
    pub(super) fn add(&mut self, values: &[&str], index: &LookupIndex) {
        for value in values {
            let lookup = index.lookup(value);
            // By the hash, which is needed anyway, instead of the values: no second table of them is held
            // in memory.
            let place = *self.places.entry(lookup).or_insert_with(|| {
                self.lookups.push(lookup);
                self.first.push(self.rows.len());
                self.lookups.len() as u32 - 1
            });
            self.rows.push(place);
        }
    }

    /// Makes every row a value of its own.
    pub(super) fn add_each(&mut self, rows: usize) -> Result<()> {
        // Random hashes, which no value leads to: equal values stay apart, and the unique constraint of
        // the store holds as it is.
        self.lookups = (0..rows).map(|_| random::array()).collect::<Result<_>>()?;
        self.first = (0..rows).collect();
        self.rows = (0..rows as u32).collect();
        Ok(())
    }
}

/// Token spaces, each once.
#[derive(Default)]
pub(super) struct Spaces {
    pub(super) list: Vec<Space>,
    places: HashMap<SpaceId, usize>,
}

impl Spaces {
    pub(super) fn place(&mut self, space: Space) -> usize {
        *self.places.entry(space.id).or_insert_with(|| {
            self.list.push(space);
            self.list.len() - 1
        })
    }
}
