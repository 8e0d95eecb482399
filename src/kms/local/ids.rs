//! Ids in the file of a local KMS.

use crate::keys::random_id;

random_id! {
    /// The id of a file.
    pub(super) struct FileId
}

random_id! {
    /// The id of a KMS key, whatever its name.
    pub(super) struct LocalKeyId
}

random_id! {
    /// The id of a version of material. The number of the version is only for display.
    pub(super) struct MaterialId
}

random_id! {
    /// The token of an import, which names the wrapping key.
    pub(super) struct ImportToken
}

impl ImportToken {
    /// Returns the id that the wrapping key is sealed under: no version of material has it.
    pub(super) fn pair_id(self) -> MaterialId {
        MaterialId::from_bytes(*self.as_bytes())
    }
}

random_id! {
    /// The salt of a passphrase.
    pub(super) struct Salt
}
