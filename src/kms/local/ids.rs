//! Ids.

use crate::keys::random_id;

random_id! {
    /// Which file.
    pub(super) struct FileId
}

random_id! {
    /// Which KMS key, whatever its name.
    pub(super) struct LocalKeyId
}

random_id! {
    /// Which version of a KMS key's material; its number is only for display.
    pub(super) struct MaterialId
}

random_id! {
    /// Which wrapping key material came with.
    pub(super) struct ImportToken
}

impl ImportToken {
    /// What the wrapping key is sealed for: no version of material has this id.
    pub(super) fn pair_id(self) -> MaterialId {
        MaterialId::from_bytes(*self.as_bytes())
    }
}

random_id! {
    /// Makes the same passphrase give another key in another file.
    pub(super) struct Salt
}
