//! T4: the database is killed under the server, and comes back.
//!
//! On a PostgreSQL of the test's own, since every other test is a guest of the common one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use storyden_auth::clock::{Clock, Stopwatch};
use tokio::task::JoinSet;

use crate::support::{Answer, Client, Engine, Server, Setup, free_port};

/// How often the database is killed.
const KILLS: usize = 3;
/// How many clients refresh meanwhile.
const CHAINS: usize = 6;
/// How soon after its database the server is ready again (P4).
const READY: Duration = Duration::from_secs(2);

/// A PostgreSQL that is taken away at the end.
struct OwnPostgres {
    programs: PathBuf,
    home: tempfile::TempDir,
    port: u16,
    as_root: bool,
}

/// The newest PostgreSQL of this machine, as `tests/run` looks for it.
fn programs() -> PathBuf {
    let found = Command::new("sh")
        .args([
            "-c",
            "if command -v initdb >/dev/null; then dirname \"$(command -v initdb)\"; fi; \
             ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin \
             /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin 2>/dev/null | sort -rV",
        ])
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let mut folders = found.lines().map(PathBuf::from);
    folders
        .find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
        .expect("the server programs of PostgreSQL (initdb, pg_ctl) are needed and not found")
}

/// The output of a command that must go well.
#[track_caller]
fn done(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

impl OwnPostgres {
    /// Makes one and starts it.
    fn start() -> Self {
        let mut id = Command::new("id");
        id.arg("-u");
        let as_root = done(id).trim() == "0";
        // Where the user postgres can get, if it is to run it.
        let base = if as_root {
            PathBuf::from("/tmp")
        } else {
            std::env::temp_dir()
        };
        let home = tempfile::Builder::new()
            .prefix("storyden-auth-away.")
            .tempdir_in(base)
            .unwrap();
        if as_root {
            let mut chown = Command::new("chown");
            chown.arg("postgres").arg(home.path());
            done(chown);
        }
        let made = Self {
            programs: programs(),
            home,
            port: port(),
            as_root,
        };
        let mut initdb = made.program("initdb");
        initdb.args([
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        done(initdb);
        made.start_again();
        made
    }

    /// A program of it on its data, as the user that may run it.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = if self.as_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .current_dir(self.home.path())
            .arg("-D")
            .arg(self.home.path().join("data"));
        command
    }

    /// What was committed survives its processes, which is all that is asked of the disk here.
    fn start_again(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off",
            self.port
        );
        let log = self.home.path().join("log");
        let mut start = self.program("pg_ctl");
        start
            .arg("-l")
            .arg(&log)
            .args(["-o", &options, "-w", "-t", "30", "start"]);
        start
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = start.status().unwrap().success();
        assert!(started, "PostgreSQL does not start: {}", read(&log));
    }

    /// Ends it without a word, as a crash does.
    fn kill(&self) {
        let mut stop = self.program("pg_ctl");
        stop.args(["-m", "immediate", "-w", "stop"]);
        done(stop);
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        let mut stop = self.program("pg_ctl");
        let _ = stop.args(["-m", "immediate", "-w", "stop"]).output();
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

/// A port below those that systems give to outgoing connections, so that it is free again after a
/// restart.
fn port() -> u16 {
    let first = u16::try_from(std::process::id() % 10_000).unwrap();
    let mut ports = (0..100).map(|step| 20_000 + first + step);
    ports
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// Refreshes until the database is away; the last token that was given.
async fn refresh_until_away(server: Arc<Server>, app: Client, mut token: String) -> String {
    loop {
        let answer = server.refresh(&app, &token).await;
        if answer.status != 200 {
            away(answer).expect_error(503, "temporarily_unavailable");
            return token;
        }
        token = answer.text("refresh_token");
    }
}

/// Fails unless it says that the server is not able to answer, and when to come again.
#[track_caller]
fn away(answer: Answer) -> Answer {
    let answer = answer.expect(503);
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    answer
}

/// What is answered while the database is away.
async fn check_away(server: &Server, app: &Client, code: &str) {
    let up = async {
        for path in [
            "/api/oauth/jwks",
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server",
            "/healthz",
        ] {
            server.get(path).await.expect(200);
        }
    };
    let ((), ready, exchanged) =
        tokio::join!(up, server.get("/readyz"), server.exchange(app, code));
    away(ready);
    away(exchanged).expect_error(503, "temporarily_unavailable");
}

/// T4, P1, P2, P3, P4: its database killed under load, the server says 503 and when to come again,
/// keeps its keys and its description up, and is ready within two seconds of the database, with
/// everything as it was acknowledged.
#[expect(
    clippy::print_stderr,
    reason = "the figures of the run, for who asks for them"
)]
async fn the_database_goes_and_comes_back(setup: Setup) {
    let postgres = tokio::task::spawn_blocking(OwnPostgres::start)
        .await
        .unwrap();
    let postgres = Arc::new(postgres);
    let mut setup = setup;
    setup.clock = Clock::machine();
    setup.database.url = postgres.url();
    let window = [("OAUTH_REFRESH_TOKEN_REUSE_WINDOW", "30s")];
    let program = setup.spawn_with(free_port(), &window).await;
    let mut server = setup.start().await;
    let frigg = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    server.app.db.close().await;
    program.address.clone_into(&mut server.address);
    let server = Arc::new(server);
    let mut chains = Vec::new();
    for _ in 0..CHAINS {
        let first = server.tokens(&frigg, &app, &[]).await;
        chains.push(first.text("refresh_token"));
    }
    for kill in 0..KILLS {
        let spent = server.code(&frigg, &app, &[]).await;
        server.exchange(&app, &spent).await.expect(200);
        let unspent = server.code(&frigg, &app, &[]).await;
        let mut running = JoinSet::new();
        for token in chains {
            running.spawn(refresh_until_away(Arc::clone(&server), app.clone(), token));
        }
        let gone = Arc::clone(&postgres);
        tokio::task::spawn_blocking(move || gone.kill())
            .await
            .unwrap();
        check_away(&server, &app, &unspent).await;
        chains = running.join_all().await;

        let back = Arc::clone(&postgres);
        tokio::task::spawn_blocking(move || back.start_again())
            .await
            .unwrap();
        let since = Stopwatch::start();
        let ready = async { while server.get("/readyz").await.status != 200 {} };
        tokio::time::timeout(READY, ready)
            .await
            .expect("ready in time");
        eprintln!("kill {kill}: ready after {:.3} s", since.seconds());

        server
            .exchange(&app, &spent)
            .await
            .expect_error(400, "invalid_grant");
        server.exchange(&app, &unspent).await.expect(200);
        for token in &mut chains {
            // Used for the first time, or again since its answer was lost: one successor.
            let next = server
                .refresh(&app, token)
                .await
                .expect(200)
                .text("refresh_token");
            let again = server
                .refresh(&app, token)
                .await
                .expect(200)
                .text("refresh_token");
            assert_eq!(next, again, "two successors of one token");
            *token = next;
        }
    }
    program.terminate().await;
    let (code, said) = program.wait().await;
    assert_eq!(code, Some(0), "{said:?}");
}

mod postgres {
    #[test]
    fn the_database_goes_and_comes_back() {
        crate::support::run(
            super::Engine::Postgres,
            super::the_database_goes_and_comes_back,
        );
    }
}
