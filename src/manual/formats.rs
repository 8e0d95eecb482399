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
//! | format | a value | stays in the clear | numbered as |
//! | --- | --- | --- | --- |
//! | [`digits`](#digits) | `25-989-741-2988` | punctuation, `keep` | numerals, radix 10 |
//! | [`alphanumeric`](#alphanumeric) | `AB12-C34-D56` | punctuation, `keep` | numerals, radix 36 or 62 |
//! | [`alphabet`](#alphabet) | any symbols you list | the separators you list, `keep` | numerals, as many as symbols |
//! | [`text`](#text-and-name) | `The fox, 1984!` | everything but letters and digits; script and case | mixed |
//! | [`template`](#template-vin-and-npi) | `AA-9999` | literals, `keep`; the kind of each character | mixed |
//! | [`us-ssn`](#us-ssn) | `123-45-6789` | hyphens, spaces | ranked |
//! | [`pan`](#pan) | `4111-1111-1111-1111` | spaces, hyphens, dots; the last four digits | numerals, radix 10 |
//! | [`iban`](#iban) | `DE89 3704 0044 0532 0130 00` | the country, spaces | mixed |
//! | [`phone`](#phone) | `+44 20 7946 0958` | the country code, leading zeros, layout | mixed |
//! | [`email`](#email) | `ann.lee@example.com` | the domain, or its last label; marks | numerals, radix 36 or 62 |
//! | [`name`](#text-and-name) | `Jürgen O'Neil` | spaces, hyphens, apostrophes; script and case | mixed |
//! | [`postcode`](#postcode) | `SW1A 1AA` | the space | mixed |
//! | [`date`](#date-time-and-timestamp), `time`, `timestamp` | `1969-08-17`, or a column of such | nothing | ranked |
//! | [`integer`](#integer) | `-17`, or an integer column | nothing | ranked |
//! | [`decimal`](#decimal) | `149.99`, or a column of decimals | nothing | ranked |
//! | [`uuid`](#uuid-ipv4-ipv6-and-mac) | `123e4567-e89b-42d3-…` | version and variant | bits |
//! | `ipv4`, `ipv6` | `10.20.30.40` | the first `prefix` bits | bits |
//! | `mac` | `00:1b:63:84:45:e6` | two bits, or the vendor | bits |
//! | [`hex`](#hex-and-base64url) | `deadbeef` | separators, `keep` | numerals, radix 16 |
//! | `base64url` | `dGhlIHF1aWNr` | its length | bits |
//! | [`vin`](#template-vin-and-npi), `npi` | `1M8GDM9AXKP042788` | `keep` | mixed |
//! | `opaque` | anything | | for [treatments](super::treatments) that keep no format |
//!
//! A format looks for text, in columns of `Utf8`, `LargeUtf8` or `Utf8View`; those that count something (`integer`,
//! `decimal`, `date`, `time`, `timestamp`) also work on Arrow's columns of such. Columns may be dictionaries or
//! run-end encoded; fields of structs and elements of lists are named by their path (see
//! [treatments](super::treatments#nested-columns)).
//!
//! Formats over *numerals* run FF1 straight on the symbols. Any other FF1 with the same key, radix and tweak gives the
//! same answer. *Ranked* formats number all well-formed values from 0, encrypt the number as a string of bits (FF1,
//! radix 2) and do so again until the result is one of the numbers (*cycle walking*), so every result is well-formed.
//! *Mixed* formats have choices of their own in each place, a letter here, a digit there: these make one number in
//! mixed radix, which is encrypted as a rank is, among the numbers of values of the same shape. *Bits* are the same
//! with choices of a power of two, so that nothing is walked. A number has at most 4,096 bits; a longer text does not
//! fit.
//!
//! # A value there and back
//!
//! ```
//! use cipherform::cipher::Direction;
//! use cipherform::formats::RowError;
//! use cipherform::keys::{KeyUse, Keyring, KmsRegistry};
//! use cipherform::kms::MemoryKms;
//! use cipherform::policy::Policy;
//! use cipherform::transform::{TextBatch, Texts};
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
//! let card = engine.resolve(&"card".parse()?, Direction::Encrypt).await?;
//! let mut protected = Texts::default();
//! let batch = TextBatch::new(Direction::Encrypt, &[Some("4111-1111-1111-1111"), None]);
//! card.texts(batch, &mut protected).map_err(failed)?;
//! let protected: Vec<Option<&str>> = protected.iter().collect();
//! assert!(protected[0].is_some_and(|text| text.len() == 19 && text.ends_with("-1111")));
//! assert_eq!(protected[1], None);
//!
//! let card = engine.resolve(&"card".parse()?, Direction::Decrypt).await?;
//! let mut revealed = Texts::default();
//! card.texts(TextBatch::new(Direction::Decrypt, &protected), &mut revealed).map_err(failed)?;
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
//! each as 16 bits, big-endian; an e-mail domain as UTF-8, ASCII letters in lower case. Where a format keeps nothing,
//! the tweak has no bytes.
//!
//! Before it, whatever it is, stands the *shape* of a value where values of one bit length may differ in it: 16 bytes,
//! the first of SHA-256(LP(`cipherform shape v1`) ‖ LP(format and version) ‖ LP(shape)), where LP puts the length
//! before its argument (32 bits, big-endian). So each shape has a permutation of its own: a known pair of `Ann` tells
//! nothing of `ANN`, and a ciphertext that is spelt anew in another shape decrypts to something else. A shape is
//!
//! | format | shape |
//! | --- | --- |
//! | `text`, `name` | the class of each letter and digit, by its number (16 bits, big-endian), in order |
//! | `template`, and `vin`, `npi`, `postcode` of the US and Canada, which are templates | the number of the pattern (16 bits, big-endian); patterns that differ in marks alone have the first one's, so `123-45` and `12345` agree |
//! | `iban` | the country |
//! | a value in a band, of any format | `band`, and the band's number (16 bits, big-endian) |
//! | any other | none: each bit length has one shape |
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
//! What to do for short values (ZIP codes, names of two letters, extensions, codes):
//!
//! * **Let them share a band**: `on_short = "band"`. Values too short for the floor are encrypted among each other,
//!   all lengths together: in a `digits` column every value of one to six digits becomes a value of one to six
//!   digits, in 1,111,110 all told. So a short value may come out longer. Bands are there for `digits`,
//!   `alphanumeric`, `alphabet`, `hex` and `template` without `keep`, for US postcodes, and in `text` and `name` for
//!   single words, of one script and case. A value with separators (`Bo Ng`) shares no band: it is under the floor
//!   still.
//! * **Keep less.** A country code of 2 digits kept costs a factor of 100.
//! * **Widen the range**, in integer columns: `min = 0, max = 999_999` takes a five-digit code; the result may have six
//!   digits.
//! * **Join short columns** into one before protecting: code and number together pass the floor.
//! * **Leave the column out**: `"table.column" = "drop"`, or `unlisted = "drop"` for whatever no line names.
//! * **Accept the risk**, with `insecure_small_domain`: where the values are not worth an attack.
//! * **Give them another place**: `on_invalid = "siv"` encrypts them as a whole; see below.
//! * **Let them be NULL**: `on_invalid = "null"`, if the few short ones do not matter. They are lost.
//!
//! # Values that do not fit
//!
//! | setting | a value that does not fit | |
//! | --- | --- | --- |
//! | `on_invalid = "error"` (default) | stops the whole operation; the message names row, column and position, never the value | nothing is written |
//! | `on_invalid = "siv"` | is encrypted as a whole; the result is no value of the format, and mostly longer | comes back as it was |
//! | `on_invalid = "null"` | becomes NULL | lost; the column must allow NULL |
//! | `on_invalid = "insecure-keep"` | stays in the clear | counted, reported, noted in the metadata |
//! | `on_empty = "keep"` (default) | an empty string stays empty | |
//! | `on_empty = "invalid"` | an empty string does not fit | `on_invalid` decides |
//!
//! NULL stays NULL, always. What became of the values of a column is counted when it is protected, and said at the end.
//! `reveal` goes by what the column's metadata says was done: wrapped values are opened, what was left in the clear
//! passes, and anything else that does not fit is an error. It never makes NULL of a value. Without metadata it goes by
//! the policy, in which `"null"` then means an error. A policy that combines `"insecure-keep"` with
//! `check_digit = "invalid"` in `pan` is refused: a card whose last digit is wrong by exactly one would stay in the
//! clear and yet look protected, and `reveal` would make another number of it.
//!
//! # A place for every value
//!
//! Real columns hold `n/a` among phone numbers, and names of one letter. A rule with `on_invalid = "siv"`, and
//! `on_short = "band"` where its format has bands, takes any text and gives it back:
//!
//! ```toml
//! [rules.phone]
//! format = "phone"
//! key = "pii"
//! on_invalid = "siv"
//! ```
//!
//! A value that does not fit becomes `~1` and 52 or more letters and digits: AES-SIV (RFC 5297) of the value, padded to
//! blocks of 16 bytes, under a key of its own, in base32 of lower case without padding; the tweak, if the rule has a
//! fixed one or a column, is bound to it. Equal values stay equal, so that joins and look-ups go on. The length shows
//! in steps of 16 bytes, and that it did not fit shows as well. It is authenticated: what was changed is refused.
//!
//! The first character decides, on both sides. A value that begins with `~` itself is wrapped although the format takes
//! it, so that no two values have one result. Where protected values of the format may begin with `~`, a policy is
//! refused until the rule names another character (`wrap_mark = "!"`): ASCII, and no letter, digit or blank. A role
//! that sees a rule masked sees `***` in place of every such value.
//!
//! It is for `treatment = "encrypt"`, for texts (a column of numbers or dates has no place for one: there such a value
//! is an error), and for keys that others are derived from. AES-SIV is not approved by NIST, so `approved_only` refuses
//! it.
//!
//! # Before anything is written
//!
//! `cipherform check people.parquet` reads every row and says of each column how many values would be encrypted, share
//! a band, be encrypted as a whole or be refused; for each reason it names the first rows. It never shows a value, and
//! counts no use of a key. It ends with 1 if something would be refused. `protect --dry-run` does the same, and
//! `--format json` is for programs.
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
//! # Protected values that show they are
//!
//! `output`, in `digits`, `alphanumeric` and `alphabet`, lists more symbols for protected values than plain ones
//! have. What the cipher makes is a number; it is written with these symbols, in the same layout and length, with
//! leading zeros.
//!
//! ```
//! use cipherform::formats::{Format, Side};
//! let parameters = toml::toml! { output = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" };
//! let Format::String(format) = Format::parse("digits", parameters)? else { unreachable!() };
//! let mut out = String::new();
//! format.join("99-9999", &[9, 9, 9, 9, 9, 9], Side::Protected, &mut out);
//! assert_eq!(out, "00-LFLR"); // 999,999 with 36 symbols
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! `version_character = true` in a rule puts one more character behind each protected text: `1` to `9`, then `A` to
//! `Z` and `a` to `z`, for versions 1 to 61 of the key. For stores that keep no metadata: `reveal` goes by that
//! character, value by value, so that a column may hold values of several versions.
//!
//! # `digits`
//!
//! Decimal digits `0` to `9`. Parameters: `keep = [first, last]` (0, 0), `separators`, `output`.
//!
//! Possible values: 10 to the power of the digits not kept. At least 6 must be left.
//!
//! ```
//! use cipherform::formats::{Format, FormatError, Parts, Side};
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
//! assert_eq!(found, Err(FormatError::Character { position: 8 }));
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `alphanumeric`
//!
//! ASCII letters and digits; digits come first, then upper case, then lower case. Parameters: `case = "mixed"` (radix
//! 62, default), `"upper"` or `"lower"` (radix 36), `keep`, `separators`, `output`. With `"upper"`, a lower-case
//! letter does not fit.
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
//! is part of the map. Only the `separators` listed may stand between; by default none. Also `keep` and `output`.
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
//! use cipherform::formats::{Format, FormatError, Parts, Side};
//! let Format::String(card) = Format::parse("pan", toml::Table::new())? else { unreachable!() };
//! let mut parts = Parts::default();
//! card.split("4111-1111-1111-1111", Side::Plain, &mut parts).expect("a valid card");
//! assert_eq!(parts.numerals, [4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]); // without the last four and one more
//!
//! let found = card.split("4111-1111-1111-1112", Side::Plain, &mut Parts::default());
//! assert_eq!(found, Err(FormatError::CheckDigit));
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
//! and `example.com` agree). Parameters: `case = "mixed"` (radix 62, default), `"lower"` or `"upper"` (radix 36);
//! `local` and `domain`, each `"keep"` or `"protect"`. With `domain = "protect"` all labels but the last are
//! encrypted together with the local part; it wants `"lower"` or `"upper"`, for case means nothing in a domain.
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
//! Whole numbers from `min` to `max`, both included, in columns of any integer type that holds both, or as text.
//! Bounds beyond 64 bits stand in quotes. As text only the plain form fits: no plus sign, no leading zeros, no
//! spaces, no decimal point. The result is any number of the range, so its number of digits may differ.
//!
//! Possible values: max − min + 1. A range far wider than the values hides nothing more: who may protect tries the
//! values there are.
//!
//! ```
//! use cipherform::formats::{Format, FormatError};
//! let id = Format::parse("integer", toml::toml! { min = -5  max = 999_999_999 })?;
//! let Format::Ranked(id) = id else { unreachable!() };
//! assert_eq!((id.size(), id.rank("-5"), id.rank("7")), (1_000_000_005, Ok(0), Ok(12)));
//! assert_eq!(id.rank("1000000000"), Err(FormatError::OutOfRange));
//! assert!(matches!(id.rank("007"), Err(FormatError::Malformed(_))));
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
//!
//! # `decimal`
//!
//! Decimal numbers from `min` to `max` with `scale` digits behind the point: in columns of `Decimal32` to
//! `Decimal256` with that scale, or as text with just as many digits. Possible values: (max − min) × 10^scale + 1.
//!
//! ```
//! use cipherform::formats::Format;
//! let parameters = toml::toml! { min = 0  max = 999_999  scale = 2 };
//! let Format::Ranked(money) = Format::parse("decimal", parameters)? else { unreachable!() };
//! assert_eq!((money.size(), money.rank("149.99")), (99_999_901, Ok(14_999)));
//! assert!(money.rank("149.9").is_err());
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `date`, `time` and `timestamp`
//!
//! From `min` to `max`, both included: by default all dates from 0001 to 9999, all of a day, the years 1900 to 2099.
//! In columns of dates, times and timestamps (the zone stays; what is counted is UTC), or as text in `pattern`, as
//! `strftime` has it, read strictly. `resolution` of times and timestamps is `"s"` (default), `"ms"`, `"us"` or
//! `"ns"`; a column may have a finer unit, but not values between.
//!
//! Birthdays of a century are 36,525: under the floor. Widen the range, or accept it with `insecure_small_domain`; or
//! move them, with treatment `shift`.
//!
//! ```
//! use cipherform::formats::Format;
//! let parameters = toml::toml! { pattern = "%m/%d/%Y"  min = "1900-01-01"  max = "2099-12-31" };
//! let Format::Ranked(date) = Format::parse("date", parameters)? else { unreachable!() };
//! assert_eq!((date.size(), date.rank("01/02/1900")), (73_049, Ok(1)));
//! assert!(date.rank("02/30/2000").is_err() && date.rank("1/2/1900").is_err());
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `text` and `name`
//!
//! Letters become other letters of the same script and case; `text` takes ASCII digits too, which become other
//! digits. Everything else stays. Scripts: Latin with the letters of European languages and Vietnamese, Greek,
//! Cyrillic, Armenian, Hebrew, Arabic, Georgian, Hiragana, Katakana, Hangul, and Chinese characters. Latin letters
//! with accents become others with accents. A letter in no class does not fit, so that nothing stays in the clear by
//! accident. The classes are frozen tables, not those of a Unicode version.
//!
//! ```
//! use cipherform::formats::{Format, Segments, Side};
//! let Format::Segmented(name) = Format::parse("name", toml::Table::new())? else { unreachable!() };
//! let mut segments = Segments::default();
//! name.split("Zoé", Side::Plain, &mut segments).expect("a name");
//! assert_eq!(segments.choices[..2], [26, 26]); // a capital, a small letter, a small one with an accent
//! assert!(name.split("ไทย", Side::Plain, &mut Segments::default()).is_err());
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `template`, `vin` and `npi`
//!
//! Patterns of your own, as `pattern` or `patterns`:
//!
//! | in a pattern | stands for |
//! | --- | --- |
//! | `A`, `a` | an upper-case letter A–Z, a lower-case letter a–z |
//! | `9` or `\d` | a digit |
//! | `[A-FX2]` | one of these characters |
//! | `{3}` | the place before, three times |
//! | `\` and a character other than `d` | that character itself |
//! | anything else | itself |
//!
//! Also `keep`, and `check`, a digit that values carry and that is computed anew:
//!
//! | `check =` | is |
//! | --- | --- |
//! | `"luhn"` | the last digit, by ISO/IEC 7812-1, over all digits |
//! | `{ luhn = { prefix = "80840" } }` | the same, over the digits of a prefix that is not written, too |
//! | `"mod11-10"` | the last digit, by ISO 7064, MOD 11-10 |
//! | `"vin"` | the ninth of 17 characters, a digit or `X` (49 CFR 565.15) |
//!
//! `{ type = "luhn", prefix = "80840" }` is another way to write it. Only digits count for the first three, those that
//! are literals as well. The pattern's last place that is no literal is the check, so it takes the digits 0 to 9 and
//! nothing else, and no literal digit stands behind it; a pattern that is otherwise is refused. `vin` and `npi` are
//! templates with a check: vehicle identification numbers (49 CFR 565.15) and national provider identifiers (45 CFR
//! 162.406).
//!
//! ```
//! use cipherform::formats::{Format, Segments, Side};
//! let plate = toml::toml! { type = "template"  patterns = ["AA-9999", "[A-C]{2}\\d{6}"] };
//! # let mut plate = plate; plate.remove("type");
//! let Format::Segmented(plate) = Format::parse("template", plate)? else { unreachable!() };
//! let mut segments = Segments::default();
//! plate.split("XY-0042", Side::Plain, &mut segments).expect("the first pattern");
//! assert_eq!(segments.choices.iter().product::<u64>(), 26 * 26 * 10_000);
//!
//! let Format::Segmented(vin) = Format::parse("vin", toml::Table::new())? else { unreachable!() };
//! assert!(vin.split("1M8GDM9AXKP042788", Side::Plain, &mut Segments::default()).is_ok());
//! assert!(vin.split("1M8GDM9A1KP042788", Side::Plain, &mut Segments::default()).is_err());
//!
//! let provider = toml::toml! { pattern = "[12]9{9}"  check = { luhn = { prefix = "80840" } } };
//! let Format::Segmented(provider) = Format::parse("template", provider)? else { unreachable!() };
//! assert!(provider.split("1234567893", Side::Plain, &mut Segments::default()).is_ok());
//! assert!(provider.split("1234567890", Side::Plain, &mut Segments::default()).is_err());
//! for check in ["luhn", "mod11-10"] {
//!     let with = |pattern: &str| {
//!         [("pattern".into(), pattern.into()), ("check".into(), check.into())].into_iter().collect()
//!     };
//!     assert!(Format::parse("template", with("AA-9{7}")).is_ok());
//!     assert!(Format::parse("template", with("9{7}[0-9A-Z]")).is_err());
//! }
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `iban`
//!
//! International bank account numbers (ISO 13616), in groups of four or without spaces. The country stays; each place
//! of the rest keeps its kind, as the SWIFT registry has it, and the check digits are those of the result (ISO 7064,
//! MOD 97-10).
//!
//! ```
//! use cipherform::formats::{Format, Segments, Side};
//! let Format::Segmented(iban) = Format::parse("iban", toml::Table::new())? else { unreachable!() };
//! assert!(iban.split("DE89 3704 0044 0532 0130 00", Side::Plain, &mut Segments::default()).is_ok());
//! assert!(iban.split("DE88 3704 0044 0532 0130 00", Side::Plain, &mut Segments::default()).is_err());
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `phone`
//!
//! Telephone numbers, international (E.164) or national; the country code and leading zeros stay. `plan = "e164"`
//! (default) or `"nanp"`, for numbers that are to be of the North American plan: area code and exchange then are such
//! as can be.
//!
//! ```
//! use cipherform::formats::{Format, Segments, Side};
//! let Format::Segmented(phone) = Format::parse("phone", toml::Table::new())? else { unreachable!() };
//! let mut segments = Segments::default();
//! phone.split("+44 20 7946 0958", Side::Plain, &mut segments).expect("a number");
//! assert_eq!(segments.choices.iter().product::<u64>(), 9 * 10u64.pow(9)); // the first digit is not 0
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `postcode`
//!
//! `country = "US"` (ZIP and ZIP+4), `"GB"` or `"CA"`; for other countries write a template. ZIP codes of five digits
//! are 100,000: give the rule `on_short = "band"`, and they share one with those of nine.
//!
//! ```
//! use cipherform::formats::{Format, Segments, Side};
//! let Format::Segmented(canada) = Format::parse("postcode", toml::toml! { country = "CA" })? else { unreachable!() };
//! assert!(canada.split("K1A 0B1", Side::Plain, &mut Segments::default()).is_ok());
//! assert!(canada.split("D1A 0B1", Side::Plain, &mut Segments::default()).is_err());
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `uuid`, `ipv4`, `ipv6` and `mac`
//!
//! A UUID (RFC 9562) keeps version and variant; 122 bits are left. An address keeps its first `prefix` bits (0):
//! `ipv4` in decimal, `ipv6` in the canonical text of RFC 5952 or in full. A MAC address keeps the bits "group" and
//! "locally administered", and with `vendor = "keep"` the first three octets. Hexadecimal digits are lower case, or
//! with `case = "upper"` upper case.
//!
//! ```
//! use cipherform::formats::{Format, Segments, Side};
//! let Format::Segmented(address) = Format::parse("ipv4", toml::toml! { prefix = 8 })? else { unreachable!() };
//! let mut segments = Segments::default();
//! address.split("10.20.30.40", Side::Plain, &mut segments).expect("an address");
//! assert_eq!(segments.choices.iter().product::<u64>(), 1 << 24);
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # `hex` and `base64url`
//!
//! `hex` is hexadecimal digits of one case; `keep` and `separators` as in `digits`. `base64url` (RFC 4648, section 5)
//! is bytes, with padding or without; the result decodes to as many bytes.
//!
//! ```
//! use cipherform::formats::{Format, Segments, Side};
//! let Format::Segmented(bytes) = Format::parse("base64url", toml::Table::new())? else { unreachable!() };
//! assert!(bytes.split("_-AbCd01", Side::Plain, &mut Segments::default()).is_ok());
//! assert!(bytes.split("AB=", Side::Plain, &mut Segments::default()).is_err());
//! # Ok::<(), cipherform::Error>(())
//! ```
