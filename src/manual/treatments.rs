//! Treatments: what a rule does to a value, beside encrypting it in its format.
//!
//! | `treatment =` | makes of a value | comes back | equal values | takes |
//! | --- | --- | --- | --- | --- |
//! | `"encrypt"` (default) | another value of the format: FF1 (SP 800-38G) | yes | equal | every [format](super::formats) |
//! | `"tokenize"` | a random value of the format, or `tok_…`, kept in a store: [tokens](super::tokens) | yes | equal, or by occurrence | text, numbers, dates, times |
//! | `"encrypt-legacy"` | as `encrypt`, by FF3-1, which NIST has withdrawn; [only with a reason](#encrypt-legacy) | yes | equal | formats over one alphabet |
//! | `"siv"` | AES-SIV (RFC 5297) with two keys of 256 bits: 16 bytes longer, as text in base64url | yes, if unchanged | equal | text and bytes of any form |
//! | `"hash"` | HMAC-SHA-256, the first `bits` (128 to 256, default 256), as text in base64url | no | equal | text and bytes of any form |
//! | `"mask"` | the value with characters replaced, or `fixed` text | no | | text |
//! | `"shift"` | a date some days off, the same for all dates of an `entity` | yes, with the entity | | `date`, `timestamp` |
//! | `"bucket"` | the beginning of the range it is in, or its first characters | no | | `integer`, `decimal`, `date`, `timestamp`, text |
//! | `"drop"` | nothing: the column is left out | no | | every column |
//!
//! `siv`, `hash`, `mask`, `drop` and a bucket of characters need no `format`. Every rule names a `key`.
//!
//! ```toml
//! [rules.note]
//! treatment = "siv"
//! key = "pii"
//!
//! [rules.email-join]
//! treatment = "hash"
//! key = "pii"
//! bits = 128
//!
//! [rules.shown]
//! treatment = "mask"
//! key = "pii"
//! mask = { keep_last = 4 }                 # or { fixed = "withheld" }, keep_first, with = "#"
//!
//! [rules.visit]
//! treatment = "shift"
//! format = "date"
//! key = "pii"
//! entity = "patient_id"
//! days = 180                               # at most so many, either way; default 365
//!
//! [rules.age]
//! treatment = "bucket"
//! format = { type = "integer", min = 0, max = 150 }
//! key = "pii"
//! bucket = { width = 10 }                  # or { edges = [0, 18, 65] }, { to = "month" }, { prefix = 3 }
//!
//! [rules.old-system]
//! treatment = "encrypt-legacy"
//! format = "digits"
//! key = "pii"
//! tweak = { hex = "d8e7920afa330a" }       # 7 bytes
//! insecure_legacy = "the billing system reads nothing else until 2027"
//! ```
//!
//! What is one-way stays on `reveal` as it is, and goes on saying in its metadata what it is. Each purpose has a
//! subkey of its own, so what a hash shows helps nobody with what is encrypted.
//!
//! # `siv`
//!
//! Deterministic authenticated encryption: what somebody changed does not reveal. It keeps no format and shows only
//! the length, and which values are equal. The tweak, `"none"` by default, is its associated data.
//!
//! # `hash`
//!
//! Fewer than 128 bits are refused: with as many rows as tables have, short hashes of different values are soon
//! equal, and joins wrong. Without the key nobody can try values; who may protect can.
//!
//! # `shift` is obfuscation
//!
//! It moves every date of an entity by the same number of days, from −days to days and never 0, which HMAC-SHA-256 of
//! the entity's plain value decides. Order and distances within an entity stay: that is what it is for, and why it is
//! not encryption. Whoever knows one true date of a person knows all of them. All rules with the same key, `domain` and
//! `days` move an entity by the same number of days, whatever their formats: so give the rules for its dates and for
//! its timestamps one `domain`. A timestamp keeps its time of day. Nothing is clamped: a date that would leave the
//! format's range does not fit. To reveal, the entity's column has to be there.
//!
//! # `encrypt-legacy`
//!
//! For reading what other software protected with FF3-1. The tweak has 56 bits, fixed or from a column.
//!
//! Without more it only reveals. To protect, the rule has to say why, in `insecure_legacy = "the reason"`: the reason
//! goes into the metadata of each file, which `cipherform inspect` shows as nonconforming. Revealing never needs it.
//!
//! Why: Beyne (*Linear Cryptanalysis of FF3-1 and FEA*, Cryptology ePrint Archive 2021/815) tells FF3-1 from random and
//! recovers messages of small domains, both in practice. Amon, Dunkelman, Keller, Ronen and Shamir (*Three Third
//! Generation Attacks on the Format Preserving Encryption Scheme FF3*, 2021/335) attack its predecessor faster than
//! before, and tell FF3-1 from random where one key serves domains of several sizes. NIST took the whole family out of
//! SP 800-38G in the second draft of its Revision 1, of February 2025, which keeps FF1: that is what `encrypt` is.
//!
//! # Nested columns
//!
//! A line of `[columns]` names a field within a struct or a list by its path:
//!
//! ```toml
//! [columns]
//! "address.postcode" = "zip"          # a field of a struct
//! "phones[]" = "phone"                # the elements of a list
//! "orders[].card" = "card"            # a field of each
//! "address.*" = "text"                # the others; the more specific line wins
//! notes = "drop"                      # all of it
//! ```
//!
//! What is left of a column comes out with the same lists and NULLs. A field of a list may take its tweak, or the
//! entity of a shift, from a column of the row. Values behind a NULL struct or list are nobody's, and are not looked
//! at. What is in maps, unions and list views cannot be named: leave such columns out, or make them structs or lists. A
//! line that goes on from a column that is there and fits nothing in it is refused, so that a slip leaves nothing in
//! the clear. If `"customer.email"` is for the table `customer`, and `orders` has a column `customer` with no `email`
//! in it, say so: `"orders.customer" = "keep"`.
