//! Google Cloud KMS and Azure Key Vault, for which there is no double: fakes on the wire that check what is sent, and
//! answer as the documents say.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cipherform::ErrorKind;
use cipherform::keys::{DataKeyId, KeyVersionId, KeyringId, KmsClient, KmsKeyState, WrapContext};
use cipherform::kms::{AzureKms, GcpKms, Settings, VaultKms, conformance};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use super::Place;
use super::servers::{Between, Step, read_request};

/// A request as a fake sees it.
struct Request {
    /// `POST /path?query`
    line: String,
    head: String,
    body: String,
}

impl Request {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The fields of a form.
    fn form(&self) -> HashMap<String, String> {
        assert!(self.head.contains("content-type: application/x-www-form-urlencoded"));
        let decode = |text: &str| {
            let mut parts = text.split('%');
            let first = parts.next().unwrap().to_owned();
            parts.fold(first, |text, part| {
                let code = u8::from_str_radix(&part[..2], 16).unwrap();
                format!("{text}{}{}", char::from(code), &part[2..])
            })
        };
        let pairs = self.body.split('&').map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(name, value)| (decode(name), decode(value))).collect()
    }
}

/// Answers by `answer`, until the test process ends; gives the port.
fn fake(answer: impl Fn(&Request) -> (u16, Value) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = read_request(&mut stream) else {
                continue;
            };
            let request = String::from_utf8(request).unwrap();
            // One request a connection, so head and body need no framing beyond the blank line.
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let (line, head) = head.split_once("\r\n").unwrap();
            let request = Request {
                line: line.trim_end_matches(" HTTP/1.1").to_owned(),
                head: head.to_lowercase(),
                body: body.to_owned(),
            };
            let (status, body) = answer(&request);
            let body = body.to_string();
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
        }
    });
    port
}

/// What is wrapped, by what it is wrapped as.
type Shelf = Mutex<HashMap<Vec<u8>, (Vec<u8>, Vec<u8>)>>;

fn shelve(shelf: &Shelf, plaintext: Vec<u8>, bound: Vec<u8>) -> Vec<u8> {
    let mut shelf = shelf.lock().unwrap();
    // What is wrapped stays in the fake; the ciphertext is only a number to ask for it by.
    let receipt = format!("receipt {:08}", shelf.len()).into_bytes();
    shelf.insert(receipt.clone(), (plaintext, bound));
    receipt
}

/// Who asks AWS is who the reference says; without that, who the environment says.
#[test]
fn a_profile_in_the_reference_goes_before_the_environment() {
    let signed_by = Arc::new(Mutex::new(Vec::new()));
    let heads = signed_by.clone();
    let port = fake(move |request| {
        // SigV4 names the access key in the clear: whose key has signed is visible.
        let (_, credential) = request.head.split_once("credential=").unwrap();
        heads
            .lock()
            .unwrap()
            .push(credential.split('/').next().unwrap().to_owned());
        (403, json!({}))
    });
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("credentials");
    // Two identities, of which only the profile's may be used where the reference names it.
    let profile = "[audit]\naws_access_key_id = OFTHEPROFILE\naws_secret_access_key = secret\n";
    fs::write(&credentials, profile).unwrap();
    let place = Place::local(&[
        ("AWS_ACCESS_KEY_ID", "OFTHEENVIRONMENT"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()),
        ("AWS_CONFIG_FILE", "/dev/null"),
    ]);
    for profile in ["", "&profile=audit"] {
        let key = format!("aws-kms:alias/main?region=us-east-1{profile}&endpoint=http://127.0.0.1:{port}");
        place.refuses(
            &["keys", "create", "x", "--kms", &key],
            &[&key, "refused the request (HTTP 403)"],
        );
    }
    assert_eq!(*signed_by.lock().unwrap(), ["oftheenvironment", "oftheprofile"]);
}

/// AWS's dry run, which no double has: allowed is an error of its own name, and nothing else is.
#[test]
fn doctor_asks_aws_for_a_dry_run() {
    let allowed = Arc::new(Mutex::new(true));
    let allows = allowed.clone();
    let port = fake(move |request| {
        assert!(request.line.starts_with("POST /"));
        let sent = request.json();
        if request.head.contains("x-amz-target: trentservice.describekey\r") {
            return (
                200,
                json!({ "KeyMetadata": { "KeyId": sent["KeyId"], "KeyState": "Enabled", "KeyUsage": "ENCRYPT_DECRYPT" } }),
            );
        }
        if !request.head.contains("x-amz-target: trentservice.generatedatakey\r") {
            return (
                400,
                json!({ "__type": "AccessDeniedException", "Message": "no more than a test needs" }),
            );
        }
        // Without a dry run, doctor would really generate a key.
        assert_eq!(sent["DryRun"], json!(true));
        assert_eq!(sent["NumberOfBytes"], json!(32));
        assert!(sent["EncryptionContext"]["cipherform:keyring"].is_string());
        // AWS answers a dry run that is allowed with an error of its own name.
        match *allows.lock().unwrap() {
            true => (
                412,
                json!({ "__type": "DryRunOperationException", "Message": "The request would have succeeded, but the DryRun option is set." }),
            ),
            false => (
                400,
                json!({ "__type": "AccessDeniedException", "Message": "is not authorized to perform: kms:GenerateDataKey" }),
            ),
        }
    });
    let place = Place::new("local:main", &super::AWS);
    place.protects_and_reveals();
    // A keyring that names the fake's key: what it wraps cannot be unwrapped there, but doctor goes on.
    let path = place.sandbox.path("keyring.json");
    // The file is edited, so that the key is one of the fake while the keyring still opens by the local KMS.
    let keyring = fs::read_to_string(&path).unwrap();
    let key = super::aws_uri(port, "alias/main");
    fs::write(&path, keyring.replace("\"local:main\"", &format!("\"{key}\""))).unwrap();
    place.sandbox.trust(&key);
    let told = || String::from_utf8(place.run(&["keys", "doctor"]).stdout).unwrap();
    let advice = "it refuses to generate data keys";
    assert!(
        told().contains(&format!("ok    KMS key `{key}`")) && !told().contains(advice),
        "{}",
        told()
    );
    *allowed.lock().unwrap() = false;
    assert!(
        told().contains(advice) && told().contains("kms:GenerateDataKey"),
        "{}",
        told()
    );
}

const GCP_KEY: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/main";

/// The fake of Google Cloud KMS and its token service; `pair` is the service account's key.
fn google(pair: Arc<RsaKeyPair>, audience: Arc<Mutex<String>>) -> u16 {
    let shelf = Shelf::default();
    let failure = |status: u16, name: &str| {
        (
            status,
            json!({ "error": { "code": status, "status": name, "message": "as told" } }),
        )
    };
    fake(move |request| {
        if request.line == "POST /token" {
            let form = request.form();
            assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
            // RFC 7523: the assertion is a JWT that the service account's key has signed.
            let (signed, signature) = form["assertion"].rsplit_once('.').unwrap();
            let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
            public
                .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
                .unwrap();
            let part = |at: usize| -> Value {
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split('.').nth(at).unwrap()).unwrap()).unwrap()
            };
            assert_eq!(part(0), json!({ "alg": "RS256", "typ": "JWT", "kid": "key-1" }));
            let claims = part(1);
            assert_eq!(claims["iss"], "job@p.iam.gserviceaccount.com");
            assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloudkms");
            assert_eq!(claims["aud"].as_str().unwrap(), *audience.lock().unwrap());
            // Ten minutes; Google allows an hour at most.
            assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 600);
            return (
                200,
                json!({ "access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer" }),
            );
        }
        assert!(
            request.head.contains("authorization: bearer ya29.token"),
            "{}",
            request.head
        );
        let Some(action) = request
            .line
            .split_once(&format!("/v1/{GCP_KEY}"))
            .map(|(_, action)| action)
        else {
            panic!("another path: {}", request.line);
        };
        // Google's API carries a CRC32C of each field, which both sides are to check.
        let checked = |field: &str| {
            let bytes = STANDARD.decode(request.json()[field].as_str().unwrap()).unwrap();
            let sum = request.json()[format!("{field}Crc32c")].as_str().unwrap().to_owned();
            assert_eq!(sum, crc32c::crc32c(&bytes).to_string(), "{field}");
            bytes
        };
        match action {
            "" => (
                200,
                json!({
                    "name": GCP_KEY, "purpose": "ENCRYPT_DECRYPT", "createTime": "2026-03-01T12:00:00.123456789Z", "rotationPeriod": "7776000s",
                    "nextRotationTime": "2026-06-01T12:00:00Z",
                    "primary": { "name": format!("{GCP_KEY}/cryptoKeyVersions/1"), "state": "ENABLED", "protectionLevel": "HSM",
                                 "algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION" },
                }),
            ),
            ":encrypt" => {
                let sealed = shelve(&shelf, checked("plaintext"), checked("additionalAuthenticatedData"));
                (
                    200,
                    json!({
                        "name": format!("{GCP_KEY}/cryptoKeyVersions/1"), "ciphertext": STANDARD.encode(&sealed),
                        "ciphertextCrc32c": crc32c::crc32c(&sealed).to_string(), "verifiedPlaintextCrc32c": true,
                        "verifiedAdditionalAuthenticatedDataCrc32c": true, "protectionLevel": "HSM",
                    }),
                )
            }
            ":decrypt" => match shelf.lock().unwrap().get(&checked("ciphertext")) {
                // Bound by additional authenticated data: another context must not unwrap.
                Some((plaintext, bound)) if *bound == checked("additionalAuthenticatedData") => (
                    200,
                    json!({ "plaintext": STANDARD.encode(plaintext), "plaintextCrc32c": crc32c::crc32c(plaintext).to_string(), "usedPrimary": true }),
                ),
                _ => failure(400, "INVALID_ARGUMENT"),
            },
            _ => failure(404, "NOT_FOUND"),
        }
    })
}

/// The public check value of CRC32C, so that fake and client are not wrong alike.
#[test]
fn crc32c_is_the_one_of_castagnoli() {
    // The check value of CRC-32C in the catalogue of CRC parameters.
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
}

#[tokio::test]
async fn google_conforms() {
    // The key is made by another program, as that of a service account is.
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("key.pem");
    let made = Command::new("openssl")
        .args([
            "genpkey",
            "-quiet",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
        ])
        .arg(&pem)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let pem = fs::read_to_string(pem).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let pair = Arc::new(RsaKeyPair::from_pkcs8(&STANDARD.decode(der).unwrap()).unwrap());
    let audience = Arc::new(Mutex::new(String::new()));
    let port = google(pair, Arc::clone(&audience));
    let token_uri = format!("http://127.0.0.1:{port}/token");
    *audience.lock().unwrap() = token_uri.clone();
    let account = json!({
        "type": "service_account", "project_id": "p", "private_key_id": "key-1", "private_key": pem,
        "client_email": "job@p.iam.gserviceaccount.com", "token_uri": token_uri,
    });
    let file = folder.path().join("account.json");
    fs::write(&file, account.to_string()).unwrap();

    let client = GcpKms::new(
        Settings::empty()
            .with("GOOGLE_APPLICATION_CREDENTIALS", file.display().to_string())
            .with("CIPHERFORM_KMS_HOSTS", "127.0.0.1"),
    );
    let key = format!("gcp-kms:{GCP_KEY}?endpoint=http://127.0.0.1:{port}")
        .parse()
        .unwrap();
    conformance::check(&client, &key).await.unwrap();
    let told = client.describe(&key).await.unwrap();
    assert_eq!(
        (told.state, told.origin.as_deref()),
        (KmsKeyState::Enabled, Some("HSM"))
    );
    assert_eq!(
        told.usage.as_deref(),
        Some("ENCRYPT_DECRYPT GOOGLE_SYMMETRIC_ENCRYPTION")
    );
    assert_eq!(
        told.rotation.as_deref(),
        Some("every 7776000s, next 2026-06-01T12:00:00Z")
    );
}

#[test]
fn google_refuses() {
    let folder = tempfile::tempdir().unwrap();
    for (status, body, says) in [
        (
            403,
            r#"{"error":{"code":403,"message":"Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on resource","status":"PERMISSION_DENIED"}}"#,
            "roles/cloudkms.cryptoKeyEncrypterDecrypter",
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"cryptoKeyVersions/1 is not enabled, current state is: DISABLED.","status":"FAILED_PRECONDITION"}}"#,
            "enable or restore",
        ),
        (
            401,
            r#"{"error":{"code":401,"message":"Request had invalid authentication credentials.","status":"UNAUTHENTICATED"}}"#,
            "log in again",
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED"}}"#,
            "rate limited",
        ),
    ] {
        let steps: &'static [Step] = Box::leak(Box::new([
            // First the token of the metadata service, then the refusal.
            Step::Answer(200, r#"{"access_token":"t","expires_in":3599}"#),
            Step::Answer(status, body),
        ]));
        let between = Between::new(steps, None);
        let host = format!("127.0.0.1:{}", between.port);
        let key = format!("gcp-kms:{GCP_KEY}?endpoint=http://{host}");
        // A machine's own account, by its metadata service.
        let place = Place::local(&[
            ("GCE_METADATA_HOST", &host),
            ("HOME", folder.path().to_str().unwrap()),
            ("CIPHERFORM_KMS_HOSTS", "127.0.0.1"),
        ]);
        place.refuses(&["keys", "create", "x", "--kms", &key], &[&key, says]);
    }
}

const VERSION: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn azure_conforms() {
    let shelf = Shelf::default();
    let own = Arc::new(Mutex::new(0));
    let told = Arc::clone(&own);
    let port = fake(move |request| {
        if request.line == "POST /tenant/oauth2/v2.0/token" {
            let form = request.form();
            assert_eq!(
                (form["grant_type"].as_str(), form["client_id"].as_str()),
                ("client_credentials", "client")
            );
            assert_eq!(
                (form["client_secret"].as_str(), form["scope"].as_str()),
                ("a~secret+&", "https://vault.azure.net/.default")
            );
            return (
                200,
                json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": "eyJ.token" }),
            );
        }
        assert!(
            request.head.contains("authorization: bearer eyj.token"),
            "{}",
            request.head
        );
        let port: u16 = *told.lock().unwrap();
        let kid = format!("http://127.0.0.1:{port}/keys/main/{VERSION}");
        let path = request
            .line
            .strip_suffix("?api-version=7.4")
            .expect("the version of the API");
        let given = || {
            URL_SAFE_NO_PAD
                .decode(request.json()["value"].as_str().unwrap())
                .unwrap()
        };
        let operated = |value: &[u8]| (200, json!({ "kid": kid, "value": URL_SAFE_NO_PAD.encode(value) }));
        let refused = |status: u16, code: &str| (status, json!({ "error": { "code": code, "message": "as told" } }));
        match path {
            "GET /keys/main" => (
                200,
                json!({
                    "key": { "kid": kid, "kty": "RSA-HSM", "key_ops": ["wrapKey", "unwrapKey"], "n": "x", "e": "AQAB" },
                    "attributes": { "enabled": true, "created": 1_772_366_400, "updated": 1_772_366_400, "recoveryLevel": "Recoverable" },
                }),
            ),
            "POST /keys/main/wrapkey" => {
                assert_eq!(request.json()["alg"], "RSA-OAEP-256");
                operated(&shelve(&shelf, given(), Vec::new()))
            }
            // Unwrapping names the version that has wrapped: the current one may be another by then.
            path if path == format!("POST /keys/main/{VERSION}/unwrapkey") => {
                assert_eq!(request.json()["alg"], "RSA-OAEP-256");
                match shelf.lock().unwrap().get(&given()) {
                    Some((plaintext, _)) => operated(plaintext),
                    None => refused(400, "BadParameter"),
                }
            }
            _ => refused(404, "KeyNotFound"),
        }
    });
    *own.lock().unwrap() = port;
    let client = AzureKms::new(
        Settings::empty()
            .with("AZURE_TENANT_ID", "tenant")
            .with("AZURE_CLIENT_ID", "client")
            .with("AZURE_CLIENT_SECRET", "a~secret+&")
            .with("AZURE_AUTHORITY_HOST", format!("http://127.0.0.1:{port}/"))
            .with("CIPHERFORM_KMS_HOSTS", "127.0.0.1"),
    );
    let key = format!("azure-kv:http://127.0.0.1:{port}/keys/main").parse().unwrap();
    conformance::check(&client, &key).await.unwrap();
    let told = client.describe(&key).await.unwrap();
    assert_eq!(
        (told.state, told.usage.as_deref()),
        (KmsKeyState::Enabled, Some("RSA-HSM wrapKey,unwrapKey"))
    );
}

#[tokio::test]
async fn azure_refuses() {
    for (status, body, kind) in [
        // One status, two causes: only the inner code tells a disabled key from a missing right.
        (
            403,
            r#"{"error":{"code":"Forbidden","message":"Direction wrapKey is not allowed on a disabled key.","innererror":{"code":"KeyDisabled"}}}"#,
            ErrorKind::KeyNotUsable,
        ),
        (
            403,
            r#"{"error":{"code":"Forbidden","message":"Caller is not authorized to perform action on resource.","innererror":{"code":"ForbiddenByRbac"}}}"#,
            ErrorKind::NotAllowed,
        ),
        (
            401,
            r#"{"error":{"code":"Unauthorized","message":"AKV10022: Invalid audience."}}"#,
            ErrorKind::NotAllowed,
        ),
        (
            409,
            r#"{"error":{"code":"Conflict","message":"Key main is currently being deleted."}}"#,
            ErrorKind::KeyNotUsable,
        ),
        (
            429,
            r#"{"error":{"code":"Throttled","message":"Request was not processed because too many requests were received."}}"#,
            ErrorKind::ProviderDown,
        ),
    ] {
        let steps: &'static [Step] = Box::leak(Box::new([
            // Azure's managed identities give the lifetime as text, others as a number.
            Step::Answer(200, r#"{"access_token":"t","expires_in":"3599"}"#),
            Step::Answer(status, body),
        ]));
        let between = Between::new(steps, None);
        let host = format!("http://127.0.0.1:{}", between.port);
        let client = AzureKms::new(
            Settings::empty()
                .with("AZURE_POD_IDENTITY_AUTHORITY_HOST", host.clone())
                .with("CIPHERFORM_KMS_HOSTS", "127.0.0.1"),
        );
        let error = client
            .describe(&format!("azure-kv:{host}/keys/main").parse().unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
}

/// A reference that names another host gets no token: neither is the service asked for one, nor is the host.
#[tokio::test]
async fn a_bearer_goes_to_its_cloud_alone() {
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    let port = fake(move |_| {
        *count.lock().unwrap() += 1;
        (200, json!({ "access_token": "t", "expires_in": 3599 }))
    });
    let host = format!("http://127.0.0.1:{port}");
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::empty()
        .with("AZURE_POD_IDENTITY_AUTHORITY_HOST", host.clone())
        .with("GCE_METADATA_HOST", format!("127.0.0.1:{port}"))
        .with("HOME", folder.path().display().to_string());
    let azure = AzureKms::new(settings.clone());
    let google = GcpKms::new(settings);
    for host in [
        &host,
        "https://ours.vault.azure.net.evil.example",
        "https://evilvault.azure.net",
    ] {
        let key = format!("azure-kv:{host}/keys/main").parse().unwrap();
        let error = azure.describe(&key).await.unwrap_err();
        assert!(error.to_string().contains("is no host of Azure Key Vault"), "{error}");
        assert_eq!(error.kind(), ErrorKind::NotAllowed);
        assert!(error.hint().unwrap().to_string().contains("CIPHERFORM_KMS_HOSTS"));
        let key = format!("gcp-kms:{GCP_KEY}?endpoint={host}").parse().unwrap();
        let error = google.describe(&key).await.unwrap_err();
        assert!(error.to_string().contains("is no host of Google Cloud KMS"), "{error}");
    }
    assert_eq!(*seen.lock().unwrap(), 0, "somebody was asked");
}

/// A policy that takes what NIST has approved alone: a transit key of another kind makes and wraps nothing.
#[tokio::test]
async fn approved_only_reaches_vault() {
    let port = fake(move |request| match request.line.as_str() {
        "GET /v1/transit/keys/main" => (
            200,
            json!({ "data": {
                "type": "chacha20-poly1305", "latest_version": 1, "min_decryption_version": 1,
                "supports_encryption": true, "supports_decryption": true, "keys": { "1": 1_772_366_400 },
            } }),
        ),
        line => panic!("{line} was asked"),
    });
    let settings = Settings::empty().with("VAULT_TOKEN", "t");
    let key = format!("vault:http://127.0.0.1:{port}/transit/main").parse().unwrap();
    VaultKms::new(settings.clone()).describe(&key).await.unwrap();
    let client = VaultKms::new(settings.approved_only());
    let context = WrapContext {
        keyring: KeyringId::from_bytes([1; 16]),
        data_key: DataKeyId::from_bytes([2; 16]),
        version: KeyVersionId::from_bytes([3; 16]),
        key_use: "derive".to_owned(),
    };
    let made = client.generate_data_key(&key, 32, &context).await.map(|_| ());
    for refused in [client.describe(&key).await.map(|_| ()), made] {
        let error = refused.unwrap_err();
        assert!(error.to_string().contains("NIST has not approved"), "{error}");
    }
}
