//! Real key management servers, each on a free port of this machine, ended with the test that started it.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A program of the Python environment that `make tools` fills.
pub(crate) fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv").join(name);
    assert!(
        path.exists(),
        "`{}` is missing: `make tools` installs it",
        path.display()
    );
    path
}

/// A port that nobody listens on, and that no other test of this process was given.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        // A server may take the port behind its own as well, for its cluster: Raft listens there.
        let offset = NEXT.fetch_add(2, Ordering::Relaxed);
        // Each test process starts elsewhere; below the range that the system gives out by itself.
        let port = 20_000 + ((std::process::id() as u16).wrapping_mul(31).wrapping_add(offset)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A server process; ended by its process id when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
}

impl Server {
    /// Starts what `command` makes of a port and a folder, and waits until it listens.
    pub(crate) fn start(command: impl FnOnce(u16, &Path) -> Command) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let mut command = command(port, folder.path());
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = command
            // With the processes it starts it is one group, and ends as one: some of these servers fork.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut server = Self { child, port, folder };
        let started = Instant::now();
        // Started is not ready: the connection shows that it listens.
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(server.folder.path().join("log")).unwrap_or_default();
            assert!(
                server.child.try_wait().unwrap().is_none(),
                "{command:?} ended: {}",
                log()
            );
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "{command:?} does not listen: {}",
                log()
            );
            // Polled, since none of the servers says when it is ready.
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends it now.
    pub(crate) fn stop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill")
            .args(["-KILL", "--", &group])
            .stderr(Stdio::null())
            .status();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// OpenBao in development mode, with a transit engine and a key `main`.
pub(crate) fn openbao() -> Server {
    let server = Server::start(|port, folder| {
        let mut command = Command::new(tool("bin/bao"));
        command
            .args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root"])
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env("HOME", folder);
        command
    });
    // It listens before it is unsealed.
    wait_for(&format!("{}/v1/sys/health", server.url()));
    bao(&server, "POST", "sys/mounts/transit", json!({ "type": "transit" }));
    bao(&server, "POST", "transit/keys/main", json!({}));
    server
}

/// Asks OpenBao as root.
pub(crate) fn bao(server: &Server, method: &str, path: &str, body: Value) -> Value {
    let url = format!("{}/v1/{path}", server.url());
    let (status, answer) = http(method, &url, &["X-Vault-Token: root"], Some(&body.to_string()));
    assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    serde_json::from_str(&answer).unwrap_or(Value::Null)
}

/// moto, an AWS double, with a key behind `alias/main`.
pub(crate) fn moto() -> Server {
    let server = Server::start(|port, _| {
        let mut command = Command::new(tool("bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        command
    });
    aws_key(&server, "main");
    server
}

/// LocalStack, another AWS double: it knows the states of keys.
pub(crate) fn localstack() -> Server {
    let server = Server::start(|port, folder| {
        let mut command = Command::new(tool("localstack/bin/python"));
        command
            .args(["-m", "localstack.runtime.main"])
            .env("DISABLE_EVENTS", "1")
            .env("SKIP_SSL_CERT_DOWNLOAD", "1")
            .env("DNS_ADDRESS", "0")
            .env("GATEWAY_LISTEN", format!("127.0.0.1:{port}"))
            .env("LOCALSTACK_VOLUME_DIR", folder)
            .env("SERVICES", "kms,sts");
        command
    });
    wait_for(&format!("{}/_localstack/health", server.url()));
    aws_key(&server, "main");
    server
}

/// Waits until a server that listens is ready.
fn wait_for(url: &str) {
    let started = Instant::now();
    while http("GET", url, &[], None).0 != 200 {
        assert!(started.elapsed() < Duration::from_secs(60), "{url} does not get ready");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A key of an AWS double behind `alias/NAME`; gives its id.
pub(crate) fn aws_key(server: &Server, name: &str) -> String {
    let made = aws(server, "CreateKey", json!({}));
    let id = made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    aws(
        server,
        "CreateAlias",
        json!({ "AliasName": format!("alias/{name}"), "TargetKeyId": id }),
    );
    id
}

/// Asks an AWS double, which checks no signature.
pub(crate) fn aws(server: &Server, action: &str, body: Value) -> Value {
    let target = format!("X-Amz-Target: TrentService.{action}");
    let headers = [
        target.as_str(),
        "Content-Type: application/x-amz-json-1.1",
        "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=0",
    ];
    let (status, answer) = http("POST", &server.url(), &headers, Some(&body.to_string()));
    assert_eq!(status, 200, "{action}: {answer}");
    serde_json::from_str(&answer).unwrap_or(Value::Null)
}

/// A SoftHSM token `test` with PIN 1234 and an AES key `main`, by the environment to find it.
pub(crate) struct SoftHsm {
    pub(crate) folder: TempDir,
}

pub(crate) const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";

impl SoftHsm {
    pub(crate) fn new() -> Self {
        assert!(
            Path::new(SOFTHSM).exists(),
            "SoftHSM is missing: `make tools` installs it"
        );
        let hsm = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let tokens = hsm.folder.path().join("tokens");
        fs::create_dir(&tokens).unwrap();
        let config = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        fs::write(hsm.config(), config).unwrap();
        // The AES key's value comes from a file that is gone afterwards; inside, it is not extractable.
        hsm.run(&[
            "--init-token",
            "--free",
            "--label",
            "test",
            "--pin",
            "1234",
            "--so-pin",
            "5678",
        ]);
        let key = hsm.folder.path().join("key");
        // The tool reads up to the first line feed, so 32 hexadecimal digits are the 32 bytes. Random bytes might
        // hold one.
        let mut bytes = [0; 16];
        fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
        fs::write(&key, hex::encode(bytes)).unwrap();
        let import = [
            "--import",
            key.to_str().unwrap(),
            "--aes",
            "--token",
            "test",
            "--pin",
            "1234",
            "--label",
            "main",
            "--id",
            "01",
        ];
        hsm.run(&import);
        fs::remove_file(key).unwrap();
        hsm
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("softhsm2.conf")
    }

    /// A module that is SoftHSM, but never answers a call to decrypt.
    pub(crate) fn hanging_module(&self) -> PathBuf {
        let module = self.folder.path().join("hanging.so");
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-ldl", "-o"])
            .arg(&module)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kms/hanging_module.c"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        module
    }

    fn run(&self, arguments: &[&str]) {
        let output = Command::new("softhsm2-util")
            .args(arguments)
            .env("SOFTHSM2_CONF", self.config())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "softhsm2-util {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub(crate) fn key(&self) -> String {
        format!("pkcs11:token=test;object=main?module-path={SOFTHSM}")
    }
}

/// One HTTP/1.1 exchange: status and body.
pub(crate) fn http(method: &str, url: &str, headers: &[&str], body: Option<&str>) -> (u16, String) {
    let rest = url
        .strip_prefix("http://")
        .expect("the servers of tests that speak plain HTTP");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let body = body.unwrap_or_default();
    let mut request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    let _ = write!(stream, "{request}\r\n{body}");
    let mut answer = String::new();
    // A server that is not ready may hang up; then the answer is none.
    let _ = stream.read_to_string(&mut answer);
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
    // Chunked bodies begin with the length of the first chunk; ours are JSON.
    let body = match body.find('{') {
        Some(start) => body[start..=body.rfind('}').unwrap_or(start)].to_owned(),
        None => body,
    };
    (status, body)
}

/// OpenBao as it runs in production: raft storage, TLS, sealed until its key is given.
pub(crate) struct Production {
    pub(crate) server: Server,
    root: String,
    unseal: String,
}

/// What the policy in the manual allows.
const LEAST: &str = r#"
path "transit/keys/main"              { capabilities = ["read"] }
path "transit/datakey/plaintext/main" { capabilities = ["update"] }
path "transit/encrypt/main"           { capabilities = ["update"] }
path "transit/decrypt/main"           { capabilities = ["update"] }
path "transit/random/*"               { capabilities = ["update"] }
"#;

impl Production {
    pub(crate) fn new() -> Self {
        let server = Server::start(|port, folder| {
            certificates(folder);
            fs::create_dir(folder.join("raft")).unwrap();
            let at = |name: &str| folder.join(name).display().to_string();
            let config = format!(
                r#"
storage "raft" {{ path = "{}" node_id = "one" }}
listener "tcp" {{ address = "127.0.0.1:{port}" tls_cert_file = "{}" tls_key_file = "{}" tls_client_ca_file = "{}" }}
api_addr = "https://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{}"
"#,
                at("raft"),
                at("server.pem"),
                at("server.key"),
                at("ca.pem"),
                free_port(),
            );
            fs::write(folder.join("bao.hcl"), config).unwrap();
            let mut command = Command::new(tool("bin/bao"));
            command
                .args(["server", "-config"])
                .arg(folder.join("bao.hcl"))
                .env("HOME", folder);
            command
        });
        let mut made = Self {
            server,
            root: String::new(),
            unseal: String::new(),
        };
        let keys = made.bao(&["operator", "init", "-key-shares=1", "-key-threshold=1", "-format=json"]);
        let keys: Value = serde_json::from_str(&keys).unwrap();
        made.root = keys["root_token"].as_str().unwrap().to_owned();
        made.unseal = keys["unseal_keys_b64"][0].as_str().unwrap().to_owned();
        made.unseal();
        let started = Instant::now();
        // Raft elects its leader some time after the unseal, and writes nothing before.
        while !made.try_bao(&["secrets", "enable", "transit"]).0 {
            assert!(started.elapsed() < Duration::from_secs(60), "OpenBao elects nobody");
            std::thread::sleep(Duration::from_millis(100));
        }
        made.bao(&["write", "-f", "transit/keys/main"]);
        fs::write(made.path("least.hcl"), LEAST).unwrap();
        // The least that the manual asks for: a wider policy would hide a missing right.
        made.bao(&["policy", "write", "least", &made.path("least.hcl")]);
        made.bao(&["auth", "enable", "approle"]);
        made.bao(&[
            "write",
            "auth/approle/role/job",
            "token_policies=least",
            "secret_id_num_uses=1",
            "token_ttl=60s",
        ]);
        made.bao(&["auth", "enable", "cert"]);
        let ca = format!("certificate=@{}", made.path("ca.pem"));
        made.bao(&[
            "write",
            "auth/cert/certs/job",
            &ca,
            "allowed_common_names=job",
            "token_policies=least",
        ]);
        made
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.server.folder.path().join(name).display().to_string()
    }

    pub(crate) fn key(&self) -> String {
        format!("vault:https://127.0.0.1:{}/transit/main", self.server.port)
    }

    pub(crate) fn unseal(&self) {
        self.bao(&["operator", "unseal", &self.unseal]);
    }

    pub(crate) fn role_id(&self) -> String {
        self.bao(&["read", "-field=role_id", "auth/approle/role/job/role-id"])
    }

    /// A secret id that serves once.
    pub(crate) fn secret_id(&self) -> String {
        self.bao(&["write", "-f", "-field=secret_id", "auth/approle/role/job/secret-id"])
    }

    /// The command `bao`, as root.
    pub(crate) fn bao(&self, arguments: &[&str]) -> String {
        let (done, output) = self.try_bao(arguments);
        assert!(done, "bao {}: {output}", arguments[0]);
        output
    }

    fn try_bao(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(tool("bin/bao"))
            .args(arguments)
            .env("BAO_ADDR", format!("https://127.0.0.1:{}", self.server.port))
            .env("BAO_CACERT", self.path("ca.pem"))
            .env("BAO_TOKEN", &self.root)
            .env("HOME", self.server.folder.path())
            .output()
            .unwrap();
        let text = if output.status.success() {
            &output.stdout
        } else {
            &output.stderr
        };
        (output.status.success(), String::from_utf8_lossy(text).trim().to_owned())
    }
}

/// Two authorities; certificates of the first for the server and for the clients `job` and `stranger`; of the second,
/// for `job`.
pub(crate) fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(folder)
            .output();
        let output = output.expect("openssl, which Debian has");
        assert!(
            output.status.success(),
            "openssl {arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    for authority in ["ca", "other-ca"] {
        openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {authority}.key -out {authority}.pem -days 2 -subj /CN={authority} \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign"
        ));
    }
    for (name, common, authority, usage) in [
        ("server", "localhost", "ca", "serverAuth"),
        ("job", "job", "ca", "clientAuth"),
        ("stranger", "stranger", "ca", "clientAuth"),
        ("other-job", "job", "other-ca", "clientAuth"),
    ] {
        openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={common}"
        ));
        // Usage is set, as verifiers look at extendedKeyUsage.
        let extensions =
            format!("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n");
        fs::write(folder.join("extensions"), extensions).unwrap();
        openssl(&format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -out {name}.pem -days 2 -extfile extensions"
        ));
    }
}

/// Stands between a client and a server: what `script` says, a step a connection, then the server itself.
pub(crate) struct Between {
    pub(crate) port: u16,
}

/// What becomes of one connection.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// This answer, status and JSON body.
    Answer(u16, &'static str),
    /// Nothing, for as long as the client waits.
    Silence,
    /// What the server says.
    Forward(u16),
    /// The same, after so long.
    Late(u16, Duration),
}

impl Between {
    /// Does `steps` in turn, and the last of them from then on.
    pub(crate) fn new(steps: &'static [Step], forward: Option<u16>) -> Self {
        let forward = forward.map(Step::Forward);
        Self::doing(steps.iter().copied().chain(forward).collect())
    }

    /// The server at `port`, which takes its time for every answer.
    pub(crate) fn late(port: u16, after: Duration) -> Self {
        Self::doing(vec![Step::Late(port, after)])
    }

    fn doing(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        // The thread ends with the test process; it holds nothing but its listener.
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                // The last step goes on for ever, so a script need not know how often a client retries.
                let step = steps[number.min(steps.len() - 1)];
                let Ok(stream) = stream else { continue };
                std::thread::spawn(move || serve(stream, step));
            }
        });
        Self { port }
    }
}

fn serve(mut client: TcpStream, step: Step) {
    let Some(request) = read_request(&mut client) else {
        return;
    };
    match step {
        Step::Silence => std::thread::sleep(Duration::from_secs(30)),
        Step::Answer(status, body) => {
            let _ = write!(
                client,
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
        Step::Forward(port) | Step::Late(port, _) => {
            if let Step::Late(_, after) = step {
                std::thread::sleep(after);
            }
            let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            // One exchange a connection, so that the end of the answer is the end of the stream; keep-alive would
            // leave the copy waiting.
            let head = request
                .split(|byte| *byte == b'\n')
                .next()
                .map_or(0, |line| line.len() + 1);
            server
                .write_all(&[&request[..head], b"Connection: close\r\n", &request[head..]].concat())
                .unwrap();
            let _ = std::io::copy(&mut server, &mut client);
        }
    }
}

/// One request, body included.
pub(crate) fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut byte = [0; 4096];
    loop {
        let read = stream.read(&mut byte).ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&byte[..read]);
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if request.len() >= end + 4 + length {
                return Some(request);
            }
        }
    }
}

/// PyKMIP with mutual TLS; the key's id.
pub(crate) fn pykmip() -> (Server, String) {
    let server = Server::start(|port, folder| {
        certificates(folder);
        fs::create_dir(folder.join("policies")).unwrap();
        let at = |name: &str| folder.join(name).display().to_string();
        let config = format!(
            "[server]\nhostname=127.0.0.1\nport={port}\ncertificate_path={}\nkey_path={}\nca_path={}\nauth_suite=TLS1.2\npolicy_path={}\n\
             enable_tls_client_auth=True\ndatabase_path={}\n",
            at("server.pem"),
            at("server.key"),
            at("ca.pem"),
            at("policies"),
            at("keys.db"),
        );
        fs::write(folder.join("server.conf"), config).unwrap();
        let mut command = Command::new(tool("bin/pykmip-server"));
        command
            .arg("-f")
            .arg(folder.join("server.conf"))
            .arg("-l")
            .arg(folder.join("server.log"));
        command
    });
    let made = kmip(
        &server,
        "k = c.create(enums.CryptographicAlgorithm.AES, 256, cryptographic_usage_mask=[enums.CryptographicUsageMask.ENCRYPT, \
         enums.CryptographicUsageMask.DECRYPT]); c.activate(k); print(k)",
    );
    (server, made)
}

/// Asks PyKMIP by its own client, `c`, in Python.
pub(crate) fn kmip(server: &Server, code: &str) -> String {
    let at = |name: &str| server.folder.path().join(name).display().to_string();
    let program = format!(
        "from kmip.pie import client\nfrom kmip import enums\n\
         c = client.ProxyKmipClient(hostname='127.0.0.1', port={}, cert='{}', key='{}', ca='{}', ssl_version='PROTOCOL_TLSv1_2')\n\
         c.open()\n{code}\n",
        server.port,
        at("job.pem"),
        at("job.key"),
        at("ca.pem"),
    );
    let output = Command::new(tool("bin/python"))
        .args(["-c", &program])
        .env("HOME", server.folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
