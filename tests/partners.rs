//! Keys of single domains, to partners and from them.

use std::fs;
use std::process::Output;

use crate::sandbox::{POLICY, Sandbox, people, read, text, words};

/// With an audit log.
fn ours() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.policy(&POLICY.replacen("\nkeyring", "\naudit = \"audit.jsonl\"\nkeyring", 1));
    sandbox.write("people.parquet", &people());
    sandbox
}

/// Their policy: the same domain and format, under the partner's key; the rest under a key of their own.
fn partners_policy() -> String {
    POLICY.replacen(
        // The card keeps the key of their own, so that what must not join does not.
        "format = \"us-ssn\"\nkey = \"pii\"",
        "format = \"us-ssn\"\nkey = \"partner\"",
        1,
    )
}

/// Gives us the public key of their KMS key `local:opens`, as `opens.pem`.
fn meet(ours: &Sandbox, theirs: &Sandbox) {
    theirs.ok(&words("kms create local:opens --spec rsa-3072"));
    fs::write(ours.path("opens.pem"), theirs.ok(&words("kms public-key local:opens"))).unwrap();
}

/// Exports the domain `ssn` into the other's folder.
fn export(ours: &Sandbox, theirs: &Sandbox, out: &str, more: &str) -> Output {
    let out = theirs.path(out).display().to_string();
    let line = format!("keys export --domain ssn --reason campaign -o {out} {more}");
    ours.run(&words(&line))
}

fn import(theirs: &Sandbox, file: &str, more: &str) -> Output {
    let line = format!("keys import {file} --name partner --reason campaign {more}");
    theirs.run(&words(&line))
}

/// A partner with nothing but the exported key joins on that domain, reveals it, and can do nothing else.
#[test]
fn two_companies_join_on_one_domain() {
    let (ours, theirs) = (ours(), Sandbox::new());
    // By OpenSSL: a partner need not have this program.
    let generate = |bits: &str, name: &str| {
        theirs.openssl(&format!(
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits} -out {name}.pem"
        ));
        theirs.openssl(&format!("rsa -in {name}.pem -pubout -out {name}-public.pem"));
        fs::copy(
            theirs.path(&format!("{name}-public.pem")),
            ours.path(&format!("{name}.pem")),
        )
        .unwrap();
    };
    generate("3072", "private");
    generate("2048", "short");
    let done = export(&ours, &theirs, "ssn.json", "--for private.pem");
    assert!(done.status.success(), "{}", text(&done.stderr));
    // 2048 bits are 112 bits of strength (SP 800-57 part 1, table 2), too few for keys that last.
    let refused = export(&ours, &theirs, "x.json", "--for short.pem");
    assert!(text(&refused.stderr).contains("has 2048 bits; at least 3072"));
    // Keys that sign, and cannot decrypt: a package for these could not be opened.
    for algorithm in ["RSA-PSS -pkeyopt rsa_keygen_bits:3072", "ED25519"] {
        ours.openssl(&format!("genpkey -algorithm {algorithm} -out signs.pem"));
        ours.openssl("pkey -in signs.pem -pubout -out signs-public.pem");
        let refused = ours.fails(
            1,
            &words("keys export --domain ssn --for signs-public.pem --reason campaign"),
        );
        assert!(refused.contains("is not an RSA key that encrypts"), "{refused}");
    }
    let refused = ours.fails(
        1,
        &words("keys export --domain nothing --for private.pem --reason campaign"),
    );
    assert!(refused.contains("no rule that encrypts has the domain"), "{refused}");
    let sender = ours.ok(&["keys", "public-key"]);
    let import =
        |file: &str, identity: &str, from: &str| import(&theirs, file, &format!("--identity {identity} --from {from}"));
    let stranger = theirs.ok(&["keys", "public-key"]);
    // Signed by the sender, and not by who hands it over.
    let refused = import("ssn.json", "private.pem", &stranger);
    assert!(text(&refused.stderr).contains("was signed by somebody else"));
    generate("3072", "other");
    let other = import("ssn.json", "other.pem", &sender);
    assert_eq!(other.status.code(), Some(3), "{}", text(&other.stderr));
    let package = fs::read_to_string(theirs.path("ssn.json")).unwrap();
    // In the reason, which is no key: the signature covers everything.
    fs::write(theirs.path("changed.json"), package.replace("campaign", "campaigns")).unwrap();
    let refused = import("changed.json", "private.pem", &sender);
    assert!(text(&refused.stderr).contains("was changed after it was signed"));
    let done = import("ssn.json", "private.pem", &sender);
    assert!(done.status.success(), "{}", text(&done.stderr));
    // Twice under two names would make one key look like two.
    let line = format!("keys import ssn.json --name again --reason campaign --identity private.pem --from {sender}");
    assert!(theirs.fails(1, &words(&line)).contains("already exists, as `partner`"));

    theirs.policy(&partners_policy());
    theirs.write("people.parquet", &people());
    theirs.ok(&["protect", "people.parquet", "theirs.parquet"]);
    ours.ok(&["protect", "people.parquet", "ours.parquet"]);
    let (own, partners) = (
        read(&ours.path("ours.parquet")).1,
        read(&theirs.path("theirs.parquet")).1,
    );
    // Equal ciphertexts: this is what the exchange is for.
    assert_eq!(own.column_by_name("ssn"), partners.column_by_name("ssn"));
    for column in ["card", "id"] {
        assert_ne!(own.column_by_name(column), partners.column_by_name(column), "{column}");
    }
    let join = "SELECT count(*) AS n FROM ours JOIN theirs ON ours.ssn = theirs.ssn";
    let path = ours.path("ours.parquet").display().to_string();
    let files = [join, &path, "theirs.parquet"];
    // As stored, so neither side has to reveal anything for the join.
    let joined = theirs.ok(&[&words("query --stored --format csv -c")[..], &files].concat());
    assert_eq!(joined, "n\n3\n");

    // They reveal that column of ours, as `keys export` says, and no other.
    let plain = |file: &str, columns: &str| {
        let sql = format!("SELECT {columns} FROM {file}");
        let path = ours.path(&format!("{file}.parquet")).display().to_string();
        theirs.run(&["query", "--format", "csv", "-c", &sql, &path])
    };
    let refused = text(&plain("ours", "card").stderr);
    assert!(refused.contains("has no version with the id"), "{refused}");
    // The column alone: the file's other columns are under a key that they do not have.
    let (schema, batch) = read(&ours.path("ours.parquet"));
    let at = schema.index_of("ssn").unwrap();
    ours.write("ssn_only.parquet", &batch.project(&[at]).unwrap());
    let seen = plain("ssn_only", "ssn");
    assert!(text(&seen.stdout).contains("123-45-6789"), "{}", text(&seen.stderr));

    // The key is for that rule alone, and not theirs to pass on.
    theirs.policy(&POLICY.replacen("key = \"pii\"\nmask", "key = \"partner\"\nmask", 1));
    let stderr = theirs.fails(3, &["protect", "people.parquet", "x.parquet"]);
    assert!(
        stderr.contains("came from a partner for one rule, whose domain is another"),
        "{stderr}"
    );
    theirs.policy(&partners_policy());
    let stderr = theirs.fails(
        3,
        &words("keys export --domain ssn --for private-public.pem --reason no"),
    );
    assert!(stderr.contains("not ours to pass on"), "{stderr}");
    let shown = ours.ok(&["keys", "audit", "show"]);
    assert!(
        shown.contains("export") && shown.contains("domain ssn, recipient sha256:"),
        "{shown}"
    );
    assert!(
        theirs
            .ok(&["keys", "describe", "partner"])
            .contains("from a partner, for one rule:")
    );
}

/// The sender rotates, and the partner reads old and new files by one rule; a version of its own the partner cannot
/// make.
#[test]
fn a_partner_follows_a_rotation() {
    let (ours, theirs) = (ours(), Sandbox::new());
    meet(&ours, &theirs);
    let sender = ours.ok(&["keys", "public-key"]);
    let take = |file: &str| import(&theirs, file, &format!("--for local:opens --from {sender}"));
    ours.ok(&["protect", "people.parquet", "old.parquet"]);
    for file in ["first.json", "second.json", "third.json"] {
        let done = export(&ours, &theirs, file, "--for opens.pem");
        assert!(done.status.success(), "{}", text(&done.stderr));
        ours.ok(&["protect", "people.parquet", "new.parquet", "--force"]);
        ours.ok(&words("keys rotate pii --reason yearly"));
        // Packages say when they were made, in whole seconds.
        // A clock of whole seconds decides which package is later.
        std::thread::sleep(std::time::Duration::from_millis(1_100));
    }
    assert!(take("first.json").status.success());
    for verb in ["rotate partner", "rotate partner --prepare"] {
        let refused = theirs.fails(3, &words(&format!("keys {verb}")));
        assert!(
            refused.contains("came from a partner") && refused.contains("--name partner"),
            "{refused}"
        );
    }
    assert!(take("third.json").status.success());
    // Late, so it takes nobody's place: packages may arrive in any order, and an old one must not become active.
    let done = take("second.json");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let described = theirs.ok(&["keys", "describe", "partner"]);
    for said in ["replaced by version 2", "older than version 2", "campaign"] {
        assert!(described.contains(said), "{described}");
    }
    let states = theirs.ok(&words("keys describe partner --format json"));
    let states: serde_json::Value = serde_json::from_str(&states).unwrap();
    let states: Vec<_> = (states["key"]["versions"].as_array().unwrap().iter())
        .map(|version| version["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["deactivated", "active", "deactivated"]);
    theirs.policy(&partners_policy());
    for file in ["old", "new"] {
        let (schema, batch) = read(&ours.path(&format!("{file}.parquet")));
        let at = schema.index_of("ssn").unwrap();
        theirs.write("ssn_only.parquet", &batch.project(&[at]).unwrap());
        let sql = ["-c", "SELECT ssn FROM ssn_only"];
        let seen = theirs.ok(&[&words("query --format csv ssn_only.parquet")[..], &sql].concat());
        assert!(seen.contains("123-45-6789"), "{file}: {seen}");
    }
    // Neither another sender's package comes under that name, nor one for another rule: one name is one map of one
    // partner.
    let stranger = self::ours();
    fs::copy(ours.path("opens.pem"), stranger.path("opens.pem")).unwrap();
    assert!(
        export(&stranger, &theirs, "stranger.json", "--for opens.pem")
            .status
            .success()
    );
    let from = stranger.ok(&["keys", "public-key"]);
    let refused = import(&theirs, "stranger.json", &format!("--for local:opens --from {from}"));
    let refused = text(&refused.stderr);
    assert!(
        refused.contains("came from another sender than this package"),
        "{refused}"
    );
    assert!(described.contains(&format!("sender: {}", sender.trim())), "{described}");
    let other = ours.run(&words(
        "keys export --domain card --for opens.pem --reason campaign -o card.json",
    ));
    assert!(other.status.success(), "{}", text(&other.stderr));
    fs::copy(ours.path("card.json"), theirs.path("card.json")).unwrap();
    let refused = text(&take("card.json").stderr);
    assert!(refused.contains("is for another rule"), "{refused}");
}

/// A key that is used directly is the same under every rule, so it goes to a partner only if it has one.
#[test]
fn a_direct_key_is_exchanged_for_its_only_rule() {
    let (ours, theirs) = (ours(), Sandbox::new());
    meet(&ours, &theirs);
    ours.ok(&words("keys create joint --use direct-ff1-256"));
    // Under several rules, the direct key would open all of them to the partner.
    let shared = POLICY.replace("key = \"pii\"", "key = \"joint\"");
    ours.policy(&shared);
    let refused = ours.fails(3, &words("keys export --domain ssn --for opens.pem --reason campaign"));
    assert!(
        refused.contains("is used directly, without subkeys, and protects under `"),
        "{refused}"
    );
    ours.policy(&partners_policy().replace("\"partner\"", "\"joint\""));
    let done = ours.run(&words(
        "keys export --domain ssn --for opens.pem --reason campaign -o ssn.json",
    ));
    let told = text(&done.stderr);
    assert!(
        done.status.success() && told.contains("has the whole key `joint@1` now"),
        "{told}"
    );
}

/// A partner's key travels between two local KMSs: signed by one's Ed25519 key, opened by the other's RSA key.
#[test]
fn asymmetric_kms_keys_exchange_a_domain() {
    let (ours, theirs) = (ours(), Sandbox::new());
    theirs.ok(&words("kms create local:opens --spec rsa-3072"));
    ours.ok(&words("kms create local:seal --usage sign-verify"));
    let pem = theirs.ok(&words("kms public-key local:opens"));
    fs::write(ours.path("partner.pem"), pem).unwrap();
    let sender = ours.ok(&words("kms public-key local:seal"));
    assert_ne!(sender, ours.ok(&["keys", "public-key"]));
    let done = export(&ours, &theirs, "ssn.json", "--for partner.pem --sign-with local:seal");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let import = |key: &str, from: &str| import(&theirs, "ssn.json", &format!("--for {key} --from {from}"));
    // A key has one use (SP 800-57 part 1, section 5.2): the one that wraps opens no package.
    let refused = import("local:main", &sender);
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        text(&refused.stderr).contains("a key has one use"),
        "{}",
        text(&refused.stderr)
    );
    let refused = import("local:opens", &ours.ok(&["keys", "public-key"]));
    assert_eq!(refused.status.code(), Some(3));
    let done = import("local:opens", &sender);
    assert!(done.status.success(), "{}", text(&done.stderr));

    theirs.policy(&partners_policy());
    theirs.write("people.parquet", &people());
    theirs.ok(&["protect", "people.parquet", "theirs.parquet"]);
    ours.ok(&["protect", "people.parquet", "ours.parquet"]);
    let (own, partners) = (
        read(&ours.path("ours.parquet")).1,
        read(&theirs.path("theirs.parquet")).1,
    );
    assert_eq!(own.column_by_name("ssn"), partners.column_by_name("ssn"));

    // And the one that signs wraps nothing, and does not rotate.
    ours.fails(3, &words("keys create x --kms local:seal"));
    ours.fails(3, &words("kms rotate local:seal"));
    ours.fails(1, &words("kms create local:x --spec rsa-4096 --usage sign-verify"));
    ours.fails(3, &words("kms public-key local:main"));
}

/// Who the partner is, an authority says: in both directions, and it can take it back.
#[test]
fn a_partner_is_known_by_its_certificate() {
    let (ours, theirs) = (ours(), Sandbox::new());
    theirs.ok(&words("kms create local:opens --spec rsa-3072"));
    let of_theirs = theirs.ok(&words("kms public-key local:opens"));
    fs::write(ours.path("theirs-key.pem"), of_theirs).unwrap();
    let of_ours = ours.ok(&words("keys public-key --pem"));
    fs::write(ours.path("ours-key.pem"), of_ours).unwrap();

    // An authority with a list of what it revoked, one between it and the partners, and one that nobody here trusts.
    // EC keys for the authorities: their algorithm must not matter to the certificates below.
    let create = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let authority = "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign";
    for name in ["ca", "other-ca"] {
        ours.openssl(&format!(
            "req -x509 {create} -keyout {name}.key -out {name}.pem -days 2 -subj /CN={name} {authority}"
        ));
    }
    let certify = |name: &str, key: &str, issuer: &str, extensions: &str| {
        fs::write(ours.path("extensions"), extensions.replace(' ', "\n")).unwrap();
        ours.openssl(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /O=Example/CN={name}"
        ));
        ours.openssl(&format!(
            "x509 -req -in {name}.csr {key} -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial -out {name}.pem -days 2 -extfile extensions"
        ));
    };
    certify(
        "between",
        "",
        "ca",
        "basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign,cRLSign subjectKeyIdentifier=hash",
    );
    // The certificate is for a key that is in a KMS, so there is no request signed by it; OpenSSL puts the key in
    // by force.
    let (wraps, signs) = ("-force_pubkey theirs-key.pem", "-force_pubkey ours-key.pem");
    certify("partner", wraps, "between", "keyUsage=critical,keyEncipherment");
    certify("signs-only", wraps, "between", "keyUsage=critical,digitalSignature");
    certify("sender", signs, "between", "keyUsage=critical,digitalSignature");
    certify("revoked", wraps, "ca", "keyUsage=critical,keyEncipherment");
    let join = |files: &[&str], out: &str| {
        let texts = files.iter().map(|file| fs::read_to_string(ours.path(file)).unwrap());
        fs::write(ours.path(out), texts.collect::<String>()).unwrap();
    };
    join(&["partner.pem", "between.pem"], "partner-chain.pem");
    join(&["signs-only.pem", "between.pem"], "signs-only-chain.pem");
    join(&["sender.pem", "between.pem"], "sender-chain.pem");
    // OpenSSL's small authority, which keeps lists of what it revoked.
    let configuration = "[ca]\ndefault_ca=it\n[it]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=1\ncrlnumber=number\ncrl_extensions=list\n[list]\nauthorityKeyIdentifier=keyid\n";
    fs::write(ours.path("ca.cnf"), configuration).unwrap();
    fs::write(ours.path("index"), "").unwrap();
    fs::write(ours.path("number"), "01\n").unwrap();
    // Lists of both authorities: a chain is checked at each step.
    for (name, revoked) in [("ca", Some("revoked.pem")), ("between", None)] {
        let with = format!("ca -config ca.cnf -cert {name}.pem -keyfile {name}.key");
        if let Some(file) = revoked {
            ours.openssl(&format!("{with} -revoke {file}"));
        }
        ours.openssl(&format!("{with} -gencrl -out {name}.crl"));
    }
    join(&["ca.pem", "ca.crl", "between.crl"], "ca-and-lists.pem");
    join(&["ca.pem", "ca.crl"], "ca-and-list.pem");
    // Glued together, so that the list is not one: it must not be overlooked.
    let glued = fs::read_to_string(ours.path("ca-and-list.pem")).unwrap();
    fs::write(ours.path("glued.pem"), glued.replace("-----\n-----", "----------")).unwrap();
    fs::write(
        ours.path("with-key.pem"),
        glued + &fs::read_to_string(ours.path("ca.key")).unwrap(),
    )
    .unwrap();
    certify(
        "idle",
        "",
        "ca",
        "basicConstraints=critical,CA:TRUE keyUsage=critical,digitalSignature",
    );
    certify("below-idle", wraps, "idle", "keyUsage=critical,keyEncipherment");
    join(&["below-idle.pem", "idle.pem"], "idle-chain.pem");

    // Each line is one way to be fooled, and the reason that must be given.
    for (arguments, code, said) in [
        ("--for partner-chain.pem", 1, "no authority is named that signed it"),
        ("--for theirs-key.pem --ca ca.pem", 1, "holds no certificate"),
        ("--for partner-chain.pem --ca theirs-key.pem", 1, "holds no certificate"),
        (
            "--for partner.pem --ca ca.pem",
            3,
            "no path leads from it to a trusted authority",
        ),
        (
            "--for partner-chain.pem --ca other-ca.pem",
            3,
            "no path leads from it to a trusted authority",
        ),
        (
            "--for signs-only-chain.pem --ca ca.pem",
            3,
            "its key usage does not allow keyEncipherment",
        ),
        ("--for ca.pem --ca ca.pem", 3, "the certificate of an authority"),
        (
            "--for sender-chain.pem --ca ca.pem",
            3,
            "its key usage does not allow keyEncipherment",
        ),
        ("--for revoked.pem --ca ca-and-list.pem", 3, "was revoked"),
        (
            "--for partner-chain.pem --ca ca-and-list.pem",
            3,
            "do not say whether it was revoked",
        ),
        ("--for revoked.pem --ca glued.pem", 1, "glued.pem`: some of this is not"),
        ("--for revoked.pem --ca with-key.pem", 1, "some of this is not"),
        ("--for idle-chain.pem --ca ca.pem", 3, "may not sign certificates"),
        ("--for partner-chain.pem --ca sender.pem", 1, "not an authority's"),
        (
            "--for partner-chain.pem --ca nothing.pem",
            1,
            "cannot read `nothing.pem`",
        ),
    ] {
        let refused = export(&ours, &theirs, "no.json", arguments);
        let stderr = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{arguments}: {stderr}");
        assert!(stderr.contains(said), "{arguments}: {stderr}");
        assert!(!theirs.path("no.json").exists(), "{arguments}");
    }
    for (arguments, out) in [
        ("--for revoked.pem --ca ca.pem", "unchecked.json"),
        ("--for partner-chain.pem --ca ca-and-lists.pem", "checked.json"),
        ("--for partner-chain.pem --ca ca.pem", "ssn.json"),
    ] {
        let done = export(&ours, &theirs, out, arguments);
        assert!(done.status.success(), "{arguments}: {}", text(&done.stderr));
        assert!(
            text(&done.stderr).contains("The recipient is CN="),
            "{}",
            text(&done.stderr)
        );
    }
    // The log names the subject, since a fingerprint says little to a person.
    let shown = ours.ok(&words("keys audit show --format json"));
    assert!(shown.contains(", CN=partner,O=Example"), "{shown}");

    for file in ["sender-chain.pem", "partner-chain.pem", "ca.pem", "other-ca.pem"] {
        fs::copy(ours.path(file), theirs.path(file)).unwrap();
    }
    let import = |from: &str| import(&theirs, "ssn.json", &format!("--for local:opens {from}"));
    for (from, said) in [
        ("--from-certificate sender-chain.pem --ca other-ca.pem", "no path leads"),
        (
            "--from-certificate partner-chain.pem --ca ca.pem",
            "its key usage does not allow digitalSignature",
        ),
        ("--from-certificate sender-chain.pem", "--ca"),
        ("", "--from"),
    ] {
        let refused = import(from);
        assert!(!refused.status.success(), "{from}");
        assert!(
            text(&refused.stderr).contains(said),
            "{from}: {}",
            text(&refused.stderr)
        );
    }
    let done = import("--from-certificate sender-chain.pem --ca ca.pem");
    let said = text(&done.stderr);
    assert!(
        done.status.success() && said.contains("The sender is CN=sender,O=Example"),
        "{said}"
    );
    assert!(said.contains("holds no revocation list"), "{said}");
    theirs.policy(&partners_policy());
    theirs.write("people.parquet", &people());
    theirs.ok(&["protect", "people.parquet", "theirs.parquet"]);
}

/// The tweak is a part of the map that a key came for: no other takes its place, by whatever tool.
#[test]
fn a_partners_key_serves_its_tweak_alone() {
    let (ours, theirs) = (ours(), Sandbox::new());
    meet(&ours, &theirs);
    let sender = ours.ok(&["keys", "public-key"]);
    assert!(export(&ours, &theirs, "key.json", "--for opens.pem").status.success());
    let done = import(&theirs, "key.json", &format!("--for local:opens --from {sender}"));
    assert!(done.status.success(), "{}", text(&done.stderr));
    theirs.policy(&partners_policy());
    theirs.write("people.parquet", &people());
    let ask = |sql: &str| theirs.run(&["query", "--format", "csv", "-c", sql, "people.parquet"]);
    let own = ask("SELECT fpe_encrypt('123-45-6789', 'ssn')");
    assert!(own.status.success(), "{}", text(&own.stderr));
    for function in ["fpe_encrypt", "fpe_decrypt"] {
        let refused = ask(&format!("SELECT {function}('123-45-6789', 'ssn', 'other')"));
        let said = text(&refused.stderr);
        assert!(
            !refused.status.success() && said.contains("whose tweak is another"),
            "{said}"
        );
        // A key of our own serves any.
        let free = ask(&format!("SELECT {function}('4111111111111111', 'card', 'other')"));
        assert!(free.status.success(), "{}", text(&free.stderr));
    }
}
