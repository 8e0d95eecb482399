//! What goes wrong with a KMS, each fault tried on the server itself: nothing is written, the exit code is 3, and the
//! message names the key and what to do.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cipherform::Engine;
use cipherform::files::Job;
use cipherform::keys::{CacheLimits, KmsClient, KmsKeyRef, KmsRegistry, WrapContext};
use cipherform::keys::{DataKeyId, KeyVersionId, KeyringId};
use cipherform::kms::{AwsKms, Settings, VaultKms};
use cipherform::{ErrorKind, Secret};
use serde_json::json;

use super::servers::{Between, Production, SOFTHSM, SoftHsm, Step, aws, bao, localstack, moto, openbao};
use super::{AWS, PROTECT, Place, aws_uri, hsm_environment, stopped, vault_uri};
use crate::sandbox::read;

const ROOT: (&str, &str) = ("VAULT_TOKEN", "root");

#[test]
fn down_at_the_start() {
    let vault = openbao();
    let key = vault_uri(vault.port);
    let place = Place::new(&key, &[ROOT]);
    place.protects_and_reveals();
    stopped(vault);
    // Four attempts: an outage may be short, and must not last for ever either.
    place.refuses(PROTECT, &[&key, "does not answer", "after 4 attempts"]);

    let aws = moto();
    let key = aws_uri(aws.port, "alias/main");
    let place = Place::new(&key, &AWS);
    stopped(aws);
    place.refuses(PROTECT, &[&key, "does not answer"]);
}

/// The server ends with the first batch; the job goes on to its end with the keys it has, and so does the next one on
/// the same engine.
#[tokio::test]
async fn down_in_the_middle_of_a_job() {
    let mut vault = openbao();
    let place = Place::new(&vault_uri(vault.port), &[ROOT]);
    let client = VaultKms::new(Settings::empty().with(ROOT.0, ROOT.1));
    let registry = KmsRegistry::new()
        .with("vault", client)
        // Without a cache each batch would need the KMS.
        .with_cache(CacheLimits::default());
    let engine = Engine::open(&place.sandbox.path("policy.toml"), &registry)
        .await
        .unwrap();
    let job = Job::protect(&engine, &place.sandbox.path("people.parquet"), None)
        .await
        .unwrap();
    let safe = place.sandbox.path("safe.parquet");
    // The server is stopped by the first report of progress, in the middle of the job.
    job.run(&safe, false, &AtomicBool::new(false), &mut |_| vault.stop())
        .await
        .unwrap();
    let job = Job::reveal(&engine, &safe, None, Default::default()).await.unwrap();
    let back = place.sandbox.path("back.parquet");
    job.run(&back, false, &AtomicBool::new(false), &mut |_| {})
        .await
        .unwrap();
    assert_eq!(read(&back), read(&place.sandbox.path("people.parquet")));
    // Otherwise the test would pass because the server never stopped.
    assert!(
        Engine::open(&place.sandbox.path("policy.toml"), &registry)
            .await
            .is_err(),
        "the server is down indeed"
    );
}

/// A key held for longer than the policy allows ends the job, and nothing is written.
#[tokio::test]
async fn a_job_ends_with_max_hold() {
    let place = Place::new("local:main", &[]);
    let policy = format!(
        // A nanosecond has passed before the first batch.
        "{}\n[keys]\nttl = \"1ns\"\nmax_hold = \"1ns\"\n",
        crate::sandbox::POLICY
    );
    place.sandbox.policy(&policy);
    place.refuses(PROTECT, &["pii@1", "max_hold"]);
}

#[test]
fn slow() {
    let vault = openbao();
    // Every answer takes a third of a second: that is waited for, and asked for once.
    // Slower than usual, but well within the time-out: one request, not several.
    let between = Between::late(vault.port, Duration::from_millis(300));
    let key = vault_uri(between.port);
    Place::new(&key, &[ROOT]).protects_and_reveals();

    // It accepts the connection and says nothing: only a time-out ends that.
    let silent = Between::new(&[Step::Silence], None);
    let key = vault_uri(silent.port);
    let place = Place::local(&[ROOT, ("CIPHERFORM_KMS_TIMEOUT", "1")]);
    place.refuses(
        &["keys", "create", "x", "--kms", &key],
        &[&key, "in time", "CIPHERFORM_KMS_TIMEOUT"],
    );
}

#[test]
fn throttled() {
    // Every attempt gets the same answer, so the retries are used up.
    let busy = Between::new(
        &[Step::Answer(
            429,
            r#"{"errors":["request path \"transit/\": rate limit quota exceeded"]}"#,
        )],
        None,
    );
    let key = vault_uri(busy.port);
    Place::local(&[ROOT]).refuses(
        &["keys", "create", "x", "--kms", &key],
        &[&key, "rate limited", "after 4 attempts"],
    );

    let busy = Between::new(
        &[Step::Answer(
            400,
            r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
        )],
        None,
    );
    let key = aws_uri(busy.port, "alias/main");
    Place::local(&AWS).refuses(&["keys", "create", "x", "--kms", &key], &[&key, "ThrottlingException"]);
}

#[test]
fn failing_then_well() {
    // A failure that a retry mends must not be seen at all.
    const FAILING: &[Step] = &[Step::Answer(500, "{}"), Step::Answer(502, "{}")];
    let (vault, aws) = (openbao(), moto());
    let place = Place::local(&[ROOT, AWS[0], AWS[1]]);
    let between = Between::new(FAILING, Some(vault.port));
    place.ok(&["keys", "create", "by-vault", "--kms", &vault_uri(between.port)]);
    let between = Between::new(FAILING, Some(aws.port));
    place.ok(&[
        "keys",
        "create",
        "by-aws",
        "--kms",
        &aws_uri(between.port, "alias/main"),
    ]);
    let listed = place.ok(&["keys", "list"]);
    assert!(listed.contains("by-vault") && listed.contains("by-aws"), "{listed}");
}

#[test]
fn expired_token() {
    let vault = openbao();
    let key = vault_uri(vault.port);
    let policy = json!({ "policy": "path \"transit/*\" { capabilities = [\"create\", \"read\", \"update\"] }" });
    bao(&vault, "PUT", "sys/policies/acl/job", policy);
    let made = bao(
        &vault,
        "POST",
        "auth/token/create",
        json!({ "policies": ["job"], "ttl": "2s" }),
    );
    let token = made["auth"]["client_token"].as_str().unwrap().to_owned();
    let place = Place::new(&key, &[("VAULT_TOKEN", &token)]);
    // Beyond the token's two seconds.
    std::thread::sleep(std::time::Duration::from_secs(3));
    place.refuses(PROTECT, &[&key, "permission denied", "may have expired"]);
}

#[test]
fn expired_session_of_aws() {
    let ended = Between::new(
        &[Step::Answer(
            400,
            r#"{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}"#,
        )],
        None,
    );
    let key = aws_uri(ended.port, "alias/main");
    Place::local(&AWS).refuses(
        &["keys", "create", "x", "--kms", &key],
        &[&key, "ExpiredTokenException", "log in again"],
    );
}

/// What no double enforces: a key policy that denies.
#[test]
fn denied_by_a_key_policy() {
    let denied = Between::new(
        &[Step::Answer(
            400,
            r#"{"__type":"AccessDeniedException","Message":"User: arn:aws:iam::1:user/x is not authorized to perform: kms:GenerateDataKey with an explicit deny in a resource-based policy"}"#,
        )],
        None,
    );
    let key = aws_uri(denied.port, "alias/main");
    Place::local(&AWS).refuses(
        &["keys", "create", "x", "--kms", &key],
        &[&key, "AccessDeniedException", "explicit deny", "kms:GenerateDataKey"],
    );
}

#[test]
fn states_of_a_key_of_aws() {
    let server = localstack();
    let key = aws_uri(server.port, "alias/main");
    let id = json!({ "KeyId": "alias/main" });
    let id = json!({ "KeyId": aws(&server, "DescribeKey", id)["KeyMetadata"]["KeyId"] });
    let place = Place::new(&key, &AWS);
    place.protects_and_reveals();

    // States that only a real state machine has: a fake would repeat our own idea of them.
    aws(&server, "DisableKey", id.clone());
    place.refuses(PROTECT, &[&key, "DisabledException", "enable"]);
    let told = String::from_utf8(place.run(&["keys", "doctor"]).stdout).unwrap();
    assert!(told.contains("is disabled"), "{told}");
    aws(&server, "EnableKey", id.clone());
    place.reveals();

    aws(&server, "ScheduleKeyDeletion", id.clone());
    place.refuses(PROTECT, &[&key, "KMSInvalidStateException", "cancel-key-deletion"]);
    aws(&server, "CancelKeyDeletion", id.clone());
    aws(&server, "EnableKey", id);
    place.reveals();
}

#[test]
fn deleted_keys_of_vault() {
    let vault = openbao();
    let key = vault_uri(vault.port);
    let place = Place::new(&key, &[ROOT]);
    // OpenBao keeps a soft-deleted key: the message must not say that it is lost.
    bao(&vault, "DELETE", "transit/keys/main/soft-delete", json!({}));
    place.refuses(PROTECT, &[&key, "soft-deleted", "soft-delete-restore"]);
    bao(&vault, "POST", "transit/keys/main/soft-delete-restore", json!({}));
    place.protects_and_reveals();
    bao(
        &vault,
        "POST",
        "transit/keys/main/config",
        json!({ "deletion_allowed": true }),
    );
    bao(&vault, "DELETE", "transit/keys/main", json!({}));
    place.refuses(PROTECT, &[&key, "no such key"]);
    // And no other key is made in its place.
    // A client that creates a missing key would silently replace the one that wraps everything.
    place.refuses(&["keys", "create", "x"], &[&key, "no such key"]);
}

#[test]
fn wrong_region() {
    let server = moto();
    let elsewhere = format!(
        "aws-kms:alias/main?region=eu-west-1&endpoint=http://127.0.0.1:{}",
        server.port
    );
    Place::local(&AWS).refuses(
        &["keys", "create", "x", "--kms", &elsewhere],
        &[&elsewhere, "eu-west-1", "check account, region"],
    );
}

#[tokio::test]
async fn wrong_encryption_context() {
    let server = moto();
    let client = AwsKms::new(Settings::empty().with(AWS[0].0, AWS[0].1).with(AWS[1].0, AWS[1].1));
    // AWS's encryption context is additional authenticated data, so it must be the same to unwrap.
    let own = |team: &str| {
        format!("{}&context.team={team}", aws_uri(server.port, "alias/main"))
            .parse::<KmsKeyRef>()
            .unwrap()
    };
    let context = WrapContext {
        keyring: KeyringId::from_bytes([1; 16]),
        data_key: DataKeyId::from_bytes([2; 16]),
        version: KeyVersionId::from_bytes([3; 16]),
        key_use: "derive".to_owned(),
    };
    let wrapped = client
        .wrap(&own("pay"), &Secret::new(vec![7; 32]), &context)
        .await
        .unwrap();
    let back = client.unwrap(&own("pay"), &wrapped, &context).await.unwrap();
    assert_eq!(*back.expose(), [7; 32]);
    let error = client.unwrap(&own("tax"), &wrapped, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(error.hint().unwrap().to_string().contains("`context.…`"), "{error:?}");

    // A keyring in which somebody has written another context.
    let (pay, tax) = ["pay", "tax"].map(|team| own(team).to_string()).into();
    // The context stands in the reference, and the reference in the keyring.
    let place = Place::new(&pay, &AWS);
    place.protects_and_reveals();
    let keyring = place.sandbox.path("keyring.json");
    let text = std::fs::read_to_string(&keyring).unwrap();
    std::fs::write(&keyring, text.replace(&pay, &tax)).unwrap();
    place.sandbox.trust(&tax);
    place.refuses(PROTECT, &[&tax, "do not unwrap", "`context.…`"]);
    std::fs::write(&keyring, text).unwrap();
    place.reveals();
}

#[test]
fn production_vault() {
    let production = Production::new();
    let key = production.key();
    let ca = production.path("ca.pem");
    let role = production.role_id();
    // A secret id that serves once.
    // Once: a leaked secret id is of no use after the job has started.
    let secret = production.secret_id();
    let place = Place::new(
        "local:main",
        &[
            ("VAULT_CACERT", &ca),
            ("VAULT_ROLE_ID", &role),
            ("VAULT_SECRET_ID", &secret),
        ],
    );
    place.ok(&["keys", "create", "x", "--kms", &key]);
    place.refuses(
        &["keys", "create", "y", "--kms", &key],
        &[&key, "approle login", "check role, secret id"],
    );

    let by_certificate = |name: &str, ca: &str| {
        let environment = [
            ("VAULT_AUTH_METHOD", "cert".to_owned()),
            ("VAULT_CACERT", production.path(ca)),
            ("VAULT_CLIENT_CERT", production.path(&format!("{name}.pem"))),
            ("VAULT_CLIENT_KEY", production.path(&format!("{name}.key"))),
        ];
        Place::local(
            &environment
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect::<Vec<_>>(),
        )
    };
    let create: &[&str] = &["keys", "create", "z", "--kms", &key];
    let good = by_certificate("job", "ca.pem");
    good.ok(create);
    good.ok(&["keys", "doctor"]);
    // Our certificate is of another name, or of another authority: the server refuses. Below, the client does.
    by_certificate("stranger", "ca.pem").refuses(create, &[&key, "cert login"]);
    by_certificate("other-job", "ca.pem").refuses(create, &[&key]);
    // The server's certificate is of an authority that we do not trust.
    by_certificate("job", "other-ca.pem").refuses(create, &[&key, "TLS certificate is not trusted", "CA"]);

    // Sealed: the server is up, answers, and has no keys.
    production.bao(&["operator", "seal"]);
    good.refuses(
        &["keys", "create", "w", "--kms", &key],
        &[&key, "is sealed", "unseal it"],
    );
    production.unseal();
}

/// An HSM that stands at a path of its own, so that it can be changed; the key of it, its place, and where the module
/// is.
fn changeable_hsm(more: &[(&'static str, &str)]) -> (SoftHsm, String, Place, PathBuf) {
    let hsm = SoftHsm::new();
    let mut environment = hsm_environment(&hsm);
    environment.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    // A copy, since the test deletes and replaces it, and other tests use the original.
    let module = hsm.folder.path().join("module.so");
    std::fs::copy(SOFTHSM, &module).unwrap();
    let key = format!("pkcs11:token=test;object=main?module-path={}", module.display());
    let place = Place::new(&key, &environment);
    place.protects_and_reveals();
    (hsm, key, place, module)
}

#[test]
fn faults_of_an_hsm() {
    let (_hsm, key, mut place, module) = changeable_hsm(&[]);
    for (name, value) in &mut place.environment {
        if name == "CIPHERFORM_PKCS11_PIN" {
            "0000".clone_into(value);
        }
    }
    place.refuses(PROTECT, &[&key, "refuses the PIN"]);
    std::fs::remove_file(&module).unwrap();
    place.refuses(PROTECT, &[&key, "cannot be loaded", "install the HSM's client library"]);
}

/// No time-out of a network ends a call into a module.
#[test]
fn an_hsm_that_never_answers() {
    let (hsm, key, place, module) = changeable_hsm(&[("CIPHERFORM_KMS_TIMEOUT", "1")]);
    // A call that never returns: there is no socket, so no time-out of a network applies.
    std::fs::copy(hsm.hanging_module(), &module).unwrap();
    place.refuses(PROTECT, &[&key, "in time", "CIPHERFORM_KMS_TIMEOUT"]);
}
