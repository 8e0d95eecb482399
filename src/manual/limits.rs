//! Limits: the numbers, and where they come from.
//!
//! # The cipher
//!
//! | what | limit | from |
//! | --- | --- | --- |
//! | radix | 2 to 65,536 | SP 800-38G |
//! | AES key | 128, 192 or 256 bits; 256 for every derived key | SP 800-38G; our choice |
//! | possible values | at least 1,000,000 | SP 800-38G Rev 1 (drafts) |
//! | the same, with `insecure_small_domain` | at least 100 | SP 800-38G (2016) |
//! | numerals in an FF1 message | at most 2^32 − 1 | SP 800-38G |
//! | FF1 tweak | 0 to 2^32 − 1 bytes | SP 800-38G allows a maximum of one's choice |
//! | numerals in an FF3-1 message | at most 2·⌊log_radix(2^96)⌋: 56 digits | SP 800-38G, FF3 |
//! | FF3-1 tweak | exactly 7 bytes | SP 800-38G Rev 1 (2019 draft) |
//!
//! The shortest message follows from radix and floor: the smallest length, at least 2, with radix^length not below it.
//!
//! | radix | 2 | 10 | 16 | 26 | 36 | 62 | 1,000 and more |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | shortest, floor 1,000,000 | 20 | 6 | 5 | 5 | 4 | 4 | 2 |
//! | shortest, floor 100 | 7 | 2 | 2 | 2 | 2 | 2 | 2 |
//!
//! ```
//! use cipherform::cipher::{AesKey, Cipher, DomainFloor, Radix};
//! let key = AesKey::try_new(&[7; 32])?;
//! let hundred = DomainFloor::insecure(100, "for the table above")?;
//! let least_lengths = [(2, 20, 7), (10, 6, 2), (16, 5, 2), (26, 5, 2), (36, 4, 2), (62, 4, 2), (1_000, 2, 2)];
//! for (radix, million, least) in least_lengths {
//!     let cipher = Cipher::ff1(&key, Radix::try_new(radix)?);
//!     assert_eq!(*cipher.lengths().start(), million);
//!     assert_eq!(*cipher.with_floor(hundred.clone()).lengths().start(), least);
//! }
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! # Formats
//!
//! | what | limit |
//! | --- | --- |
//! | symbols of an `alphabet` | 2 to 65,536 code points, each once |
//! | `keep` | 0 to 255 symbols at either end |
//! | `integer`, `decimal` | counts of 128 bits with their sign; on a column, the range must fit its type |
//! | `text`, `name`, `template` and other mixed formats | numbers of at most 4,096 bits: 870 Latin letters |
//! | `output` | 1,024 symbols to encrypt |
//! | `version_character` | versions 1 to 61 of a key |
//! | `pan` | 13 to 19 digits |
//! | `email` | 64 octets before the @, 254 in all |
//! | steps of a cycle walk | 256; each ends the walk with probability above 1/2, so to reach this is a fault of ours, and is reported as one |
//!
//! A format over numerals takes any length up to the cipher's. Once a half is beyond 128 bits, in decimal from 77
//! digits on, big integers take over, and the time for one value grows faster than its length: about as its power
//! 1.5. One value in one call, encrypted:
//!
//! | digits | 5,000 | 100,000 | 1,048,576 | 16,777,216 |
//! | --- | --- | --- | --- | --- |
//! | time | 0.13 to 0.24 ms | 11 to 20 ms | 0.40 to 0.52 s | 27 to 30 s |
//!
//! `cargo bench --no-default-features --bench cipher -- long` measures that, beside the crate `fpe`, and leaves it in
//! `benches/results/long.csv`; these are the 90th percentile and the median on shared cores. If strangers choose the
//! values, bound their lengths first.
//!
//! Mixed formats refuse a value of more than 4,096 bits before they have listed its places, so that it takes no more
//! memory than it has itself.
//!
//! # Kernels
//!
//! A [`Kernel`](crate::cipher::Kernel) is chosen by what the processor has; all give the same answers. A shape that a
//! kernel has no code for goes through `portable`, and halves beyond 128 bits through big integers.
//!
//! | kernel | needs | has code for |
//! | --- | --- | --- |
//! | `avx512` | AVX-512 with IFMA, VBMI and VBMI2; VAES | halves of up to 64 bits; as text, up to 38 decimal digits and most other alphabets; texts with separators |
//! | `avx2` | AVX2, FMA, AES-NI; VAES if it is there | FF1 with halves of up to 31.8 bits (18 decimal digits, 12 of radix 36, 10 of radix 62), FF3-1 with those of up to 30; as text, up to 16 decimal digits; texts with separators, of up to 32 bytes |
//! | `portable` | nothing; vectors of AVX2 or AVX-512 if they are there | halves of up to 128 bits |
//! | `naive` | nothing | everything, one value at a time: the judge of the others |
//!
//! # Speed of formats
//!
//! `cargo bench --no-default-features --features columns --bench columns -- formats` races each format and treatment
//! with a plain column of 16 digits in one process; `benches/results/formats.csv` has a run of it, on one core with
//! AVX-512. Of what that column does in the same time, these do:
//!
//! | what | ratio | why |
//! | --- | --- | --- |
//! | columns of integers, dates, times, timestamps | about 1 | they are ranked, and some walk twice |
//! | `digits`, `alphanumeric`, `hex`, `pan`, `encrypt-legacy` | 0.27 to 0.73 | separators, lengths that differ, check digits |
//! | columns of decimals | 0.45 to 0.5 | ranked from 128 or 256 bits |
//! | `integer` as text; `mask`, `bucket` of numbers | 0.16 to 0.5 | a value at a time |
//! | `us-ssn`, `decimal` as text, bands, `on_short`, `output`, `version_character`, `alphabet` beyond ASCII | 0.03 to 0.1 | read and written a value at a time |
//! | `template`, `postcode`, `phone`, `email`, `ipv4`, `base64url`; dates and times as text | 0.03 to 0.07 | the same, by patterns and calendars |
//! | `text`, `name`, `iban`, `vin`, `npi`, `mac`, `uuid`, `ipv6` | 0.01 to 0.025 | the same, over more places: each is looked up, and all make one number |
//! | `hash`, `shift`, `siv` | 0.02 to 0.07 | SHA-256, or two passes of AES, for each value |
//!
//! A tenth of that column is about 8 million values a second.
//!
//! # Columns and files
//!
//! | what | limit |
//! | --- | --- |
//! | Arrow types | `Utf8`, `LargeUtf8`, `Utf8View`: every format. All integers: `integer`. `Decimal32` to `Decimal256`: `decimal`. `Date32`, `Date64`, `Time32`, `Time64`, `Timestamp`: formats of that name. `Binary`, `LargeBinary`, `BinaryView`: `siv`, `hash`; `FixedSizeBinary`: `hash` of that length. Dictionaries and runs of these |
//! | nested columns | fields of `Struct`, elements of `List`, `LargeList`, `FixedSizeList`, at any depth |
//! | a tweak column | text or integers of any width, or a dictionary of these; not NULL where its value is not |
//! | one `Utf8` array | its results must fit 2 GiB (a limit of Arrow) |
//! | a file | one Parquet file, of any number of rows and row groups; row groups are cut where the source's are |
//! | memory | of each row group that is worked on, batches of at most 8,192 rows or about 32 MiB, and the encoded pages of its protected columns: 32 MiB of a column, the rest in a temporary file without a name. As many row groups as there are cores and one more are worked on, if they have at most 256 MiB decompressed |
//! | disk | the whole target in a file without a name in the target's folder, before it gets its name; where the file system has no such files, under the name `.cipherform-….tmp` |
//! | CPU | all cores |
//!
//! Fields of maps and unions cannot be named by a policy.
//!
//! **What no rule is for is copied as it stands**: compressed pages, their checksums (which are compared first),
//! statistics, page indexes, bloom filters, and every mark of their types (INTERVAL, INT96, UUID, JSON, ENUM, field
//! ids). What is left out: statistics of files that do not say how these are ordered, since the new file says so, and
//! readers would trust them. Pages of protected columns have no checksums: the Parquet library writes none.
//!
//! **Protected columns** keep their Parquet type. They have the compression of the source's first row group, statistics
//! and indexes of the ciphertext, and a bloom filter, by which a search for one value skips row groups. Timestamps of
//! the type INT96 become instants of 64 bits: in nanoseconds if all values of the column fit, else in microseconds; a
//! column that needs both is refused.
//!
//! **The footer's own entries** are copied, but for those that writers fill from data: record keys and filters of Hudi,
//! `df.attrs` of pandas, bounding boxes of GeoParquet. Others are named, since nobody knows what they say. Dates and
//! times of the calendar that Spark had before version 3 are refused in protected columns. The name of the program that
//! wrote the source stays, as readers know the faults of programs by it.
//!
//! What `protect` writes gets the permission bits of its source. What `reveal` and `query -o` write is for its owner
//! alone (mode 600).
//!
//! Ctrl-C (and SIGTERM) ends `protect` and `reveal` at the next batch. SIGKILL and a power cut leave nothing either, as
//! the file has no name until it is whole; where the file system has no such files, the next run in that folder removes
//! what was left, and says so.
//!
//! `--force` puts the new file in the target's place; source and target are two files in any case. If the target is a
//! symbolic link, the link is replaced, not what it points to.
//!
//! # Keys
//!
//! | what | limit |
//! | --- | --- |
//! | a key name | 1 to 64 of `a`–`z`, `0`–`9`, `_`, `-`; a letter first |
//! | a KMS key reference | 2,048 bytes |
//! | versions of a data key | 2^32 − 1; at most one active |
//! | a passphrase | 8 characters or more. There is no other check: its strength is yours to see to |
//! | the waiting period of a deletion in the local KMS | 7 to 30 days |
//! | automatic rotation in the local KMS | every 90 to 2,560 days |
//! | an import token | 24 hours, one import; the material is 32 bytes |
//! | RSA keys of the local KMS | 3,072 or 4,096 bits |
//! | a key file | 32 bytes, or 64 hexadecimal digits |
//!
//! Resolving the keys of a job (four columns, 10,002,432 rows; `cargo bench --bench keys`, on two shared cores) took
//! 251 µs of 6.82 s with the local KMS (0.004 %), and 42.8 ms of 6.68 s with a KMS 20 ms away (0.64 %).
//!
//! Argon2id of the local KMS: new files are written with 64 MiB, 3 passes, 1 lane (RFC 9106, the second recommended
//! choice, with one lane in place of four). Since a file's parameters are used before the file can be authenticated,
//! they are bounded on reading: memory 19 MiB to 2 GiB, 1 to 64 passes, 1 to 16 lanes, and memory × passes at least 38
//! MiB and at most 16 GiB. Outside of these bounds the file is refused. PBKDF2: new files are written with 600,000
//! iterations; 600,000 to 50,000,000 are read.
//!
//! # Tokens
//!
//! | what | limit |
//! | --- | --- |
//! | tokens of one shape and kept part | half of all there are |
//! | values minted in one transaction | 8,192 distinct ones |
//! | waiting for other writers of an SQLite store | 60 seconds |
//! | waiting for the answer of a PostgreSQL server to one batch | 60 seconds, or `CIPHERFORM_TOKENS_TIMEOUT` |
//! | look-up hash | 128 bits: among 10^12 values, two share one with a probability of about 10^-15 |
//!
//! Against the plain work of the same store (`cargo bench --bench tokens`; cards, 200,000 rows in batches of 8,192,
//! two shared cores that other work was running on; `benches/results/tokens.csv`):
//!
//! | | tokens/s | plain rows/s | ratio | what limits it |
//! | --- | --- | --- | --- | --- |
//! | SQLite, new | 42,100 | 44,900, batched `INSERT` | 0.94 | the store: each row dirties a page of two B-trees, and is synced with the log |
//! | SQLite, known | 372,000 | 438,000, batched `SELECT` | 0.85 | the search of the tree; then HMAC-SHA-256 and finding equal values, which run beside it |
//! | PostgreSQL, new | 36,300 | 43,800, `COPY` and `INSERT … ON CONFLICT` | 0.83 | the server; then sealing and drawing, which wait for it |
//! | PostgreSQL, known | 129,000 | 152,000, `SELECT … = ANY` | 0.84 | the search of the index, one by one; then the round trips, four a batch |
//!
//! Ten million distinct values into one SQLite file on the same machine: a new token took 65 µs up to half a million,
//! 105 to 145 µs from one to six million, 110 to 130 µs up to ten (of which 19 µs were computed, 38 µs spent in the
//! kernel, and the rest waited for the disk). The file had 164 MiB for each million, and the process never more than
//! 208 MiB of memory.
//!
//! # SQL
//!
//! A table is a Parquet file, the files of a pattern or folder, or record batches in memory; not what is in remote
//! object stores. The limits of memory, disk, time and rows are in [`sql`](super::sql#limits); joins do not spill, so
//! that a large one needs the memory for its smaller side.
