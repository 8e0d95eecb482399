//! Stores brought to another key version: sealed and looked up anew.

use super::seal::{self, Opener, Row, Sealer};
use super::tokenizer::{Progress, Tokenizer};
use super::{Lookup, Record, Replacement, RowTag};
use crate::Result;
use crate::keys::KeyVersionId;

/// Rows that are resealed or re-indexed together.
const PAGE: usize = 2048;

impl Tokenizer {
    /// Seals every value that an older key version sealed under the active one. Tokens stay; others may work
    /// meanwhile. What is interrupted can be taken up again.
    ///
    /// # Errors
    /// As for [`reveal`](Self::reveal).
    pub async fn reseal(&self, told: &mut (dyn FnMut(Progress) + Send)) -> Result<Progress> {
        let active = self.active()?;
        self.scan_rows(told, |record, opener, sealer| {
            let Some((lookup, sealed)) = &record.value else {
                return Ok(None);
            };
            // Sealed under the active key already, by a run that was interrupted or by a writer of today.
            // So a run can be repeated.
            if seal::key_version(sealed)? == active.version_id() {
                return Ok(None);
            }
            // Look-up hash and tag stay: they are made with the domain's index key, which a rotation does
            // not change.
            let kept = (*lookup, record.tag);
            self.replacement(record, kept, opener, sealer)
        })
        .await
    }

    /// Makes every look-up hash and tag anew, under the active key version; rows without a tag get one. Meanwhile
    /// tokens are revealed, but a value may not be found, and none is minted: who tokenizes is told to wait. What is
    /// interrupted must be taken up again.
    ///
    /// # Errors
    /// As for [`reveal`](Self::reveal); a rule per occurrence has nothing to find values by.
    pub async fn reindex(&self, told: &mut (dyn FnMut(Progress) + Send)) -> Result<Progress> {
        let active = self.active()?.version_id();
        let state = self.store.domain(&self.domain(), active).await?;
        if let Some(begun) = state.reindexing_to.filter(|begun| *begun != active) {
            // Interrupted, and the key was rotated since: brought to its end first.
            self.reindex_to(begun, told).await?;
        }
        self.reindex_to(active, told).await
    }

    async fn reindex_to(&self, to: KeyVersionId, told: &mut (dyn FnMut(Progress) + Send)) -> Result<Progress> {
        let domain = self.domain();
        // Written to the store before the first row: from here on it refuses insertions of every process,
        // also of those that were opened before.
        self.store.begin_reindex(&domain, to).await?;
        let index = self.make_index(to)?;
        let walked = if self.rule.per_occurrence {
            Progress::default()
        } else {
            self.scan_rows(told, |record, opener, sealer| {
                let Some((lookup, sealed)) = &record.value else {
                    return Ok(None);
                };
                // The hash is made of the value, so each row is opened. The look-up hash is in the
                // associated data, so it is sealed again, too.
                let value = self.unseal(opener, &record.token, lookup, record.expires, sealed)?;
                let new = index.lookup(&value);
                let tag = index.tag(&new, &record.token, record.expires);
                // Done already, before an interruption.
                if new == *lookup && record.tag == Some(tag) {
                    return Ok(None);
                }
                self.replacement(record, (new, Some(tag)), opener, sealer)
            })
            .await?
        };
        // Only after the last row: an end that came earlier would allow insertions for values whose hash
        // is still the old one, and these would get a second token.
        self.store.end_reindex(&domain, to).await?;
        self.refresh_index().await?;
        Ok(walked)
    }

    /// Offers every row to `change`, page by page, and puts its answers in the store: until none is left, since
    /// others may change rows meanwhile.
    async fn scan_rows(
        &self,
        told: &mut (dyn FnMut(Progress) + Send),
        change: impl Fn(&Record, &mut Opener<'_>, &mut Sealer) -> Result<Option<Replacement>>,
    ) -> Result<Progress> {
        let domain = self.domain();
        let (mut after, mut progress) = (None, Progress::default());
        loop {
            let page = self.store.scan(&domain, after.clone(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(progress) };
            let mut opener = Opener::new(&self.keys, &self.rule.domain);
            // A key for each page, as for each batch.
            let mut sealer = Sealer::new(self.active()?, &self.rule.domain)?;
            let mut replacements = Vec::new();
            for record in &page {
                replacements.extend(change(record, &mut opener, &mut sealer)?);
            }
            let wanted = replacements.len() as u64;
            let replaced = match wanted {
                0 => 0,
                _ => self.store.replace(&domain, replacements).await?,
            };
            progress.changed += replaced;
            // Else somebody changed a row between scan and replacement (an erasure, an expiry): the page
            // is read again, so that nothing is skipped and nothing of theirs is undone.
            if replaced == wanted {
                progress.seen += page.len() as u64;
                after = Some(last.token.clone());
                told(progress);
            }
        }
    }

    fn replacement(
        &self,
        record: &Record,
        (lookup, tag): (Lookup, Option<RowTag>),
        opener: &mut Opener<'_>,
        sealer: &mut Sealer,
    ) -> Result<Option<Replacement>> {
        let Some((old_lookup, old)) = &record.value else {
            return Ok(None);
        };
        let value = self.unseal(opener, &record.token, old_lookup, record.expires, old)?;
        let row = Row {
            store: self.store.id(),
            domain: &self.rule.domain,
            token: &record.token,
            lookup: &lookup,
            expires: record.expires,
        };
        Ok(Some(Replacement {
            token: record.token.clone(),
            // The store compares it, so a value that was erased meanwhile does not come back.
            old: old.clone(),
            lookup,
            tag,
            sealed: sealer.seal(row, &value)?,
        }))
    }
}
