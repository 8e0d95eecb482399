//! The local KMS unlocked by the operating system's keyring: a real Secret Service on a bus of its own.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Place;
use crate::sandbox::text;

/// A D-Bus daemon and GNOME Keyring; ended by their process ids when dropped.
struct SecretService {
    folder: TempDir,
    running: Vec<Child>,
}

impl SecretService {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_owned();
        let path = |name: &str| place.join(name).display().to_string();
        // It starts no services of the machine's.
        let bus = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
             <allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>",
            path("bus")
        );
        fs::write(path("bus.conf"), bus).unwrap();
        // For its owner alone, as the XDG Base Directory Specification demands of XDG_RUNTIME_DIR.
        fs::DirBuilder::new().mode(0o700).create(path("run")).unwrap();
        let mut service = Self {
            running: Vec::new(),
            folder,
        };
        let mut daemon = Command::new("dbus-daemon");
        service.run(daemon.args(["--nofork", "--nopidfile", "--config-file", &path("bus.conf")]));
        service.wait(|| service.folder.path().join("bus").exists());
        let mut keyring = Command::new("gnome-keyring-daemon");
        let control = format!("--control-directory={}", path("run"));
        // Unlocked by a password on stdin, as a login does it.
        service.run(keyring.args(["--foreground", "--unlock", "--components=secrets", &control]));
        let mut password = service.running[1].stdin.take().unwrap();
        password.write_all(b"the password of a login").unwrap();
        drop(password);
        service.wait(|| service.get("Collections").contains("/collection/login"));
        service
    }

    fn run(&mut self, command: &mut Command) {
        let log = fs::File::create(self.folder.path().join(format!("log-{}", self.running.len()))).unwrap();
        let child = command
            // Nothing of the machine's own session may be reached.
            .env_clear()
            .envs(self.environment())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.running
            .push(child.unwrap_or_else(|error| panic!("{command:?}: {error}: `make tools` installs it")));
    }

    fn environment(&self) -> [(String, String); 4] {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        [
            (
                "DBUS_SESSION_BUS_ADDRESS".to_owned(),
                format!("unix:path={}", at("bus")),
            ),
            ("HOME".to_owned(), at("")),
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("XDG_RUNTIME_DIR".to_owned(), at("run")),
        ]
    }

    /// A property of the service, or of its login collection.
    fn get(&self, property: &str) -> String {
        let (path, interface) = match property {
            "Items" => ("/collection/login", "Collection"),
            _ => ("", "Service"),
        };
        let asked = Command::new("dbus-send")
            .envs(self.environment())
            .args(["--session", "--print-reply", "--dest=org.freedesktop.secrets"])
            .arg(format!("/org/freedesktop/secrets{path}"))
            .arg("org.freedesktop.DBus.Properties.Get")
            .arg(format!("string:org.freedesktop.Secret.{interface}"))
            .arg(format!("string:{property}"))
            .output()
            .unwrap();
        text(&asked.stdout)
    }

    /// How many secrets it keeps.
    fn items(&self) -> usize {
        self.get("Items").matches("object path").count()
    }

    fn wait(&self, until: impl Fn() -> bool) {
        let started = Instant::now();
        while !until() {
            let logs = [0, 1].map(|at| fs::read_to_string(self.folder.path().join(format!("log-{at}"))));
            assert!(started.elapsed() < Duration::from_secs(30), "{logs:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for SecretService {
    fn drop(&mut self) {
        // The last first: the keyring is a client of the bus.
        for child in self.running.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn the_keyring_of_the_operating_system_unlocks_it() {
    let service = SecretService::start();
    let mut place = Place::local(&[]);
    place.environment = service.environment().into();
    place.ok(&["protect", "people.parquet", "one.parquet"]);
    place.ok(&["kms", "passphrase", "--os-keyring"]);
    assert_eq!(service.items(), 1);
    // The file is unlocked by what the keyring keeps, and by nothing else.
    // What opened it before is gone.
    fs::remove_file(place.sandbox.path("unlock.key")).unwrap();
    let run = |arguments: &[&str], environment: &[(String, String)]| {
        let mut command = place.sandbox.command(arguments);
        command
            .env_remove("CIPHERFORM_KEY_FILE")
            .envs(environment.iter().cloned());
        command.output().unwrap()
    };
    for arguments in [
        &["keys", "doctor"][..],
        &["reveal", "one.parquet", "back.parquet"],
        &["protect", "people.parquet", "two.parquet"],
        // A new secret takes the place of the old one, which opens nothing any more.
        &["kms", "passphrase", "--os-keyring"],
        &["kms", "create", "local:second"],
    ] {
        let output = run(arguments, &place.environment);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    }
    assert_eq!(service.items(), 1);

    // Another person's keyring, and none at all.
    // The file alone, copied to another account, opens nothing.
    let stranger = SecretService::start();
    let refused = |environment: &[(String, String)]| {
        let output = run(&["keys", "doctor"], environment);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    let said = refused(&stranger.environment());
    assert!(
        said.contains("the keyring of the operating system has no unlock key for this file"),
        "{said}"
    );
    assert!(said.contains("hint: log in as the user who put it there"), "{said}");
    drop(stranger);
    let nowhere = ["DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus"].map(str::to_owned);
    let said = refused(&[nowhere.into()]);
    assert!(said.contains("no keyring of the operating system was found"), "{said}");

    // Back to a key file: the keyring forgets.
    fs::write(place.sandbox.path("new.key"), [7; 32]).unwrap();
    let output = run(&["kms", "passphrase", "--new-key-file", "new.key"], &place.environment);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(service.items(), 0);
    fs::rename(place.sandbox.path("new.key"), place.sandbox.path("unlock.key")).unwrap();
    drop(service);
    place.environment.clear();
    place.ok(&["reveal", "one.parquet", "again.parquet"]);
}
