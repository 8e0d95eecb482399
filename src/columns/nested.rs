//! Fields within structs and lists.
//!
//! A leaf is what can be protected: a column that is neither struct nor list, or a field within one, named by its
//! path. `address.postcode` is a field of a struct, `phones[]` the elements of a list, `orders[].card` a field of
//! each.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, OffsetSizeTrait, StructArray, UInt64Array,
    make_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::error::ArrowError;

use crate::{Error, Result};

/// A column that is not nested, or a field within one that is.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// The path, and the paths of the columns and fields around it, innermost first.
    pub(super) names: Vec<String>,
    /// The place of its column.
    pub(super) column: usize,
    /// From the column to it.
    pub(super) steps: Vec<Step>,
    pub(super) field: FieldRef,
}

/// One level down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// To a field of a struct.
    Field(usize),
    /// To the elements of a list.
    Elements,
}

impl Leaf {
    pub(super) fn path(&self) -> &str {
        &self.names[0]
    }

    /// Has each row one value of it?
    pub(super) fn is_one_a_row(&self) -> bool {
        !self.steps.contains(&Step::Elements)
    }
}

/// The leaves of a schema, in order.
pub(super) fn leaves(schema: &Schema) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for (column, field) in schema.fields().iter().enumerate() {
        descend(field, vec![field.name().clone()], column, &mut Vec::new(), &mut leaves);
    }
    leaves
}

fn descend(field: &FieldRef, names: Vec<String>, column: usize, steps: &mut Vec<Step>, leaves: &mut Vec<Leaf>) {
    // Innermost first, with all paths around it: `[columns]` may name any of them.
    let within = |name: String| std::iter::once(name).chain(names.iter().cloned()).collect();
    match field.data_type() {
        // A struct without fields has no leaf; it is a leaf itself, and stays as it is.
        DataType::Struct(fields) if !fields.is_empty() => {
            for (at, child) in fields.iter().enumerate() {
                steps.push(Step::Field(at));
                descend(
                    child,
                    within(format!("{}.{}", names[0], child.name())),
                    column,
                    steps,
                    leaves,
                );
                steps.pop();
            }
        }
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            steps.push(Step::Elements);
            descend(element, within(format!("{}[]", names[0])), column, steps, leaves);
            steps.pop();
        }
        // Maps, list views and dictionaries of structs are leaves as well, and `check_type` refuses them.
        _ => leaves.push(Leaf {
            names,
            column,
            steps: steps.clone(),
            field: Arc::clone(field),
        }),
    }
}

/// The result of a leaf: nothing, or a field and perhaps the number of the work that makes it.
pub(super) type Fate = Option<(FieldRef, Option<usize>)>;

/// The result of a column.
#[derive(Debug)]
pub(super) enum Shape {
    /// It stays as it is.
    Copy,
    /// It is the result of this number.
    Result(usize),
    /// These of its fields stay.
    Struct(Vec<(usize, Shape)>),
    /// This becomes of its elements.
    List(Box<Shape>),
}

/// Shapes a column from the results of its leaves, in order; `None` if nothing is left.
pub(super) fn shaped(field: &FieldRef, fates: &mut impl Iterator<Item = Fate>) -> Option<(FieldRef, Shape)> {
    let with_type = |data_type| Arc::new(field.as_ref().clone().with_data_type(data_type));
    let mut of_list = |element: &FieldRef, list: &dyn Fn(FieldRef) -> DataType| {
        let (element, shape) = shaped(element, fates)?;
        Some(match shape {
            // Nothing within changed: the column is kept with its buffers, and is not rebuilt.
            Shape::Copy => (Arc::clone(field), Shape::Copy),
            shape => (with_type(list(element)), Shape::List(Box::new(shape))),
        })
    };
    match field.data_type() {
        DataType::Struct(fields) if !fields.is_empty() => {
            let shaped: Vec<_> = fields
                .iter()
                .enumerate()
                // A field that is dropped is gone; its neighbours keep their old numbers in the shape.
                .filter_map(|(at, child)| shaped(child, fates).map(|(child, shape)| (child, (at, shape))))
                .collect();
            // The same number of fields, and none of them new.
            let is_same =
                shaped.len() == fields.len() && shaped.iter().all(|(_, (_, shape))| matches!(shape, Shape::Copy));
            match (is_same, shaped.is_empty()) {
                (true, _) => Some((Arc::clone(field), Shape::Copy)),
                (_, true) => None,
                _ => {
                    let (fields, shapes): (Vec<_>, Vec<_>) = shaped.into_iter().unzip();
                    Some((with_type(DataType::Struct(fields.into())), Shape::Struct(shapes)))
                }
            }
        }
        DataType::List(element) => of_list(element, &DataType::List),
        DataType::LargeList(element) => of_list(element, &DataType::LargeList),
        DataType::FixedSizeList(element, n) => of_list(element, &|element| DataType::FixedSizeList(element, *n)),
        _ => {
            // One fate for each leaf, in the order of `leaves`: both descend alike.
            let (field, result) = fates.next()??;
            Some((field, result.map_or(Shape::Copy, Shape::Result)))
        }
    }
}

/// The paths of a schema's leaves.
#[cfg(feature = "files")]
pub(crate) fn leaf_paths(schema: &Schema) -> Vec<String> {
    leaves(schema).into_iter().map(|leaf| leaf.path().to_owned()).collect()
}

/// The schema with what `new` makes of each of its leaves, by number; without those of which it makes nothing.
pub(crate) fn with_leaves(schema: &Schema, new: &mut dyn FnMut(usize, &FieldRef) -> Option<FieldRef>) -> Schema {
    let mut number = 0;
    let fields = schema.fields().iter();
    let fields: Vec<FieldRef> = fields
        .filter_map(|field| with_leaves_of(field, &mut number, new))
        .collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

fn with_leaves_of(
    field: &FieldRef,
    number: &mut usize,
    new: &mut dyn FnMut(usize, &FieldRef) -> Option<FieldRef>,
) -> Option<FieldRef> {
    let mut within = |element: &FieldRef| with_leaves_of(element, number, new);
    let data_type = match field.data_type() {
        DataType::Struct(fields) if !fields.is_empty() => {
            let fields: Vec<FieldRef> = fields.iter().filter_map(within).collect();
            (!fields.is_empty()).then(|| DataType::Struct(fields.into()))?
        }
        DataType::List(element) => DataType::List(within(element)?),
        DataType::LargeList(element) => DataType::LargeList(within(element)?),
        DataType::FixedSizeList(element, n) => DataType::FixedSizeList(within(element)?, *n),
        _ => {
            *number += 1;
            return new(*number - 1, field);
        }
    };
    Some(Arc::new(field.as_ref().clone().with_data_type(data_type)))
}

/// The values of a leaf in an array of its column.
pub(super) struct Values {
    pub(super) array: ArrayRef,
    /// The row of each value; `None` where each row has one.
    pub(super) rows: Option<Vec<usize>>,
}

/// Takes the values of a leaf out of its column.
pub(super) fn values(column: &ArrayRef, steps: &[Step]) -> Result<Values> {
    let (mut array, mut rows): (ArrayRef, Option<Vec<usize>>) = (Arc::clone(column), None);
    for step in steps {
        array = match step {
            Step::Field(at) => {
                // Arrow's slices of structs slice their children, so no offset is left to add.
                let parent = array.as_struct();
                // Under a NULL struct, a child may hold any value, also one that does not fit. It is nobody's, and
                // must not fail or be encrypted.
                hidden_behind(parent.column(*at), parent.nulls())?
            }
            Step::Elements => {
                let elements = elements(&array)?;
                // Lists in lists: the row of an inner element is that of the outer one.
                rows = Some(match rows.take() {
                    None => elements.rows,
                    Some(outer) => elements.rows.into_iter().map(|row| outer[row]).collect(),
                });
                elements.values
            }
        };
    }
    Ok(Values { array, rows })
}

/// Puts `results` where their leaves were.
pub(super) fn rebuilt(array: &ArrayRef, field: &Field, shape: &Shape, results: &[ArrayRef]) -> Result<ArrayRef> {
    match shape {
        Shape::Copy => Ok(Arc::clone(array)),
        Shape::Result(at) => Ok(Arc::clone(&results[*at])),
        Shape::Struct(shapes) => {
            let DataType::Struct(fields) = field.data_type() else {
                return Err(unlike(field));
            };
            let parent = array.as_struct();
            let children = shapes.iter().zip(fields);
            let children = children.map(|((at, shape), field)| match shape {
                // Not hidden: it stays bit for bit what it was.
                Shape::Copy => Ok(Arc::clone(parent.column(*at))),
                // As it was when its values were taken out: a field that must not hold NULL then has them only where
                // what it is in is NULL.
                shape => {
                    let child = hidden_behind(parent.column(*at), parent.nulls())?;
                    rebuilt(&child, field, shape, results)
                }
            });
            let children = children.collect::<Result<Vec<_>>>()?;
            // With the length, as a struct whose fields were all dropped has none to tell it by.
            let array =
                StructArray::try_new_with_length(fields.clone(), children, parent.nulls().cloned(), array.len());
            Ok(Arc::new(array.map_err(unfit)?))
        }
        Shape::List(shape) => {
            // Taken out the same way as in `values`, so offsets and results agree.
            let elements = elements(array)?;
            let inner = |field: &FieldRef| rebuilt(&elements.values, field, shape, results);
            Ok(match (field.data_type(), elements.offsets) {
                (DataType::List(field), Offsets::Small(offsets)) => {
                    let list =
                        GenericListArray::try_new(Arc::clone(field), offsets, inner(field)?, array.nulls().cloned());
                    Arc::new(list.map_err(unfit)?)
                }
                (DataType::LargeList(field), Offsets::Large(offsets)) => {
                    let list =
                        GenericListArray::try_new(Arc::clone(field), offsets, inner(field)?, array.nulls().cloned());
                    Arc::new(list.map_err(unfit)?)
                }
                (DataType::FixedSizeList(field, n), Offsets::Fixed) => {
                    let list = FixedSizeListArray::try_new_with_length(
                        Arc::clone(field),
                        *n,
                        inner(field)?,
                        array.nulls().cloned(),
                        array.len(),
                    );
                    Arc::new(list.map_err(unfit)?)
                }
                _ => return Err(unlike(field)),
            })
        }
    }
}

/// The elements of a list array that its rows have, and no others.
struct Elements {
    values: ArrayRef,
    /// The row of each.
    rows: Vec<usize>,
    offsets: Offsets,
}

enum Offsets {
    Small(OffsetBuffer<i32>),
    Large(OffsetBuffer<i64>),
    Fixed,
}

fn elements(array: &ArrayRef) -> Result<Elements> {
    match array.data_type() {
        DataType::List(_) => elements_of(array.as_list::<i32>(), Offsets::Small),
        DataType::LargeList(_) => elements_of(array.as_list::<i64>(), Offsets::Large),
        DataType::FixedSizeList(_, n) => {
            // A slice of such an array slices its values, so element `at` belongs to row `at / n`.
            let list = array.as_fixed_size_list();
            let n = usize::try_from(*n).map_err(|_| Error::bug("lists of a negative length"))?;
            Ok(Elements {
                // What stands behind a NULL row is NULL.
                values: hidden_behind(list.values(), list.nulls().map(|nulls| nulls.expand(n)).as_ref())?,
                // Lists of length 0 have no elements, and must not divide by zero.
                rows: (0..list.len() * n).map(|at| at / n.max(1)).collect(),
                offsets: Offsets::Fixed,
            })
        }
        other => Err(Error::bug(format!("{other} has no elements"))),
    }
}

fn elements_of<O: OffsetSizeTrait>(
    list: &GenericListArray<O>,
    offsets: impl FnOnce(OffsetBuffer<O>) -> Offsets,
) -> Result<Elements> {
    // Differences of offsets: a slice begins anywhere in the values.
    let lengths = || list.offsets().windows(2).map(|pair| (pair[1] - pair[0]).as_usize());
    // Rare: most writers leave nothing behind a NULL list. The copy is made only where there is.
    if lengths()
        .enumerate()
        .any(|(row, length)| length > 0 && list.is_null(row))
    {
        // Elements that stand behind a NULL row are nobody's.
        let all: UInt64Array = (0..list.len() as u64)
            .map(|row| list.is_valid(row as usize).then_some(row))
            .collect();
        let compact = take(list, &all, None).map_err(unfit)?;
        return elements_of(compact.as_list::<O>(), offsets);
    }
    // Only the elements that the slice refers to are treated; others may belong to rows that were filtered out.
    let (first, last) = (list.offsets()[0], list.offsets()[list.len()]);
    // The treated elements begin at 0, so the offsets have to as well.
    let from_zero: ScalarBuffer<O> = list.offsets().iter().map(|offset| *offset - first).collect();
    Ok(Elements {
        values: list.values().slice(first.as_usize(), (last - first).as_usize()),
        rows: lengths()
            .enumerate()
            .flat_map(|(row, length)| std::iter::repeat_n(row, length))
            .collect(),
        offsets: offsets(OffsetBuffer::new(from_zero)),
    })
}

/// `array`, NULL also where what it is in is.
fn hidden_behind(array: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<ArrayRef> {
    // The usual case needs no new array.
    let nulls = match nulls {
        Some(nulls) if nulls.null_count() > 0 => NullBuffer::union(Some(nulls), array.nulls()),
        _ => return Ok(Arc::clone(array)),
    };
    match array.data_type() {
        DataType::Union(..) | DataType::Null => return Ok(Arc::clone(array)), // without NULLs of their own
        DataType::RunEndEncoded(_, values) => {
            // Its NULLs are among its values, so that new ones end runs.
            let rows = hidden_behind(&cast(array, values.data_type()).map_err(unfit)?, nulls.as_ref())?;
            return cast(&rows, array.data_type()).map_err(unfit);
        }
        _ => {}
    }
    // The buffers are shared and only the null buffer is new; `build` checks it again.
    let hidden = array.to_data().into_builder().nulls(nulls).build();
    hidden.map(make_array).map_err(unfit)
}

fn unlike(field: &Field) -> Error {
    Error::bug(format!("column `{}` changed its type on the way", field.name()))
}

fn unfit(error: ArrowError) -> Error {
    Error::bad_input(
        "a result does not fit into its struct or list: on_invalid = \"null\" needs a field that may hold NULL",
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, ListArray, RunArray, StringArray};
    use arrow::datatypes::{Fields, Int32Type};

    use super::*;

    fn struct_of(fields: Vec<Field>) -> DataType {
        DataType::Struct(fields.into())
    }

    fn schema() -> Schema {
        let item = struct_of(vec![
            Field::new("sku", DataType::Utf8, true),
            Field::new("n", DataType::Int32, true),
        ]);
        let orders = DataType::List(Arc::new(Field::new("item", item, true)));
        let address = struct_of(vec![
            Field::new("postcode", DataType::Utf8, true),
            Field::new("orders", orders, true),
        ]);
        Schema::new(vec![
            Field::new("id", DataType::Int32, false),
            Field::new("address", address, true),
        ])
    }

    #[test]
    fn leaves_have_paths() {
        let schema = schema();
        let leaves = leaves(&schema);
        let paths: Vec<&str> = leaves.iter().map(Leaf::path).collect();
        assert_eq!(
            paths,
            ["id", "address.postcode", "address.orders[].sku", "address.orders[].n"]
        );
        assert_eq!(leaves[2].names[1..], ["address.orders[]", "address.orders", "address"]);
        assert_eq!(leaves[2].steps, [Step::Field(1), Step::Elements, Step::Field(0)]);
        assert!(leaves[1].is_one_a_row() && !leaves[2].is_one_a_row());
    }

    #[test]
    fn what_is_dropped_is_left_out_and_what_nothing_is_left_of_too() {
        let schema = schema();
        let keep = |at: usize| Some((Arc::clone(&leaves(&schema)[at].field), None));
        let (field, shape) = shaped(&schema.fields()[1], &mut [None, keep(2), keep(3)].into_iter()).unwrap();
        assert!(matches!(shape, Shape::Struct(shapes) if shapes.len() == 1));
        assert!(matches!(field.data_type(), DataType::Struct(fields) if fields[0].name() == "orders"));
        let (field, _) = shaped(&schema.fields()[1], &mut [keep(1), None, None].into_iter()).unwrap();
        assert!(matches!(field.data_type(), DataType::Struct(fields) if fields[0].name() == "postcode"));
        assert!(shaped(&schema.fields()[1], &mut [None, None, None].into_iter()).is_none());
    }

    /// Lists that begin in the middle of their buffer, with elements behind NULL rows, come out as they went in.
    #[test]
    fn elements_have_their_rows_and_go_back() {
        let element = Arc::new(Field::new("item", DataType::Int32, false));
        let offsets = OffsetBuffer::new(vec![0, 2, 3, 5, 5, 7].into());
        let nulls = NullBuffer::from(vec![true, true, false, true, true]);
        let elements = Arc::new(Int32Array::from_iter_values(0..7));
        let list: ArrayRef = Arc::new(ListArray::new(Arc::clone(&element), offsets, elements, Some(nulls)).slice(1, 4));
        let found = values(&list, &[Step::Elements]).unwrap();
        assert_eq!(found.array.as_primitive::<Int32Type>().values(), &[2, 5, 6]);
        assert_eq!(found.rows.as_deref(), Some(&[0, 3, 3][..]));
        let results: ArrayRef = Arc::new(Int32Array::from_iter_values([20, 50, 60]));
        let field = Field::new("list", DataType::List(element), true);
        let done = rebuilt(&list, &field, &Shape::List(Box::new(Shape::Result(0))), &[results]).unwrap();
        let expected = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(20)]),
            None,
            Some(vec![]),
            Some(vec![Some(50), Some(60)]),
        ]);
        let rows = |array: &ListArray| {
            array
                .iter()
                .map(|row| row.map(|row| row.as_primitive::<Int32Type>().clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(rows(done.as_list()), rows(&expected));
    }

    /// Takes the values of the leaf at `steps` out, checks them, and puts them back.
    fn out_and_in(
        column: &ArrayRef,
        nullable: bool,
        steps: &[Step],
        expected: &[Option<&str>],
        rows: Option<&[usize]>,
    ) {
        let found = values(column, steps).unwrap();
        assert_eq!(found.array.as_string::<i32>().iter().collect::<Vec<_>>(), expected);
        assert_eq!(found.rows.as_deref(), rows);
        let shape = steps.iter().rev().fold(Shape::Result(0), |shape, step| match step {
            Step::Field(at) => Shape::Struct(vec![(*at, shape)]),
            Step::Elements => Shape::List(Box::new(shape)),
        });
        let field = Field::new("column", column.data_type().clone(), nullable);
        let done = rebuilt(column, &field, &shape, &[found.array]).unwrap();
        assert_eq!(done.data_type(), column.data_type());
        assert_eq!(&done, column);
        done.to_data().validate_full().unwrap();
    }

    fn required(name: &str, array: ArrayRef, nulls: Option<Vec<bool>>) -> ArrayRef {
        let field = Field::new(name, array.data_type().clone(), false);
        let nulls = nulls.map(NullBuffer::from);
        Arc::new(StructArray::new(Fields::from(vec![field]), vec![array], nulls))
    }

    fn texts(texts: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(texts.to_vec()))
    }

    #[test]
    fn required_fields_of_required_structs_behind_null() {
        let geo = required("ip", texts(&["", "x", "y"]), None);
        let address = required("geo", geo, Some(vec![false, true, true]));
        let path = [Step::Field(0), Step::Field(0)];
        out_and_in(&address, true, &path, &[None, Some("x"), Some("y")], None);
        out_and_in(&address.slice(0, 2), true, &path, &[None, Some("x")], None);
        // Three deep, and NULL at two levels.
        let geo = required("ip", texts(&["", "", "y"]), None);
        let inner = Arc::new(StructArray::new(
            Fields::from(vec![Field::new("geo", geo.data_type().clone(), false)]),
            vec![geo],
            Some(NullBuffer::from(vec![true, false, true])),
        ));
        let outer: ArrayRef = Arc::new(StructArray::new(
            Fields::from(vec![Field::new("inner", inner.data_type().clone(), true)]),
            vec![inner],
            Some(NullBuffer::from(vec![false, true, true])),
        ));
        out_and_in(&outer, true, &[Step::Field(0); 3], &[None, None, Some("y")], None);
        // The same within a list: [NULL, {{x}}], NULL, [{{y}}].
        let geo = required("ip", texts(&["", "x", "y"]), None);
        let elements = required("geo", geo, Some(vec![false, true, true]));
        let element = Arc::new(Field::new("item", elements.data_type().clone(), true));
        let list: ArrayRef = Arc::new(ListArray::new(
            element,
            OffsetBuffer::from_lengths([2, 0, 1]),
            elements,
            Some(NullBuffer::from(vec![true, false, true])),
        ));
        let path = [Step::Elements, Step::Field(0), Step::Field(0)];
        out_and_in(&list, true, &path, &[None, Some("x"), Some("y")], Some(&[0, 0, 2]));
    }

    #[test]
    fn elements_behind_a_null_struct_are_nobodys() {
        let element = Arc::new(Field::new("item", DataType::Utf8, false));
        let lists = |nulls: Option<Vec<bool>>| -> ArrayRef {
            let offsets = OffsetBuffer::from_lengths([2, 1, 2]);
            let nulls = nulls.map(NullBuffer::from);
            let texts = texts(&["a", "b", "c", "d", "e"]);
            Arc::new(ListArray::new(Arc::clone(&element), offsets, texts, nulls))
        };
        let path = [Step::Field(0), Step::Elements];
        let expected = [Some("c"), Some("d"), Some("e")];
        let column = required("list", lists(None), Some(vec![false, true, true]));
        out_and_in(&column, true, &path, &expected, Some(&[1, 2, 2]));
        let column = required("list", column, Some(vec![false, true, false]));
        out_and_in(
            &column,
            true,
            &[Step::Field(0), Step::Field(0), Step::Elements],
            &expected[..1],
            Some(&[1]),
        );
        // Lists of one length.
        let fixed = FixedSizeListArray::new(Arc::clone(&element), 2, texts(&["a", "b", "c", "d"]), None);
        let column = required("list", Arc::new(fixed), Some(vec![false, true]));
        let expected = [None, None, Some("c"), Some("d")];
        out_and_in(&column, true, &path, &expected, Some(&[0, 0, 1, 1]));
    }

    #[test]
    fn values_behind_a_null_struct_are_null() {
        let fields = Fields::from(vec![Field::new("a", DataType::Utf8, false)]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
        let nulls = NullBuffer::from(vec![false, true]);
        let array: ArrayRef = Arc::new(StructArray::new(fields, vec![texts], Some(nulls)));
        let found = values(&array, &[Step::Field(0)]).unwrap().array;
        assert_eq!(found.as_string::<i32>().iter().collect::<Vec<_>>(), [None, Some("y")]);
    }

    #[test]
    fn runs_behind_a_null_struct_end_there() {
        let runs: RunArray<Int32Type> = ["x", "x", "x", "y"].into_iter().collect();
        let runs: ArrayRef = Arc::new(runs);
        let field = Field::new("a", runs.data_type().clone(), true);
        let nulls = NullBuffer::from(vec![true, false, true, true]);
        let of = |array: &ArrayRef| -> ArrayRef {
            Arc::new(StructArray::new(
                vec![field.clone()].into(),
                vec![Arc::clone(array)],
                Some(nulls.clone()),
            ))
        };
        let column = of(&runs);
        for (column, expected) in [
            (column.clone(), &[Some("x"), None, Some("x"), Some("y")][..]),
            (column.slice(1, 2), &[None, Some("x")]),
        ] {
            let found = values(&column, &[Step::Field(0)]).unwrap().array;
            assert_eq!(found.data_type(), runs.data_type());
            let rows = cast(&found, &DataType::Utf8).unwrap();
            assert_eq!(rows.as_string::<i32>().iter().collect::<Vec<_>>(), expected);
            let shape = Shape::Struct(vec![(0, Shape::Result(0))]);
            let whole = Field::new("column", column.data_type().clone(), true);
            let done = rebuilt(&column, &whole, &shape, &[found]).unwrap();
            assert_eq!(done.data_type(), column.data_type());
            assert_eq!(done.nulls(), column.nulls());
        }
    }
}
