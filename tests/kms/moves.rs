//! Protected under one KMS, rewrapped under another, revealed.

use super::servers::{SoftHsm, moto, openbao};
use super::{AWS, Place, aws_uri, hsm_environment, vault_uri};

#[test]
fn every_ordered_pair() {
    let (aws, vault, hsm) = (moto(), openbao(), SoftHsm::new());
    let own = hsm_environment(&hsm);
    let mut environment = vec![("VAULT_TOKEN", "root")];
    environment.extend(AWS);
    environment.extend(own.iter().map(|(name, value)| (*name, value.as_str())));
    let keys = [
        "local:main".to_owned(),
        aws_uri(aws.port, "alias/main"),
        vault_uri(vault.port),
        hsm.key(),
    ];
    // Ordered pairs, since leaving a KMS and entering it are different code.
    for from in &keys {
        for to in keys.iter().filter(|to| *to != from) {
            let place = Place::new(from, &environment);
            place.protects_and_reveals();
            place.ok(&["keys", "rewrap", "--to", to]);
            // Nothing may still name the former KMS: it may be switched off now.
            let keyring = std::fs::read_to_string(place.sandbox.path("keyring.json")).unwrap();
            assert!(
                keyring.contains(to.as_str()) && !keyring.contains(from.as_str()),
                "{from} to {to}"
            );
            place.reveals();
            let told = place.ok(&["keys", "doctor"]);
            let of_backups = |line: &str| line.starts_with("due ") && line.contains("keys backup");
            assert!(
                told.lines().all(|line| line.starts_with("ok ") || of_backups(line)),
                "{told}"
            );
            let told = place.ok(&["keys", "describe", "pii"]);
            assert!(
                told.lines()
                    .any(|line| line.split_whitespace().eq(["state", "enabled"])),
                "{told}"
            );
        }
    }
}

#[test]
fn one_data_key_of_several() {
    let vault = openbao();
    let place = Place::new("local:main", &[("VAULT_TOKEN", "root")]);
    place.protects_and_reveals();
    let to = vault_uri(vault.port);
    place.ok(&["keys", "create", "cards", "--kms", &to]);
    place.ok(&["keys", "rewrap", "--to", &to, "pii"]);
    let told = place.ok(&["keys", "doctor"]);
    assert!(
        told.contains("guarded by `local:main`") && told.contains("ok    KMS key `vault:"),
        "{told}"
    );
    place.reveals();
}
