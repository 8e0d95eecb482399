//! A real server, started and ended by the test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::ErrorKind;
use crate::tokens::{conformance, tests};

const PASSWORD_OF_TESTS: &str = "a password of tests";

/// The folder in which Debian and others install the programs of the server.
fn program(name: &str) -> std::path::PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.retain(|path| path.exists());
    found.sort();
    found.pop().expect("PostgreSQL is installed: `make tools` does so")
}

/// A command of the user `postgres`: the server does not run as root.
fn as_postgres(program: &Path) -> Command {
    let uid = Command::new("id").arg("-u").output().unwrap().stdout;
    if uid != b"0\n" {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(program);
    command
}

struct Server {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), PASSWORD_OF_TESTS).unwrap();
        // Where this is not root, it is its own already.
        let _ = Command::new("chown")
            .args(["-R", "postgres"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        let made = as_postgres(&program("initdb"))
            .args([
                "-A",
                // Not `trust`: the password must really be asked for.
                "scram-sha-256",
                "-U",
                "cipherform",
                "--no-sync",
                "-D",
                "data",
                "--pwfile=password",
            ])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        // A free port at this moment; tests run at the same time.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Self::spawn(&folder, port);
        let server = Self { folder, port, process };
        server.wait().await;
        server
    }

    fn spawn(folder: &TempDir, port: u16) -> Child {
        as_postgres(&program("postgres"))
            .args([
                "-D",
                "data",
                "-c",
                "listen_addresses=127.0.0.1",
                "-k",
                ".",
                "-p",
                &port.to_string(),
            ])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    async fn wait(&self) {
        let url = format!("{}?sslmode=disable", self.url());
        for _ in 0..300 {
            let password = Secret::new(PASSWORD_OF_TESTS.to_owned());
            if PostgresTokens::open_with(&url, Some(password), ANSWER).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the server does not answer");
    }

    /// From its next start on it speaks TLS, by a certificate that nobody knows but who has the file `server.pem`.
    fn secure(&self) {
        let data = self.folder.path().join("data");
        let made = as_postgres(Path::new("openssl"))
            .args(
                "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
                    .split(' '),
            )
            .args("-addext basicConstraints=critical,CA:FALSE -keyout server.key -out server.pem".split(' '))
            .current_dir(&data)
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let settings = "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n";
        let file = data.join("postgresql.conf");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text + settings).unwrap();
    }

    fn url(&self) -> String {
        format!("postgres://cipherform@127.0.0.1:{}/postgres", self.port)
    }

    async fn open(&self) -> Result<PostgresTokens> {
        self.open_within(ANSWER).await
    }

    async fn open_within(&self, patience: Duration) -> Result<PostgresTokens> {
        let password = Secret::new(PASSWORD_OF_TESTS.to_owned());
        PostgresTokens::open_with(&self.url(), Some(password), patience).await
    }

    /// Sends `signal` to what serves the server's connections.
    fn signal(&self, signal: &str) {
        let children = |parent: u32| {
            let path = format!("/proc/{parent}/task/{parent}/children");
            let children = std::fs::read_to_string(path).unwrap_or_default();
            children.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let done = Command::new("kill")
            .arg(signal)
            .args(children(self.process.id()))
            .status();
        assert!(done.unwrap().success());
    }

    /// Ends it at once, as a crash would.
    fn stop(&mut self) {
        let pid = self.process.id().to_string();
        // SIGQUIT is the server's immediate shutdown: it recovers from its log at the next start.
        let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

#[tokio::test]
async fn conforms_and_survives_its_server() {
    let mut server = Server::start().await;
    let (one, two) = (server.open().await.unwrap(), server.open().await.unwrap());
    assert_eq!(one.id(), two.id());
    conformance::check(Arc::new(one.clone())).await.unwrap();

    let error = PostgresTokens::open_with(&server.url(), Some(Secret::new("another".to_owned())), ANSWER)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAllowed, "{error}");
    let place = format!("PostgreSQL token store `127.0.0.1:{}/postgres`: ", server.port);
    assert!(error.message().starts_with(&place), "{error}");
    // The server has no TLS: `require` must fail, and not go on in the clear.
    let error = PostgresTokens::open(&format!("{}?sslmode=require", server.url()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProviderDown, "{error}");

    server.stop();
    let error = one.stats(0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProviderDown, "{error}");
    server.process = Server::spawn(&server.folder, server.port);
    server.wait().await;
    // The connection was lost with the server, and is made anew by the call.
    assert!(!one.stats(0).await.unwrap().is_empty());
}

#[tokio::test]
async fn tables_of_the_version_before_get_tags() {
    let server = Server::start().await;
    let store = server.open().await.unwrap();
    tests::refuse_exchanged_rows(Arc::new(store.clone())).await;
    let execute = async |sql: &str| {
        let guard = store.connection.lock().await;
        guard.as_ref().unwrap().client.batch_execute(sql).await.unwrap();
    };
    execute("ALTER TABLE cipherform_tokens DROP COLUMN tag; UPDATE cipherform_store SET version = 1;").await;
    for _ in 0..2 {
        let opened = server.open().await.unwrap();
        assert_eq!(opened.id(), store.id());
        conformance::check(Arc::new(opened)).await.unwrap();
    }
    execute("UPDATE cipherform_store SET version = 3").await;
    assert!(
        server
            .open()
            .await
            .unwrap_err()
            .message()
            .contains("of another version")
    );
}

/// Runs the test once more in a process of its own, since the trusted authorities stand in the environment.
#[tokio::test]
async fn tls_is_for_servers_whose_certificate_is_trusted() {
    const INSIDE: &str = "CIPHERFORM_TEST_TLS_URL";
    if let Ok(url) = std::env::var(INSIDE) {
        let store = PostgresTokens::open(&url).await.unwrap();
        let mut guard = store.connection.lock().await;
        let client = &guard.as_mut().unwrap().client;
        let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        // The server's own word for it.
        assert!(client.query_one(query, &[]).await.unwrap().get::<_, bool>(0));
        return;
    }
    let mut server = Server::start().await;
    server.stop();
    server.secure();
    server.process = Server::spawn(&server.folder, server.port);
    server.wait().await;
    let url = format!("{}?sslmode=require", server.url());
    let inside = |trusted: &Path| {
        Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "tokens::postgres::store::tests::tls_is_for_servers_whose_certificate_is_trusted",
            ])
            .env(INSIDE, &url)
            .env(PASSWORD, PASSWORD_OF_TESTS)
            .env("SSL_CERT_FILE", trusted)
            .output()
            .unwrap()
    };
    let output = inside(&server.folder.path().join("data/server.pem"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    // An authority that has not signed it: the certificate of another server.
    let other = Server::start().await;
    other.secure();
    let output = inside(&other.folder.path().join("data/server.pem"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{told}");
    assert!(told.contains("its TLS is refused: invalid peer certificate"), "{told}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left() {
    // One that takes connections, and no more.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://app@{}/tokens?connect_timeout=1",
        silent.local_addr().unwrap()
    );
    let error = PostgresTokens::open(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProviderDown);
    assert!(
        error.message().contains("/tokens`: does not answer within 1 s"),
        "{error}"
    );

    // One that falls silent, with a batch under way; and goes on later.
    let server = Server::start().await;
    let store = server.open_within(Duration::from_secs(2)).await.unwrap();
    let key = KeyVersionId::random().unwrap();
    store.domain("d", key).await.unwrap();
    let insertion = Arc::new(Insertion {
        domain: "d".into(),
        index_key: key,
        entries: vec![crate::tokens::Entry {
            token: "tok".into(),
            lookup: [1; 16],
            sealed: vec![2; 40],
            expires: None,
            tag: [0; 16],
            space: None,
        }],
        spaces: Vec::new(),
        now: 0,
    });
    server.signal("-STOP");
    let error = store.insert(Arc::clone(&insertion)).await.unwrap_err();
    server.signal("-CONT");
    assert_eq!(error.kind(), ErrorKind::ProviderDown);
    assert!(error.message().contains("does not answer within 2 s"), "{error}");
    assert!(error.hint().unwrap().to_string().contains(TIMEOUT));
    // New, not known: the transaction that was left was not committed when the server went on.
    let inserted = store.insert(insertion).await.unwrap();
    assert!(matches!(inserted, Inserted::Done { minted, .. } if minted == [Minted::New]));
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_on_their_own_connections_end_with_a_bijection() {
    let server = Server::start().await;
    let mut stores: Vec<Arc<dyn TokenStore>> = Vec::new();
    for _ in 0..8 {
        stores.push(Arc::new(server.open().await.unwrap()));
    }
    tests::end_with_a_bijection(stores).await;
}
