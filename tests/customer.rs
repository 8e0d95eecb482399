//! A customer table with every kind of column: protected, it is still what each column's own standard says; revealed,
//! it is what it was.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Date32Array, Decimal128Array, Decimal256Array, FixedSizeBinaryArray,
    Int16Array, Int32Array, Int64Array, LargeStringArray, ListArray, RecordBatch, RunArray, StringArray,
    StringViewArray, StructArray, Time32SecondArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, UInt32Array, UInt64Array, new_empty_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, i256};
use cipherform::columns::{BatchPlan, RevealOptions, protected_columns};
use cipherform::sql::Session;

use crate::sandbox::{Sandbox, read};

const ROWS: usize = 240;

const POLICY: &str = include_str!("customer.toml");

/// The value of a column in a row: now and then NULL.
fn some<T>(row: usize, every: usize, value: impl FnOnce() -> T) -> Option<T> {
    // Unlike periods, so that NULLs and empties meet many kinds of values.
    (row % every != every - 1).then(value)
}

/// A text column: NULL in some rows, empty in others.
fn texts(value: impl Fn(usize) -> String) -> Vec<Option<String>> {
    let text = |row: usize| if row % 11 == 4 { String::new() } else { value(row) };
    (0..ROWS).map(|row| some(row, 7, || text(row))).collect()
}

fn utf8(value: impl Fn(usize) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter(texts(value)))
}

fn pick<'a>(row: usize, of: &[&'a str]) -> &'a str {
    of[row % of.len()]
}

// Written anew and not the crate's own: a shared mistake would agree with itself.
fn luhn(digits: &str) -> bool {
    let digits: Vec<u32> = digits.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| if i % 2 == 1 { d * 2 / 10 + d * 2 % 10 } else { *d })
        .sum();
    sum.is_multiple_of(10)
}

fn with_luhn(prefix: &str) -> String {
    (0..10)
        .map(|digit| format!("{prefix}{digit}"))
        .find(|card| luhn(card))
        .unwrap()
}

/// ISO 7064 mod 97-10 over letters as 10…35.
fn mod97(iban: &str) -> u32 {
    let compact: String = iban.chars().filter(|c| *c != ' ').collect();
    let (head, tail) = compact.split_at(4);
    // Letters count 10 to 35 (ISO 7064), hence base 36.
    let digits = format!("{tail}{head}")
        .chars()
        .map(|c| c.to_digit(36).unwrap().to_string())
        .collect::<String>();
    digits
        .bytes()
        .fold(0, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97)
}

fn iban(row: usize) -> String {
    let account = format!("{:018}", 370_400_440_532_013_000u64 + row as u64 * 7919);
    // Check digits are 02 to 98.
    (2..99)
        .map(|check| format!("DE{check:02}{account}"))
        .find(|iban| mod97(iban) == 1)
        .unwrap()
}

/// 49 CFR 565.15: weights and values of letters.
fn vin_is_valid(vin: &str) -> bool {
    let value = |c: char| match c {
        '0'..='9' => c.to_digit(10).unwrap(),
        'A' | 'J' => 1,
        'B' | 'K' | 'S' => 2,
        'C' | 'L' | 'T' => 3,
        'D' | 'M' | 'U' => 4,
        'E' | 'N' | 'V' => 5,
        'F' | 'W' => 6,
        'G' | 'P' | 'X' => 7,
        'H' | 'Y' => 8,
        'R' | 'Z' => 9,
        _ => panic!("a letter that no VIN has"),
    };
    let weights = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let sum: u32 = vin.chars().zip(weights).map(|(c, weight)| value(c) * weight).sum();
    let check = vin.chars().nth(8).unwrap();
    vin.len() == 17
        && check
            == if sum % 11 == 10 {
                'X'
            } else {
                char::from_digit(sum % 11, 10).unwrap()
            }
}

fn vin(row: usize) -> String {
    // Each of the eleven check characters is tried: one is right.
    let all = "0123456789X"
        .chars()
        .map(|check| format!("1M8GDM9A{check}KP{:06}", 42_788 + row));
    all.into_iter().find(|vin| vin_is_valid(vin)).unwrap()
}

fn names(row: usize) -> String {
    // One and two letters (bands), accents, hyphen, apostrophe, and a name beyond Latin-1.
    let first = pick(row, &["Bo", "Jürgen", "Anne-Marie", "Łucja", "O'Neil", "X", "Sigríður"]);
    match first.len() {
        1 | 2 => first.to_owned(),
        _ => format!(
            "{first} {}",
            pick(row / 7, &["Müller", "Nowak", "D'Arcy", "Ng", "Çelik"])
        ),
    }
}

fn others(row: usize) -> String {
    // Greek, Cyrillic and Chinese, of which one name is a single character.
    pick(
        row,
        &["Σωκράτης", "Анна Ахматова", "王小明", "Αριστοτέλης", "Гоголь", "李"],
    )
    .to_owned()
}

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let number = |row: usize| row as i64 * 104_729 % 1_000_000;
    let days = |row: usize| (row as i32 * 37) % 30_000 - 5_000;
    // Kept domains of two and three labels.
    let domains = ["example.com", "mail.example.org", "sub.beispiel.de"];
    let email = |row: usize| {
        format!(
            "{}.{}{row}@{}",
            pick(row, &["ann", "bob+x", "o'neil"]),
            "lee",
            pick(row, &domains)
        )
    };
    let phone = |row: usize| match row % 3 {
        0 => format!("+49 30 {:07}", 9_018_200 + row),
        1 => format!("+1 (415) 555-{:04}", 2_000 + row),
        _ => format!("+44207946{:04}", row),
    };
    let card = |row: usize| match row % 3 {
        0 => with_luhn(&format!("411111111111{:03}", row)),
        1 => with_luhn(&format!("37828224631{:03}", row)),
        _ => {
            let card = with_luhn(&format!("60110009901{:04}", row));
            format!("{}-{}-{}-{}", &card[..4], &card[4..8], &card[8..12], &card[12..])
        }
    };
    // Dictionaries come from Parquet and from Pandas categories.
    let dictionary = |texts: Vec<Option<String>>| -> ArrayRef {
        cast(
            &StringArray::from_iter(texts),
            &DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()),
        )
        .unwrap()
    };
    let date = |row: usize| (row % 9 != 2).then(|| days(row));
    vec![
        (
            "id",
            Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| 1_000 + row as i64))) as ArrayRef,
        ),
        // Version 4 and variant 10 in the text, which must stay.
        ("uuid", utf8(|row| format!("123e4567-e89b-42d3-a456-{row:012x}"))),
        ("name", utf8(names)),
        ("name_large", Arc::new(LargeStringArray::from_iter(texts(names)))),
        ("name_view", Arc::new(StringViewArray::from_iter(texts(others)))),
        ("email", utf8(email)),
        // Few distinct values, so that the dictionary matters.
        ("email_work", dictionary(texts(|row| email(row % 9)))),
        ("phone", utf8(phone)),
        ("phone_home", utf8(|row| format!("({}) 555-{row:04}", 212 + row % 70))),
        ("birthday", Arc::new(Date32Array::from_iter((0..ROWS).map(date)))),
        (
            "birthday_text",
            utf8(|row| format!("{:02}/{:02}/{}", row % 12 + 1, row % 28 + 1, 1930 + row % 80)),
        ),
        (
            "signup",
            Arc::new(
                // With a time zone, which is part of the type and no part of the value.
                TimestampMicrosecondArray::from_iter((0..ROWS).map(|row| some(row, 8, || number(row) * 1_000_000_000)))
                    .with_timezone("Europe/Warsaw"),
            ),
        ),
        (
            "login",
            Arc::new(TimestampMillisecondArray::from_iter(
                (0..ROWS).map(|row| some(row, 8, || number(row) * 1_000)),
            )),
        ),
        (
            "opens",
            Arc::new(Time64MicrosecondArray::from_iter(
                (0..ROWS).map(|row| some(row, 5, || number(row) * 86_000)),
            )),
        ),
        (
            "closes",
            Arc::new(Time32SecondArray::from_iter(
                (0..ROWS).map(|row| some(row, 5, || number(row) as i32 % 86_400)),
            )),
        ),
        (
            "ssn",
            utf8(|row| format!("{:03}-{:02}-{:04}", row % 600 + 1, row % 99 + 1, row + 1)),
        ),
        ("card", utf8(card)),
        ("card_never", utf8(card)),
        ("card_digits", utf8(card)),
        ("iban", utf8(iban)),
        (
            "account",
            utf8(|row| format!("{:0width$}", row * 7_919, width = 6 + row % 40)),
        ),
        (
            "tax_number",
            utf8(|row| format!("AB{:04}-c{}", row, "x".repeat(row % 9))),
        ),
        (
            "nickname",
            utf8(|row| format!("The {} No. {row}", pick(row, &["Żaba", "μυς", "dog", "🦊 fox"]))),
        ),
        ("note", utf8(|row| "anything at all, ".repeat(row % 4))),
        (
            "photo",
            Arc::new(BinaryArray::from_iter(
                (0..ROWS).map(|row| some(row, 6, || vec![row as u8; row])),
            )),
        ),
        (
            "document",
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    (0..ROWS).map(|row| some(row, 6, || [row as u8; 32])),
                    32,
                )
                .unwrap(),
            ),
        ),
        ("email_hash", utf8(email)),
        (
            "balance",
            Arc::new(
                Decimal128Array::from_iter((0..ROWS).map(|row| some(row, 9, || i128::from(number(row)) - 500_000)))
                    .with_precision_and_scale(12, 2)
                    .unwrap(),
            ),
        ),
        (
            "limit",
            Arc::new(
                Decimal256Array::from_iter((0..ROWS).map(|row| some(row, 9, || i256::from(number(row)))))
                    .with_precision_and_scale(50, 3)
                    .unwrap(),
            ),
        ),
        (
            "visits",
            Arc::new(Int32Array::from_iter(
                (0..ROWS).map(|row| some(row, 4, || number(row) as i32)),
            )),
        ),
        (
            "points",
            Arc::new(UInt32Array::from_iter(
                (0..ROWS).map(|row| some(row, 4, || number(row) as u32)),
            )),
        ),
        (
            "serial",
            // Beyond 2^63: signed arithmetic would take these for negative.
            Arc::new(UInt64Array::from_iter(
                (0..ROWS).map(|row| some(row, 4, || u64::MAX - row as u64)),
            )),
        ),
        (
            "zip",
            dictionary(texts(|row| match row % 2 {
                // Five and nine digits side by side, as in real tables.
                0 => format!("{:05}", row * 37),
                _ => format!("{:05}-{:04}", row * 37, row),
            })),
        ),
        (
            "postcode_gb",
            utf8(|row| {
                format!(
                    "{}{} {}{}",
                    pick(row, &["SW", "M", "EC"]),
                    row % 9 + 1,
                    row % 10,
                    pick(row, &["AA", "PQ"])
                )
            }),
        ),
        (
            "postcode_ca",
            utf8(|row| format!("K{}A {}B{}", row % 10, row / 10 % 10, row % 7)),
        ),
        ("ipv4", utf8(|row| format!("10.{}.{}.1", row % 256, row * 7 % 256))),
        ("ipv6", utf8(|row| format!("2001:db8::{:x}:1", row + 1))),
        ("mac", utf8(|row| format!("00:1b:63:84:{:02x}:e6", row % 256))),
        ("session", utf8(|row| format!("{:012x}", row * 104_729))),
        ("token", utf8(|row| format!("aZ-_{row:08}"))),
        ("vin", utf8(vin)),
        (
            "npi",
            utf8(|row| {
                let base = format!("1{:08}", 23_456_789 + row);
                (0..10)
                    .map(|check| format!("{base}{check}"))
                    .find(|npi| luhn(&format!("80840{npi}")))
                    .unwrap()
            }),
        ),
        ("plate", utf8(|row| format!("AB-{row:04}"))),
        (
            "greek",
            utf8(|row| "αβγδεζηθικ".chars().cycle().skip(row % 10).take(5 + row % 6).collect()),
        ),
        ("by_region", utf8(|row| format!("{:08}", row * 13))),
        (
            "region",
            Arc::new(StringArray::from_iter_values(
                (0..ROWS).map(|row| pick(row, &["de", "fr", "pl"])),
            )),
        ),
        ("legacy", utf8(|row| format!("{:010}", row * 31))),
        ("visited", Arc::new(Date32Array::from_iter((0..ROWS).map(date)))),
        (
            "age",
            Arc::new(Int16Array::from_iter(
                (0..ROWS).map(|row| some(row, 6, || (row % 110) as i16)),
            )),
        ),
        ("city", utf8(|row| pick(row, &["Berlin", "Łódź", "NY"]).to_owned())),
        ("scratch", utf8(|row| format!("{row}"))),
        ("kept", utf8(|row| format!("row {row}"))),
        ("address", address()),
        ("phones", phones(phone)),
        ("orders", orders(card)),
    ]
}

/// A struct with a struct in it; now and then NULL, with values behind it.
fn address() -> ArrayRef {
    let geo = Fields::from(vec![Field::new("ip", DataType::Utf8, true)]);
    let inner: ArrayRef = Arc::new(StructArray::new(
        geo.clone(),
        vec![utf8(|row| format!("10.0.{}.7", row % 200))],
        None,
    ));
    let fields = Fields::from(vec![
        Field::new("street", DataType::Utf8, true),
        Field::new("postcode", DataType::Utf8, true),
        Field::new("geo", DataType::Struct(geo), true),
        Field::new("note", DataType::Utf8, true),
    ]);
    let street = utf8(|row| format!("{} Main Street", row + 1));
    // Under a NULL struct there are values all the same: they are nobody's.
    let postcode = utf8(|row| format!("{:05}", row * 37));
    let nulls = NullBuffer::from_iter((0..ROWS).map(|row| row % 13 != 5));
    Arc::new(StructArray::new(
        fields,
        vec![street, postcode, inner, utf8(|row| format!("{row}"))],
        Some(nulls),
    ))
}

fn offsets(length: impl Fn(usize) -> usize) -> OffsetBuffer<i32> {
    OffsetBuffer::from_lengths((0..ROWS).map(length))
}

fn phones(phone: impl Fn(usize) -> String) -> ArrayRef {
    // Empty lists as well, and below a NULL list nothing.
    let offsets = offsets(|row| row % 4);
    let count = *offsets.last().unwrap() as usize;
    let values = StringArray::from_iter((0..count).map(|at| some(at, 6, || phone(at))));
    let field = Arc::new(Field::new("item", DataType::Utf8, true));
    let nulls = NullBuffer::from_iter((0..ROWS).map(|row| row % 4 != 0 || row % 8 == 0));
    Arc::new(ListArray::new(field, offsets, Arc::new(values), Some(nulls)))
}

fn orders(card: impl Fn(usize) -> String) -> ArrayRef {
    let offsets = offsets(|row| row % 3);
    let count = *offsets.last().unwrap() as usize;
    let fields = Fields::from(vec![
        Field::new("card", DataType::Utf8, true),
        Field::new("placed", DataType::Date32, true),
    ]);
    let cards: ArrayRef = Arc::new(StringArray::from_iter((0..count).map(|at| some(at, 5, || card(at)))));
    let placed: ArrayRef = Arc::new(Date32Array::from_iter(
        (0..count).map(|at| some(at, 7, || at as i32 + 10_000)),
    ));
    // A NULL element with values in its fields.
    let nulls = NullBuffer::from_iter((0..count).map(|at| at % 10 != 9));
    let values = StructArray::new(fields.clone(), vec![cards, placed], Some(nulls));
    let field = Arc::new(Field::new("item", DataType::Struct(fields), true));
    Arc::new(ListArray::new(field, offsets, Arc::new(values), None))
}

fn table() -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns().into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// Of a column's text.
type Validator = fn(&str) -> bool;

/// Each text column's own validator, of what is not empty.
fn validators() -> Vec<(&'static str, Validator)> {
    fn digits(text: &str) -> String {
        text.chars().filter(char::is_ascii_digit).collect()
    }
    fn shaped(text: &str, pattern: &str) -> bool {
        text.chars().count() == pattern.chars().count()
            && text.chars().zip(pattern.chars()).all(|(c, place)| match place {
                '9' => c.is_ascii_digit(),
                'A' => c.is_ascii_uppercase(),
                'x' => c.is_ascii_digit() || ('a'..='f').contains(&c),
                mark => c == mark,
            })
    }
    fn is_email(text: &str) -> bool {
        let Some((local, domain)) = text.split_once('@') else {
            return false;
        };
        // RFC 5322's dot-atom, written anew.
        let atom = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c);
        !local.is_empty()
            && local.chars().all(atom)
            && domain.contains('.')
            && domain
                .split('.')
                .all(|label| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
    }
    fn is_date(text: &str, pattern: &str) -> bool {
        chrono::NaiveDate::parse_from_str(text, pattern).is_ok()
    }
    vec![
        ("uuid", |text| {
            shaped(text, "xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx") && "89ab".contains(&text[19..20])
        }),
        ("name", |text| {
            text.chars().all(|c| c.is_alphabetic() || " -'".contains(c))
        }),
        ("name_large", |text| {
            text.chars().all(|c| c.is_alphabetic() || " -'".contains(c))
        }),
        ("email", is_email),
        ("email_work", is_email),
        ("phone", |text| {
            text.starts_with("+49 ") || text.starts_with("+1 (") || text.starts_with("+44")
        }),
        ("phone_home", |text| {
            shaped(text, "(999) 999-9999") && !"01".contains(&text[1..2]) && !"01".contains(&text[6..7])
        }),
        ("birthday_text", |text| is_date(text, "%m/%d/%Y")),
        ("ssn", |text| {
            // The rules of the SSA: areas 000, 666 and 900 upward, group 00 and serial 0000 are never issued.
            let (area, group, serial) = (&text[..3], &text[4..6], &text[7..]);
            shaped(text, "999-99-9999")
                && area != "000"
                && area != "666"
                && area < "900"
                && group != "00"
                && serial != "0000"
        }),
        ("card", |text| luhn(text) && (13..=19).contains(&digits(text).len())),
        // Deliberately invalid: the protected card can never be charged.
        ("card_never", |text| !luhn(text)),
        ("iban", |text| text.starts_with("DE") && mod97(text) == 1),
        ("account", |text| text.bytes().all(|b| b.is_ascii_digit())),
        ("note", |text| {
            base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, text).is_ok()
        }),
        ("email_hash", |text| text.len() == 22),
        ("zip", |text| shaped(text, "99999") || shaped(text, "99999-9999")),
        ("postcode_ca", |text| {
            shaped(text, "A9A 9A9") && !text.contains(['D', 'F', 'I', 'O', 'Q', 'U'])
        }),
        ("ipv4", |text| {
            text.starts_with("10.") && text.parse::<std::net::Ipv4Addr>().is_ok()
        }),
        ("ipv6", |text| {
            text.starts_with("2001:db8:") && text.parse::<std::net::Ipv6Addr>().is_ok()
        }),
        ("mac", |text| shaped(text, "xx:xx:xx:xx:xx:xx")),
        ("session", |text| shaped(text, "xxxxxxxxxxxx")),
        ("token", |text| {
            text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        }),
        ("vin", vin_is_valid),
        ("npi", |text| {
            luhn(&format!("80840{text}")) && text.starts_with(['1', '2'])
        }),
        ("name_view", |text| {
            text.chars().all(|c| c.is_alphabetic() || " -'".contains(c))
        }),
        ("card_digits", |text| {
            (13..=19).contains(&digits(text).len()) && text.chars().all(|c| c.is_ascii_digit() || " -".contains(c))
        }),
        ("tax_number", |text| {
            text.split_once('-')
                .is_some_and(|(front, back)| front.len() == 6 && !back.is_empty())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        }),
        // Words, and in each letters of its own case and script.
        ("nickname", |text| {
            let words: Vec<&str> = text.split(' ').collect();
            let number = words.last().copied().unwrap_or_default();
            words.len() >= 4
                && words[0].len() == 3
                && words[0].starts_with(|c: char| c.is_ascii_uppercase())
                && words[0][1..].bytes().all(|byte| byte.is_ascii_lowercase())
                && words[words.len() - 2].ends_with('.')
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }),
        ("postcode_gb", |text| {
            let Some((outward, inward)) = text.split_once(' ') else {
                return false;
            };
            let letters = outward.chars().take_while(char::is_ascii_uppercase).count();
            (1..=2).contains(&letters)
                && ["9", "99", "9A"]
                    .iter()
                    .any(|district| shaped(&outward[letters..], district))
                && shaped(inward, "9AA")
                && !inward.contains(['C', 'I', 'K', 'M', 'O', 'V'])
        }),
        ("plate", |text| shaped(text, "AA-9999")),
        ("greek", |text| text.chars().all(|c| ('α'..='ω').contains(&c))),
        ("city", |text| text.starts_with(['B', 'Ł', 'N']) && text.contains('*')),
    ]
}

/// What does not come back: one-way, or left out.
const ONE_WAY: &[&str] = &["document", "email_hash", "age", "city"];

fn check_protected(plain: &RecordBatch, protected: &RecordBatch) {
    // Dropped by the policy: neither values nor the column's name are left.
    assert!(protected.column_by_name("scratch").is_none());
    for (name, array) in columns() {
        let Some(done) = protected.column_by_name(name) else {
            assert_eq!(name, "scratch");
            continue;
        };
        assert_eq!(done.len(), ROWS);
        // Which rows are NULL is not hidden, and must not change.
        assert_eq!(done.null_count(), array.null_count(), "{name}");
        if !array.data_type().is_nested() {
            assert_eq!(done.data_type(), array.data_type(), "{name}");
            // Two columns stay as they are: one that is kept, and one that is only a tweak.
            assert_eq!(done == &array, name == "kept" || name == "region", "{name}");
        }
    }
    for (name, is_valid) in validators() {
        let text = cast(protected.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
        for value in text
            .as_string::<i32>()
            .iter()
            .flatten()
            .filter(|value| !value.is_empty())
        {
            assert!(is_valid(value), "{name}: {value}");
        }
    }
    let street = |batch: &RecordBatch| {
        let address = batch.column_by_name("address").unwrap().as_struct().clone();
        assert!(address.column_by_name("note").is_none() || batch.num_columns() == plain.num_columns());
        address.column_by_name("postcode").unwrap().as_string::<i32>().clone()
    };
    assert_ne!(street(plain), street(protected));
    let phones = protected.column_by_name("phones").unwrap().as_list::<i32>();
    assert!(
        phones
            .values()
            .as_string::<i32>()
            .iter()
            .flatten()
            .all(|phone| phone.starts_with('+'))
    );
    // Through list and struct at once.
    let orders = protected
        .column_by_name("orders")
        .unwrap()
        .as_list::<i32>()
        .values()
        .as_struct()
        .clone();
    assert!(
        orders
            .column_by_name("card")
            .unwrap()
            .as_string::<i32>()
            .iter()
            .flatten()
            .all(luhn)
    );
}

fn check_revealed(plain: &RecordBatch, revealed: &RecordBatch) {
    for (name, array) in columns() {
        match name {
            "scratch" => assert!(revealed.column_by_name(name).is_none()),
            "address" => {
                let (was, is) = (array.as_struct(), revealed.column_by_name(name).unwrap().as_struct());
                assert_eq!(was.nulls(), is.nulls());
                for field in ["street", "postcode", "geo"] {
                    // What stands under a NULL struct may differ: only valid rows are compared.
                    let rows = |address: &StructArray| {
                        let column = address.column_by_name(field).unwrap().clone();
                        (0..ROWS)
                            .filter(|row| address.is_valid(*row))
                            .map(|row| column.slice(row, 1))
                            .collect::<Vec<_>>()
                    };
                    assert_eq!(rows(was), rows(is), "{field}");
                }
                assert!(is.column_by_name("note").is_none());
            }
            _ if ONE_WAY.contains(&name) => {}
            _ => {
                // Cast, since SQL gives views where the file has strings.
                let revealed = cast(revealed.column_by_name(name).unwrap(), array.data_type()).unwrap();
                assert_eq!(&revealed, plain.column_by_name(name).unwrap(), "{name}");
            }
        }
    }
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.policy(POLICY);
    sandbox
}

#[tokio::test]
async fn a_whole_table_there_and_back() {
    let sandbox = sandbox();
    let engine = sandbox.engine().await;
    // Parquet has no runs, so they are tried here only. Runs of 20 rows, some of them NULL.
    let (mut names, mut arrays): (Vec<_>, Vec<_>) = columns().into_iter().unzip();
    let runs: Vec<Option<&str>> = (0..ROWS)
        .map(|row| some(row / 20, 5, || pick(row / 20, &["open-77", "shut-88"])))
        .collect();
    let runs: RunArray<Int32Type> = runs.into_iter().collect();
    names.push("status");
    arrays.push(Arc::new(runs));
    let batch =
        RecordBatch::try_from_iter_with_nullable(names.into_iter().zip(arrays).map(|(n, a)| (n, a, true))).unwrap();

    let plan = BatchPlan::protect(&engine, "customer", &batch.schema()).await.unwrap();
    let protected = plan.apply(&batch, 0).await.unwrap();
    check_protected(&batch, &protected);
    let described = protected_columns(&protected.schema()).unwrap();
    assert!(
        ["address.postcode", "phones[]", "orders[].card"]
            .iter()
            .all(|path| described.iter().any(|(name, _)| name == path))
    );
    let plan = BatchPlan::reveal(&engine, "customer", &protected.schema(), RevealOptions::default())
        .await
        .unwrap();
    let revealed = plan.apply(&protected, 0).await.unwrap();
    check_revealed(&batch, &revealed);
    let status = |batch: &RecordBatch| batch.column_by_name("status").unwrap().to_data();
    assert_eq!(status(&revealed), status(&batch));
    assert_ne!(status(&protected), status(&batch));

    // No rows at all are no special case: an empty batch still has types and metadata.
    let empty = plan
        .apply(&RecordBatch::new_empty(protected.schema()), 0)
        .await
        .unwrap();
    assert_eq!(
        empty.column(0).as_ref(),
        new_empty_array(empty.column(0).data_type()).as_ref()
    );
}

#[tokio::test]
async fn a_whole_file_there_and_back_and_as_sql_sees_it() {
    let sandbox = sandbox();
    let plain = table();
    sandbox.write("customer.parquet", &plain);
    sandbox.ok(&["protect", "customer.parquet", "safe.parquet"]);
    sandbox.ok(&["reveal", "safe.parquet", "back.parquet"]);
    let (_, protected) = read(&sandbox.path("safe.parquet"));
    check_protected(&plain, &protected);
    check_revealed(&plain, &read(&sandbox.path("back.parquet")).1);
    let listing = sandbox.ok(&["inspect", "safe.parquet"]);
    for what in [
        "address.postcode",
        "phones[]",
        "orders[].card",
        "FF3-1, which NIST has withdrawn",
    ] {
        assert!(listing.contains(what), "{listing}");
    }

    let engine = sandbox.engine().await;
    let session = Session::new(&engine).await.unwrap();
    let safe = sandbox.path("safe.parquet");
    session.register_file("customer", &safe).await.unwrap();
    let batches = session
        .query("SELECT * FROM customer")
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    let seen = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
    check_revealed(&plain, &seen);

    let count = |sql: &'static str| {
        let ctx = session.context().clone();
        async move {
            let batches = ctx.sql(sql).await.unwrap().collect().await.unwrap();
            batches[0]
                .column(0)
                .as_primitive::<arrow::datatypes::Int64Type>()
                .value(0)
        }
    };
    // The filter runs on a revealed field within a struct.
    assert_eq!(
        count("SELECT count(*) FROM customer WHERE address['postcode'] = '00037'").await,
        1
    );
    assert_eq!(
        // And on elements of a list, after it was unnested.
        count("SELECT count(*) FROM (SELECT unnest(phones) AS p FROM customer) WHERE p = '+49 30 9018200'").await,
        1
    );
}

/// Roles see fields within structs and lists as they see columns.
#[tokio::test]
async fn roles_see_nested_fields_as_they_may() {
    let sandbox = sandbox();
    sandbox.write("customer.parquet", &table());
    sandbox.ok(&["protect", "customer.parquet", "safe.parquet"]);
    let engine = sandbox.engine().await.with_role("support").unwrap();
    let session = Session::new(&engine).await.unwrap();
    let safe = sandbox.path("safe.parquet");
    session.register_file("customer", &safe).await.unwrap();
    let ask = |sql: &'static str| {
        let ctx = session.context().clone();
        async move { ctx.sql(sql).await?.collect().await }
    };
    let batches = ask("SELECT unnest(orders)['card'] AS card, unnest(orders)['placed'] AS placed FROM customer")
        .await
        .unwrap();
    let (mut cards, mut placed) = (Vec::new(), Vec::new());
    for batch in &batches {
        cards.extend(batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
        placed.extend(
            batch
                .column(1)
                .as_primitive::<arrow::datatypes::Date32Type>()
                .iter()
                .flatten(),
        );
    }
    // Masked: only the last four; protected: some other date.
    assert!(
        !cards.is_empty()
            && cards
                .iter()
                .all(|card| card.chars().filter(char::is_ascii_digit).count() == 4),
        "{cards:?}"
    );
    // The plain dates are all within the range that is excluded here.
    assert!(!placed.is_empty() && placed.iter().any(|day| !(10_000..11_000).contains(day)));
    let error = ask("SELECT phones FROM customer").await.unwrap_err().to_string();
    assert!(
        error.contains("role `support` may not see column `phones[]` (rule `phone`)"),
        "{error}"
    );
}

/// What cannot be, is said before the first row.
#[tokio::test]
async fn types_that_do_not_go_together_are_refused() {
    let sandbox = sandbox();
    let engine = sandbox.engine().await;
    for (column, array, what) in [
        (
            "card",
            Arc::new(Int64Array::from(vec![1])) as ArrayRef,
            "integer columns take format",
        ),
        (
            "note",
            Arc::new(Int64Array::from(vec![1])),
            "make the column text first",
        ),
        (
            "card",
            Arc::new(BinaryArray::from_iter_values([b"x"])),
            "columns of bytes take treatment",
        ),
        (
            "photo",
            Arc::new(FixedSizeBinaryArray::try_from_iter([[1u8; 4]].iter()).unwrap()),
            "make the column Binary",
        ),
        (
            "email_hash",
            Arc::new(FixedSizeBinaryArray::try_from_iter([[1u8; 4]].iter()).unwrap()),
            "a hash has another length",
        ),
        (
            "id",
            Arc::new(Int16Array::from(vec![1])),
            "does not lie within that of the column's type",
        ),
        (
            "birthday",
            Arc::new(Int32Array::from(vec![1])),
            "a column of integers takes `integer`",
        ),
        (
            "limit",
            Arc::new(Decimal128Array::from(vec![1]).with_precision_and_scale(12, 2).unwrap()),
            "scale is not the column's",
        ),
        ("card", phones(|_| String::new()), "name what is in it"),
    ] {
        // The nested case needs a column that the policy does not describe otherwise.
        let column_name = if array.data_type().is_nested() {
            "kept_list"
        } else {
            column
        };
        let mut policy = POLICY.to_owned();
        if column_name == "kept_list" {
            policy.push_str("\nkept_list = \"card\"\n");
            let (rules, roles) = policy.split_once("[roles.support]").unwrap();
            let (roles, line) = roles.rsplit_once("\nkept_list").unwrap();
            policy = format!("{rules}\nkept_list{line}\n[roles.support]{roles}");
        }
        sandbox.policy(&policy);
        let engine = if column_name == "kept_list" {
            sandbox.engine().await
        } else {
            engine.clone()
        };
        let batch = RecordBatch::try_from_iter([(column_name, array)]).unwrap();
        let error = BatchPlan::protect(&engine, "other", &batch.schema()).await.unwrap_err();
        let said = format!("{error} {}", error.hint().map(ToString::to_string).unwrap_or_default());
        assert!(said.contains(what), "{column}: {said}");
    }
}
