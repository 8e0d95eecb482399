//! Threats: who is kept out, who is not, and what shows all the same.
//!
//! # What is protected
//!
//! * **The values** of the columns that a rule protects. Not how many rows there are, not the other columns, not which
//!   values are equal.
//! * **The data keys.** Whoever has one can reveal everything that was and will be protected with it.
//!
//! What stands between these and an adversary is the KMS: its permissions, or, for the local KMS, a passphrase or key
//! file.
//!
//! # Who is kept out
//!
//! | adversary | has | gets |
//! | --- | --- | --- |
//! | thief of files | protected Parquet files | what [shows anyhow](#what-shows); no value |
//! | thief of files, policy and keyring | all that the data's folder may hold | the same, and the rules' definitions, key names and times |
//! | thief of these and the local KMS file | `kms.json` as well | the same, and may guess the passphrase: offline, without limit |
//! | analyst with SQL and a role | queries, on a host that holds the keys | what the role's grants say, and what shows in it |
//! | database or storage administrator | may also change and swap files | the same as the thief; and can do damage, see [integrity](#integrity) |
//! | whoever may use the KMS key, and has the keyring | every data key under it | everything, for ever |
//! | root, a debugger with root's leave | memory of the process | everything it handles |
//! | another process of the same user | all files of the user | the key file, the passphrase's file, the answers of the KMS: what the process reads, it can read, too. On Linux not the memory of the command |
//!
//! **The thief of files.** AES with a key of 256 bits stands in between. They may know plaintexts: each pair of a value
//! and its ciphertext that they learn tells them that value wherever it occurs, and no other. They may know the
//! distribution: see [equality](#what-shows). The metadata names rule, format, data key, version, domain and tweak (a
//! fixed tweak in full), and a check value of 128 bits, by which a key could be recognised, but not found.
//!
//! **The thief of the keyring.** It holds data keys wrapped with AES-256-GCM under a KMS key that is not in it. With a
//! KMS that they cannot call it is of no use. The policy tells them which columns you think worth protecting.
//!
//! **The thief of the local KMS file.** With a passphrase, all rests on the passphrase: Argon2id makes a guess cost
//! memory and time, but a weak one falls. Only passphrases under eight characters are refused. With a key file, all
//! rests on the key file: keep it on another medium than the data. Where another KMS or an HSM guards the file (`kms
//! passphrase --kms`), nothing can be guessed. The local KMS is an embedded convenience. A process that can read both
//! of its files is not limited by any policy: key policies are guardrails, and so are disabled keys, since whoever
//! can write the file can put an older copy of it back. What is deleted is out of the file, not out of its copies.
//!
//! **The analyst with a role.** A role is a boundary where a host runs the queries and the analyst holds neither keys
//! nor policy. `cipherform query --role` on a machine where one has the keys shows what a role would see; it binds
//! nobody. Mind what remains within a grant:
//!
//! * *plain* shows values, and with `protect = true` also tries them;
//! * *masked* shows what the mask keeps. It hides no equality: joins, groups and counts are those of the values, so
//!   that whoever knows how often each value occurs, or has one row of a person, recognises others. `equality =
//!   false` in the grant leaves showing and counting alone. A masked integer is NULL; kept symbols of short values
//!   say much;
//! * *protected* shows ciphertexts, and so lets them be recognised elsewhere;
//! * *denied* fails the query that needs the column. That the column is there, and its type, still shows.
//!
//! A role that does not see a rule plain gets no answer from `reveal`, `fpe_decrypt` and `detokenize`, for any string
//! it likes, nor from statistics, `EXPLAIN VERBOSE` and paths. How long a statement takes, and how many rows it has,
//! it sees.
//!
//! Rules with the same key, format and `domain` share one subkey: that is what `domain` is for. A policy that grants
//! them unlike to one role is refused.
//!
//! DataFusion has statements that read files (`CREATE EXTERNAL TABLE`), replace views or change settings (`SET`).
//! [`Session::run`](crate::sql::Session::run) refuses them under a role; a host that plans statements itself for
//! people it does not trust has to refuse them itself (`SQLOptions::with_allow_ddl`, `with_allow_statements`), keep
//! the process away from other files, and take the policy and the role from its own configuration. Only a `Session`
//! filters what `EXPLAIN` prints. The role can be set by the host only, never by SQL.
//!
//! **Who may use the KMS.** Unwrapping a data key once is enough: keys do not change, and copies of the data can be
//! revealed later, elsewhere, without the KMS. So take one data key for each class of sensitive data, and give KMS
//! permission for a class as if it were the data itself. A rotation protects what comes after it, nothing before.
//!
//! **Who may write the keyring, or a backup.** A keyring says which KMS to ask before it can be authenticated. So the
//! policy's `[trust.NAME]` pins which keyring is meant, the check value of its root, and which KMS keys files may
//! name: nothing is loaded, opened or sent before a reference was compared. What authenticates a keyring is a root
//! that the KMS unwraps, so whoever may *wrap* under that KMS key (with the public key of Azure's RSA: anybody) could
//! make one that opens; the pinned check value tells. Without an entry only the configured local KMS is asked. Where
//! somebody has had the root, `keys new-root` makes another.
//!
//! **Who may write the policy** decides what is protected at all, and what a role sees: it is plain text and carries no
//! signature. Files that are protected already are compared with it; the next file just follows it. Keep its write
//! permission as narrow as the KMS's.
//!
//! # The right to protect
//!
//! Where the possible values can be listed, the right to protect is the right to reveal: protect them all, and look up.
//! There are 888,931,098 social security numbers that can be issued; of the card numbers of one issuer (six digits
//! known) with known last four, there are 100,000 with a valid check digit. This holds for every deterministic scheme,
//! keyed hashes included, and a large format is no help: the values that occur are few, and a comparison tells which
//! bits are right. Do not offer `protect` to people who may not see the values. Here a role needs `protect = true` for
//! it, and *plain* as well; a role that does not see plain gets `protect` or `search` only with `insecure_oracle = "the
//! reason"` in the grant.
//!
//! Rules with one key, format and domain have one map: a role may not see one of them other than another. That is
//! refused when the policy is read.
//!
//! # What shows
//!
//! | shows | so that | what helps |
//! | --- | --- | --- |
//! | equality | how often each value occurs; a known distribution names the frequent ones | a tweak column (equal values differ between its values), or not protecting so, but dropping the column |
//! | joins | the same person in every table under the same rule | another `domain` for tables that need not join |
//! | row order | in a file sorted by the value, the row's place is its rank | shuffle, or sort by something else, before protecting |
//! | length and shape | separators stay, and so does the number of symbols; an e-mail address keeps its dots, and often gives a name away by its lengths alone | pad before, or another treatment |
//! | kept parts | they are plain: the last four digits, the domain of an address, a country code | keep less |
//! | NULL and empty strings | they stay (and values that became NULL by `on_invalid = "null"` say that they did not fit) | fill in before |
//! | values that did not fit | with `on_invalid = "siv"` it shows that they did not, which of them are equal, and their length in steps of 16 bytes | mend them before |
//! | values left in the clear | with `on_invalid = "insecure-keep"` they stand there; the file says that there may be some | do not use it |
//! | unprotected columns | a birth date, a ZIP code and a sex identify many people | drop (`unlisted = "drop"`), coarsen |
//! | the number of distinct values | file size, dictionaries, statistics show it | – |
//! | the tweak column | unless protected as well, it is plain | – |
//!
//! Statistics, page indexes, bloom filters and dictionaries of a protected file are those of the ciphertexts. The
//! file's own entries in the footer are copied but for those that are known to be filled from data, and named: if
//! another program has put plaintext there, it stays.
//!
//! # Integrity
//!
//! Format-preserving encryption has none. Every well-formed text is the ciphertext of some value, so a changed one
//! reveals to a well-formed, wrong value. Who can write the files can change values blindly, swap them between rows,
//! bring back old ones, and drop rows. Nothing notices. If that matters, sign the files, or store them where writing is
//! controlled.
//!
//! The keyring and the file of the local KMS are authenticated: a changed byte is noticed. An older copy of a keyring
//! is noticed by its audit log, which knows a later generation, or by a checkpoint kept elsewhere; an older copy of
//! everything that is in one place is not. The keyring notes the end of its log at each change, so that `audit
//! verify` and `keys doctor` miss a log that was removed, or cut before that.
//!
//! What is noticed of a column, as long as its metadata is there: another key, another version, another rule, format,
//! domain or tweak definition than those that protected it. Then `reveal` stops before the first row. Metadata is no
//! proof of anything either. Who can write the file can write it; but it never grants anything, and a column that lies
//! about its rule is revealed under that rule as the policy has it: to garbage, or to an error.
//!
//! A token store is authenticated row by row: a value is sealed for its row, and a row that a look-up hash leads to has
//! a tag over domain, look-up hash, token and end of life ([tokens](super::tokens)). So whoever can write to the store
//! cannot give one person the token or the value of another, nor a longer life; that is an error where the row is met.
//! A writer can still take rows away, so that tokens cannot be revealed and a value gets a second token, damage them,
//! so that jobs fail, and put back rows of an older copy of the same store, which were right once. Nothing notices the
//! last: a value that was deleted can be revealed again by whoever has a copy of its row, and the keys.
//!
//! # Erasing a person
//!
//! | the value is | it is erased by | what is left |
//! | --- | --- | --- |
//! | a token | `cipherform tokens delete RULE --values -`: an entry in the audit log says who, when and how many, and code 0 that all were there ([tokens](super::tokens)) | the token, which stands for nothing; copies of the store's rows |
//! | encrypted | writing the file anew without the person's rows | copies of the old file |
//! | encrypted, and everything under one key version may go | `keys rotate`, then `keys remove KEY@N` | copies of the keyring, until the KMS key that wrapped it is deleted as well |
//!
//! Only the first is provable, and reaches copies of the protected files: what stands in them leads nowhere any more.
//! For data of which single people must be erasable, tokenize what identifies them.
//!
//! An encrypted file is written anew in one of two ways. Without anybody reading it: ask for the ciphertext of what
//! identifies the person, and let any program that keeps the metadata of Arrow fields leave those rows out (pyarrow:
//! `table.filter(field("ssn") != ciphertext)`, and `write_table`). The rest stays as it is stored. `cipherform query
//! --stored FILE -c 'SELECT … WHERE ssn <> …' -o NEW.parquet` does so, too, but its output does not say how it is
//! protected, so that `reveal` takes `--key-version N` and `--table NAME`. Or through plain values: `cipherform query
//! FILE -c 'SELECT … WHERE …' -o PLAIN.parquet`, then `protect` with `--table NAME`; the plain file is yours to remove.
//! There is no command that does either in one step. Whoever has an older copy of the file, a backup or a snapshot, and
//! the key, still reads the person.
//!
//! A tweak or a `domain` of the person's own erases nothing: both are in the clear, and the key that is needed with
//! them stays. A key of the person's own would, but a rule names one key, so that keys are for classes of data, not
//! people. After `keys remove` the version reveals nothing by this keyring; a copy of the keyring from before still
//! does.
//!
//! # Small domains
//!
//! FF1 is at its weakest where few values are possible. Two things protect here: the floor of 1,000,000 possible
//! values, which the drafts of SP 800-38G Rev 1 require, and the subkey, which is another one for each data key
//! version, domain and format. The floor is a lower limit, no recommendation: above it the right to protect is still
//! the right to reveal, and frequencies still show. `insecure_small_domain` lowers it to 100 for one rule, takes your
//! reason, and writes it into every file.
//!
//! FF3 was broken in 2017. FF3-1 repaired it in a draft of 2019; since then it has been attacked again (Beyne, eprint
//! 2021/815; Amon et al., eprint 2021/335), and the second public draft of Revision 1 (3 February 2025) removes the
//! family. So no rule can use it. The bare cipher is there to read old data.
//!
//! # Timing
//!
//! Within [`cipher`](crate::cipher), for radices up to 64 and halves up to 128 bits, no table, branch or division
//! depends on a key or a value: remainders are taken by multiplication with a reciprocal, additions wrap without
//! branching. AES is the crate `aes`: the processor's instructions, or bit-sliced. ASCII alphabets of up to 64 symbols
//! are searched whole for each symbol.
//!
//! `cargo bench -p cipherform-cipher --bench constant_time` measures it as dudect does: Welch's t-test over times of 64
//! values at once, zeros against random values, and one key against random keys, cropped at a hundred percentiles;
//! |t| > 4.5 counts as a difference. The largest |t| of each line, in two runs of 200,000 measurements on an
//! Intel Xeon with AVX-512 (two cores of a virtual machine that other work was running on; encrypting / decrypting,
//! and – for what was not measured):
//!
//! | kernel | values | values, run 1 | values, run 2 | keys, run 1 | keys, run 2 |
//! | --- | --- | --- | --- | --- | --- |
//! | avx512 | 16 of radix 10 | 2.6 / 3.6 | 2.0 / 2.2 | 2.0 / 3.3 | 1.7 / 3.6 |
//! | avx512 | 30 of radix 10 | 4.8 / 4.6 | 4.8 / 4.8 | 2.2 / 2.1 | 2.4 / 3.1 |
//! | avx512 | 12 of radix 36 | 2.4 / 2.7 | 2.3 / 1.9 | 2.6 / 9.0 | 1.7 / 3.2 |
//! | avx512 | 64 of radix 2 | 1.7 / 2.1 | 4.0 / 2.3 | 2.9 / 2.4 | 5.1 / 3.3 |
//! | avx2 | 16 of radix 10 | 2.1 / 2.3 | 1.7 / 4.0 | 1.9 / 1.4 | 2.3 / 2.3 |
//! | avx2 | 30 of radix 10 | 2.4 / 1.9 | 2.6 / 1.9 | 1.8 / 2.4 | 2.0 / 2.2 |
//! | avx2 | 12 of radix 36 | 2.4 / 6.0 | 2.6 / 2.1 | 2.3 / 1.7 | 4.2 / 2.6 |
//! | avx2 | 64 of radix 2 | 6.0 / 3.1 | 3.0 / 4.8 | 2.0 / 3.5 | 2.1 / 4.1 |
//! | portable | 16 of radix 10 | 1.6 / 2.7 | 3.0 / 2.2 | 3.6 / 8.4 | 2.5 / 2.5 |
//! | portable | 30 of radix 10 | 2.1 / 3.1 | 1.7 / 3.2 | 2.2 / 3.5 | 2.3 / 2.3 |
//! | portable | 12 of radix 36 | 1.7 / 3.4 | 1.8 / 2.1 | 1.5 / 3.1 | 2.6 / 3.2 |
//! | portable | 64 of radix 2 | 2.7 / – | 2.0 / – | 3.4 / – | 4.7 / – |
//!
//! Most lines beyond 4.5 are so in one run alone, as on a machine that is not quiet. Thirty digits on AVX-512 are so
//! in both, barely, for zeros against random values and not for keys: that is a difference until somebody explains it,
//! and a quiet machine has not been asked. `benches/divisions.sh` searches the machine code of a release build for
//! divisions: of 174 functions of the cipher twelve divide. The AVX2 and AVX-512 rounds and the portable rounds have
//! none. Those that have are the reference implementation, halves beyond 128 bits, and what reads the radix or the
//! length; in `batch::numerals::apply`, into which more is inlined, it has not been shown that each of its twenty
//! divides public numbers alone. Look-ups by a secret index are not searched for.
//!
//! What does show in time or memory access:
//!
//! * lengths: of values, tweaks, kept parts, and where separators stand;
//! * whether a value fits, and where the first character is that does not;
//! * the number of steps of a cycle walk, which says something about a rank and a key that nobody has found a use for;
//! * how many distinct values a dictionary has;
//! * larger or non-ASCII alphabets (a hash table), halves beyond 128 bits (big integers), and the naive kernel;
//! * the arithmetic of ranks: reading and writing an integer or a social security number as text divides, and is not
//!   written to be constant in time;
//! * everything after: sorting, comparing and hashing plaintexts is what Arrow and DataFusion do with any column.
//!
//! # Memory
//!
//! Wiped when no longer needed: KMS keys, data keys, root keys, subkeys, AES key schedules, the content of a key
//! file, the passphrase as we hold it, the JSON and base64 in which keys go to Vault, Azure and Google and come back
//! (not the buffers of HTTP and TLS below, nor what the SDK of AWS copies). They are in [`Secret`](crate::Secret),
//! which prints as `****` and cannot be serialised.
//!
//! Not wiped:
//!
//! * plaintexts: numerals and texts while they are worked on, halves and blocks on the stack, Arrow arrays, what
//!   DataFusion and the Parquet library hold, and everything on the Python side. A `bytes` object with a key in Python
//!   stays until its memory is used again;
//! * the passphrase where it came from: an environment variable is visible to other processes of the same user and to
//!   root for as long as the process runs; reading buffers are not wiped. Prefer a prompt, or `--passphrase-fd`;
//! * copies of the primes of an RSA key, made by the library (`rsa` 0.10) while it computes: in `keys import` of a
//!   partner's key, and in `kms import-material`. Both are short processes, and what they open is wiped.
//!
//! Nothing is locked into memory: a key can be swapped out, or be in a hibernation image. Use encrypted swap, or none.
//!
//! The command sets its core file limit to 0. On Linux it also tells the kernel that it is not to be dumped
//! (`PR_SET_DUMPABLE`): then no core dump is made, piped to a program (`core_pattern` begins with `|`) or not, and
//! other processes of the same user can neither trace it nor read its memory in `/proc`. A host that uses the crate
//! or the Python package has to see to that itself.
//!
//! A key file, a file of a passphrase or a PIN, or a local KMS that other users can read or change gets a warning
//! from each command that uses it, with the `chmod` to run.
//!
//! # Other outlets
//!
//! * **Messages** name positions, lengths, columns, files and rules; never a value, never a key. A test feeds in bad
//!   values and looks for them in every message. Errors that DataFusion raises while rows are worked on, such as a
//!   failed cast, name the value: [`sql::from_execution`](crate::sql::from_execution) leaves such a message out
//!   whole. File paths and key names are yours to judge before you pass a log on.
//! * **Query text** is yours: a literal in `WHERE ssn = '…'` stands in the shell's history and in the list of processes
//!   when given with `-c`. The prompt keeps its history in memory only. `EXPLAIN` of a session and the audit log leave
//!   literals out.
//! * **Spill files**: a [`Session`](crate::sql::Session), which `cipherform query` uses, writes none unless it is
//!   given a quota (`--disk-limit`), and then seals each chunk with AES-256-GCM under a key that is nowhere but in
//!   memory. A context of your own spills as you configure it.
//! * **Temporary files**: `protect` and `reveal` write beside the target, on Linux into a file without a name, so
//!   that a process which is killed leaves nothing behind.
