//! Columns of numbers, which go through the cipher as ranks in one buffer, do what the same numbers as text do.

use arrow::array::{Array, Date64Array, Decimal128Array, Decimal256Array, Int64Array, UInt64Array};
use arrow::datatypes::i256;

use super::*;

async fn done(engine: &Engine, rule: &str, direction: Direction, array: &ArrayRef) -> Result<Treated> {
    let transform = transform(engine, rule, direction).await;
    apply(Task::new(&transform, direction, "c"), array, None)
}

/// Treats the array as text.
async fn as_text(engine: &Engine, rule: &str, direction: Direction, array: &ArrayRef) -> ArrayRef {
    let text = cast(array, &DataType::Utf8).unwrap();
    let text = done(engine, rule, direction, &text).await.unwrap().array;
    cast(&text, array.data_type()).unwrap()
}

#[tokio::test]
async fn ranges_of_any_size_and_any_number_of_rows() {
    // At, just above and just below powers of two: there no rank, or nearly half of all, lands outside.
    let ranges: [(&str, i64, i64); 9] = [
        ("billion", 0, 999_999_999),
        ("power", 0, (1 << 30) - 1),
        ("above-power", -7, (1 << 30) - 7),
        ("below-power", -(1 << 29), (1 << 29) - 2),
        ("half-outside", 5, (1 << 20) + 5),
        ("signed", i64::MIN, i64::MIN + 2_000_000),
        // Spans of 63 and 64 bits: distances must neither wrap nor become negative.
        ("positive", 0, i64::MAX),
        ("all-but-one", i64::MIN + 1, i64::MAX),
        ("all", i64::MIN, i64::MAX),
    ];
    let rules = ranges.map(|(name, min, max)| {
        let format = format!("{{ type = \"integer\", min = \"{min}\", max = \"{max}\" }}");
        rule(name, &format!("format = {format}"))
    });
    let (engine, _folder) = engine(&rules.concat()).await;
    for (name, min, max) in ranges {
        let span = i128::from(max) - i128::from(min);
        let value = |row: usize| match row % 3 {
            0 => min.wrapping_add((row / 3) as i64),
            1 => max.wrapping_sub((row / 3) as i64),
            _ => (i128::from(min) + (row as i128).pow(5) % span) as i64,
        };
        // Around the lanes of a kernel and the chunks of an array.
        for rows in [0, 1, 63, 64, 65, 129, CHUNK - 1, CHUNK, 2 * CHUNK + 3] {
            let array: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(value)));
            let protected = done(&engine, name, Direction::Encrypt, &array).await.unwrap().array;
            let expected = as_text(&engine, name, Direction::Encrypt, &array).await;
            assert!(protected == expected, "{name}, {rows} rows");
            let inside = |value: Option<i64>| (min..=max).contains(&value.unwrap());
            assert!(
                protected
                    .as_primitive::<arrow::datatypes::Int64Type>()
                    .iter()
                    .all(inside)
            );
            let back = done(&engine, name, Direction::Decrypt, &protected).await.unwrap().array;
            assert!(back == array, "{name}, {rows} rows");
        }
    }
}

#[tokio::test]
async fn nulls_and_what_does_not_fit_stand_where_they_stood() {
    let kinds = ["error", "null", "insecure-keep"];
    let format = "format = { type = \"integer\", min = 10, max = 2_000_009 }\ndomain = \"d\"";
    let rules = kinds.map(|kind| rule(kind, &format!("{format}\non_invalid = \"{kind}\"")));
    let (engine, _folder) = engine(&rules.concat()).await;
    let rows = CHUNK + 200;
    // The second chunk has a NULL alone; the first has all there is.
    let values: Vec<Option<i64>> = (0..rows as i64)
        .map(|row| match row {
            8_300 => None,
            8_192.. => Some(row),
            _ if row % 5 == 4 => None,
            _ if row % 7 == 3 => Some([9, 2_000_010, i64::MIN, i64::MAX, -1][row as usize % 5]),
            _ => Some(row + 10),
        })
        .collect();
    // Arrow says nothing about values under a NULL, and readers leave them as they are.
    // Under a NULL there may be anything.
    let array = Int64Array::from(values.clone());
    let anything = values
        .iter()
        .zip(0..)
        .map(|(value, row)| value.unwrap_or(row << 20 | 1));
    let filled = Int64Array::new(anything.collect(), array.nulls().cloned());
    for array in [array, filled] {
        // Its own beginning, so that it is a slice of something.
        let array: ArrayRef = Arc::new(array.slice(1, rows - 1));
        let error = done(&engine, "error", Direction::Encrypt, &array).await.unwrap_err();
        assert!(error.to_string().starts_with("column `c`, row 3: "), "{error}");
        for (kind, left) in [("null", 0), ("insecure-keep", 1)] {
            let result = done(&engine, kind, Direction::Encrypt, &array).await.unwrap();
            let misfits = values[1..]
                .iter()
                .flatten()
                .filter(|value| !(10..=2_000_009).contains(*value));
            assert_eq!(result.outcome.kept_clear, left * misfits.count());
            let expected = as_text(&engine, kind, Direction::Encrypt, &array).await;
            assert!(result.array == expected, "{kind}");
            let back = done(&engine, kind, Direction::Decrypt, &result.array).await.unwrap();
            for (row, value) in back
                .array
                .as_primitive::<arrow::datatypes::Int64Type>()
                .iter()
                .enumerate()
            {
                let before = values[row + 1].filter(|value| left == 1 || (10..=2_000_009).contains(value));
                assert_eq!(value, before, "{kind}, row {row}");
            }
        }
    }
    let nothing: ArrayRef = Arc::new(Int64Array::new_null(100));
    let result = done(&engine, "error", Direction::Encrypt, &nothing).await.unwrap();
    assert!(result.array == nothing);
}

#[tokio::test]
async fn a_tweak_a_row_goes_with_its_row() {
    let format = "format = { type = \"integer\", min = 0, max = 1_048_576 }\ndomain = \"d\"";
    let fixed = |hex: &str| format!("{format}\ntweak = {{ hex = \"{hex}\" }}");
    let rules = [
        rule(
            "own",
            &format!("{format}\ntweak = {{ column = \"k\" }}\non_invalid = \"null\""),
        ),
        rule("a", &fixed("61")),
        rule("b", &fixed("6262")),
        rule("c", &fixed("63")),
    ];
    let (engine, _folder) = engine(&rules.concat()).await;
    let own = transform(&engine, "own", Direction::Encrypt).await;
    // Equal and unequal lengths: packed tweaks and slices are different ways.
    for tweaks in [["a", "c"], ["a", "bb"]] {
        for (odd, misfit) in [(Some(7), Some(5)), (None, Some(5)), (Some(7), Some(-1))] {
            let rows = 1_000;
            let values: Vec<Option<i64>> = (0..rows)
                .map(|row| match row {
                    500 => odd,
                    501 => misfit,
                    _ => Some(row),
                })
                .collect();
            let array: ArrayRef = Arc::new(Int64Array::from(values.clone()));
            let column = StringArray::from_iter_values((0..rows as usize).map(|row| tweaks[row % 2]));
            let column: ArrayRef = Arc::new(column);
            let result = apply(Task::new(&own, Direction::Encrypt, "c"), &array, Some(&column)).unwrap();
            let result = result.array.as_primitive::<arrow::datatypes::Int64Type>().clone();
            let fits: ArrayRef = Arc::new(Int64Array::from_iter(
                values.iter().map(|value| value.filter(|value| *value >= 0)),
            ));
            for (at, tweak) in tweaks.iter().enumerate() {
                let alone = done(&engine, &tweak[..1], Direction::Encrypt, &fits)
                    .await
                    .unwrap()
                    .array;
                let alone = alone.as_primitive::<arrow::datatypes::Int64Type>();
                let mine = (0..rows as usize).filter(|row| row % 2 == at);
                assert!(mine.clone().all(|row| alone.is_valid(row) == result.is_valid(row)));
                assert!(mine.clone().all(|row| alone.value(row) == result.value(row)), "{tweak}");
            }
        }
    }
    // A tweak may be missing only where the value is.
    let array: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(2)]));
    let tweaks: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("a")]));
    let task = Task::new(&own, Direction::Encrypt, "c");
    assert!(apply(task, &array, Some(&tweaks)).is_ok());
    let tweaks: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("a"), None]));
    let error = apply(task, &array, Some(&tweaks)).unwrap_err().to_string();
    assert!(error.starts_with("column `c`, row 3: its tweak"), "{error}");
}

#[tokio::test]
async fn units_finer_than_the_format_and_numbers_beyond_64_bits() {
    let keep = "on_invalid = \"insecure-keep\"";
    let rules = [
        rule(
            "seconds",
            &format!("format = {{ type = \"timestamp\", resolution = \"s\" }}\n{keep}"),
        ),
        rule("day", &format!("format = \"date\"\n{keep}")),
        rule("strict", "format = \"date\""),
        rule(
            "cents",
            &format!(
                "format = {{ type = \"decimal\", min = \"-5000000.00\", max = \"5000000.00\", scale = 2 }}\n{keep}"
            ),
        ),
        rule(
            "unsigned",
            "format = { type = \"integer\", min = 0, max = \"18_446_744_073_709_551_615\" }",
        ),
        rule(
            "top",
            "format = { type = \"integer\", min = \"18_446_744_073_700_000_000\", max = \
             \"18_446_744_073_709_551_615\" }",
        ),
    ];
    let (engine, _folder) = engine(&rules.concat()).await;
    let most = 10i128.pow(38) - 1;
    let wide = |value: i128| i256::from_i128(value);
    let big = i256::from_string(&"9".repeat(70)).unwrap();
    let cases: Vec<(&str, ArrayRef, &[usize])> = vec![
        (
            "seconds",
            Arc::new(TimestampMillisecondArray::from(vec![1_000, 1_001, -5_000, i64::MAX, 0])),
            &[1, 3],
        ),
        (
            "seconds",
            Arc::new(TimestampNanosecondArray::from(vec![0, 1_000_000_000, 999_999_999, -1])),
            &[2, 3],
        ),
        (
            "seconds",
            Arc::new(TimestampMicrosecondArray::from(vec![3_000_000, 1_000])),
            &[1],
        ),
        (
            "day",
            Arc::new(Date64Array::from(vec![0, DAY, DAY + 1, -DAY, i64::MIN])),
            &[2, 4],
        ),
        (
            "cents",
            Arc::new(
                Decimal128Array::from(vec![500_000_000, -500_000_000, 500_000_001, most, -most, 0])
                    .with_precision_and_scale(38, 2)
                    .unwrap(),
            ),
            &[2, 3, 4],
        ),
        (
            "cents",
            Arc::new(
                Decimal256Array::from(vec![wide(500_000_000), wide(-500_000_001), big, -big, wide(1 << 64)])
                    .with_precision_and_scale(76, 2)
                    .unwrap(),
            ),
            &[1, 2, 3, 4],
        ),
        ("unsigned", Arc::new(UInt64Array::from(vec![0, 1 << 63, u64::MAX])), &[]),
        (
            "top",
            Arc::new(UInt64Array::from(vec![u64::MAX, 18_446_744_073_700_000_000])),
            &[],
        ),
    ];
    for (rule, array, kept) in cases {
        let what = format!("{rule} of {}", array.data_type());
        let result = done(&engine, rule, Direction::Encrypt, &array).await.unwrap();
        assert_eq!(result.outcome.kept_clear, kept.len(), "{what}");
        for row in 0..array.len() {
            let same = result.array.slice(row, 1) == array.slice(row, 1);
            assert_eq!(same, kept.contains(&row), "{what}, row {row}");
        }
        let back = done(&engine, rule, Direction::Decrypt, &result.array).await.unwrap();
        assert!(back.array == array, "{what}");
    }
    for (value, what) in [(DAY + 1, "finer than the resolution"), (1 << 62, "row 1: ")] {
        let array: ArrayRef = Arc::new(Date64Array::from(vec![value]));
        let error = done(&engine, "strict", Direction::Encrypt, &array).await.unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}
