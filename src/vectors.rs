//! Files of published answers, schema `fpe-vectors/1`; `tests/vectors/README.md` describes it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::cipher::selftest::{Expected, Vector, VectorFile};
use crate::cipher::{CipherError, Mode};
use crate::{Error, Result};

/// A case as its file holds it.
#[derive(Deserialize)]
struct VectorCase {
    id: String,
    result: Validity,
    reason: Option<String>,
    domain: DomainSize,
    key: String,
    tweak: String,
    radix: u32,
    pt: Option<Vec<i64>>,
    ct: Option<Vec<i64>>,
    alphabet: Option<String>,
    pt_str: Option<String>,
    ct_str: Option<String>,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Validity {
    Valid,
    Invalid,
}

/// The size of the domain, radix^n: at least 1,000,000, at least 100, or fewer.
#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum DomainSize {
    Rev1,
    Orig,
    Below,
}

/// The head of a file, which says whether the rest is ours to read.
#[derive(Deserialize)]
struct VectorHead {
    schema: String,
}

#[derive(Deserialize)]
struct VectorContents {
    algorithm: String,
    count: usize,
    count_valid: usize,
    count_invalid: usize,
    vectors: Vec<VectorCase>,
}

/// Every vector file of a directory, in the order of their names.
///
/// # Errors
///
/// I/O if the directory or a file cannot be read, bad input if a JSON file is garbled or no file is one of vectors.
pub fn read_directory(directory: &Path) -> Result<Vec<VectorFile>> {
    let io = |error| Error::io(format!("cannot read `{}`", directory.display()), error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        files.extend(read(&path)?);
    }
    if files.is_empty() {
        let message = format!("`{}` holds no file of test vectors", directory.display());
        return Err(Error::bad_input(message).with_hint("such a file is JSON with the schema `fpe-vectors/1`"));
    }
    Ok(files)
}

/// One file, unless its schema is another.
fn read(path: &Path) -> Result<Option<VectorFile>> {
    let text =
        fs::read_to_string(path).map_err(|error| Error::io(format!("cannot read `{}`", path.display()), error))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    parse(&name, &text)
}

fn parse(name: &str, text: &str) -> Result<Option<VectorFile>> {
    let garbled = |error: serde_json::Error| Error::bad_input(format!("`{name}` is garbled")).with_source(error);
    let any: serde_json::Value = serde_json::from_str(text).map_err(garbled)?;
    if !VectorHead::deserialize(&any).is_ok_and(|head| head.schema == "fpe-vectors/1") {
        return Ok(None);
    }
    let contents = VectorContents::deserialize(any).map_err(garbled)?;
    let valid = contents
        .vectors
        .iter()
        .filter(|vector| vector.result == Validity::Valid)
        .count();
    if (contents.count_valid, contents.count) != (valid, contents.vectors.len())
        || contents.count_invalid != contents.count - valid
    {
        return Err(Error::bad_input(format!(
            "`{name}` does not hold the vectors it counts"
        )));
    }
    let mode = match contents.algorithm.as_str() {
        "FF1" => Mode::Ff1,
        "FF3-1" => Mode::Ff3_1,
        "FF3" => Mode::Ff3,
        other => {
            return Err(Error::bad_input(format!(
                "`{name}` is for an unknown algorithm, `{other}`"
            )));
        }
    };
    Ok(Some(VectorFile {
        name: name.to_owned(),
        mode,
        vectors: contents
            .vectors
            .into_iter()
            .map(Vector::try_from)
            .collect::<Result<_>>()?,
    }))
}

impl TryFrom<VectorCase> for Vector {
    type Error = Error;

    fn try_from(case: VectorCase) -> Result<Self> {
        let expected = match case.result {
            Validity::Valid => Expected::Answer(case.numerals(case.ct.as_deref(), case.ct_str.as_deref())??),
            Validity::Invalid => Expected::Refused {
                reason: case.reason.clone().unwrap_or_default(),
            },
        };
        Ok(Self {
            key: case.bytes(&case.key)?,
            tweak: case.bytes(&case.tweak)?,
            radix: case.radix,
            small_domain: case.domain == DomainSize::Orig,
            plain: case.numerals(case.pt.as_deref(), case.pt_str.as_deref())?,
            expected,
            id: case.id,
        })
    }
}

impl VectorCase {
    fn bytes(&self, text: &str) -> Result<Vec<u8>> {
        hex::decode(text).map_err(|error| Error::bad_input(format!("vector `{}`", self.id)).with_source(error))
    }

    /// The numerals of a text, or why there are none for one of its characters.
    fn numerals(&self, list: Option<&[i64]>, text: Option<&str>) -> Result<Result<Vec<u16>, CipherError>> {
        match (list, text, &self.alphabet) {
            (Some(list), None, None) => {
                let numeral = |(position, numeral): (usize, &i64)| {
                    u16::try_from(*numeral).map_err(|_| CipherError::NumeralOutOfRange {
                        row: 0,
                        position,
                        radix: self.radix,
                    })
                };
                Ok(list.iter().enumerate().map(numeral).collect())
            }
            (None, Some(text), Some(alphabet)) => {
                let alphabet = Characters::try_new(alphabet, self.radix).map_err(|error| error.context(&self.id))?;
                Ok(alphabet.numerals(text))
            }
            _ => Err(Error::bad_input(format!(
                "vector `{}` has neither numerals nor a string over an alphabet",
                self.id
            ))),
        }
    }
}

/// Code points and the numerals they stand for.
pub(crate) struct Characters(HashMap<char, u16>);

impl Characters {
    /// The code point at index i is numeral i.
    ///
    /// # Errors
    ///
    /// Bad input unless these are `radix` different code points.
    pub(crate) fn try_new(characters: &str, radix: u32) -> Result<Self> {
        let numerals: HashMap<char, u16> = characters.chars().zip(0..=u16::MAX).collect();
        let expected = radix as usize;
        if numerals.len() != expected || characters.chars().count() != expected {
            return Err(Error::bad_input(format!(
                "the alphabet is not {radix} different characters"
            )));
        }
        Ok(Self(numerals))
    }

    pub(crate) fn numerals(&self, text: &str) -> Result<Vec<u16>, CipherError> {
        let numeral = |(position, character)| {
            let numeral = self.0.get(&character).copied();
            numeral.ok_or(CipherError::CharNotInAlphabet { position })
        };
        text.chars().enumerate().map(numeral).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::selftest::{self, Totals};

    #[test]
    fn alphabets_go_by_code_point() {
        let alphabet = Characters::try_new("aß€😀", 4).unwrap();
        assert_eq!(alphabet.numerals("😀a€ß").unwrap(), [3, 0, 2, 1]);
        assert_eq!(
            alphabet.numerals("€x"),
            Err(CipherError::CharNotInAlphabet { position: 1 })
        );
        assert!(Characters::try_new("aba", 3).is_err());
        assert!(Characters::try_new("abc", 4).is_err());
    }

    #[test]
    fn every_vector_in_the_tree_is_right() {
        let files = read_directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")).unwrap();
        let mut failed = Vec::new();
        let summary = selftest::run(&files, &mut |line| failed.extend(line.failed.clone())).unwrap();
        assert_eq!(failed, [""; 0]);
        assert!(summary.ok());
        let expected = Totals {
            passed: 13_292,
            refused: 1_772,
            failed: 0,
        };
        assert_eq!((summary.vectors, summary.files), (expected, 20));
        assert!(summary.built_in.passed > 100);
    }

    #[test]
    fn a_directory_without_vectors_is_an_error() {
        let empty = tempfile::tempdir().unwrap();
        let kind = |directory: &Path| read_directory(directory).map(|_| ()).unwrap_err().kind();
        std::fs::write(empty.path().join("README.md"), "no vectors").unwrap();
        assert_eq!(kind(empty.path()), crate::ErrorKind::BadInput);
        assert_eq!(kind(&empty.path().join("missing")), crate::ErrorKind::Io);
        std::fs::write(empty.path().join("a.json"), "{\"schema\":").unwrap();
        assert_eq!(kind(empty.path()), crate::ErrorKind::BadInput);
    }

    #[test]
    fn garbled_or_miscounted_files_are_errors_and_others_are_skipped() {
        assert!(parse("a.json", "{").is_err());
        assert!(parse("a.json", "{\"schema\":\"other/1\"}").unwrap().is_none());
        assert!(parse("a.json", "[1]").unwrap().is_none());
        let file = |count| {
            format!(
                "{{\"schema\":\"fpe-vectors/1\",\"algorithm\":\"FF1\",\
                 \"count\":{count},\"count_valid\":0,\"count_invalid\":0,\"vectors\":[]}}"
            )
        };
        assert!(parse("a.json", &file(1)).is_err());
        assert!(parse("a.json", &file(0)).unwrap().unwrap().vectors.is_empty());
        assert!(parse("a.json", "{\"schema\":\"fpe-vectors/1\"}").is_err());
    }
}
