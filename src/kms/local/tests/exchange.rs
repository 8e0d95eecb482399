//! Imported material and asymmetric keys.

use super::bench::*;
use crate::keys::*;
use crate::kms::*;
use crate::{ErrorKind, Result};
use rsa::pkcs8::DecodePublicKey as _;
use std::sync::atomic::Ordering;

fn external() -> KmsKeyRef {
    "local:ours".parse().unwrap()
}

/// Wraps material with the public key, as its owner does.
fn wrapped(parameters: &ImportParameters, material: &[u8]) -> Vec<u8> {
    let key = rsa::PublicKey::from_public_key_der(&parameters.public_key).unwrap();
    let padding = rsa::Oaep::<sha2::Sha256>::new();
    key.encrypt(&mut getrandom::SysRng, padding, material).unwrap()
}

#[tokio::test]
async fn material_is_imported_once_for_each_token_and_only_the_same() {
    let bench = LocalKmsBench::new();
    let (kms, days) = clock(bench.open());
    let key = external();
    kms.create_kms_key(&key, NewKmsKey::default().external()).unwrap();
    assert_eq!(kms.describe(&key).await.unwrap().state, KmsKeyState::Unavailable);
    let error = works(&kms, &key).await.unwrap_err();
    assert!(error.message().contains("waits for its material"), "{error}");
    assert!(
        error
            .hint()
            .unwrap()
            .to_string()
            .contains("import the material of `local:ours`")
    );
    assert_eq!(
        kms.parameters_for_import(&main_key()).unwrap_err().kind(),
        ErrorKind::KeyNotUsable
    );

    let parameters = kms.parameters_for_import(&key).unwrap();
    let import = |parameters: &ImportParameters, material: &[u8], end: Option<Timestamp>| {
        kms.import_material(&key, &wrapped(parameters, material), &parameters.token, end, &reason())
    };
    let kind = |result: Result<LocalKeyInfo>| result.unwrap_err().kind();
    assert_eq!(kind(import(&parameters, &[5; 31], None)), ErrorKind::BadInput);
    // A token that was never handed out.
    let elsewhere = ImportParameters {
        token: "00".repeat(16),
        ..parameters.clone()
    };
    assert_eq!(kind(import(&elsewhere, &[5; 32], None)), ErrorKind::WrongKey);
    let garbage = kms.import_material(&key, &[1; 512], &parameters.token, None, &reason());
    assert_eq!(kind(garbage), ErrorKind::WrongKey);
    // The day is over: the token has expired to the second.
    days.store(1, Ordering::Relaxed);
    assert_eq!(kind(import(&parameters, &[5; 32], None)), ErrorKind::KeyNotUsable);
    days.store(0, Ordering::Relaxed);
    import(&parameters, &[5; 32], None).unwrap();
    let bytes = works(&kms, &key).await.unwrap();
    // The token is used up.
    assert_eq!(kind(import(&parameters, &[5; 32], None)), ErrorKind::WrongKey);
    assert_eq!(kind(kms.rotate(&key, None)), ErrorKind::KeyNotUsable);

    kms.delete_imported_material(&key, &reason()).unwrap();
    assert_eq!(works(&kms, &key).await.unwrap_err().kind(), ErrorKind::KeyNotUsable);
    let parameters = kms.parameters_for_import(&key).unwrap();
    // Other material: what the first one wrapped would be lost without an error.
    assert_eq!(kind(import(&parameters, &[6; 32], None)), ErrorKind::KeyNotUsable);
    let end = kms.context.now().plus_days(10);
    assert_eq!(
        kind(import(&parameters, &[5; 32], Some(Timestamp::EPOCH))),
        ErrorKind::BadInput
    );
    import(&parameters, &[5; 32], Some(end)).unwrap();
    assert_eq!(*kms.unwrap(&key, &bytes, &context()).await.unwrap().expose(), [7; 32]);
    days.store(10, Ordering::Relaxed);
    let error = kms.unwrap(&key, &bytes, &context()).await.unwrap_err();
    assert!(error.message().contains("has expired"), "{error}");
    kms.run_due().unwrap();
    assert!(!kms.key(&key).unwrap().material[0].present);
}

#[tokio::test]
async fn an_asymmetric_key_has_its_one_use() {
    let bench = LocalKmsBench::new();
    let kms = bench.open();
    let [opens, signs]: [KmsKeyRef; 2] = ["local:opens", "local:signs"].map(|key| key.parse().unwrap());
    kms.create_kms_key(&opens, NewKmsKey::new(KmsKeySpec::Rsa3072)).unwrap();
    kms.create_kms_key(&signs, NewKmsKey::new(KmsKeySpec::Ed25519)).unwrap();
    rsa::PublicKey::from_public_key_der(&kms.public_key(&opens).unwrap()).unwrap();
    assert_eq!(
        kms.public_key(&signs).unwrap(),
        kms.signer(&signs).unwrap().public_key().unwrap()
    );
    let shown = format!("{:?} {:?}", kms.identity(&opens).unwrap(), kms.signer(&signs).unwrap());
    assert_eq!(shown, "Identity(****) ExchangeSigner(****)");
    for (kind, expected) in [
        (kms.identity(&signs).unwrap_err().kind(), ErrorKind::KeyNotUsable),
        (kms.identity(&main_key()).unwrap_err().kind(), ErrorKind::KeyNotUsable),
        (kms.signer(&opens).unwrap_err().kind(), ErrorKind::KeyNotUsable),
        (kms.public_key(&main_key()).unwrap_err().kind(), ErrorKind::KeyNotUsable),
        (works(&kms, &opens).await.unwrap_err().kind(), ErrorKind::KeyNotUsable),
        (works(&kms, &signs).await.unwrap_err().kind(), ErrorKind::KeyNotUsable),
        (kms.rotate(&opens, None).unwrap_err().kind(), ErrorKind::KeyNotUsable),
    ] {
        assert_eq!(kind, expected);
    }
    kms.disable(&signs, &reason()).unwrap();
    assert_eq!(kms.signer(&signs).unwrap_err().kind(), ErrorKind::KeyNotUsable);
    // Properties that contradict each other: no RSA import, no rotation of what partners or owners know.
    for new in [
        NewKmsKey::new(KmsKeySpec::Rsa4096).external(),
        NewKmsKey::new(KmsKeySpec::Ed25519).with_rotation(Some(365)),
        NewKmsKey::default().external().with_rotation(Some(365)),
    ] {
        assert!(
            kms.create_kms_key(&"local:none".parse().unwrap(), new).is_err(),
            "{new:?}"
        );
    }
}
