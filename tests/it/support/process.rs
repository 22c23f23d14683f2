//! The program itself, as an operator runs it.

use std::process::Stdio;
use std::sync::Mutex;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::database::signing_key;
use super::server::Setup;

/// A running program and what it says on stderr.
pub(crate) struct Process {
    pub(crate) address: String,
    child: Child,
    /// Read as it comes, so that the program never waits for a reader.
    log: mpsc::UnboundedReceiver<String>,
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Setup {
    /// The program with a command and the settings of this setup, and nothing else of ours.
    pub(crate) fn program(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
        // A file that may not grow is then an error to the program, as a full disk is, and no signal.
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
            .envs(faked_time())
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
        let output = self.program(arguments, settings).output().await.unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts the program as a server, and waits until it says that it serves.
    pub(crate) async fn spawn(&self, port: u16) -> Process {
        self.spawn_with(port, &[]).await
    }

    /// The same with further settings.
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
                // Read on when nobody listens any more.
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

/// The variables by which `TEST_DATE` of `tests/run` gives a program another date. Not the memory that
/// libfaketime shares: a program that is killed may have locked the memory.
#[expect(
    clippy::disallowed_methods,
    reason = "they belong to the machine, not to the settings"
)]
fn faked_time() -> impl Iterator<Item = (String, String)> {
    std::env::vars().filter(|(name, _)| match name.as_str() {
        "LD_PRELOAD" | "NO_FAKE_STAT" => true,
        "FAKETIME_SHARED" => false,
        other => other.starts_with("FAKETIME"),
    })
}

/// A port that no other program is given before this process ends.
///
/// On Linux a socket that is bound and does not listen keeps the port from every program that asks
/// for a free one, and still lets a server with `SO_REUSEADDR` listen there, again and again. Other
/// systems do not allow the second socket; there the port is merely free at this moment.
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
    /// Asks it to end, as an operator or a container does.
    pub(crate) async fn terminate(&self) {
        let kill = Command::new("kill").args(["-TERM", &self.pid()]).status();
        assert!(kill.await.unwrap().success());
    }

    /// Lets no file of its own grow beyond a size; `unlimited` lets them grow again.
    #[cfg(target_os = "linux")]
    pub(crate) async fn limit_files(&self, size: &str) {
        let limit = format!("--fsize={size}:unlimited");
        let mut prlimit = Command::new("prlimit");
        let limited = prlimit.args(["--pid", &self.pid(), &limit]).status();
        assert!(limited.await.unwrap().success());
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> String {
        self.child.id().unwrap().to_string()
    }

    /// Ends it without a word, as a crash does.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits for it to end by itself; its exit code and the rest of its log.
    pub(crate) async fn wait(mut self) -> (Option<i32>, Vec<String>) {
        let mut said = Vec::new();
        while let Some(line) = self.log.recv().await {
            said.push(line);
        }
        (self.child.wait().await.unwrap().code(), said)
    }

    /// The next line of its log; none when it has ended.
    pub(crate) async fn line(&mut self) -> Option<String> {
        self.log.recv().await
    }

    /// Waits for a line of its log.
    pub(crate) async fn says(&mut self, text: &str) {
        while let Some(line) = self.log.recv().await {
            if line.contains(text) {
                return;
            }
        }
        panic!("it never said {text:?}");
    }
}
