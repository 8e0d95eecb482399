//! One Parquet file.

use std::path::Path;

use datafusion::prelude::ParquetReadOptions;

use super::view;
use crate::files::Source;
use crate::sql::{Session, from_datafusion};
use crate::{Error, Result};

pub(in crate::sql) async fn register(session: &Session, name: &str, path: &Path) -> Result<()> {
    view::check_name(session, name)?;
    let source = Source::open(path)?;
    let location = url(path)?;
    let options = ParquetReadOptions::default().file_extension("");
    let stored = session.context().read_parquet(location, options).await;
    let stored = stored.map_err(from_datafusion)?;
    view::register(session, name, source.schema(), stored)
        .await
        .map_err(|error| error.context(format_args!("`{}`", path.display())))
}

/// The URL of one file. A bare path would be taken for a pattern, and `a*.parquet` reveal other files by the footer
/// of one.
fn url(path: &Path) -> Result<String> {
    let absolute = path.canonicalize();
    let absolute = absolute.map_err(|error| Error::io(format!("cannot open `{}`", path.display()), error))?;
    let name = absolute
        .to_str()
        .ok_or_else(|| Error::bad_input("the file's name is not UTF-8"))?;
    let mut url = "file://".to_owned();
    for byte in name.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => url.push(char::from(byte)),
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    Ok(url)
}
