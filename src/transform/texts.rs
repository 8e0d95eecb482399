//! Results as text, in the shape Arrow wants them.

/// Texts one after the other, NULLs among them.
#[derive(Debug, Default)]
pub struct Texts {
    bytes: String,
    /// Where each text ends; it begins where the one before ends.
    ends: Vec<usize>,
    /// Empty while no row is NULL.
    valid: Vec<bool>,
}

impl Texts {
    /// Room for `rows` texts of `bytes` bytes together.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self {
            bytes: String::with_capacity(bytes),
            ends: Vec::with_capacity(rows),
            valid: Vec::new(),
        }
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        let mut start = 0;
        self.ends.iter().enumerate().map(move |(row, end)| {
            let text = &self.bytes[start..*end];
            start = *end;
            self.valid.get(row).copied().unwrap_or(true).then_some(text)
        })
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends what `write` writes.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
        if !self.valid.is_empty() {
            self.valid.push(true);
        }
    }

    /// Appends NULL.
    pub(super) fn push_null(&mut self) {
        if self.valid.is_empty() {
            self.valid = vec![true; self.ends.len()];
        }
        self.ends.push(self.bytes.len());
        self.valid.push(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_may_come_at_any_row() {
        for nulls in [vec![], vec![0], vec![2], vec![0, 1, 2]] {
            let mut texts = Texts::default();
            let rows: Vec<Option<&str>> = (0..3).map(|row| (!nulls.contains(&row)).then_some("ab")).collect();
            for row in &rows {
                match row {
                    Some(text) => texts.push_with(|out| out.push_str(text)),
                    None => texts.push_null(),
                }
            }
            assert_eq!(texts.iter().collect::<Vec<_>>(), rows);
        }
    }
}
