//! Formats: what each takes, what stays in the clear, and how many values are left to hide among.
//!
//! A policy names a format alone or with parameters:
//!
//! ```toml
//! [rules.card]
//! format = "pan"
//! key = "pii"
//!
//! [rules.phone]
//! format = { type = "digits", keep = [2, 0] }
//! key = "pii"
//! ```
//!
//! | format | a value | stays in the clear | numerals |
//! | --- | --- | --- | --- |
//! | [`digits`](#digits) | `25-989-741-2988` | punctuation, `keep` | radix 10 |
//! | [`alphanumeric`](#alphanumeric) | `AB12-C34-D56` | punctuation, `keep` | radix 36 or 62 |
//! | [`alphabet`](#alphabet) | any symbols you list | the separators you list, `keep` | as many as symbols |
//! | [`pan`](#pan) | `4111-1111-1111-1111` | spaces, hyphens, dots; the last four digits | radix 10 |
//! | [`email`](#email) | `ann.lee@example.com` | the domain; marks in the local part | radix 36 or 62 |
//! | [`integer`](#integer) | `-17`, or an integer column | nothing | ranked |
//! | [`us-ssn`](#us-ssn) | `123-45-6789` | hyphens, spaces | ranked |
//!
//! Formats over *numerals* run FF1 straight on the symbols. Any other FF1 with the same key, radix and tweak gives the
//! same answer. *Ranked* formats number all well-formed values from 0, encrypt the number as a string of bits (FF1,
//! radix 2) and do so again until the result is one of the numbers (*cycle walking*), so every result is well-formed.
//!
//! # A value there and back
//!
//! ```
//! use cipherform::cipher::Direction;
//! use cipherform::keys::{KeyUse, Keyring, KmsRegistry, Operation};
//! use cipherform::kms::MemoryKms;
//! use cipherform::policy::Policy;
//! use cipherform::transform::{RowError, Texts};
//! use cipherform::{Engine, Error};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let policy = r#"
//!     version = 1
//!     keyring = "keyring.json"
//!     [rules.card]
//!     format = "pan"
//!     key = "pii"
//! "#;
//! let policy = Policy::parse(policy, &folder.join("policy.toml"))?;
//! let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
//! let mut keyring = Keyring::create(&policy.keyring, &"memory:main".parse()?, &registry).await?;
//! keyring.create_key(&"pii".parse()?, KeyUse::Derive, None).await?;
//! let engine = Engine::new(policy, keyring);
//!
//! let failed = |error: RowError| format!("{error:?}");
//! let card = engine.resolve(&"card".parse()?, Operation::Protect).await?;
//! let mut protected = Texts::default();
//! card.texts(Direction::Encrypt, &[Some("4111-1111-1111-1111"), None], None, &mut protected).map_err(failed)?;
//! let protected: Vec<Option<&str>> = protected.iter().collect();
//! assert!(protected[0].is_some_and(|text| text.len() == 19 && text.ends_with("-1111")));
//! assert_eq!(protected[1], None);
//!
//! let card = engine.resolve(&"card".parse()?, Operation::Reveal).await?;
//! let mut revealed = Texts::default();
//! card.texts(Direction::Decrypt, &protected, None, &mut revealed).map_err(failed)?;
//! assert_eq!(revealed.iter().next(), Some(Some("4111-1111-1111-1111")));
//! # Ok(())
//! # }
//! ```
//!
//! # The tweak
//!
//! Beside key and value, a *tweak* goes into the cipher. It is no secret. Under another tweak the same value becomes
//! another.
//!
//! | `tweak =` | is |
//! | --- | --- |
//! | left out | what the format keeps in the clear (never separators or check digits): so equal middles of two cards with different last digits differ |
//! | `"none"` | nothing |
//! | `{ hex = "00ff" }` | these bytes, for every row |
//! | `{ column = "region" }` | the plaintext of another column of the same row, as text |
//!
//! Each of them takes the place of the kept parts, rather than joining them. Kept parts are encoded so that no two
//! lists of parts give the same bytes: each part behind its length (32 bits, big-endian); of symbols, the numeral of
//! each as 16 bits, big-endian; an e-mail domain as UTF-8, ASCII letters in lower case.
//!
//! With a tweak column, equal values in rows with different tweaks differ: joins and counts on the protected column
//! alone no longer work across them. That column must be there on `reveal`, with the same values; it may be protected
//! itself, if the columns do not form a circle. NULL there is an error, unless the value is NULL as well.
//!
//! # The floor
//!
//! What is left to encrypt, after kept parts and check digits, must have at least 1,000,000 possible values. It is
//! judged for each value by its own length, and for formats that know their size (`integer`, `us-ssn`, `pan` at 16
//! digits) when the rule is first used, before any data is read. An integer rule with 10,000 values is refused
//! outright; in a `digits` column, each value with fewer than 6 digits does not fit.
//!
//! `insecure_small_domain = "the reason"` lowers the floor for a rule to 100 values, the least that SP 800-38G ever
//! allowed. The reason goes into the metadata of each file, and `cipherform inspect` shows it. It must stay in the rule
//! for as long as there are such values to reveal. Nothing goes below 100.
//!
//! What to do for short values (ZIP codes, years, extensions, codes) today:
//!
//! * **Keep less.** A country code of 2 digits kept costs a factor of 100.
//! * **Widen the range**, in integer columns: `min = 0, max = 999_999` takes a five-digit code; the result may have six
//!   digits.
//! * **Join short columns** into one before protecting: code and number together pass the floor.
//! * **Leave the column out**: `"table.column" = "drop"`, or `unlisted = "drop"` for whatever no line names.
//! * **Accept the risk**, with `insecure_small_domain`: where the values are not worth an attack.
//! * **Let them be NULL**: `on_invalid = "null"`, if the few short ones do not matter. They are lost.
//!
//! # Values that do not fit
//!
//! | setting | a value that does not fit | |
//! | --- | --- | --- |
//! | `on_invalid = "error"` (default) | stops the whole operation; the message names row, column and position, never the value | nothing is written |
//! | `on_invalid = "null"` | becomes NULL | lost; the column must allow NULL |
//! | `on_invalid = "insecure-keep"` | stays in the clear | counted, reported, noted in the metadata |
//! | `on_empty = "keep"` (default) | an empty string stays empty | |
//! | `on_empty = "invalid"` | an empty string does not fit | `on_invalid` decides |
//!
//! NULL stays NULL, always. The settings hold for `reveal` as well: a stored value that does not fit is an error, NULL,
//! or left as it is. A policy that combines `"insecure-keep"` with `check_digit = "invalid"` in `pan` is refused: a card
//! whose last digit is wrong by exactly one would stay in the clear and yet look protected, and `reveal` would make
//! another number of it.
//!
//! # Separators
//!
//! Symbols are encrypted in their order; separators stay where they are, at the start and end as well. Unless
//! `separators` says otherwise, they are the space and all ASCII punctuation that is not a symbol; `separators = ""`
//! allows none. They do not go into the cipher: `555-010-0100` and `5550100100` have the same digits, and so have their
//! results.
//!
//! Symbols are compared by code point. No Unicode normalisation is done: `é` as one code point is another text than `e`
//! with an accent behind it. Bring values into one form before.
//!
//! # `digits`
//!
//! Decimal digits `0` to `9`. Parameters: `keep = [first, last]` (0, 0), `separators`.
//!
//! Possible values: 10 to the power of the digits not kept. At least 6 must be left.
//!
//! ```
//! use cipherform::formats::{Format, Misfit, Parts, Side};
//! let Format::String(phone) = Format::parse("digits", toml::toml! { keep = [2, 0] })? else { unreachable!() };
//! assert_eq!(phone.radix(), 10);
//!
//! let mut parts = Parts::default();
//! phone.split("25-989-741-2988", Side::Plain, &mut parts).expect("fits");
//! assert_eq!(parts.numerals, [9, 8, 9, 7, 4, 1, 2, 9, 8, 8]);
//! // The tweak: a part of two symbols, 2 and 5, and an empty one.
//! assert_eq!(parts.kept, [0, 0, 0, 4, 0, 2, 0, 5, 0, 0, 0, 0]);
//!
//! // Whatever the numerals become, they stand in the same layout.
//! let mut out = String::new();
//! phone.join("25-989-741-2988", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 0], Side::Protected, &mut out);
//! assert_eq!(out, "25-123-456-7890");
//!
//! let found = phone.split("25-989-x41", Side::Plain, &mut Parts::default());
//! assert_eq!(found, Err(Misfit::Character { position: 8 }));
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `alphanumeric`
//!
//! ASCII letters and digits; digits come first, then upper case, then lower case. Parameters: `case = "mixed"` (radix
//! 62, default), `"upper"` or `"lower"` (radix 36), `keep`, `separators`. With `"upper"`, a lower-case letter does not
//! fit.
//!
//! A digit may become a letter and the other way round. For a shape like "two letters, then six digits", keep the
//! letters.
//!
//! Possible values: 36 or 62 to the power of the symbols not kept. At least 4 must be left.
//!
//! ```
//! use cipherform::formats::{Format, Parts, Side};
//! let Format::String(plate) = Format::parse("alphanumeric", toml::toml! { case = "upper" })? else { unreachable!() };
//! let mut parts = Parts::default();
//! plate.split("A0-Z9", Side::Plain, &mut parts).expect("well-formed");
//! assert_eq!((plate.radix(), parts.numerals.as_slice()), (36, [10, 0, 35, 9].as_slice()));
//! assert!(plate.split("a0-Z9", Side::Plain, &mut Parts::default()).is_err());
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `alphabet`
//!
//! Any 2 to 65,536 different code points: `symbols = "0123456789abcdef"`. The one at index i is numeral i, so the order
//! is part of the map. Only the `separators` listed may stand between; by default none. Also `keep`.
//!
//! Possible values: the number of symbols to the power of those not kept. A fixed prefix can be listed as separators,
//! if none of its letters is a symbol, as in `symbols = "0123456789", separators = "Customer#"`.
//!
//! ```
//! use cipherform::formats::{Format, Parts, Side};
//! let parameters = toml::toml! { symbols = "αβγδεζηθικλμνξοπρστυφχψως" };
//! let Format::String(greek) = Format::parse("alphabet", parameters)? else { unreachable!() };
//! let mut parts = Parts::default();
//! greek.split("κοσμος", Side::Plain, &mut parts).expect("fits");
//! assert_eq!((greek.radix(), parts.numerals.len()), (25, 6));
//! assert!(greek.split("Κοσμος", Side::Plain, &mut Parts::default()).is_err());
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `pan`
//!
//! Payment card numbers of 13 to 19 digits; spaces, hyphens and dots stay. Parameters: `keep = [first, last]` (0, 4),
//! `check_digit`:
//!
//! | `check_digit` | the input | the result | costs |
//! | --- | --- | --- | --- |
//! | `"valid"` (default) | must pass Luhn | passes Luhn | a factor of 10 |
//! | `"invalid"` | must pass Luhn | fails Luhn by exactly one, so that it can never be charged | a factor of 10 |
//! | `"off"` | any digits | any digits | nothing |
//!
//! The digit that makes the sum right carries no information. It is the last one not kept: it is left out of the
//! encryption and computed afterwards.
//!
//! Possible values of 16 digits: 10^11 with the defaults. With 6 and 4 kept, 10^5: under the floor. With 6 and 4 kept
//! and `check_digit = "off"`, 10^6.
//!
//! ```
//! use cipherform::formats::{Format, Misfit, Parts, Side};
//! let Format::String(card) = Format::parse("pan", toml::Table::new())? else { unreachable!() };
//! let mut parts = Parts::default();
//! card.split("4111-1111-1111-1111", Side::Plain, &mut parts).expect("a valid card");
//! assert_eq!(parts.numerals, [4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]); // without the last four and one more
//!
//! let found = card.split("4111-1111-1111-1112", Side::Plain, &mut Parts::default());
//! assert_eq!(found, Err(Misfit::CheckDigit));
//!
//! let Format::String(narrow) = Format::parse("pan", toml::toml! { keep = [6, 4] })? else { unreachable!() };
//! assert_eq!(narrow.usual_numerals(), Some(5));
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `email`
//!
//! The letters and digits before the last `@` are encrypted together; dots, hyphens and the other marks of a dot-atom
//! (RFC 5322) stay where they are, and so does the domain, which is the tweak (in ASCII lower case, so `Example.COM`
//! and `example.com` agree). Parameter: `case = "mixed"` (radix 62, default), `"lower"` or `"upper"` (radix 36).
//!
//! With `"mixed"`, upper and lower case are different symbols: `Ann` and `ann` become unlike, and a system that folds
//! addresses to lower case destroys the ciphertext. Fold first, then use `"lower"`; upper-case letters do not fit it.
//!
//! Not taken: quoted local parts, address literals (`ann@[127.0.0.1]`), local parts with letters beyond ASCII, more
//! than 64 octets before the `@` or 254 in all. Domains beyond ASCII are kept as they are.
//!
//! Possible values: 62 (or 36) to the power of the letters and digits. At least 4 of them must be there, so
//! `ann@example.com` does not fit.
//!
//! ```
//! use cipherform::formats::{Format, Parts, Side};
//! let Format::String(email) = Format::parse("email", toml::toml! { case = "lower" })? else { unreachable!() };
//! let mut parts = Parts::default();
//! email.split("ann.lee+x@Example.COM", Side::Plain, &mut parts).expect("well-formed");
//! assert_eq!(parts.numerals.len(), "annleex".len());
//! assert_eq!(parts.kept[4..], *b"example.com");
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `integer`
//!
//! Whole numbers from `min` to `max`, both included: in `Int32` and `Int64` columns, or as text. As text only the plain
//! form fits: no plus sign, no leading zeros, no spaces, no decimal point. The result is any number of the range, so
//! its number of digits may differ.
//!
//! Possible values: max − min + 1. A range far wider than the values hides nothing more: who may protect tries the
//! values there are.
//!
//! ```
//! use cipherform::formats::{Format, Misfit};
//! let Format::Ranked(id) = Format::parse("integer", toml::toml! { min = -5  max = 999_999_999 })? else { unreachable!() };
//! assert_eq!((id.size(), id.rank("-5"), id.rank("7")), (1_000_000_005, Ok(0), Ok(12)));
//! assert_eq!(id.rank("1000000000"), Err(Misfit::OutOfRange));
//! assert!(matches!(id.rank("007"), Err(Misfit::Malformed(_))));
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `us-ssn`
//!
//! United States social security numbers, nine digits, with hyphens or spaces after the third and fifth or without.
//! Only numbers that could be issued (rules since 2011) fit, and every result is one: area 001 to 899 without 666,
//! group and serial not zero.
//!
//! Possible values: 898 × 99 × 9,999 = 888,931,098. That can be listed: see
//! [`threats`](super::threats#the-right-to-protect).
//!
//! ```
//! use cipherform::formats::Format;
//! let Format::Ranked(ssn) = Format::parse("us-ssn", toml::Table::new())? else { unreachable!() };
//! assert_eq!(ssn.size(), 888_931_098);
//! let rank = ssn.rank("123-45-6789").expect("could be issued");
//! let mut out = String::new();
//! ssn.unrank(rank, "000 00 0000", &mut out); // the layout comes from the value
//! assert_eq!(out, "123 45 6789");
//! assert!(ssn.rank("666-45-6789").is_err());
//! # Ok::<(), cipherform::Error>(())
//! ```
