//! The public suite on every provider.

use cipherform::keys::KmsClient;
use cipherform::kms::{AwsKms, Pkcs11Kms, Settings, VaultKms, conformance};

use super::servers::{Production, SoftHsm, localstack, moto, openbao};
use super::{aws_uri, hsm_environment, vault_uri};

async fn conforms(client: &dyn KmsClient, key: &str) {
    conformance::check(client, &key.parse().unwrap()).await.unwrap();
}

fn aws() -> AwsKms {
    AwsKms::new(
        Settings::empty()
            .with("AWS_ACCESS_KEY_ID", "test")
            .with("AWS_SECRET_ACCESS_KEY", "test"),
    )
}

#[tokio::test]
async fn openbao_in_development_mode() {
    let server = openbao();
    conforms(
        &VaultKms::new(Settings::empty().with("VAULT_TOKEN", "root")),
        &vault_uri(server.port),
    )
    .await;
}

/// With the least policy of the manual, by AppRole and by TLS certificate.
#[tokio::test]
async fn openbao_in_production() {
    let production = Production::new();
    let settings = Settings::empty().with("VAULT_CACERT", production.path("ca.pem"));
    let by_role = settings
        .clone()
        .with("VAULT_ROLE_ID", production.role_id())
        .with("VAULT_SECRET_ID", production.secret_id());
    let by_certificate = settings
        .with("VAULT_AUTH_METHOD", "cert")
        .with("VAULT_CLIENT_CERT", production.path("job.pem"))
        .with("VAULT_CLIENT_KEY", production.path("job.key"));
    for settings in [by_role, by_certificate] {
        // The whole suite with one login: the secret id serves once.
        conforms(&VaultKms::new(settings), &production.key()).await;
    }
}

#[tokio::test]
async fn moto_for_aws() {
    let server = moto();
    conforms(&aws(), &aws_uri(server.port, "alias/main")).await;
}

#[tokio::test]
async fn localstack_for_aws() {
    let server = localstack();
    conforms(&aws(), &aws_uri(server.port, "alias/main")).await;
}

/// SoftHSM reads where its tokens are from the environment, so this test runs itself once more with that set.
#[tokio::test]
async fn softhsm() {
    const INSIDE: &str = "CIPHERFORM_TEST_HSM_KEY";
    match std::env::var(INSIDE) {
        Ok(key) => conforms(&Pkcs11Kms::new(Settings::from_environment().unwrap()), &key).await,
        Err(_) => {
            let hsm = SoftHsm::new();
            let output = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "kms::conformance::softhsm"])
                .envs(hsm_environment(&hsm))
                .env(INSIDE, hsm.key())
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && told.contains("1 passed"), "{told}");
        }
    }
}
