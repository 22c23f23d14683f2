//! The storyden-auth program, run as a separate process.

use std::process::Stdio;
use std::sync::Mutex;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::database::signing_key;
use super::server::Setup;

/// A running program and the log on stderr.
pub(crate) struct Process {
    pub(crate) address: String,
    child: Child,
    /// Lines read by a task, so that a full pipe never blocks the program.
    log: mpsc::UnboundedReceiver<String>,
}

/// Exit code and output of a program.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Setup {
    /// Builds a command of the program with the settings of this setup and no other environment.
    pub(crate) fn program(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
        // With SIGXFSZ ignored, the file size limit causes EFBIG, similar to a full disk.
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#])
            .arg(env!("CARGO_BIN_EXE_storyden-auth"))
            .args(arguments)
            .env_clear()
            .env("DATABASE_URL", &self.database.url)
            .env("DATA_DIR", &self.folder)
            .env(
                "OAUTH_SIGNING_KEY_BASE64",
                std::fs::read_to_string(signing_key()).unwrap(),
            )
            .envs(settings.iter().copied())
            .envs(libfaketime_variables())
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command and waits for the exit.
    pub(crate) async fn run(&self, arguments: &[&str], settings: &[(&str, &str)]) -> CommandOutput {
        let output = self.program(arguments, settings).output().await.unwrap();
        CommandOutput {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts the program as a server, and waits until the log reports readiness.
    pub(crate) async fn spawn(&self, port: u16) -> Process {
        self.spawn_with(port, &[]).await
    }

    /// Starts the program as a server with additional settings.
    pub(crate) async fn spawn_with(&self, port: u16, further: &[(&str, &str)]) -> Process {
        let address = format!("127.0.0.1:{port}");
        let issuer = format!("http://{address}");
        let mut settings = vec![
            ("LISTEN_ADDR", address.as_str()),
            ("PUBLIC_API_ADDRESS", &issuer),
        ];
        settings.extend_from_slice(further);
        let mut child = self.program(&["serve"], &settings).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, mut log) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(line) = lines.next_line().await.unwrap() {
                // Continue to read after the receiver is dropped.
                let _ = sender.send(line);
            }
        });
        let mut said = Vec::new();
        loop {
            match log.recv().await {
                Some(line) if line.contains("serving") => break,
                Some(line) => said.push(line),
                None => panic!("the server ended: {said:?}"),
            }
        }
        Process {
            address: issuer,
            child,
            log,
        }
    }
}

/// Returns the variables with which `TEST_DATE` of `tests/run` sets a different date (libfaketime).
/// Without the shared memory of libfaketime, because a killed program may leave a lock there.
#[expect(
    clippy::disallowed_methods,
    reason = "they belong to the machine, not to the settings"
)]
fn libfaketime_variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars().filter(|(name, _)| match name.as_str() {
        "LD_PRELOAD" | "NO_FAKE_STAT" => true,
        "FAKETIME_SHARED" => false,
        other => other.starts_with("FAKETIME"),
    })
}

/// Returns a port that stays reserved until this process ends.
///
/// On Linux a bound socket that does not listen reserves the port, and a server with `SO_REUSEADDR` can
/// still listen there repeatedly. Other systems do not allow the second socket; there the port is only
/// free at this moment.
pub(crate) fn free_port() -> u16 {
    static HELD: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    if cfg!(target_os = "linux") {
        HELD.lock().unwrap().push(socket);
    }
    port
}

impl Process {
    /// Sends SIGTERM.
    pub(crate) async fn terminate(&self) {
        let kill = Command::new("kill").args(["-TERM", &self.pid()]).status();
        assert!(kill.await.unwrap().success());
    }

    /// Limits the size of the program's files (RLIMIT_FSIZE); `unlimited` removes the limit.
    #[cfg(target_os = "linux")]
    pub(crate) async fn limit_files(&self, size: &str) {
        let limit = format!("--fsize={size}:unlimited");
        let mut prlimit = Command::new("prlimit");
        let limited = prlimit.args(["--pid", &self.pid(), &limit]).status();
        assert!(limited.await.unwrap().success());
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> String {
        self.child.id().unwrap().to_string()
    }

    /// Sends SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits for the exit, and returns the exit code and the remaining log lines.
    pub(crate) async fn wait(mut self) -> (Option<i32>, Vec<String>) {
        let mut said = Vec::new();
        while let Some(line) = self.log.recv().await {
            said.push(line);
        }
        (self.child.wait().await.unwrap().code(), said)
    }

    /// Returns the next log line, or `None` after the exit.
    pub(crate) async fn line(&mut self) -> Option<String> {
        self.log.recv().await
    }

    /// Waits for a log line that contains `text`.
    pub(crate) async fn says(&mut self, text: &str) {
        while let Some(line) = self.log.recv().await {
            if line.contains(text) {
                return;
            }
        }
        panic!("it never said {text:?}");
    }
}
