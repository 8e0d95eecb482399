//! States, rotation and deletion of KMS keys.

use super::bench::*;
use crate::cipher::Direction;
use crate::keys::*;
use crate::kms::conformance;
use crate::kms::*;
use crate::{ErrorKind, Result};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn conforms() {
    let bench = LocalKmsBench::new();
    conformance::check(&bench.open(), &"local:main".parse().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn every_state_allows_what_it_should() {
    use KmsKeyState::{Destroyed, Disabled, Enabled, PendingDeletion};
    type Act = fn(&LocalKms, &KmsKeyRef) -> Result<LocalKeyInfo>;
    let acts: [(Act, &[KmsKeyState], KmsKeyState); 5] = [
        (|kms, key| kms.enable(key, &reason()), &[Disabled], Enabled),
        (|kms, key| kms.disable(key, &reason()), &[Enabled], Disabled),
        (
            |kms, key| kms.schedule_deletion(key, 7, &reason()),
            &[Enabled, Disabled],
            PendingDeletion,
        ),
        (
            |kms, key| kms.cancel_deletion(key, &reason()),
            &[PendingDeletion],
            Disabled,
        ),
        (|kms, key| kms.rotate(key, Some(&reason())), &[Enabled], Enabled),
    ];
    // Every state with every act, so that no pair is allowed by accident.
    for state in [Enabled, Disabled, PendingDeletion, Destroyed] {
        for (act, from, to) in acts {
            let bench = LocalKmsBench::new();
            let (kms, days) = clock(bench.open());
            let wrapped = works(&kms, &main_key()).await.unwrap();
            if state == Disabled {
                kms.disable(&main_key(), &reason()).unwrap();
            }
            if matches!(state, PendingDeletion | Destroyed) {
                kms.schedule_deletion(&main_key(), 7, &reason()).unwrap();
            }
            if state == Destroyed {
                days.store(7, Ordering::Relaxed);
                kms.run_due().unwrap();
            }
            assert_eq!(kms.describe(&main_key()).await.unwrap().state, state);
            let used = [
                works(&kms, &main_key()).await.err(),
                kms.unwrap(&main_key(), &wrapped, &context()).await.err(),
            ];
            for error in used {
                match state {
                    Enabled => assert!(error.is_none()),
                    _ => {
                        let error = error.unwrap();
                        assert_eq!(error.kind(), ErrorKind::KeyNotUsable);
                        assert!(error.message().contains(&format!("is {state}")), "{error}");
                        let verb = match state {
                            Disabled => "enable `local:main`",
                            PendingDeletion => "cancel the deletion of `local:main`",
                            _ => "from a backup",
                        };
                        assert!(error.hint().unwrap().to_string().contains(verb), "{error:?}");
                    }
                }
            }
            match act(&kms, &main_key()) {
                Ok(info) => {
                    assert!(from.contains(&state), "{state} to {to}");
                    assert_eq!(info.state, to);
                    assert_eq!(info.history.last().unwrap().reason, Some(reason()));
                }
                Err(error) => {
                    assert!(!from.contains(&state), "{state} to {to}: {error}");
                    assert_eq!(error.kind(), ErrorKind::KeyNotUsable);
                }
            }
        }
    }
}

#[tokio::test]
async fn deleted_material_is_out_of_the_file() {
    let bench = LocalKmsBench::new();
    let (kms, days) = clock(bench.open());
    let wrapped = works(&kms, &main_key()).await.unwrap();
    let sealed = kms.content(&kms.path).unwrap().0.keys[0].material[0]
        .sealed
        .clone()
        .unwrap();
    let sealed = serde_json::to_string(&sealed).unwrap();
    let there = || {
        std::fs::read_to_string(bench.path("kms.json"))
            .unwrap()
            .contains(&sealed)
    };
    for days in [0, 6, 31] {
        let error = kms.schedule_deletion(&main_key(), days, &reason()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadInput);
    }
    kms.schedule_deletion(&main_key(), 30, &reason()).unwrap();
    days.store(29, Ordering::Relaxed);
    kms.run_due().unwrap();
    assert!(there());
    days.store(30, Ordering::Relaxed);
    // Refused from that moment on, whether or not somebody has written the file since.
    let error = kms.unwrap(&main_key(), &wrapped, &context()).await.unwrap_err();
    assert!(error.message().contains("was to be deleted by"), "{error}");
    assert!(there());
    // Who wants to keep it is not answered by its end.
    assert!(
        error
            .hint()
            .unwrap()
            .to_string()
            .contains("to keep it, cancel the deletion of `local:main`"),
        "{error:?}"
    );
    let error = kms.enable(&main_key(), &reason()).unwrap_err();
    assert!(error.message().contains("is pending-deletion"), "{error}");
    kms.cancel_deletion(&main_key(), &reason()).unwrap();
    kms.schedule_deletion(&main_key(), 7, &reason()).unwrap();
    days.store(37, Ordering::Relaxed);
    assert!(there());
    // Any other change does it.
    kms.create_key(&name("second")).unwrap();
    assert!(!there());
    let info = kms.key(&main_key()).unwrap();
    assert_eq!((info.state, info.material[0].present), (KmsKeyState::Destroyed, false));
    assert!(info.history.last().unwrap().what.starts_with("destroy"));
    // The name of a destroyed key is not given again.
    assert_eq!(kms.create_key(&name("main")).unwrap_err().kind(), ErrorKind::BadInput);
}

#[tokio::test]
async fn rotated_material_still_unwraps() {
    let bench = LocalKmsBench::new();
    let (kms, days) = clock(bench.open());
    let mut wrapped = vec![works(&kms, &main_key()).await.unwrap()];
    for _ in 0..3 {
        kms.rotate(&main_key(), None).unwrap();
        wrapped.push(works(&kms, &main_key()).await.unwrap());
    }
    for bytes in &wrapped {
        assert_eq!(
            *kms.unwrap(&main_key(), bytes, &context()).await.unwrap().expose(),
            [7; 32]
        );
    }
    // The bytes name their material: byte 2, key, material.
    let named: std::collections::HashSet<_> = wrapped.iter().map(|bytes| bytes[17..33].to_vec()).collect();
    assert_eq!(named.len(), 4);
    let mut swapped = wrapped[0].clone();
    // The id of other material of the same key: the associated data refuse it even if the material
    // exists.
    swapped[17..33].copy_from_slice(&wrapped[1][17..33]);
    let error = kms.unwrap(&main_key(), &swapped, &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);

    // By itself, when it is due.
    assert!(kms.set_rotation(&main_key(), Some(89), None).is_err());
    kms.set_rotation(&main_key(), Some(90), Some(&reason())).unwrap();
    days.store(89, Ordering::Relaxed);
    assert!(kms.due_tasks().unwrap().is_empty());
    days.store(90, Ordering::Relaxed);
    assert_eq!(kms.due_tasks().unwrap().len(), 1);
    let due = kms.describe(&main_key()).await.unwrap().due.unwrap();
    assert!(due.contains("its rotation has been due since"), "{due}");
    works(&kms, &main_key()).await.unwrap();
    assert_eq!(
        kms.key(&main_key()).unwrap().material.len(),
        4,
        "wrapping changes nothing"
    );
    // Twice: the second finds nothing that is due.
    kms.run_due().unwrap();
    kms.run_due().unwrap();
    let info = kms.key(&main_key()).unwrap();
    assert_eq!((info.material.len(), info.rotation_days), (5, Some(90)));
    assert_eq!(info.next_rotation.unwrap(), info.material[4].created.plus_days(90));
    for bytes in &wrapped {
        kms.unwrap(&main_key(), bytes, &context()).await.unwrap();
    }
    let older = bench.open();
    let latest = works(&kms, &main_key()).await.unwrap();
    assert!(older.unwrap(&main_key(), &latest, &context()).await.is_ok());
}

#[tokio::test]
async fn an_alias_moves_and_what_it_wrapped_unwraps() {
    let bench = LocalKmsBench::new();
    let kms = bench.open();
    kms.create_key(&name("second")).unwrap();
    let (alias, second) = (
        KmsKeyRef::local_alias(&name("current")),
        KmsKeyRef::local(&name("second")),
    );
    let error = works(&kms, &alias).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotFound);
    assert_eq!(
        kms.update_alias(&name("current"), &second, None).unwrap_err().kind(),
        ErrorKind::KeyNotFound
    );
    kms.create_alias(&name("current"), &main_key(), None).unwrap();
    assert_eq!(
        kms.create_alias(&name("current"), &second, None).unwrap_err().kind(),
        ErrorKind::BadInput
    );
    let first = works(&kms, &alias).await.unwrap();
    kms.update_alias(&name("current"), &second, None).unwrap();
    assert_eq!(kms.key(&second).unwrap().aliases, [name("current")]);
    let then = works(&kms, &alias).await.unwrap();
    assert_ne!(first[1..17], then[1..17]);
    kms.unwrap(&alias, &first, &context()).await.unwrap();
    assert_eq!(
        kms.unwrap(&second, &first, &context()).await.unwrap_err().kind(),
        ErrorKind::WrongKey
    );
    // The alias means another key by now, but the bytes name this one, and its state decides.
    kms.disable(&main_key(), &reason()).unwrap();
    assert_eq!(
        kms.unwrap(&alias, &first, &context()).await.unwrap_err().kind(),
        ErrorKind::KeyNotUsable
    );
    kms.delete_alias(&name("current"), None).unwrap();
    assert_eq!(works(&kms, &alias).await.unwrap_err().kind(), ErrorKind::KeyNotFound);
    kms.unwrap(&second, &then, &context()).await.unwrap();
    assert!(kms.create_kms_key(&alias, NewKmsKey::default()).is_err());
}

#[tokio::test]
async fn it_guards_a_keyring() {
    let bench = LocalKmsBench::new();
    let path = bench.path("keyring.json");
    let registry = KmsRegistry::new().with("local", bench.open());
    let mut keyring = Keyring::create(&path, &"local:main".parse().unwrap(), &registry)
        .await
        .unwrap();
    keyring.create_key(&name("pii"), KeyUse::Derive, None).await.unwrap();

    let registry = KmsRegistry::new().with("local", bench.open());
    let keyring = Keyring::open(&path, &registry).await.unwrap();
    let handle = keyring
        .handle(&"pii".parse().unwrap(), Direction::Encrypt)
        .await
        .unwrap();
    assert!(handle.subkey(Purpose::Siv, "domain", b"", 64).is_ok());

    // A new file with a key of the same name, such as after the old one was lost.
    LocalKms::create(&bench.path("other.json"), &bench.unlock(), &name("main")).unwrap();
    let registry = KmsRegistry::new().with("local", LocalKms::open(bench.path("other.json"), bench.unlock()));
    let error = Keyring::open(&path, &registry).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(
        error.hint().unwrap().to_string().contains("the file of the local KMS"),
        "{error:?}"
    );
}
