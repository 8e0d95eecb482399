//! Kinds of expressions, by what they show of protected columns.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};

use crate::policy::Grant;
use crate::sql::access::{Access, CheckResult as Result, Nested, Refusal, Sealed};
use crate::{Error, ErrorKind};

/// The kind of an expression, by what it shows.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Values that the role may see and compute with.
    Open,
    /// NULL, of any type.
    Null,
    /// A stored column that the role does not see plain.
    Sealed(Arc<Sealed>),
    /// A struct or list of which some fields are such.
    Nested(NestedKind),
    /// Shown as the role may see it: to be printed, and not to be computed with.
    Shown(Arc<Sealed>),
    /// Not needed by the statement, and so not looked at.
    Unneeded,
}

/// A struct or list, or one within another.
#[derive(Clone, Debug)]
pub(super) struct NestedKind {
    pub(super) nested: Arc<Nested>,
    /// The path from the table on: `orders[]`.
    pub(super) path: String,
    /// The field at that path; the fields within say how they are protected.
    pub(super) field: FieldRef,
}

impl Kind {
    /// The kind of a stored column.
    pub(super) fn of(access: &Access) -> Self {
        match access {
            Access::Open => Self::Open,
            Access::Sealed(sealed) => Self::Sealed(Arc::clone(sealed)),
            Access::Nested(nested) => Self::Nested(NestedKind {
                nested: Arc::clone(nested),
                path: nested.field.name().clone(),
                field: Arc::clone(&nested.field),
            }),
        }
    }

    /// Refuses what the role is denied.
    pub(super) fn needed(self) -> Result<Self> {
        match &self {
            Self::Sealed(sealed) if sealed.grant == Grant::Denied => Err(sealed.refuse("")),
            _ => Ok(self),
        }
    }

    /// Refuses what cannot be used in `what`, such as "LIKE".
    pub(super) fn open(&self, what: &str) -> Result<()> {
        match self {
            Self::Open | Self::Null | Self::Unneeded => Ok(()),
            Self::Sealed(sealed) | Self::Shown(sealed) => Err(sealed.refuse(what)),
            Self::Nested(nested) => Err(nested.refuse(what)),
        }
    }

    /// Checks that equality of the two is that of their values.
    pub(super) fn check_comparable(&self, other: &Self, what: &str) -> Result<()> {
        match (self, other) {
            (Self::Sealed(one), Self::Sealed(two)) if one.is_comparable(two) => Ok(()),
            (Self::Sealed(one), Self::Sealed(two)) => Err(one.refuse(&format!(
                "{what} with column `{}`, which has another key, rule or grant",
                two.column
            ))),
            (Self::Null, Self::Sealed(_)) | (Self::Sealed(_), Self::Null) => Ok(()),
            (one, two) => one.open(what).and_then(|()| two.open(what)),
        }
    }

    /// The kind of rows that come from either side: of a union, of the branches of CASE.
    pub(super) fn either(self, other: Self, what: &str) -> Result<Self> {
        match (&self, &other) {
            (Self::Unneeded, _) | (Self::Null, _) => Ok(other),
            (_, Self::Unneeded) | (_, Self::Null) | (Self::Open, Self::Open) => Ok(self),
            // Neither is compared with the other here, only shown as one column.
            (Self::Sealed(one), Self::Sealed(two)) if one.is_comparable(two) || one.is_alike(two) => Ok(self),
            (Self::Shown(_), Self::Shown(_)) => Ok(self),
            (Self::Nested(one), Self::Nested(two)) if one.is_alike(two) => Ok(self),
            (Self::Sealed(one), Self::Sealed(two)) => Err(one.refuse(&format!(
                "{what} with column `{}`, which has another key, rule or grant",
                two.column
            ))),
            (Self::Open, _) => Err(refused(&other, what)),
            _ => Err(refused(&self, what)),
        }
    }

    /// Checks that rows can be grouped by it, counted distinct or partitioned: equal values are told from others.
    pub(super) fn check_distinct(&self, what: &str) -> Result<()> {
        match self {
            Self::Sealed(sealed) if sealed.identity.is_some() => Ok(()),
            _ => self.open(what),
        }
    }

    /// The kind of the field `name` of a struct.
    pub(super) fn field(&self, name: &str) -> Result<Self> {
        let Self::Nested(nested) = self else {
            self.open("a field access")?;
            return Ok(Self::Open);
        };
        match nested.field.data_type() {
            DataType::Struct(fields) => match fields.iter().find(|field| field.name() == name) {
                Some(field) => Ok(nested.within(field, format!("{}.{name}", nested.path))),
                None => Ok(Self::Open), // DataFusion says that there is none
            },
            _ => Err(nested.refuse("a field access")),
        }
    }

    /// The kind of the elements of a list.
    pub(super) fn element(&self) -> Result<Self> {
        let Self::Nested(nested) = self else {
            self.open("an access to elements")?;
            return Ok(Self::Open);
        };
        match nested.field.data_type() {
            DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
                Ok(nested.within(element, format!("{}[]", nested.path)))
            }
            _ => Err(nested.refuse("an access to elements")),
        }
    }

    /// The kinds of all fields of a struct, in order.
    pub(super) fn fields(&self, names: &[String]) -> Result<Vec<Self>> {
        names.iter().map(|name| self.field(name)).collect()
    }
}

/// The refusal of `kind`, which is not open.
fn refused(kind: &Kind, what: &str) -> Refusal {
    let unlike = || Error::new(ErrorKind::NotAllowed, format!("columns of unlike kinds meet in {what}"));
    kind.open(what).err().unwrap_or_else(|| unlike().into())
}

impl NestedKind {
    /// The kind of a field within it, at `path`.
    fn within(&self, field: &Field, path: String) -> Kind {
        if let Some((_, sealed)) = self.nested.sealed.iter().find(|(known, _)| *known == path) {
            return Kind::Sealed(Arc::clone(sealed));
        }
        let below = |known: &str| {
            known
                .strip_prefix(&path)
                .is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        if !self.nested.sealed.iter().any(|(known, _)| below(known)) {
            return Kind::Open;
        }
        Kind::Nested(Self {
            nested: Arc::clone(&self.nested),
            // Named by its path, so that the paths of what is in it are the same as before.
            field: Arc::new(field.clone().with_name(&path)),
            path,
        })
    }

    /// The sealed fields in it.
    pub(super) fn sealed(&self) -> impl Iterator<Item = &Arc<Sealed>> {
        let within = |path: &str| {
            path.strip_prefix(&self.path)
                .is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        let fields = self.nested.sealed.iter().filter(move |(path, _)| within(path));
        fields.map(|(_, sealed)| sealed)
    }

    /// Have both the same sealed fields, shown alike?
    fn is_alike(&self, other: &Self) -> bool {
        let fields = |nested: &Self| -> Vec<(String, Arc<Sealed>)> {
            let within = nested.nested.sealed.iter();
            let path = &nested.path;
            let within = within.filter_map(|(known, sealed)| {
                let rest = known.strip_prefix(path).filter(|rest| rest.starts_with(['.', '[']))?;
                Some((rest.to_owned(), Arc::clone(sealed)))
            });
            within.collect()
        };
        let (one, two) = (fields(self), fields(other));
        one.len() == two.len()
            && one
                .iter()
                .zip(&two)
                .all(|((path, sealed), (other_path, other))| path == other_path && sealed.is_alike(other))
    }

    /// The refusal of something with the whole of it.
    pub(super) fn refuse(&self, what: &str) -> Refusal {
        match self.sealed().next() {
            Some(sealed) => sealed.refuse(what),
            None => Error::bug("a nested column without sealed fields").into(),
        }
    }
}

impl Sealed {
    /// Are both shown alike: under one rule and version, by one grant?
    fn is_alike(&self, other: &Self) -> bool {
        self.rule == other.rule && self.grant == other.grant
    }

    fn is_comparable(&self, other: &Self) -> bool {
        self.identity.is_some() && self.identity == other.identity
    }
}
