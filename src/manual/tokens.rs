//! Tokens: random stand-ins, kept in a store.
//!
//! An encrypted value can be computed back by whoever has the key. A token cannot: it was drawn at random, and what
//! it stands for is only in the store, sealed under the key. So there are two things to keep from others, and a
//! single value can be forgotten.
//!
//! ```toml
//! tokens = "sqlite:tokens.db"     # for every rule below that does not say otherwise; relative to the policy
//!
//! [rules.card]
//! treatment = "tokenize"
//! format = { type = "pan", check_digit = "invalid" }    # looks like a card, can never be charged
//! key = "pii"
//!
//! [rules.account]
//! treatment = "tokenize"
//! format = "opaque"               # any text; the token is tok_ and 22 letters and digits
//! key = "pii"
//! tokens = "postgres://app@db.example.com/tokens?sslmode=require"
//! ttl = "90 days"
//! ```
//!
//! | setting | is |
//! | --- | --- |
//! | `tokens` | where they are kept: `sqlite:FILE`, or `postgres://…` (feature `tokens-postgres`), whose password is in `PGPASSWORD`, never in the URL |
//! | `format` | any [format](super::formats), or `opaque`. A token has the shape of its value, and keeps what the format keeps |
//! | `per_occurrence` | `true`: each row gets a token of its own. By default equal values get the same, so joins work |
//! | `ttl` | for how long a new token can be revealed, such as `"12h"` or `"90 days"`; by default for ever |
//! | `never_valid_as` | rules: no token is a valid value of one of their formats |
//! | `on_forgotten` | what `reveal` makes of a token whose value was deleted or has expired: `"null"` (default), `"keep"` the token (NULL for a role that sees masks), `"error"` |
//!
//! Columns may be of text, integers, decimals, dates, times and timestamps, and dictionaries of these, if the format
//! counts them (`opaque` and `digits` are for text); a date in a column of dates and in one of text, written in the
//! rule's pattern, has one token. A value is equal to another when its text is, byte for byte: `4111-1111…` and
//! `41111111…` get two tokens. A rule that tokenizes takes no `tweak`.
//! Nothing can be computed from a token; but it is another value of the same shape, so that where there are two, it
//! tells the value. So the [floor](super::formats#the-floor) is that of encryption: a new value gets a token only if
//! there are at least 1,000,000 of its shape and kept part, or 100 with `insecure_small_domain = "the reason"` in the
//! rule. Two rules with the same `domain` and store share tokens; their formats must be the same, and `per_occurrence`.
//!
//! # What is kept, and what it tells
//!
//! One row a token: the token, a look-up hash, the sealed value, the end of its life, a tag.
//!
//! * The **look-up hash** is HMAC-SHA-256 of the value, cut to 128 bits, under a key derived from the data key, the
//!   domain and the store's identity. It is how a value's token is found. Its key stays the same when the data key is
//!   rotated, until `cipherform tokens reindex`.
//! * The **sealed value** is AES-256-GCM under a key derived for each batch from the data key and 128 random bits.
//!   Store, domain, token, look-up hash, key version and end of life are its associated data, so a row that somebody
//!   changed or moved does not open.
//!
//! * The **tag** is HMAC-SHA-256 over domain, look-up hash, token and end of life, cut to 128 bits, under another key
//!   derived for it alone (`cipherform token row v1`) from the key version that the look-up hash is made with. A
//!   look-up hash leads to a token without anything being opened; the tag is compared whenever it does, in `protect`,
//!   `tokenize` and `tokens delete --values`. A row in which the three do not belong together is an error, and nothing
//!   of that batch is done.
//!
//! Stores of the version before have no tags. They are brought to this version when they are opened; from then on an
//! older program refuses them. Rows without a tag are found as before, and their sealed value is opened to check them,
//! which is slower; `cipherform tokens reindex RULE` gives every row a tag. The tables in PostgreSQL get their new
//! column from the first user who may change them.
//!
//! Whoever has the store alone learns the tokens, how many there are, when they expire, which were minted together,
//! and how long each value is. Values need the keyring and its KMS, too. Whoever has the key and the store, or may
//! ask `tokenize` freely, can find out of any value whether it is there.
//!
//! # How full it may get
//!
//! A token must not be guessed, so at most half of the tokens that values of one shape may get are ever used: values
//! with the same number of symbols and the same kept part. A batch that would go beyond is refused whole. From three
//! quarters of that on `protect`, `query` and Python warn; `cipherform tokens stats` shows the fullest. What counts
//! as one shape goes by the format's definition: after a change of it, counting begins anew. Shapes with more than 2^36
//! tokens are not counted: half of them are 3.4 × 10^10 rows. With `never_valid_as` the tokens left may be fewer; when
//! 128 draws give none that is free, that is an error.
//!
//! A token is never issued twice. What was deleted or has expired leaves an empty row.
//!
//! # Many writers
//!
//! Two unique constraints of the store decide: a token stands once, a look-up hash stands once. Two processes that
//! mint the same value at the same time get the same token, since one of them finds the other's row. A batch of up to
//! 8,192 distinct values is one transaction; a process that is killed leaves whole batches or nothing of them. When a
//! job fails, what it had minted until then stays, and the next one finds it. A job that fails has no target file.
//!
//! SQLite: one writer at a time; others wait for up to a minute. The file, its log (`-wal`) and its index (`-shm`)
//! belong together: back up with `sqlite3 tokens.db ".backup copy.db"`. Every commit is synced. Not for network drives.
//! PostgreSQL: for several machines; the user needs to make tables once, and temporary tables always. A server on
//! another machine is spoken to by TLS alone, and its certificate must be of an authority that the system trusts, or
//! one in the file that `SSL_CERT_FILE` names; `insecure=plaintext` in the URL goes without. A server that does not
//! answer a batch within a minute is left; `CIPHERFORM_TOKENS_TIMEOUT` is another number of seconds. Tokens are lost
//! with the store: back it up as often as files with tokens are written.
//!
//! # Looking after it
//!
//! ```text
//! cipherform tokens stats                                   how many, how full, by which key version values are found
//! cipherform tokens delete account tok_…                    forget for ever; --values FILE finds the tokens of values
//! cipherform tokens expire                                  forget values past their ttl, which cannot be revealed
//! cipherform keys rotate pii && cipherform tokens reseal    seal every value with the new key version
//! cipherform tokens reindex account                         find values by the new version; nothing is minted then
//! cipherform tokens export account --format json            every row, sealed as it is
//! ```
//!
//! `delete`, `expire`, `reseal` and `reindex` ask whether it is meant, and why: at a terminal, or by `--yes` and
//! `--reason 'request 4711'`, without which they change nothing. With `audit = "…"` in the policy each leaves two
//! entries in the audit log ([keys](super::keys#audit)): one before the change, one after it, with who, when, the rule,
//! the reason, and how many tokens it was about; no token and no value. `delete` ends with code 1 if something was not
//! in the store, or was forgotten before, and says how many; the rest is forgotten all the same. Values are looked up
//! byte for byte, so write them as they were when they were protected.
//!
//! After `reseal` and `reindex` the older versions of the key are not needed for this store any more. Tokens stay as
//! they are. A program that has the policy open must open it again after a rotation, to reveal what others sealed
//! with the new version.
//!
//! A store file that is missing is made by whoever may tokenize: `protect`, `tokenize`, and a session of SQL with a
//! policy that tokenizes; not by `reveal` and `cipherform tokens`. If a key version that values are found by is
//! removed before the re-index, minting ends until `cipherform tokens reindex`.
//!
//! Deleting overwrites the row. In SQLite that is done at once, in its log as well, unless somebody reads the store at
//! that moment: then the command says `not yet`, and `tokens expire` does the rest when they are done. In PostgreSQL
//! the server's files hold the old rows until `VACUUM cipherform_tokens`, which the command says as well. Backups and
//! replicas are yours to see to, and so are blocks that a file system or a disk has set aside.
//!
//! # In SQL
//!
//! `tokenize(v, 'rule')` and `detokenize(t, 'rule')` are volatile and asynchronous: nothing is minted by `EXPLAIN`,
//! or for a constant that an optimizer would like to know. Protected files open with `detokenize`, as others do with
//! `reveal`. DataFusion runs asynchronous functions in the columns of a SELECT and in WHERE; not in aggregates, GROUP
//! BY, windows, VALUES, the condition of a join, or within each other. There an error says so; a query within does
//! it: `SELECT t, count(*) FROM (SELECT tokenize(v, 'a') AS t FROM x) GROUP BY t`; one within the other takes two
//! statements.
//!
//! # A store of one's own
//!
//! It implements [`TokenStore`](crate::tokens::TokenStore), passes
//! [`conformance::check`](crate::tokens::conformance::check), and is given to
//! [`Engine::with_token_store`](crate::Engine::with_token_store).
