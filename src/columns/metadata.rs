//! How a protected column describes itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::nested;
use crate::policy::{OnInvalid, Treatment};
use crate::transform::Transform;
use crate::{Error, Result};

/// The key of the field metadata, whose value is a [`ProtectedColumn`] as one JSON object.
pub const METADATA_KEY: &str = "cipherform";

/// The note of a column in which values that do not fit were left in the clear.
const KEPT_CLEAR: &str = "on_invalid: insecure-keep";

/// The description of a protected column in its metadata. It never grants anything: that is for the policy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
// A field that this release does not know may change what the map means: refused, not skipped.
#[serde(deny_unknown_fields)]
pub struct ProtectedColumn {
    /// Of this object: 1.
    pub version: u32,
    /// The rule's name.
    pub rule: String,
    /// The treatment.
    pub treatment: Treatment,
    /// The format with its version: `pan/1`.
    pub format: String,
    /// SHA-256 over what defines the map, in hexadecimal.
    pub fingerprint: String,
    /// The domain that the subkey is bound to.
    pub domain: String,
    /// The data key's name.
    pub key: String,
    /// The number of its version, for display.
    pub key_version: u32,
    /// The id of its version, in hexadecimal: this is what counts.
    pub key_version_id: String,
    /// The tweak's definition.
    pub tweak: String,
    /// The check value of key, rule and tweak definition, in hexadecimal.
    pub check: String,
    /// The identity of the token store, in hexadecimal. For tokens this counts, and key version and check value do
    /// not: rows of the store are sealed anew when a key is rotated.
    // Absent where there is none, so that older files have the same bytes as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The first character of values that did not fit their format, and are encrypted as a whole; there are none
    /// without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap_mark: Option<char>,
    /// Departures from the standard, and values left in the clear; each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nonconforming: Vec<String>,
}

impl ProtectedColumn {
    /// Describes a column protected by `transform`.
    pub fn of(transform: &Transform) -> Self {
        let (rule, key) = (transform.rule(), transform.key());
        let mut nonconforming = Vec::new();
        if rule.treatment == Treatment::EncryptLegacy {
            // Said in the file itself, for whoever reads it without the policy.
            nonconforming.push("encrypt-legacy: FF3-1, which NIST has withdrawn".to_owned());
        }
        if let Some(reason) = &rule.insecure_legacy {
            nonconforming.push(format!("insecure_legacy: {reason}"));
        }
        if let Some(reason) = &rule.insecure_small_domain {
            nonconforming.push(format!("insecure_small_domain: {reason}"));
        }
        if rule.on_invalid == OnInvalid::InsecureKeep {
            nonconforming.push(KEPT_CLEAR.to_owned());
        }
        Self {
            version: 1,
            rule: rule.name.clone(),
            treatment: rule.treatment,
            // Name and version, not the whole definition: parameters may tell about the data, and the fingerprint
            // covers them.
            format: rule.format.version(),
            fingerprint: hex::encode(transform.fingerprint()),
            domain: rule.domain.clone(),
            // For people. The id and the check value are what is compared.
            key: key.name().to_string(),
            key_version: key.version(),
            key_version_id: key.version_id().to_string(),
            tweak: rule.tweak.to_string(),
            check: hex::encode(transform.check_value()),
            store: transform
                .tokenizer()
                .map(|tokenizer| tokenizer.store().id().to_string()),
            wrap_mark: (rule.on_invalid == OnInvalid::Siv).then_some(rule.wrap_mark),
            nonconforming,
        }
    }

    /// The handling of values that are none of the format, by `reveal`: only what was left in the clear may pass as it
    /// is.
    pub(super) fn on_invalid(&self) -> OnInvalid {
        match self.wrap_mark {
            Some(_) => OnInvalid::Siv,
            None if self.nonconforming.iter().any(|note| note == KEPT_CLEAR) => OnInvalid::InsecureKeep,
            None => OnInvalid::Error,
        }
    }

    /// Reads the description of `field`; `None` for a column that is not protected.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadInput`] when it says something we do not understand.
    pub fn read(field: &Field) -> Result<Option<Self>> {
        // Other libraries drop field metadata; such a column looks like one that was never protected.
        let Some(text) = field.metadata().get(METADATA_KEY) else {
            return Ok(None);
        };
        let garbled = || {
            Error::bad_input(format!(
                "column `{}` says it is protected, but its `{METADATA_KEY}` metadata cannot be read",
                field.name()
            ))
        };
        let column: Self = serde_json::from_str(text).map_err(|error| {
            garbled()
                .with_source(error)
                .with_hint("a newer version of cipherform may have written it")
        })?;
        // The version is read last: a later one may still have all fields of this one.
        match column.version {
            1 => Ok(Some(column)),
            _ => Err(garbled().with_hint("a newer version of cipherform has written it")),
        }
    }

    /// `field` with this metadata.
    pub(super) fn write(&self, field: &Field) -> Result<Field> {
        let text =
            serde_json::to_string(self).map_err(|error| Error::bug("metadata cannot be written").with_source(error))?;
        // Other keys of the field stay, such as extension types and field ids.
        let mut metadata = field.metadata().clone();
        metadata.insert(METADATA_KEY.to_owned(), text);
        Ok(field.clone().with_metadata(metadata))
    }

    /// The version that protected the column, if this release has a later one of it and can no longer read it: of its
    /// format, or of the bands of its short values.
    pub(super) fn retired(&self, transform: &Transform) -> Option<String> {
        let name = |version: &str| version.split('/').next().unwrap_or_default().to_owned();
        let ours = transform.rule().format.version();
        // Only a later version of the same format; another format is a changed rule, which `compare` says.
        if self.format != ours && name(&self.format) == name(&ours) {
            return Some(format!(
                "with format {}; this release has {ours}, which binds the classes of a value's characters to the tweak",
                self.format
            ));
        }
        let first = transform.first_band_fingerprint()?;
        (self.fingerprint == hex::encode(first)).then(|| {
            "with bands of version 1; this release has bands of version 2, which are bound to the tweak".to_owned()
        })
    }

    /// Does it describe what `transform` does? If not, what differs.
    pub(super) fn compare(&self, transform: &Transform) -> Result<(), &'static str> {
        // Described anew, so that both sides are compared as they would be written.
        let ours = Self::of(transform);
        // From the coarse to the fine: a changed format also changes the check value, and is the better message.
        if self.treatment != ours.treatment || self.format != ours.format || self.fingerprint != ours.fingerprint {
            return Err("its format or treatment differs");
        }
        if self.domain != ours.domain {
            return Err("its domain differs");
        }
        if self.tweak != ours.tweak {
            return Err("its tweak differs");
        }
        // Tokens mean nothing in another store, even under the same rule.
        if self.store != ours.store {
            return Err("its tokens are in another store");
        }
        // Each token's row names its own key version, so the column's is not compared.
        if self.treatment == Treatment::Tokenize {
            return Ok(());
        }
        // The check value covers the key's bytes: it differs also where an id was copied to another key.
        if self.key_version_id != ours.key_version_id || self.check != ours.check {
            return Err("its key differs");
        }
        Ok(())
    }
}

/// A file's description of all its protected columns, in metadata of its own: other libraries drop that of fields.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileDescription {
    /// Of this object: 1.
    version: u32,
    /// The columns and fields, by path.
    columns: BTreeMap<String, ProtectedColumn>,
}

/// The description of a schema's protected columns, to be kept under [`METADATA_KEY`] in a file's own metadata; `None`
/// if there are none.
///
/// # Errors
/// As [`ProtectedColumn::read`].
#[cfg(feature = "files")]
pub(crate) fn file_description(schema: &Schema) -> Result<Option<String>> {
    let columns: BTreeMap<String, ProtectedColumn> = protected_columns(schema)?.into_iter().collect();
    if columns.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_string(&FileDescription { version: 1, columns });
    Ok(Some(text.map_err(|error| {
        Error::bug("metadata cannot be written").with_source(error)
    })?))
}

/// The schema in which columns say of themselves what its own metadata says of them; what a column says already stays.
///
/// # Errors
/// [`crate::ErrorKind::BadInput`] for metadata that this release does not understand.
pub(crate) fn with_descriptions(schema: &SchemaRef) -> Result<SchemaRef> {
    let Some(text) = schema.metadata().get(METADATA_KEY) else {
        return Ok(Arc::clone(schema));
    };
    let garbled = || {
        Error::bad_input(format!("the `{METADATA_KEY}` metadata cannot be read"))
            .with_hint("a newer version of cipherform may have written it")
    };
    let file: FileDescription = serde_json::from_str(text).map_err(|error| garbled().with_source(error))?;
    if file.version != 1 || file.columns.values().any(|column| column.version != 1) {
        return Err(garbled());
    }
    let leaves = nested::leaves(schema);
    let mut failed = None;
    let mut described = |at: usize, field: &FieldRef| {
        let said = file.columns.get(leaves[at].path());
        let written = said
            .filter(|_| !field.metadata().contains_key(METADATA_KEY))
            .map(|said| said.write(field));
        Some(match written {
            None => Arc::clone(field),
            Some(Ok(field)) => Arc::new(field),
            Some(Err(error)) => {
                failed = Some(error);
                Arc::clone(field)
            }
        })
    };
    let described = nested::with_leaves(schema, &mut described);
    if let Some(error) = failed {
        return Err(error);
    }
    // It is said by the columns now, and would be stale once one of them is revealed.
    let mut metadata = described.metadata().clone();
    metadata.remove(METADATA_KEY);
    Ok(Arc::new(described.with_metadata(metadata)))
}

/// `field` without this metadata.
pub(super) fn clear(field: &Field) -> Field {
    let mut metadata: HashMap<String, String> = field.metadata().clone();
    metadata.remove(METADATA_KEY);
    field.clone().with_metadata(metadata)
}

/// A column, or a field within a nested one, and how it is protected, if it is.
#[derive(Clone, Debug)]
pub struct ColumnDescription {
    /// The name, or path: `address.postcode`, `phones[]`.
    pub name: String,
    /// The Arrow type.
    pub data_type: String,
    /// The description, if it is protected.
    pub protected: Option<ProtectedColumn>,
}

/// The columns of a schema, and what each says of itself; of structs and lists their fields.
///
/// # Errors
/// As [`ProtectedColumn::read`].
pub fn describe(schema: &Schema) -> Result<Vec<ColumnDescription>> {
    let describe = |leaf: nested::Leaf| {
        Ok(ColumnDescription {
            name: leaf.path().to_owned(),
            data_type: leaf.field.data_type().to_string(),
            protected: ProtectedColumn::read(&leaf.field)?,
        })
    };
    nested::leaves(schema).into_iter().map(describe).collect()
}

/// The protected ones of them.
///
/// # Errors
/// As [`ProtectedColumn::read`].
pub fn protected_columns(schema: &Schema) -> Result<Vec<(String, ProtectedColumn)>> {
    let protected = describe(schema)?.into_iter();
    Ok(protected
        .filter_map(|column| Some((column.name, column.protected?)))
        .collect())
}
