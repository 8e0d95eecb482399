//! Keys: what wraps what, byte for byte; what to back up; what rotation does. [`audit`](super::audit) has the audit
//! log.
//!
//! # Words
//!
//! | word | is | lives |
//! | --- | --- | --- |
//! | KMS key | a key that wraps and unwraps data keys, and does nothing else | in its KMS, for ever |
//! | data key | a random key that values are protected with, by way of subkeys | in the keyring, wrapped |
//! | version | one generation of a data key; a random id of 128 bits tells it apart, its number is for people | in the keyring |
//! | subkey | what is derived from a version for one purpose, domain and format | in memory |
//! | keyring | the file of wrapped data keys | beside the policy, usually |
//! | local KMS | the embedded KMS: one sealed file | the user's configuration directory |
//!
//! ```text
//! passphrase or key file ──► KMS key ──wraps──► data key version ──KBKDF──► subkey for FF1: one a domain and format
//!                            (kms.json)         (keyring.json)        └───► check value: into the file's metadata
//! ```
//!
//! A data key's *use* is fixed when it is made. `derive` is the default. `direct-ff1-128`, `-192` and `-256` make a key
//! that is the FF1 key itself, to exchange data with other software: no derivation, so any other FF1 with that key, the
//! radix and the tweak gives the same results.
//!
//! # The bytes
//!
//! Enough to read a keyring and a file with other tools. It was checked so: a program in another language, which shares
//! no code with this crate, opened a local KMS, a keyring and a protected file by what follows.
//!
//! `LP(a, b, …)` is each part behind its length: 32 bits, big-endian. Text is UTF-8. Ids are their 16 bytes. `‖` joins.
//!
//! **Derivation**: KBKDF of SP 800-108r1 in counter mode with HMAC-SHA-256. Blocks i = 1, 2, … are joined and cut to
//! length:
//!
//! ```text
//! KBKDF(key, label, context, bytes)   block i = HMAC-SHA-256(key, [i]₃₂ ‖ label ‖ 0x00 ‖ context ‖ [8 · bytes]₃₂)
//! ```
//!
//! **Fingerprint** of what defines a rule's map, beside key, domain and tweak: SHA-256 over four parts, each behind its
//! length in 64 bits, big-endian: `cipherform fingerprint v1`, `encrypt`, `FF1`, and the format's definition, such as
//! `pan/1 keep=0,4 check_digit=valid`.
//!
//! | value | is |
//! | --- | --- |
//! | FF1 key, use `derive` | KBKDF(data key, `cipherform ff1 subkey v1`, LP(version id, domain, fingerprint), 32) |
//! | FF1 key, use `direct-ff1-…` | the first 16, 24 or 32 bytes of the data key |
//! | check value | KBKDF(check key, `cipherform check value v1`, LP(version id, domain, fingerprint, tweak definition), 16) |
//! | check key, use `derive` | the data key |
//! | check key, use `direct-ff1-…` | the last 32 bytes: what is wrapped is longer than the AES key by these |
//! | tweak definition | `kept`, `none`, `hex:00ff`, or `column:NAME` |
//!
//! ```
//! use cipherform::formats::Format;
//! use cipherform::keys::Purpose;
//! assert_eq!(Purpose::Ff1.label(), "cipherform ff1 subkey v1");
//! assert_eq!(Purpose::CheckValue.label(), "cipherform check value v1");
//! assert_eq!(Purpose::KeyringMac.label(), "cipherform keyring mac v1");
//! assert_eq!(Purpose::RootCheck.label(), "cipherform root check v1");
//! assert_eq!(Purpose::AuditMac.label(), "cipherform audit mac v1");
//! assert_eq!(Purpose::AuditSigning.label(), "cipherform audit signing v1");
//! assert_eq!(Purpose::ExchangeCheck.label(), "cipherform exchange check key v1");
//! assert_eq!(Purpose::ExchangeSigning.label(), "cipherform exchange signing v1");
//! assert_eq!(Purpose::LocalKmsMac.label(), "cipherform local kms mac v1");
//! assert_eq!(Purpose::LocalKmsSeal.label(), "cipherform local kms seal v1");
//! assert_eq!(Purpose::BackupMac.label(), "cipherform backup mac v1");
//! assert_eq!(Purpose::LocalKmsCheck.label(), "cipherform local kms check value v1");
//! assert_eq!(Format::parse("pan", toml::Table::new())?.definition(), "pan/1 keep=0,4 check_digit=valid");
//! # Ok::<(), cipherform::Error>(())
//! ```
//!
//! **Wrapping** is bound to a context of ids, never names, so that wrapped bytes moved elsewhere do not unwrap:
//!
//! ```text
//! context = LP("cipherform wrap v1", keyring id, data key id, version id, use)
//! ```
//!
//! The root key of a keyring has 16 zero bytes as its data key id, and the use `keyring-root`.
//!
//! ```
//! use cipherform::keys::{DataKeyId, KeyVersionId, KeyringId, WrapContext};
//! let context = WrapContext {
//!     keyring: KeyringId::from_bytes([1; 16]),
//!     data_key: DataKeyId::from_bytes([2; 16]),
//!     version: KeyVersionId::from_bytes([3; 16]),
//!     key_use: "derive".to_owned(),
//! };
//! assert_eq!(context.to_bytes().len(), (4 + 18) + 3 * (4 + 16) + (4 + 6));
//! assert!(context.to_bytes().starts_with(b"\0\0\0\x12cipherform wrap v1\0\0\0\x10\x01\x01"));
//! ```
//!
//! **These JSON files** have the form `{ "format": …, "content": …, "mac": … }`, are indented by two spaces, and end in
//! a line feed. A file is accepted only as the program would write it again, byte for byte. The MAC (base64) is
//! HMAC-SHA-256(MAC key, LP(format, content as JSON without spaces)).
//!
//! | file | `format` | MAC key |
//! | --- | --- | --- |
//! | keyring | `cipherform-keyring/4` (`/1` to `/3` are read, too) | KBKDF(root key, `cipherform keyring mac v1`, LP(keyring id), 32) |
//! | backup | `cipherform-backup/1` | KBKDF(root key, `cipherform backup mac v1`, LP(keyring id), 32) |
//! | local KMS | `cipherform-local-kms/2` (`/1` is read, too) | KBKDF(unlock key, `cipherform local kms mac v1`, LP(file id), 32) |
//!
//! **The keyring's content**: its id; a generation that counts changes; the root key, wrapped; the keys, each with
//! name, id, use, time, the reference of its KMS key, versions, and, where they are not the usual ones, periods and
//! limit; when it was last in a backup; of the audit log the number of entries, the length in bytes and the last MAC
//! at the last change, and for each former root the number of entries, the length and the SHA-256 of what was written
//! under it, and the public key of its checkpoints; each version with number, id, state, time, its wrapped bytes in
//! base64 (absent once removed), the time of its activation, and the states it went through. Wrapped is the key
//! itself: 32 bytes for `derive` and for the root; AES key and check key for direct use.
//!
//! **The local KMS's content**: its id; a generation; how it is unlocked; its KMS keys, each with name, id, spec,
//! origin, state, times, versions of material and history; aliases, each the id of a KMS key. A version of material has
//! number, id, time, and its bytes sealed (absent once erased): 32 of a symmetric key, the 32 of the seed of Ed25519,
//! or PKCS #8 of RSA; of asymmetric keys the public key; of imported material a check value, and when it expires. A
//! wrapping key for an import is sealed like material, with its token in the place of a material id. Unlock key: the
//! 32 bytes of the key file (raw, or 64 hexadecimal digits), or Argon2id version 0x13 of the passphrase with the salt
//! (16 bytes) and parameters in the file, 32 bytes; or PBKDF2 with HMAC-SHA-256, likewise; or 32 random bytes, in the
//! operating system's keyring (service `cipherform local kms`, user: the file's id, `/`, an id that stands in the
//! file), or wrapped by another KMS, with the context LP(`cipherform wrap v1`, file id, 16 zero bytes, an id that
//! stands in the file, `local-kms-unlock`).
//!
//! | what | AES-256-GCM key | associated data | stored as |
//! | --- | --- | --- | --- |
//! | sealed material | KBKDF(unlock key, `cipherform local kms seal v1`, LP(file id), 32) | LP(`cipherform local kms material v2`, file id, KMS key id, material id) | nonce (12) ‖ ciphertext ‖ tag (16) |
//! | check value of imported material | | | KBKDF(material, `cipherform local kms check value v1`, LP(file id, KMS key id), 16) |
//! | a wrapped data key | the material | LP(`cipherform local wrap v2`, KMS key id, material id, context) | 0x02 ‖ KMS key id ‖ material id ‖ nonce (12) ‖ ciphertext ‖ tag (16) |
//!
//! In format 1 a KMS key has one version of material and no id of it: it was sealed with LP(`cipherform local kms key
//! v1`, file id, KMS key id). Bytes that it wrapped, 0x01 ‖ KMS key id ‖ nonce ‖ ciphertext ‖ tag with the associated
//! data LP(`cipherform local wrap v1`, KMS key id, context), unwrap with material 1 for ever. The first change of
//! such a file writes it in format 2; older programs do not read it then.
//!
//! # Metadata of a protected column
//!
//! One JSON object in the Arrow field's metadata, under the key `cipherform`
//! ([`ProtectedColumn`](crate::columns::ProtectedColumn)). In Parquet it is within the Arrow schema that Arrow writers
//! store in the footer, if the source had one, and a second time, for all columns, under the key `cipherform` of the
//! file's own metadata: `{"version": 1, "columns": {"address.postcode": {…}}}`. A column's own counts.
//!
//! It describes and never grants: `reveal` takes the rule of that name from the policy and the key version of that id
//! from the keyring, and compares fingerprint, domain, tweak and check value. If one differs it stops.
//!
//! Without it, `reveal --key-version N` goes by the policy's `[columns]` and version N of their keys. Nothing can be
//! compared then: a wrong rule, key or version gives well-formed, wrong values; and so does a file that was never
//! protected.
//!
//! # The local KMS
//!
//! The embedded default, so that nothing has to be set up. One file, `cipherform/kms.json` in the user's configuration
//! directory, or where `--local-kms` or `CIPHERFORM_LOCAL_KMS` says; never beside the data. It is unlocked by
//!
//! 1. `--key-file`, `--passphrase-file` or `--passphrase-fd`, one of them;
//! 2. else `CIPHERFORM_KEY_FILE`, `CIPHERFORM_PASSPHRASE_FILE` or `CIPHERFORM_PASSPHRASE`: more than one of them is an
//!    error;
//! 3. else a prompt, if there is a terminal.
//!
//! A new passphrase has at least 8 characters (SP 800-63B); several words are better. A file made with a key file is
//! unlocked by that key file only, and likewise for a passphrase.
//!
//! `kms passphrase` changes what unlocks it: another passphrase, a key file (`--new-key-file`), or a key of another KMS
//! (`--kms URI`): then a random unlock key is wrapped by an HSM or a cloud KMS, which is asked whenever the file is
//! opened, and no passphrase is. Everything in the file is sealed anew, and it is replaced whole. Copies are still
//! opened by what opened them before, so after a passphrase was seen by others, destroy the copies and move to new
//! KMS keys. `--os-keyring` lets the keyring of the operating system (Secret Service, Keychain, Credential Manager; a
//! build with the feature `os-keyring`, as releases and the Python wheel are) keep a random unlock key: whoever is
//! logged in opens the file. Such a file does not open on another machine, so neither does its backup: give it a
//! passphrase before you back it up.
//!
//! A passphrase is stretched by Argon2id (64 MiB, 3 passes), or by PBKDF2 with HMAC-SHA-256 (600,000 iterations),
//! which makes guessing cheaper for whoever has many processors and is what NIST has approved (SP 800-132): `init
//! --kdf pbkdf2`, `kms passphrase --kdf pbkdf2`.
//!
//! Whatever it protects against, it does so by these two files being apart from the data and from each other. It is a
//! guardrail on one machine; a KMS with permissions and an audit log is another thing.
//!
//! ## Its KMS keys
//!
//! `cipherform kms` looks after them, as `cipherform keys` does after data keys; `local:NAME` may be written `NAME`
//! there. `kms list` shows them, `kms describe NAME` one of them with its history: who did what to it, when and why.
//! In the audit log of the policy each change has an entry, too, before it is made; only a change of the very KMS key
//! that keeps the keyring shut, by its state or its policy, is written down after it, and a warning says so where
//! even that is not possible.
//!
//! | command | does |
//! | --- | --- |
//! | `kms create local:NAME [--rotate-every DAYS]` | a new key of 256 random bits |
//! | `kms create local:NAME --origin external` | a key whose material is imported: see below |
//! | `kms create local:NAME --spec rsa-3072`, `rsa-4096` | a key that opens what partners export: `keys import --for local:NAME` |
//! | `kms create local:NAME --usage sign-verify` | an Ed25519 key that signs what we export: `keys export --sign-with local:NAME` |
//! | `kms public-key local:NAME` | the public half of either: PEM for RSA, 64 hexadecimal digits for Ed25519 |
//! | `kms rotate local:NAME` | new material, which wraps from now on; what older material wrapped still unwraps, since wrapped bytes name theirs |
//! | `kms rotate local:NAME --every DAYS`, `--on-demand` | by itself after 90 to 2,560 days, or not |
//! | `kms disable`, `kms enable` | off and on: a disabled key wraps and unwraps nothing |
//! | `kms schedule-deletion local:NAME [--days 7…30]` | deletion after a waiting period (30 days), in which the key wraps and unwraps nothing |
//! | `kms cancel-deletion` | takes that back; the key is disabled then |
//! | `kms alias create`, `update`, `delete`, `list` | other names, `local:alias/NAME`, which can move to another key |
//!
//! What time makes due, new material and the end of a waiting period, is done by the first command that changes a data
//! key or a KMS key (in Rust [`LocalKms::run_due`](crate::kms::LocalKms::run_due)). Jobs, and commands
//! that only show something, never write the file; `keys doctor` says what is due, and so do `keys list` and the like.
//! From the end of its waiting period on a key is refused, whether or not its material is erased yet; it is called
//! `destroyed` once that is so. Its entry and its name stay. What is erased is out of the file; copies of the file
//! still have it, sealed, and so may the blocks of a disk, so destroy backups as well. A clock that is wrong by the
//! waiting period deletes too early: set it right before you change keys. As long as the material is there, `kms
//! cancel-deletion` keeps it, whatever the clock says, if nothing else is changed before.
//!
//! An alias wraps by the key that it means now, and unwraps by the key that the wrapped bytes name. Like rotation it
//! does not touch what is wrapped: `keys rewrap --to local:NAME` wraps the data keys anew.
//!
//! A key has one use: a symmetric one wraps data keys, RSA opens partners' keys, Ed25519 signs ours, and each is
//! refused for anything else. Only symmetric keys whose material is made here are rotated.
//!
//! ## Material from elsewhere
//!
//! A company that makes its own key material (BYOK) brings it so:
//!
//! ```text
//! cipherform kms create local:ours --origin external
//! cipherform kms get-parameters-for-import local:ours --public-key wrapping.pem --token import.token
//! openssl pkeyutl -encrypt -pubin -inkey wrapping.pem -in material.bin -out wrapped.bin \
//!     -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256
//! cipherform kms import-material local:ours --material wrapped.bin --token import.token --reason 'ceremony of 3 May'
//! ```
//!
//! The material is 32 bytes. The wrapping key is RSA with 4,096 bits, made for this import; its private half is
//! sealed in the file of the local KMS, good for one import within 24 hours, and erased by it. `--valid-to TIME` lets
//! the material expire: then it is refused, and erased by the next `keys` command that changes a key; `keys doctor`
//! says so 60 days before. `kms delete-material` erases it at once. Either way the key waits for the same material,
//! and takes no other: what the other wrapped would be lost. Whether it is the same tells a check value in the file,
//! 128 bits that are derived from the material; it says nothing about material that nobody can guess. Keep the
//! material where you made it: here it is a copy. Such a key is not rotated; create another one, and `keys rewrap
//! --to` it.
//!
//! ## Key policies
//!
//! Who may do what with a KMS key of the local KMS say statements, as in AWS KMS and IAM
//! ([`KeyPolicy`](crate::kms::KeyPolicy)):
//!
//! ```json
//! { "Version": "2012-10-17", "Statement": [
//!     { "Sid": "admin", "Effect": "Allow",
//!       "Principal": { "User": "ann@laptop" }, "Action": "kms:*", "Resource": "*" },
//!     { "Sid": "jobs", "Effect": "Allow", "Principal": { "User": "etl@*" }, "Action": "kms:Decrypt", "Resource": "*",
//!       "Condition": { "StringEquals": { "kms:EncryptionContext:cipherform:use": "derive" } } } ] }
//! ```
//!
//! **They are guardrails.** The file is opened in the user's own process, with the user's own name for a principal:
//! whoever can unlock it can read every key in it with other tools. They keep honest people and jobs from mistakes,
//! and a server that alone unlocks the file can decide with the same code ([`evaluate`](crate::kms::evaluate)). Where
//! people must be kept out, use a KMS that they do not open themselves.
//!
//! * An explicit deny goes before an allow; what no statement allows is denied. A key whose policy does not name you
//!   is closed to you.
//! * A key has the policy that everybody who unlocks the file may do anything, until `kms policy put` puts another
//!   one in its place. So it is for the keys of older files, too.
//! * Principals are `"*"`, `{ "User": "user@host" }`, and `"identity-policies"`: that leaves the decision to the
//!   policy that is attached to whoever asks (`kms policy put --identity user@host`). Denials in the policy of an
//!   identity count for every key.
//! * Actions are those of AWS KMS ([`KmsAction`](crate::kms::KmsAction)). Jobs need `kms:Decrypt`, `keys create` and
//!   `rotate` `kms:GenerateDataKey`, `rewrap` `kms:Encrypt`. The resource is `local:NAME`. In texts `*` stands for
//!   any characters and `?` for one.
//! * Conditions are `StringEquals`, `StringNotEquals`, `StringLike` and `StringNotLike` on the wrap context:
//!   `kms:EncryptionContext:cipherform:keyring`, `…:data-key`, `…:version`, `…:use`. A word that means nothing is an
//!   error, not a statement without effect.
//! * A policy under which you could never put another one is refused, unless `--bypass-lockout-check` says that it is
//!   meant.
//!
//! `kms policy get` shows one, `kms policy simulate local:NAME --principal WHO --action kms:Decrypt` which statement
//! would decide. `kms list` shows all keys to whoever unlocks the file, policies of identities are put by whoever
//! unlocks it, and what time makes due is done whoever is at work.
//!
//! # The KMS of the company
//!
//! A build with the provider's feature (`full` has them all) takes a KMS key by its URI: `init --kms URI` wraps a new
//! keyring by it, `keys create NAME --kms URI` a single data key, and `keys rewrap --to URI` moves what there is.
//!
//! | URI | service | feature |
//! | --- | --- | --- |
//! | `local:NAME`, `local:/path/kms.json#NAME` | the local KMS | `kms-local` |
//! | `aws-kms:ARN`, `aws-kms:alias/NAME?region=…`, `aws-kms:KEY-ID?region=…`; also `profile`, `endpoint`, `context.NAME` | AWS KMS | `kms-aws` |
//! | `vault:https://HOST:PORT/MOUNT/KEY`; also `namespace` | the transit engine of HashiCorp Vault and OpenBao | `kms-vault` |
//! | `pkcs11:token=LABEL;object=LABEL?module-path=/….so` (RFC 7512); also `serial`, `manufacturer`, `model`, `id`, `pin-source` | HSMs | `kms-pkcs11` |
//! | `kmip://HOST:PORT/UID` | KMIP 1.4 servers | `kms-kmip` |
//! | `gcp-kms:projects/P/locations/L/keyRings/R/cryptoKeys/K`; also `endpoint` | Google Cloud KMS | `kms-gcp` |
//! | `azure-kv:https://VAULT.vault.azure.net/keys/NAME` | Azure Key Vault, Managed HSM | `kms-azure` |
//!
//! A URI holds no secret: it stands in the keyring. What stands behind `?` is percent-encoded. Keys travel over TLS
//! only; `http://` is taken for this machine alone (127.0.0.1, `[::1]`, localhost), and never by a proxy. Trusted is
//! what the system trusts; `SSL_CERT_FILE` names a file of certificates instead, for all providers.
//!
//! A token of Azure or Google is sent to hosts of that service alone: names below `vault.azure.net` and
//! `managedhsm.azure.net`, those of Azure in China (`….azure.cn`) and for the US government (`….usgovcloudapi.net`),
//! and below `googleapis.com`. `CIPHERFORM_KMS_HOSTS` names further ones, between commas: hosts, or the ends of their
//! names, for private endpoints and emulators (`127.0.0.1` too). It is read from the environment, never from a file
//! that names a key. Vault is asked where the policy's `[trust.NAME]` says, or `VAULT_ADDR`.
//!
//! Data keys are made the KMS's way: by its generate-data-key (AWS, Vault), by the HSM's random numbers (PKCS#11), else
//! by the operating system's, wrapped by the KMS. They are kept only wrapped, and used outside it.
//!
//! ## What the words mean elsewhere
//!
//! | here | AWS KMS | Vault, OpenBao | PKCS#11 |
//! | --- | --- | --- | --- |
//! | `kms get-parameters-for-import`, `import-material`, `delete-material` | GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial | `keys/NAME/import` | `C_UnwrapKey` |
//! | `kms rotate local:NAME`, `--every` | RotateKeyOnDemand, EnableKeyRotation | `keys/NAME/rotate`, `auto_rotate_period` | another object |
//! | `kms schedule-deletion`, `cancel-deletion` | ScheduleKeyDeletion, CancelKeyDeletion | delete | destroy object |
//! | `local:alias/NAME` | alias | | label |
//! | KMS key | KMS key (once: customer master key) | transit key | AES key object on a token |
//! | data key | data key | data key | a key that is wrapped by `C_Encrypt` |
//! | make a data key | GenerateDataKey | `transit/datakey/plaintext` | `C_GenerateRandom`, then `C_Encrypt` |
//! | wrap, unwrap | Encrypt, Decrypt | `transit/encrypt`, `transit/decrypt` | `C_Encrypt`, `C_Decrypt` with `CKM_AES_GCM` |
//! | wrap context | encryption context: `cipherform:keyring`, `:data-key`, `:version`, `:use` | associated data | additional authenticated data |
//! | disabled | Disabled | (a policy that denies) | (token or PIN away) |
//! | pending-deletion | PendingDeletion | soft-deleted (OpenBao) | |
//! | new material in the same KMS key | key rotation: nothing to do here | `transit/keys/KEY/rotate`: nothing to do, until `min_decryption_version` is raised: `rewrap` to the same URI first | another object: `rewrap` |
//! | rewrap | ReEncrypt (here: Decrypt, Encrypt) | `transit/rewrap` (here: decrypt, encrypt) | decrypt, encrypt |
//! | who may | key policy, IAM policy, grants | token and its policies | PIN, and the attributes of the key |
//! | `kms passphrase --kms URI` | | seal, auto-unseal by another KMS | |
//! | custom key store | a KMS key in CloudHSM, or outside AWS | managed keys | the token |
//!
//! ## AWS KMS
//!
//! A symmetric key for `ENCRYPT_DECRYPT`. Credentials and region are found as the AWS SDK finds them: environment,
//! `AWS_PROFILE` or `?profile=`, web identity, container, instance. The least that works:
//!
//! ```json
//! { "Version": "2012-10-17", "Statement": [ {
//!     "Effect": "Allow",
//!     "Action": ["kms:DescribeKey", "kms:GenerateDataKey", "kms:Encrypt", "kms:Decrypt"],
//!     "Resource": "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
//!     "Condition": { "StringEquals": { "kms:EncryptionContext:cipherform:keyring": "THE KEYRING'S ID" } }
//! } ] }
//! ```
//!
//! Who only protects and reveals needs `kms:Decrypt` alone; `kms:GenerateDataKey` is for `keys create` and `rotate`,
//! `kms:Encrypt` for `rewrap`, `kms:DescribeKey` for `describe` and `doctor` (which the condition cannot cover, so
//! give it in a statement of its own; with `kms:GetKeyRotationStatus` they tell the rotation, too). CloudTrail shows
//! the context. `context.team=pay` adds a pair of your own. `CIPHERFORM_AWS_GRANT_TOKENS` holds grant tokens, between
//! commas, for the minutes until a new grant is known everywhere. `AWS_CA_BUNDLE` names certificates to trust. Not
//! built in: IAM Identity Center (`aws sso login`; `aws configure export-credentials` helps) and
//! `credential_process`.
//!
//! ## HashiCorp Vault, OpenBao
//!
//! A transit key of an AEAD type, `aes256-gcm96` as it is by default. The least that works:
//!
//! ```text
//! path "transit/keys/main"              { capabilities = ["read"] }      # describe, doctor, rewrap
//! path "transit/datakey/plaintext/main" { capabilities = ["update"] }    # keys create, rotate
//! path "transit/encrypt/main"           { capabilities = ["update"] }    # rewrap
//! path "transit/decrypt/main"           { capabilities = ["update"] }    # everything: the only one that jobs need
//! path "transit/random/*"               { capabilities = ["update"] }    # keys create --use direct-…
//! ```
//!
//! | login | variables (each `VAULT_…` or `BAO_…`) |
//! | --- | --- |
//! | token | `VAULT_TOKEN`, `VAULT_TOKEN_FILE`, or `~/.vault-token` |
//! | AppRole | `VAULT_ROLE_ID` and `VAULT_SECRET_ID` or `VAULT_SECRET_ID_FILE` |
//! | TLS certificate | `VAULT_AUTH_METHOD=cert`, `VAULT_CLIENT_CERT`, `VAULT_CLIENT_KEY`; `VAULT_CERT_ROLE` if need be |
//!
//! `VAULT_AUTH_MOUNT` says where the login is mounted if not under its own name; `VAULT_CACERT` whom to trust.
//!
//! ## PKCS#11
//!
//! An AES key of 256 bits that stays inside: `CKA_SENSITIVE` true, `CKA_EXTRACTABLE` false, `CKA_ENCRYPT` and
//! `CKA_DECRYPT` true; others are refused. With OpenSC:
//!
//! ```text
//! pkcs11-tool --module M --login --token-label hsm --keygen --key-type aes:32 --label kek --id 01 \
//!   --sensitive --private
//! ```
//!
//! The PIN comes from `pin-source=/path`, or `CIPHERFORM_PKCS11_PIN`, or the file `CIPHERFORM_PKCS11_PIN_FILE` names;
//! the module from `module-path`, or `CIPHERFORM_PKCS11_MODULE`. A job needs no more than the user PIN of that token.
//! The module is loaded into this process: name only one that you trust.
//!
//! ## KMIP
//!
//! An AES key of 256 bits in the state active, with the usage mask encrypt and decrypt, owned by the client of the
//! certificate. `CIPHERFORM_KMIP_CERT`, `CIPHERFORM_KMIP_KEY` and `CIPHERFORM_KMIP_CA` are PEM files. The server wraps
//! (AES-GCM, KMIP 1.4). A server that lacks those operations but gives the key out is asked for the key, and it wraps
//! in this process: then the KMS key does leave its KMS.
//!
//! ## Google Cloud KMS
//!
//! A key for `ENCRYPT_DECRYPT`; `roles/cloudkms.cryptoKeyEncrypterDecrypter` on that key (jobs: `cryptoKeyDecrypter`),
//! and `roles/cloudkms.viewer` for `describe` and `doctor`. Application Default Credentials: the file that
//! `GOOGLE_APPLICATION_CREDENTIALS` names (a service account's or a person's), `gcloud auth application-default login`,
//! or the machine's account.
//!
//! ## Azure Key Vault
//!
//! An RSA key of 3072 or 4096 bits (RSA-OAEP-256), or in a Managed HSM an `oct-HSM` key of 256 bits (A256KW), with
//! the operations wrapKey and unwrapKey; the role `Key Vault Crypto Service Encryption User` (get, wrapKey,
//! unwrapKey). `AZURE_TENANT_ID` and `AZURE_CLIENT_ID` with `AZURE_CLIENT_SECRET` (or `…_FILE`), or
//! `AZURE_FEDERATED_TOKEN_FILE`; else the machine's managed identity. What an RSA key wraps, anybody could wrap who
//! has its public half, a keyring's root included: only the check value in the policy's `[trust.NAME]` tells ours, so
//! [pin it](#roots-of-trust).
//!
//! ## When a KMS is away
//!
//! What may be asked again is: no answer, throttling, a failure of the server; four times, each for ten seconds
//! (`CIPHERFORM_KMS_TIMEOUT` gives more or less), with pauses that double, shortened at random. Eight questions at most
//! are under way to one provider. Where no answer comes the exit code is 3, and nothing is written.
//!
//! An unwrapped key is fetched once, however many columns ask. In the policy:
//!
//! ```toml
//! [keys]
//! ttl = "1h"         # then the KMS is asked again
//! max_hold = "24h"   # a running job keeps its keys up to this age; then it ends, and nothing is written
//! max_uses = 1000    # a fetched key is given out so many times; without limit if left out
//! ```
//!
//! From nine tenths of `ttl` on a key is renewed early. If the KMS is down then, the key serves on until `ttl` and is
//! refused after it. A refusal (key disabled, permission taken) counts at once. A job resolves its keys before it
//! begins, so an outage in its middle does not touch it. In Rust,
//! [`KmsRegistry::with_audit`](crate::keys::KmsRegistry::with_audit) hears of each question to a KMS, and `tracing`
//! of each attempt; neither tells a key or a credential.
//!
//! ## Moving to another KMS key
//!
//! `keys rewrap --to URI` unwraps each data key and wraps it under the new KMS key: the same data keys, so no data is
//! touched. Each is unwrapped again before the keyring is written. Without names it takes the keyring's root along, and
//! the former KMS key is needed only for older copies of the keyring.
//!
//! It does not remedy a compromised KMS key: who has had that, and a copy of the keyring, has the data keys. Then
//! rotate the data keys, and protect the data anew.
//!
//! `keys doctor` reaches each KMS, tells each KMS key's state (and with AWS, by a dry run, whether it would make data
//! keys for us), authenticates the keyring, unwraps each version, and says what is due: a period that ends soon or
//! has ended, a suspended or compromised version, a key without an active version, imported material that expires, a
//! rotation or a deletion that is due. A copy that is older than `keyring_generation`, or than its audit log, is not
//! well, nor is an audit log that cannot be written or is not the one that the keyring knows. Its exit code is that
//! of the first thing that is not well; what is due alone leaves it 0.
//!
//! ## What a KMS key wraps, byte for byte
//!
//! | provider | wrapped bytes |
//! | --- | --- |
//! | AWS, Google | what the service gives |
//! | Vault | its text, `vault:v1:…` |
//! | PKCS#11 | 0x01 ‖ nonce (12) ‖ ciphertext ‖ tag (16) |
//! | KMIP | 0x01 ‖ nonce (12) ‖ tag (16) ‖ ciphertext; 0x02 ‖ nonce (12) ‖ ciphertext ‖ tag (16) if it was done here |
//! | Azure | 0x01 ‖ length of the key's version ‖ version ‖ what the service gives for data key ‖ SHA-256(context) |
//!
//! # Roots of trust
//!
//! A keyring is authenticated by a MAC under its *root key*, which is in the keyring, wrapped by a KMS key. So the MAC
//! says that whoever wrote the file could have a root of theirs wrapped, and nothing more:
//!
//! * **permission to wrap under the KMS key is permission to make a keyring that opens** (`kms:Encrypt` and
//!   `kms:GenerateDataKey` of AWS, `transit/encrypt` of Vault, `useToEncrypt` of Google, an HSM's PIN). An RSA key of
//!   Azure wraps by its public half: there anybody may. Data that is protected under a keyring of somebody else is
//!   theirs;
//! * permission to unwrap, with a copy of the keyring, is permission to do all that the keyring's holders can.
//!
//! A keyring also says which KMS to ask, before it is authenticated. So the policy, which is trusted, pins both:
//!
//! ```toml
//! [trust.main]
//! keyring = "0123456789abcdef0123456789abcdef"
//! root = ["89abcdef0123456789abcdef01234567"]
//! kms = ["aws-kms:alias/pii-*"]
//! ```
//!
//! `keyring` is its id, `root` a list of check values of root keys, 16 bytes of KBKDF(root key, `cipherform root
//! check v1`, LP(), 16), which tell nothing about the key and are compared before the MAC; `kms` are the KMS keys
//! that files may name, `*` in the last part alone. A root that is not in the list opens nothing, whoever had it
//! wrapped. `init` writes the entry, `keys trust` prints it. Without an entry only the configured local KMS is asked.
//!
//! `keys new-root --reason …` makes a new root, for when somebody had the former one, or could have: the KMS key was
//! open to more people than it should have been, or somebody left who could unwrap. It prints the new entry for the
//! policy; put its check value in place of the former. No data is touched. What hangs on the root goes on:
//!
//! | what | is then |
//! | --- | --- |
//! | data keys | the same; those that others may know are rotated, by `keys rotate` |
//! | audit log | closed with the entry `new-root`, and written on under the new root; the keyring keeps the SHA-256 of what is before, so that neither the former root nor its holders are needed to verify it, or able to change it |
//! | checkpoints | of before: verified as ever, as far as they are of the time before; new ones have another public key |
//! | backups | of before: they open if `root` in the policy has the former check value as well; without the newer keyring, see [Backup](#backup) |
//! | keys for partners | signed with another key: give the partners `keys public-key` again. They import what comes under another name, since a name stands for one sender; with `--sign-with local:NAME` nothing changes |
//! | processes of before | go on to reveal and protect until they have to write to the log; then they end, and are to be started again |
//!
//! # States
//!
//! Those of SP 800-57 Part 1 Revision 5, section 7 ([`KeyState`](crate::keys::KeyState)), and *removed*:
//!
//! | state | protects | reveals | how it gets there | and from there |
//! | --- | --- | --- | --- | --- |
//! | pre-activation | no | no | `keys rotate --prepare` | active, compromised, removed |
//! | active | yes | yes | `keys create`, `keys rotate`, `keys activate`, `keys resume`: one a key at most | suspended, deactivated, compromised |
//! | suspended | no | yes, with a warning | `keys suspend` | active, deactivated, compromised |
//! | deactivated | no | yes | `keys deactivate`; the active version when another takes its place | compromised, removed |
//! | compromised | no | yes, with a warning: else nothing could be moved to a new key | `keys compromise` | removed |
//! | removed | no | no | `keys remove`: the wrapped bytes are out of this keyring. Its copies may have them | destroyed |
//! | destroyed | no | no | `keys remove` once more, when the KMS key that wrapped it is gone | |
//!
//! ```
//! use cipherform::cipher::Direction;
//! use cipherform::keys::KeyState;
//! assert!(KeyState::Compromised.may(Direction::Decrypt) && !KeyState::Compromised.may(Direction::Encrypt));
//! assert!(KeyState::Active.may_become(KeyState::Suspended) && !KeyState::Active.may_become(KeyState::Removed));
//! ```
//!
//! Every transition takes a reason (`--reason`, or a prompt; `created` and `rotation` where there is none to ask),
//! which stands in the keyring with who and when, under its MAC, and in the audit log. It must hold no secret. *Who*
//! is the user's name at that machine: it is told, not proven. What cannot be undone asks whether it is meant, unless
//! `--yes` is there.
//!
//! # Periods and limits
//!
//! A version protects for its *originator-usage period*, 730 days from its activation on, and reveals for its
//! *recipient-usage period*, 1,825 days: what SP 800-57 Part 1, table 1, gives a symmetric data-encryption key.
//! `keys periods NAME --protect DAYS --reveal DAYS --reason …` sets others. From 60 days before the end on, jobs and
//! `keys doctor` warn; after it the version is refused. Time alone changes nothing in the file: a clock that jumps
//! ahead makes refusals, which end when it is set right. A clock that goes back by more than a day, before the
//! version was activated, is refused for protecting.
//!
//! `keys limit NAME --values N --reason …` bounds how many values may be protected with one version. FF1 has no such
//! bound in the standard; it is for those whose policy has one. The audit log counts, so without one a key with a limit
//! does not protect. Counted are values, not rows of a dictionary, and those of jobs that failed as well. Jobs that run
//! at the same time keep the limit together: before it protects, each sets aside in the log (`set-aside`) what it
//! needs, or a 256th of the limit if that is more, and gives back (`released`) when it ends and has written down what
//! it protected. What a process that was killed had set aside stays counted: it may have protected it. The log is the
//! count: in one that does not hold the entry of the limit itself, since the log was moved aside or the policy names
//! another, the key does not protect until the limit is set again, with a reason; from then on the former log counts
//! no more. Of two copies of one log each counts for itself, which a checkpoint notices. A limit that is lowered
//! holds for jobs that run already; one that is raised, from the next job on.
//!
//! Limits of one key, beyond which it should be replaced:
//!
//! | what | at most | from | who sees to it |
//! | --- | --- | --- | --- |
//! | wraps by one KMS key with random nonces (AES-GCM, 96 bits): the local KMS, PKCS#11, KMIP | 2^32 for each version of its material | SP 800-38D, section 8.3 | nobody counts; a wrap is a new version of a data key or a `rewrap`, so a year has a few thousand. `kms rotate`, or another KMS key |
//! | values under one SIV key (`treatment = "siv"`, `on_invalid = "siv"`) | 2^48 | RFC 5297, section 7 | `keys limit`, if it is set: a version may protect fewer |
//! | values under one FF1 subkey (version, domain and format) | 2^40 | a rule of this house: NIST gives none for FF1 | `keys limit`, if it is set |
//!
//! `keys limit NAME --values 1099511627776 --reason …` is the last line for all rules of a version together, which is
//! stricter. Without `keys limit` nothing is counted across processes; one process refuses more than
//! 2^40 values with one version.
//!
//! # Who may protect
//!
//! To protect is a right of its own: `card = { see = "plain", protect = true }` in a role. A role without it may not
//! protect, whatever it sees. Protecting is revealing, since values can be tried and compared: `protect = true` without
//! `see = "plain"` is refused when the policy is read, unless the grant says why with `insecure_oracle`. The right is
//! checked before the KMS is asked for the rule's key, and before any data is read.
//!
//! # Keys for partners
//!
//! Two companies can join on a protected column if both protect it under the same key. One exports the key of that
//! domain:
//!
//! ```text
//! partner$ openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out private.pem
//! partner$ openssl rsa -in private.pem -pubout -out partner.pem
//! we$      cipherform keys export --domain customer-key --for partner.pem -o customer-key.json \
//!            --reason 'joint campaign'
//! we$      cipherform keys public-key
//! partner$ cipherform keys import customer-key.json --name partner --identity private.pem --from HEX \
//!            --reason 'joint campaign'
//! ```
//!
//! What leaves of a key of use `derive` is the subkey of one rule's domain and format, never the data key: one cannot
//! be computed from the other. A key of use `direct-ff1-256` has no subkeys and leaves as a whole, so it is exported
//! only if no other rule of the policy uses it; what it protected under earlier policies, the partner reveals as
//! well. The partner writes a rule with the same domain, format and tweak and `key = "partner"`; another rule with
//! that key is refused. Stored columns of both sides then join, and each side reveals the other's, since they name
//! the same key version, and say the sender's check value.
//!
//! **The recipient can protect and reveal everything under that domain and key version**: columns that were protected
//! before, too. So give a domain of its own, and better a key of its own, to what is exchanged. A rotation ends it:
//! the new version has other subkeys, until it is exported as well, and imported under the same name, from the same
//! sender. Then it is the partner's active version, and the one before still reveals. An imported key cannot be
//! rotated, nor passed on. Its periods are the partner's own, and count from when the package was made.
//!
//! `partner.pem` decides who can open the package, `--from` whom it came from. Either compare public keys by another
//! way, such as a call, or have an authority that both trust vouch for them:
//!
//! ```text
//! we$      cipherform keys export --domain customer-key --for partner-certificate.pem --ca ca.pem \
//!            -o customer-key.json --reason 'joint campaign'
//! we$      cipherform keys public-key --pem          # what the authority certifies of ours
//! partner$ cipherform keys import customer-key.json --name partner --identity private.pem \
//!            --from-certificate our-certificate.pem --ca ca.pem --reason 'joint campaign'
//! ```
//!
//! The file of certificates (X.509, PEM) takes the partner's first, then those between it and an authority in
//! `ca.pem`. The path is validated at that moment (RFC 5280, section 6): signatures, validity, basic and name
//! constraints; what the certificate is for must allow `keyEncipherment` in a recipient's, and `digitalSignature` in
//! a sender's, if it has a key usage; extended key usages are not looked at, since none is for this. If `ca.pem`
//! holds revocation lists (`X509 CRL`), each certificate of the path needs one of its issuer that is valid and does
//! not name it; without any, revocation is not checked, and nothing is fetched, which is said. The authorities' own
//! certificates are trusted as they are. Who it is, is printed, and stands in the audit log with the key's SHA-256:
//! any certificate of that authority passes, so read it.
//!
//! | what | is |
//! | --- | --- |
//! | wrapped | RSA-OAEP (RFC 8017, SP 800-56B) with SHA-256 and MGF1 over SHA-256, of key ‖ check key, 32 bytes each |
//! | its label | LP(`cipherform exchange v1`, the content without `wrapped`, as JSON without spaces) |
//! | key | the FF1 key as in *The bytes* |
//! | check key | KBKDF(check key, `cipherform exchange check key v1`, LP(version id, domain, fingerprint), 32) |
//! | signature | Ed25519 over LP(`cipherform-exchange/1`, the content as JSON without spaces) |
//! | its seed | KBKDF(root key, `cipherform exchange signing v1`, LP(keyring id), 32) |
//!
//! Better than by OpenSSL, the partner makes the key pair in the local KMS: `kms create local:partners --spec
//! rsa-4096`, `kms public-key local:partners > partner.pem`, and later `keys import … --for local:partners`, which
//! leaves no private key in a file. In the same way `--sign-with local:NAME` signs with a KMS key for that use rather
//! than with the key that is derived from the keyring's root; the partner then compares `kms public-key local:NAME`.
//!
//! A private key in PEM stands in a file that is not encrypted, while it is used: keep it where only its owner reads,
//! and remove it after the import. RSA decryption here is blinded, and no service answers for it.
//!
//! # Approved algorithms
//!
//! `approved_only = true` in the policy refuses what NIST has not approved:
//!
//! | refused | instead |
//! | --- | --- |
//! | `treatment = "siv"` (AES-SIV, RFC 5297) | `encrypt`, `tokenize` |
//! | `treatment = "encrypt-legacy"`, keys `direct-ff3-1-legacy-…` (FF3-1: withdrawn) | `encrypt` (FF1: SP 800-38G) |
//! | `treatment = "shift"` (no encryption) | `encrypt` with format `date` |
//! | `insecure_small_domain` (under the floor of the drafts of SP 800-38G Rev 1) | bands, `tokenize` |
//! | a local KMS whose passphrase is stretched by Argon2id (RFC 9106), also that of a backup | PBKDF2: `kms passphrase --kdf pbkdf2`; a key file; another KMS |
//! | a transit key of Vault of the type chacha20-poly1305, to wrap and to make data keys | `aes256-gcm96` |
//! | TLS with a KMS by ChaCha20-Poly1305 or X25519 | AES-GCM over P-256 or P-384 (SP 800-52 Revision 2) |
//!
//! What stays is FF1, HMAC-SHA-256, KBKDF, PBKDF2, AES-256-GCM, RSA-OAEP with 3,072 bits or more, Ed25519. That makes
//! no validated module of this program: see the README.
//!
//! # The same things elsewhere
//!
//! | here | SP 800-57 Part 1 | AWS KMS | Vault, OpenBao |
//! | --- | --- | --- | --- |
//! | KMS key | key-wrapping key | KMS key | transit key |
//! | data key, version | data-encryption key (key-derivation key), its cryptoperiods | data key | data key |
//! | `keys create` | generation (section 8.1.5) | GenerateDataKey | `datakey/plaintext` |
//! | `keys new-root` | replacement (8.2.3) of the key that authenticates the keyring | none | none |
//! | `keys rotate` | replacement (8.2.3) | none for data keys; RotateKeyOnDemand renews the KMS key's material | `keys/NAME/rotate` renews the transit key |
//! | `keys suspend`, `resume` | suspended state | DisableKey, EnableKey (of the KMS key) | none |
//! | `keys deactivate` | deactivated state | none | `min_encryption_version` |
//! | `keys compromise` | compromised state (8.3.5: revocation) | none | none |
//! | `keys remove` | destroyed state, deregistration (8.3.3, 8.3.4) | ScheduleKeyDeletion (of the KMS key) | `min_decryption_version`, `trim` |
//! | `keys export`, `import` | key establishment, key transport (8.1.5.2.2) | none | `keys/NAME/wrapping_key`, `import` |
//! | `keys periods` | originator- and recipient-usage periods (5.3) | automatic rotation period | `auto_rotate_period` |
//! | reasons, audit log | accountability, audit (9.2, 9.3) | CloudTrail | audit devices |
//! | roles | access control (8.2.1) | IAM | policies |
//! | `keys backup`, `restore` | backup, recovery (8.2.2) | none: AWS keeps its keys | `vault operator raft snapshot` |
//! | `kms policy` | access control (8.2.1) | GetKeyPolicy, PutKeyPolicy, IAM policies and their simulator | policies |
//!
//! # Rotation
//!
//! `cipherform keys rotate pii` makes a new version, which protects from now on. Nothing happens to files:
//!
//! * files protected before name their version in the metadata, and reveal as ever, in `reveal` and in `query`;
//! * new files are protected with the new version. Their stored values do not equal the old ones, so **stored columns
//!   of an old and a new file no longer join**. Revealed they do: `query` reveals each file with its own version;
//! * a rule with `key = "pii@1"` stays with version 1, which no longer protects: `protect` refuses, and says so. To
//!   reveal it makes no difference, since the file says which version it needs.
//!
//! `cipherform reprotect OLD NEW` brings a file to the current version in one pass: each batch is revealed and
//! protected again in memory, and no plaintext is written. `--rule COLUMN=RULE` takes a column to another rule on the
//! way. Columns that nobody can reveal stay as they are, and so do tokens, which `cipherform tokens reseal` looks
//! after. Meanwhile each file is queried by its own version, and two values under two versions are compared by what
//! they mean, never by how they are stored (unless `--stored` says so).
//!
//! What rotation does not do: take anything from someone who has had the old version.
//!
//! # Backup
//!
//! `cipherform keys backup --to FILE` writes one file with the keyring, the local KMS (if it guards the keyring) and
//! the policy: sealed as they are, so no key stands in it in the clear, and whoever has it needs what unlocks the
//! local KMS, as for the files themselves. It is authenticated as a whole under the keyring's root. Not in it are the
//! passphrase or key file, which belong apart from it, token stores, the audit log and files of other local KMSs
//! (`local:/path#NAME`).
//!
//! `keys doctor` says when there never was a backup, or keys or KMS keys were changed since the last. That is put
//! down after the backup is written; whoever is interrupted in between has a backup too many.
//!
//! `cipherform keys restore FILE` opens the backup in a folder of its own first, and verifies it; `--check` ends
//! there, so that a backup can be tried out. Then it puts the local KMS and the keyring where they belong, and the
//! policy if there is none. A file that is newer than the backup stays as it is; if both are, or one is of another
//! keyring, or damaged, nothing is changed: move it away first, and keep it. Files are replaced whole, the local KMS
//! before the keyring; whoever is interrupted in between runs it again. An older backup lacks the versions that were
//! made since. If the local KMS has since got another passphrase, the backup still has the one of then.
//!
//! A backup from before `keys new-root` opens if the policy's `root` has the former check value as well. Its keyring
//! cannot go on with a log that was written on under the new root, and is refused with that said: if the newer
//! keyring is lost with all its backups, move the log away and keep it, restore, and `keys audit adopt` the new one.
//!
//! Without the command, back up three things, apart from each other and from the data: the keyring, after every
//! change of keys; the file of the local KMS; its passphrase or key file. Each is useless without the others, and so
//! is the data.
//!
//! Keep the policy under version control: without a rule's exact definition its files do not reveal. Do not put an
//! older keyring back while a newer one is lost in use: an older copy is a sound file, and is accepted when it is
//! opened unless the policy says `keyring_generation`. The audit log, if there is one, has a backup of its own.
//!
//! `.keyring.json.lock` and `.kms.json.lock` beside the files are locks for concurrent changes. They are empty and
//! stay; they need no backup.
