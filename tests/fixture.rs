//! Files that earlier versions protected: they reveal and are protected again to the same bytes, or say why not.

use std::fs;
use std::path::Path;

use arrow::array::{Array, RecordBatch};

use crate::sandbox::{Sandbox, read};

/// Columns whose treatment has no way back.
// Of these only the protected bytes can be compared.
const ONE_WAY: [&str; 4] = ["hashed", "masked", "age", "month"];

/// Columns of the first file with formats that have a later version: names, templates, IBANs and bands.
// They bound nothing of a value's shape to the tweak.
const RETIRED: [&str; 5] = ["short", "plate", "name", "iban", "address"];

/// `tests/fixtures/protected` in a folder of its own, with the keys that only their owner may read.
fn fixture() -> Sandbox {
    let sandbox = Sandbox::empty();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/protected");
    for file in fs::read_dir(fixture).unwrap() {
        let file = file.unwrap();
        let to = sandbox.path(file.file_name().to_str().unwrap());
        fs::write(&to, fs::read(file.path()).unwrap()).unwrap();
        // Git keeps no such permissions.
        #[cfg(unix)]
        fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    sandbox
}

/// Compares the columns of two files, but for those of `except`.
fn same(one: &RecordBatch, other: &RecordBatch, except: &[&str]) {
    let names = |batch: &RecordBatch| -> Vec<String> {
        let fields = batch.schema();
        fields.fields().iter().map(|field| field.name().clone()).collect()
    };
    assert_eq!(names(one), names(other));
    for name in names(one).iter().filter(|name| !except.contains(&name.as_str())) {
        let (one, other) = (one.column_by_name(name).unwrap(), other.column_by_name(name).unwrap());
        // Buffers and all, not only equal values.
        assert_eq!(one.to_data(), other.to_data(), "column {name}");
    }
}

#[test]
fn a_file_of_an_earlier_version_reveals() {
    let sandbox = fixture();
    sandbox.ok(&["reveal", "protected-2.parquet", "back.parquet"]);
    let (_, plain) = read(&sandbox.path("plain.parquet"));
    let (_, back) = read(&sandbox.path("back.parquet"));
    assert_eq!(plain.num_rows(), 12);
    same(&plain, &back, &ONE_WAY);
}

#[test]
fn a_file_is_protected_as_by_an_earlier_version() {
    // Encryption is deterministic, so the same file must come out: a changed subkey, tweak or layout shows here.
    for (earlier, except) in [("protected-1", &RETIRED[..]), ("protected-2", &[])] {
        let sandbox = fixture();
        sandbox.ok(&["protect", "--table", "protected", "plain.parquet", "again.parquet"]);
        let (_, stored) = read(&sandbox.path(&format!("{earlier}.parquet")));
        let (_, again) = read(&sandbox.path("again.parquet"));
        same(&stored, &again, except);
        // The description of each protected column, its check value among it, is that of the earlier version.
        for (stored, again) in stored.schema().fields().iter().zip(again.schema().fields()) {
            if !except.contains(&stored.name().as_str()) {
                assert_eq!(stored.metadata(), again.metadata(), "column {}", stored.name());
            }
        }
    }
}

/// A column of a version that no longer exists says which it is, and what to do; so does one with short values of
/// the bands of then.
#[test]
fn a_format_that_has_a_later_version_says_so() {
    let sandbox = fixture();
    let refused = sandbox.fails(1, &["reveal", "protected-1.parquet", "back.parquet"]);
    // The message names what is retired and not just a mismatch, which would look like a wrong key.
    assert!(refused.contains("bands of version 1"), "{refused}");
    assert!(refused.contains("with the release that protected it"), "{refused}");
    let (schema, stored) = read(&sandbox.path("protected-1.parquet"));
    for (column, version) in [("name", "name/1"), ("plate", "template/1"), ("iban", "iban/1")] {
        // Each column alone, or the first refusal would hide the others.
        let only = stored.project(&[schema.index_of(column).unwrap()]).unwrap();
        sandbox.write("only.parquet", &only);
        let refused = sandbox.fails(1, &["reveal", "only.parquet", "back.parquet"]);
        assert!(
            refused.contains(&format!("column `{column}` was protected with format {version}")),
            "{refused}"
        );
    }
    assert!(!sandbox.path("back.parquet").exists());
}
