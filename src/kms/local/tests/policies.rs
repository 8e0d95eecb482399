//! Policies of keys and identities.

use super::bench::*;
use crate::keys::*;
use crate::kms::*;
use crate::{ErrorKind, Secret};

fn key_policy(statements: &str) -> KeyPolicy {
    let json = format!("{{ \"Version\": \"2012-10-17\", \"Statement\": [{statements}] }}");
    KeyPolicy::parse_for_key(json.as_bytes()).unwrap()
}

#[tokio::test]
async fn policies_are_enforced() {
    const ADMIN: &str = r#"{ "Sid": "admin", "Effect": "Allow", "Principal": { "User": "ann@*" },
        "Action": "kms:*", "Resource": "*" }"#;
    const JOBS: &str = r#"{ "Sid": "jobs", "Effect": "Allow", "Principal": { "User": "etl@batch" },
        "Action": "kms:Decrypt", "Resource": "*",
        "Condition": { "StringEquals": { "kms:EncryptionContext:cipherform:use": "derive" } } }"#;
    const HANDED_ON: &str =
        r#"{ "Effect": "Allow", "Principal": "identity-policies", "Action": "kms:Decrypt", "Resource": "*" }"#;
    let bench = LocalKmsBench::new();
    let [ann, etl, eve] = ["ann@laptop", "etl@batch", "eve@laptop"].map(|who| bench.open().with_actor(who));
    // Before any policy everybody who unlocks the file may do anything.
    let bytes = works(&eve, &main_key()).await.unwrap();
    assert_eq!(ann.key_policy(&main_key()).unwrap(), KeyPolicy::everybody());

    // Nobody locks themselves out by mistake.
    let error = eve
        .put_key_policy(&main_key(), key_policy(ADMIN), false, &reason())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAllowed);
    assert!(error.hint().unwrap().to_string().contains("bypass the lockout check"));
    works(&eve, &main_key()).await.unwrap();
    let policy = key_policy(&[ADMIN, JOBS, HANDED_ON].join(","));
    ann.put_key_policy(&main_key(), policy.clone(), false, &reason())
        .unwrap();
    assert_eq!(ann.key_policy(&main_key()).unwrap(), policy);

    works(&ann, &main_key()).await.unwrap();
    etl.unwrap(&main_key(), &bytes, &context()).await.unwrap();
    let direct = WrapContext {
        key_use: "direct-ff1-256".to_owned(),
        ..context()
    };
    // Refused are the job all but Decrypt in the right context, and Eve, whom no statement names,
    // everything.
    for refused in [
        etl.unwrap(&main_key(), &bytes, &direct).await.map(drop),
        etl.wrap(&main_key(), &Secret::new(vec![7; 32]), &context())
            .await
            .map(drop),
        etl.generate_data_key(&main_key(), 32, &context()).await.map(drop),
        etl.describe(&main_key()).await.map(drop),
        etl.disable(&main_key(), &reason()).map(drop),
        etl.rotate(&main_key(), None).map(drop),
        etl.key_policy(&main_key()).map(drop),
        etl.put_key_policy(&main_key(), KeyPolicy::everybody(), true, &reason())
            .map(drop),
        etl.create_alias(&name("mine"), &main_key(), None).map(drop),
        eve.unwrap(&main_key(), &bytes, &context()).await.map(drop),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAllowed, "{error:?}");
        assert!(
            error
                .hint()
                .unwrap()
                .to_string()
                .contains("read the policy of `local:main`"),
            "{error:?}"
        );
    }

    // What the key hands on is for the identity's policy to allow.
    let identity = |json: &str| KeyPolicy::parse_for_identity(json.as_bytes()).unwrap();
    let allow = identity(
        r#"{ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "kms:*",
        "Resource": "local:main" }] }"#,
    );
    ann.put_identity_policy("eve@laptop", allow.clone(), &reason()).unwrap();
    assert_eq!(ann.identity_policy("eve@laptop").unwrap(), Some(allow));
    eve.unwrap(&main_key(), &bytes, &context()).await.unwrap();
    assert!(eve.disable(&main_key(), &reason()).is_err());
    let deny = r#"{ "Version": "2012-10-17", "Statement": [{ "Sid": "leave", "Effect": "Deny",
        "Action": "kms:*", "Resource": "*" }] }"#;
    ann.put_identity_policy("etl@batch", identity(deny), &reason()).unwrap();
    let error = etl.unwrap(&main_key(), &bytes, &context()).await.unwrap_err();
    assert!(
        error.message().contains("denied by the identity's statement `leave`"),
        "{error}"
    );
    let simulated = ann
        .simulate(&main_key(), "etl@batch", KmsAction::Decrypt, Some(&context()))
        .unwrap();
    assert!(!simulated.is_allowed());
    let none = r#"{ "Version": "2012-10-17", "Statement": [] }"#;
    ann.put_identity_policy("etl@batch", identity(none), &reason()).unwrap();
    assert_eq!(ann.identity_policy("etl@batch").unwrap(), None);
    etl.unwrap(&main_key(), &bytes, &context()).await.unwrap();

    // With the bypass it is possible to lock oneself out; and then the same call cannot undo it.
    ann.put_key_policy(&main_key(), key_policy(JOBS), true, &reason())
        .unwrap();
    assert!(
        ann.put_key_policy(&main_key(), KeyPolicy::everybody(), true, &reason())
            .is_err()
    );
}
