//! A PostgreSQL cluster for tests that stop the database; all other tests share a cluster.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use super::process::free_port;

/// Shell script that stops PostgreSQL and removes the folder after EOF on standard input, which also
/// occurs if the test process dies.
const STOP_ON_EOF_SCRIPT: &str = r#"
trap '' INT TERM HUP
read -r _
"$@" -m immediate -w -t 30 stop >/dev/null 2>&1
rm -rf "$OWN_POSTGRES"
"#;

/// A PostgreSQL cluster with a separate folder and port, removed on drop.
#[derive(Debug)]
pub(crate) struct PostgresCluster {
    programs: PathBuf,
    home: PathBuf,
    port: u16,
    as_root: bool,
    keeper: Child,
    keeper_stdin: Option<ChildStdin>,
}

/// Runs a command that must succeed, and returns the output.
#[track_caller]
fn run_to_success(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Returns the folder of the newest PostgreSQL on this machine.
fn programs() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folder = run_to_success(Command::new(tests.join("find-postgres")));
    assert!(
        !folder.is_empty(),
        "the server programs of PostgreSQL (initdb, pg_ctl) are needed and not found; \
         `make test` installs them, or says what to install"
    );
    PathBuf::from(folder)
}

/// Builds a PostgreSQL command for a data folder, run as the user postgres if necessary.
fn program(programs: &Path, name: &str, home: &Path, as_root: bool) -> Command {
    let program = programs.join(name);
    let mut command = if as_root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // The user postgres may not be able to read the current folder.
    command.current_dir(home).arg("-D").arg(home.join("data"));
    command
}

impl PostgresCluster {
    /// Creates and starts a cluster. Blocks for a few seconds.
    pub(crate) fn make() -> Self {
        let mut id = Command::new("id");
        id.arg("-u");
        let as_root = run_to_success(id) == "0";
        // PostgreSQL refuses to run as root, and the user postgres needs access to the folder.
        let base = if as_root {
            PathBuf::from("/tmp")
        } else {
            std::env::temp_dir()
        };
        let home = tempfile::Builder::new()
            .prefix("storyden-auth-own-pg.")
            .tempdir_in(base)
            .unwrap()
            .keep();
        if as_root {
            let mut chown = Command::new("chown");
            chown.arg("postgres").arg(&home);
            run_to_success(chown);
        }
        let programs = programs();
        let mut initdb = program(&programs, "initdb", &home, as_root);
        initdb.args(["-U", "postgres", "--auth=trust", "--encoding=UTF8"]);
        initdb.args(["--locale=C", "--no-sync"]);
        run_to_success(initdb);

        let stop = program(&programs, "pg_ctl", &home, as_root);
        let mut keeper = Command::new("sh");
        keeper
            .args(["-c", STOP_ON_EOF_SCRIPT, "keeper"])
            .arg(stop.get_program())
            .args(stop.get_args())
            .env("OWN_POSTGRES", &home)
            .current_dir(&home)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut keeper = keeper.spawn().unwrap();
        let made = Self {
            keeper_stdin: keeper.stdin.take(),
            keeper,
            programs,
            home,
            port: free_port(),
            as_root,
        };
        made.start();
        made
    }

    /// Starts PostgreSQL, and waits until connections are accepted.
    pub(crate) fn start(&self) {
        // Committed data survives the crash of a process without fsync; only a crash of the machine
        // needs fsync.
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off",
            self.port
        );
        let mut start = self.control();
        start.arg("-l").arg(self.home.join("log"));
        start.args(["-o", &options, "-w", "-t", "120", "start"]);
        // PostgreSQL would inherit the pipes of this process and keep these open.
        start.stdin(Stdio::null()).stdout(Stdio::null());
        let started = start.stderr(Stdio::null()).status().unwrap().success();
        assert!(started, "PostgreSQL does not start: {}", self.log());
    }

    /// Stops PostgreSQL immediately, without a shutdown checkpoint.
    pub(crate) fn stop(&self) {
        let mut stop = self.control();
        stop.args(["-m", "immediate", "-w", "-t", "120", "stop"]);
        run_to_success(stop);
    }

    /// Kills a PostgreSQL process, upon which PostgreSQL ends all connections and recovers.
    pub(crate) fn kill(&self, process: i32) {
        let mut kill = self.control();
        kill.args(["kill", "KILL", &process.to_string()]);
        // Fails if the process has already ended.
        let _ = kill.output().unwrap();
    }

    fn control(&self) -> Command {
        program(&self.programs, "pg_ctl", &self.home, self.as_root)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.join("log")).unwrap_or_default()
    }

    /// Returns the URL of the database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for PostgresCluster {
    fn drop(&mut self) {
        drop(self.keeper_stdin.take());
        let _ = self.keeper.wait();
    }
}
