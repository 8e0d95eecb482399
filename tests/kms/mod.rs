//! The KMS providers against real servers and doubles: conformance, moves from one to another, faults.

mod clouds;
mod conformance;
mod faults;
mod moves;
#[cfg(target_os = "linux")]
mod os_keyring;
mod outside;
mod servers;

use std::process::Output;

use self::servers::{Server, SoftHsm};
use crate::sandbox::{POLICY, Sandbox, people, read, text};

/// A sandbox whose command finds the doubles.
struct Place {
    sandbox: Sandbox,
    environment: Vec<(String, String)>,
}

impl Place {
    /// With keyring and data key under `kms_key`, and the policy of the sandbox.
    fn new(kms_key: &str, environment: &[(&str, &str)]) -> Self {
        let place = Self::local(environment);
        if !kms_key.starts_with("local:") {
            // `init` refuses to write over what is there.
            std::fs::remove_file(place.sandbox.path("policy.toml")).unwrap();
            std::fs::remove_file(place.sandbox.path("keyring.json")).unwrap();
            place.ok(&["init", "--kms", kms_key]);
            place.sandbox.policy(POLICY);
        }
        place
    }

    fn local(environment: &[(&str, &str)]) -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("people.parquet", &people());
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            sandbox,
            environment: environment.iter().map(own).collect(),
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.sandbox.command(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.output().unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        // The keyring names the key from now on.
        if let ["keys", "create" | "rewrap", rest @ ..] = arguments {
            for pair in rest.windows(2).filter(|pair| ["--kms", "--to"].contains(&pair[0])) {
                self.sandbox.trust(pair[1]);
            }
        }
        text(&output.stdout)
    }

    /// Exit code 3; the message has each of `says` and a hint; nothing is written.
    fn refuses(&self, arguments: &[&str], says: &[&str]) {
        // The keyring's bytes as well as the names: a change in place would not show in the listing.
        let before = (
            self.sandbox.listing(),
            std::fs::read(self.sandbox.path("keyring.json")).unwrap(),
        );
        let output = self.run(arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {stderr}");
        // Every refusal has a hint: exit code and message alone help nobody.
        for what in says.iter().chain(&["error: ", "\nhint: "]) {
            assert!(stderr.contains(what), "`{what}` is not in: {stderr}");
        }
        let after = (
            self.sandbox.listing(),
            std::fs::read(self.sandbox.path("keyring.json")).unwrap(),
        );
        assert!(before == after, "something was written");
    }

    fn protects_and_reveals(&self) {
        self.ok(&["protect", "people.parquet", "safe.parquet", "--force"]);
        self.reveals();
    }

    fn reveals(&self) {
        self.ok(&["reveal", "safe.parquet", "back.parquet", "--force"]);
        assert_eq!(
            read(&self.sandbox.path("back.parquet")),
            read(&self.sandbox.path("people.parquet"))
        );
    }
}

const PROTECT: &[&str] = &["protect", "people.parquet", "out.parquet"];

/// What the AWS SDK takes for credentials; the doubles take any.
const AWS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];

fn aws_uri(port: u16, key: &str) -> String {
    format!("aws-kms:{key}?region=us-east-1&endpoint=http://127.0.0.1:{port}")
}

fn vault_uri(port: u16) -> String {
    format!("vault:http://127.0.0.1:{port}/transit/main")
}

/// The environment for an HSM.
fn hsm_environment(hsm: &SoftHsm) -> Vec<(&'static str, String)> {
    vec![
        ("SOFTHSM2_CONF", hsm.config().display().to_string()),
        ("CIPHERFORM_PKCS11_PIN", "1234".to_owned()),
    ]
}

/// The key of an HSM in software. It reads where its tokens are from the environment, so the test called `test` runs
/// itself once more with that set: here the answer is `None`, once that has passed.
fn beside_an_hsm(test: &str) -> Option<String> {
    const INSIDE: &str = "CIPHERFORM_TEST_HSM_KEY";
    if let Ok(key) = std::env::var(INSIDE) {
        return Some(key);
    }
    let hsm = SoftHsm::new();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .envs(hsm_environment(&hsm))
        .env(INSIDE, hsm.key())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    None
}

fn stopped(mut server: Server) -> u16 {
    server.stop();
    server.port
}
