//! Checks that a token is that of the value whose look-up hash led to it.
//!
//! The store answers a look-up hash with a token. Whoever can write to the store could exchange the look-up hashes of
//! two people, and a job would give each the other's token: nothing is opened on that way. So each row has a tag, a MAC
//! over domain, look-up hash, token and end of life, which only the holders of the key can make.

use super::lookup_index::LookupIndex;
use super::seal::{self, Opener};
use super::tokenizer::Tokenizer;
use super::{Found, KnownToken, Lookup};
use crate::Result;

impl Tokenizer {
    /// The tokens of the rows that `lookups` led to: `None` for none, or for one that was emptied meanwhile.
    ///
    /// A row without a tag, from before stores had them, is opened instead: its value is sealed for the same row. It is
    /// slower, and as safe, so that taking a tag away gains nothing.
    ///
    /// # Errors
    /// [`WrongKey`](crate::ErrorKind::WrongKey) for a row that is not as it was written; what the store says.
    pub(super) async fn check_rows(
        &self,
        index: &LookupIndex,
        lookups: &[Lookup],
        found: Vec<Option<KnownToken>>,
        now: u64,
    ) -> Result<Vec<Option<String>>> {
        let mut untagged = Vec::new();
        for (at, (lookup, known)) in lookups.iter().zip(&found).enumerate() {
            match known {
                Some(KnownToken { tag: None, .. }) => untagged.push(at),
                Some(known @ KnownToken { tag: Some(tag), .. }) if !index.is_tag(tag, lookup, known) => {
                    return Err(seal::broken_row());
                }
                _ => {}
            }
        }
        let mut tokens: Vec<Option<String>> = found.into_iter().map(|known| known.map(|known| known.token)).collect();
        if untagged.is_empty() {
            return Ok(tokens);
        }
        let asked = untagged.iter().filter_map(|at| tokens[*at].clone()).collect();
        let rows = self.store.reveal(&self.domain(), asked, now).await?;
        let mut opener = Opener::new(&self.keys, &self.rule.domain);
        for (at, row) in untagged.into_iter().zip(rows) {
            let Found::Value {
                lookup,
                sealed,
                expires,
            } = row
            else {
                // Deleted or expired since the look-up.
                tokens[at] = None;
                continue;
            };
            let token = tokens[at].as_deref().unwrap_or_default();
            let value = self.unseal(&mut opener, token, &lookup, expires, &sealed)?;
            // By the value, not by the row's look-up hash: a re-index may have changed that since.
            if index.lookup(&value) != lookups[at] {
                return Err(seal::broken_row());
            }
        }
        Ok(tokens)
    }
}
