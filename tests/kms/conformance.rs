//! The public suite on every provider.

use cipherform::keys::{DataKey, KmsClient, KmsKeyInfo, KmsKeyRef, WrapContext};
use cipherform::kms::{AwsKms, KmipKms, Pkcs11Kms, Settings, VaultKms, conformance};
use cipherform::{Result, Secret};

use super::beside_an_hsm;
use super::servers::{Production, kmip, localstack, moto, openbao, pykmip};
use super::{aws_uri, vault_uri};

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
        // The whole suite with one login, since the secret id serves once: a client that logs in again for each
        // request fails here.
        conforms(&VaultKms::new(settings), &production.key()).await;
    }
}

#[tokio::test]
async fn moto_for_aws() {
    let server = moto();
    conforms(&aws(), &aws_uri(server.port, "alias/main")).await;
}

/// LocalStack generates data keys of 32 bytes whatever it is asked for; the other lengths are generated here, and
/// wrapped by it.
#[derive(Debug)]
struct LocalStack(AwsKms);

#[async_trait::async_trait]
impl KmsClient for LocalStack {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        self.0.describe(key).await
    }

    async fn generate_data_key(&self, key: &KmsKeyRef, length: usize, context: &WrapContext) -> Result<DataKey> {
        // 32 bytes are what a data key needs, so that path is LocalStack's own.
        if length == 32 {
            return self.0.generate_data_key(key, length, context).await;
        }
        let plaintext = self.0.random(length).await?;
        let wrapped = self.0.wrap(key, &plaintext, context).await?;
        Ok(DataKey { plaintext, wrapped })
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        self.0.wrap(key, plaintext, context).await
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        self.0.unwrap(key, wrapped, context).await
    }
}

#[tokio::test]
async fn localstack_for_aws() {
    let server = localstack();
    conforms(&LocalStack(aws()), &aws_uri(server.port, "alias/main")).await;
}

#[tokio::test]
async fn softhsm() {
    if let Some(key) = beside_an_hsm("kms::conformance::softhsm") {
        conforms(&Pkcs11Kms::new(Settings::from_environment().unwrap()), &key).await;
    }
}

/// Whoever used an HSM keeps no secret of it. The HSM is a library within this process, which wipes what it gives out.
#[test]
fn softhsm_leaves_nothing_in_memory() {
    use crate::memory::{Wanted, prepare, run, work};
    use crate::sandbox::Sandbox;
    use cipherform::keys::{KmsRegistry, Trust};

    // The HSM is found by environment variables, so the test runs in a process of its own.
    let Some(key) = beside_an_hsm("kms::conformance::softhsm_leaves_nothing_in_memory") else {
        return;
    };
    let wanted = run(async move {
        let sandbox = Sandbox::empty();
        let mut wanted = Wanted::default();
        let client = || Pkcs11Kms::new(Settings::from_environment().unwrap());
        let trust = Trust::of_local_kms().allowing(&key.parse().unwrap());
        let registry = KmsRegistry::new().with("pkcs11", client()).with_trust(trust);
        prepare(&sandbox, &key.parse().unwrap(), &registry).await;
        work(sandbox.folder.path(), &registry, &client(), &mut wanted)
            .await
            .unwrap();
        wanted
    });
    assert_eq!(wanted.found(), Vec::<String>::new());
}

#[tokio::test]
async fn pykmip_with_mutual_tls() {
    use cipherform::ErrorKind;
    use cipherform::keys::KmsKeyState;

    let (server, uid) = pykmip();
    let at = |name: &str| server.folder.path().join(name).display().to_string();
    let client = |who: &str| {
        KmipKms::new(
            Settings::empty()
                .with("CIPHERFORM_KMIP_CA", at("ca.pem"))
                .with("CIPHERFORM_KMIP_CERT", at(&format!("{who}.pem")))
                .with("CIPHERFORM_KMIP_KEY", at(&format!("{who}.key"))),
        )
    };
    let text = format!("kmip://127.0.0.1:{}/{uid}", server.port);
    let key = text.parse().unwrap();
    conforms(&client("job"), &text).await;
    let told = client("job").describe(&key).await.unwrap();
    assert_eq!(
        (told.state, told.usage.as_deref()),
        (KmsKeyState::Enabled, Some("AES 256"))
    );

    // Somebody else's certificate; one of an authority that the server does not know; and none at all.
    let error = client("stranger").describe(&key).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAllowed, "{error}");
    let error = client("other-job").describe(&key).await.unwrap_err();
    assert!(
        // The server may just hang up, which looks like an outage.
        matches!(error.kind(), ErrorKind::NotAllowed | ErrorKind::ProviderDown),
        "{error}"
    );
    let nobody = KmipKms::new(Settings::empty().with("CIPHERFORM_KMIP_CA", at("ca.pem")));
    assert_eq!(nobody.describe(&key).await.unwrap_err().kind(), ErrorKind::NotAllowed);

    kmip(
        &server,
        &format!("c.revoke(enums.RevocationReasonCode.CESSATION_OF_OPERATION, '{uid}')"),
    );
    // Any context will do: the key's state is what refuses.
    let context = cipherform::keys::WrapContext {
        keyring: cipherform::keys::KeyringId::from_bytes([1; 16]),
        data_key: cipherform::keys::DataKeyId::from_bytes([2; 16]),
        version: cipherform::keys::KeyVersionId::from_bytes([3; 16]),
        key_use: "derive".to_owned(),
    };
    let error = client("job").generate_data_key(&key, 32, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotUsable, "{error}");
    assert_eq!(client("job").describe(&key).await.unwrap().state, KmsKeyState::Disabled);
}
