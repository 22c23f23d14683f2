//! The program as a process: start-up, invalid settings, shutdown, crash.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::journal::PATIENCE;
use crate::support::{Engine, Setup, both, free_port};

/// A server of this process on the program's database, with requests sent to the program. Accounts and
/// clients are created through the server.
async fn server_on(setup: &Setup, address: &str) -> crate::support::Server {
    let mut server = setup.start().await;
    address.clone_into(&mut server.address);
    server
}

/// The permission bits of a file or folder.
fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Makes a file readable for others, as older versions did.
fn widen(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
}

both! {
    /// P1, P2, T1: acknowledged writes survive SIGKILL, and consumed codes and tokens stay consumed.
    async fn acknowledged_writes_survive_sigkill(setup: Setup) {
        let mut setup = setup;
        setup.use_machine_clock();
        let port = free_port();
        let program = setup.spawn(port).await;
        let server = server_on(&setup, &program.address).await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let spent = server.code(&frigg, &app, &[]).await;
        let first = server.exchange(&app, &spent).await.expect(200);
        let second = server.refresh(&app, &first.text("refresh_token")).await.expect(200);
        let unspent = server.code(&frigg, &app, &[]).await;
        let pending = server.pending(&frigg, &app, &[]).await;
        let device = server.start_device(&app, "openid").await.expect(200);
        program.kill().await;

        let program = setup.spawn(port).await;
        let third = server.refresh(&app, &second.text("refresh_token")).await.expect(200);
        server.get_with_bearer("/api/oauth/userinfo", &third.text("access_token")).await.expect(200);
        server.exchange(&app, &unspent).await.expect(200);
        server.decide(&frigg, &pending, "approve").await.expect(200);
        let poll = server.poll(&app, &device.text("device_code")).await;
        poll.expect_error(400, "authorization_pending");
        // At the end: some seconds after the exchange, a replay revokes the tokens.
        server.exchange(&app, &spent).await.expect_error(400, "invalid_grant");
        program.kill().await;
    }

    /// P5: on SIGTERM the server stops being ready, closes idle connections and exits. The tests in
    /// `drain` enforce the time limit.
    async fn sigterm_drains_and_exits(setup: Setup) {
        let mut program = setup.spawn(free_port()).await;
        let server = server_on(&setup, &program.address).await;
        server.get("/readyz").await.expect(200); // keeps its connection open
        program.terminate().await;
        program.says("draining").await;
        let (code, said) = tokio::time::timeout(PATIENCE, program.wait()).await.expect("exits");
        assert_eq!(code, Some(0), "{said:?}");
        assert!(said.iter().any(|line| line.contains("stopped")), "{said:?}");
    }

    async fn every_invalid_setting_is_reported_on_its_own_line(setup: Setup) {
        let ended = setup
            .run(
                &["serve"],
                &[
                    ("OAUTH_ACCESS_TOKEN_TTL", "15"),
                    ("LISTEN_ADDR", "here"),
                    ("PUBLIC_WEB_ADDRESS", "community.example"),
                ],
            )
            .await;
        assert_eq!(ended.code, Some(1));
        for variable in ["OAUTH_ACCESS_TOKEN_TTL", "LISTEN_ADDR", "PUBLIC_WEB_ADDRESS"] {
            let lines = ended.stderr.lines().filter(|line| line.contains(variable)).count();
            assert_eq!(lines, 1, "{variable}: {}", ended.stderr);
        }
    }

    /// req_075: a public address without https must be a loopback address.
    async fn plain_http_requires_a_loopback_address(setup: Setup) {
        let settings = [("PUBLIC_API_ADDRESS", "http://auth.example")];
        let ended = setup.run(&["serve"], &settings).await;
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("PUBLIC_API_ADDRESS must start with https://"), "{}", ended.stderr);
    }

    /// the server does not start with an invalid signing key.
    async fn an_invalid_signing_key_prevents_the_start(setup: Setup) {
        let ended = setup.run(&["serve"], &[("OAUTH_SIGNING_KEY_BASE64", "bm8ga2V5")]).await;
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("OAUTH_SIGNING_KEY_BASE64 is not the PEM"), "{}", ended.stderr);
    }

    async fn a_missing_key_is_generated_on_sqlite_and_required_on_postgresql(setup: Setup) {
        let settings = [("OAUTH_SIGNING_KEY_BASE64", "")];
        if setup.engine == Engine::Postgres {
            let ended = setup.run(&["serve"], &settings).await;
            assert_eq!(ended.code, Some(1));
            assert!(ended.stderr.contains("storyden-auth key generate --json"), "{}", ended.stderr);
            return;
        }
        let served = async || {
            let program = setup.spawn_with(free_port(), &settings).await;
            let jwks = server_on(&setup, &program.address).await.get("/api/oauth/jwks").await;
            program.kill().await;
            jwks.expect(200).json()["keys"][0]["kid"].clone()
        };
        let first = served().await;
        assert_eq!(served().await, first, "the key is used again");
        let shown = setup.run(&["key", "show", "--json"], &settings).await;
        let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
        assert_eq!(shown["kid"], first);
        assert_eq!(mode(&setup.folder.join("oauth-keys.secret")), 0o600);
    }

    async fn commands_work_while_a_server_runs(setup: Setup) {
        let program = setup.spawn(free_port()).await;
        let create = ["account", "create", "--handle", "odin", "--admin", "--json"];
        let made = setup.run(&create, &[]).await;
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        let list = setup.run(&["account", "list", "--json"], &[]).await;
        assert!(list.stdout.contains("odin"), "{}", list.stdout);
        program.kill().await;
    }

    /// T1: a second server on the same SQLite file refuses to start, with an error that names the file
    /// and the process. Commands work meanwhile, and after SIGKILL the file is free. On PostgreSQL
    /// several servers may run.
    async fn one_server_per_sqlite_file(setup: Setup) {
        let first = setup.spawn(free_port()).await;
        if setup.engine == Engine::Postgres {
            setup.spawn(free_port()).await.kill().await;
            return first.kill().await;
        }
        let listen = format!("127.0.0.1:{}", free_port());
        let second = setup.run(&["serve"], &[("LISTEN_ADDR", &listen)]).await;
        assert_eq!(second.code, Some(1), "{second:?}");
        for part in ["test.db is in use by", &format!("the process id {};", first.pid()), "DATA_DIR"] {
            assert!(second.stderr.contains(part), "{part}: {}", second.stderr);
        }
        for command in [
            &["account", "create", "--handle", "odin", "--admin", "--json"][..], &["client", "list"],
            &["doctor"], &["migrate"], &["grant", "revoke", "--account", "odin", "--yes"],
        ] {
            let ended = setup.run(command, &[]).await;
            assert!(!ended.stderr.contains("is in use"), "{command:?}: {}", ended.stderr);
        }
        first.kill().await;
        setup.spawn(free_port()).await.kill().await;
    }

    /// A command without the settings of the server must not work on a second, empty database.
    async fn commands_create_no_second_database(setup: Setup) {
        let data = setup.folder.join("elsewhere");
        let shown = data.display().to_string();
        let settings = [("DATABASE_URL", ""), ("DATA_DIR", shown.as_str())];
        for command in [
            &["account", "list"][..], &["client", "list"], &["audit"], &["role", "list"], &["key", "list"],
            &["account", "password", "odin", "--generate-password"], &["export"],
        ] {
            let ended = setup.run(command, &settings).await;
            assert_eq!(ended.code, Some(1), "{command:?}: {}", ended.stdout);
            let reason = format!("DATA_DIR ({shown}/storyden-auth.db): there is no such database");
            assert!(ended.stderr.contains(&reason), "{command:?}: {}", ended.stderr);
            assert!(!data.exists(), "{command:?}");
        }
        let create = ["account", "create", "--handle", "odin", "--json"];
        assert_eq!(setup.run(&create, &settings).await.code, Some(0));
        assert_eq!(setup.run(&["account", "list"], &settings).await.code, Some(0));
    }

    /// A fault in the file of settings names the file, the line and the variable, and not the value.
    async fn a_fault_in_the_file_of_settings_is_named(setup: Setup) {
        let file = setup.folder.join("settings.env");
        let shown = file.display().to_string();
        std::fs::write(&file, "# settings\n\nBRAND_NAME=My Community\n").unwrap();
        let ended = setup.run(&["--env-file", &shown, "serve"], &[]).await;
        assert_eq!(ended.code, Some(1));
        let reason = format!("--env-file {shown}: line 3, BRAND_NAME: put a value with spaces in quotes");
        assert!(ended.stderr.contains(&reason), "{}", ended.stderr);
        assert!(!ended.stderr.contains("Community"), "{}", ended.stderr);
        let ended = setup.run(&["serve"], &[("DATABASE_URL", "postgres://a:p/w#d@h/x")]).await;
        assert!(ended.stderr.contains("percent-encode special characters of the password"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("p/w#d"), "{}", ended.stderr);
    }

    /// wrong values of TRUSTED_PROXIES and PUBLIC_API_ADDRESS are in the log, once.
    async fn requests_that_show_a_wrong_setting_are_logged(setup: Setup) {
        let mut setup = setup;
        setup.use_machine_clock();
        let settings = [("TRUSTED_PROXIES", "10.0.0.0/8"), ("LISTEN_ADDRESS", "x")];
        let program = setup.spawn_with(free_port(), &settings).await;
        let server = server_on(&setup, &program.address).await;
        let frigg = server.member("frigg", &[]).await;
        for _ in 0..2 {
            let request = server.request("POST", "/api/auth/oauth/clients");
            let request = request.header("cookie", frigg.cookie()).header("x-forwarded-for", "203.0.113.7");
            let request = request.header("origin", "https://community.example").json(&serde_json::json!({}));
            server.send(request).await.expect(403);
        }
        program.terminate().await;
        let (_, said) = program.wait().await;
        let count = |text: &str| said.iter().filter(|line| line.contains(text)).count();
        assert_eq!(count("X-Forwarded-For from 127.0.0.1 ignored: not in TRUSTED_PROXIES"), 1, "{said:?}");
        assert!((1..=2).contains(&count("origin=\"https://community.example\"")), "{said:?}");
    }

    /// Errors at the start are JSON too, and an address of metrics that is in use is found before "serving".
    async fn errors_at_the_start_have_the_format_of_the_log(setup: Setup) {
        let busy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taken = busy.local_addr().unwrap().to_string();
        let free = format!("127.0.0.1:{}", free_port());
        let settings = [("LOG_FORMAT", "json"), ("METRICS_ADDR", taken.as_str()), ("LISTEN_ADDR", &free)];
        let ended = setup.run(&["serve"], &settings).await;
        assert_eq!(ended.code, Some(1));
        let lines: Vec<serde_json::Value> = ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let last = lines.last().unwrap();
        assert_eq!(last["level"], "ERROR", "{last}");
        assert!(last["error"].as_str().unwrap().contains("METRICS_ADDR"), "{last}");
        assert!(!ended.stderr.contains("\"serving\""), "{}", ended.stderr);
        drop(busy);
    }

    /// Issue 15: `account create` tells that a member without a role cannot approve applications, and how to change that.
    async fn a_new_account_without_a_role_is_told(setup: Setup) {
        let create = |handle: &'static str| ["account", "create", "--handle", handle, "--generate-password"];
        let made = setup.run(&create("frigg"), &[]).await;
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        assert!(made.stderr.contains("frigg cannot approve applications yet"), "{}", made.stderr);
        assert!(made.stderr.contains("role assign frigg"), "{}", made.stderr);
        let admin = [&create("odin")[..], &["--admin"]].concat();
        let made = setup.run(&admin, &[]).await;
        assert!(!made.stderr.contains("cannot approve"), "{}", made.stderr);
        // A role that every member has is enough.
        let everybody = ["role", "create", "Developers", "--permission", "USE_OAUTH_CLIENTS"];
        assert_eq!(setup.run(&everybody, &[]).await.code, Some(0));
        let developers = "UPDATE roles SET id = '000000000000000000m0', name = 'Member' WHERE name = 'Developers'";
        let server = setup.start().await;
        server.sql("DELETE FROM roles WHERE id = '000000000000000000m0'", &[]).await;
        server.sql(developers, &[]).await;
        let made = setup.run(&create("thor"), &[]).await;
        assert!(!made.stderr.contains("cannot approve"), "{}", made.stderr);
    }

    /// The files of a new server are readable by the owner only, regardless of the umask. The next
    /// start repairs the mode of older files, except the database file of a Storyden.
    async fn files_are_for_the_owner_alone(setup: Setup) {
        if setup.engine == Engine::Postgres {
            return;
        }
        let folder = setup.folder.join("new/data");
        let data = folder.display().to_string();
        let settings = [("DATABASE_URL", ""), ("DATA_DIR", data.as_str()), ("OAUTH_SIGNING_KEY_BASE64", "")];
        let program = setup.spawn_with(free_port(), &settings).await;
        let create = ["account", "create", "--handle", "odin", "--json"];
        assert_eq!(setup.run(&create, &settings).await.code, Some(0));
        assert_eq!((mode(&setup.folder.join("new")), mode(&folder)), (0o700, 0o700));
        let names: Vec<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        for name in ["storyden-auth.db", "storyden-auth.db-wal", "storyden-auth.db-shm", "oauth-keys.secret"] {
            assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        }
        for name in &names {
            assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
        }
        program.kill().await;

        let keys = ["oauth-keys.secret", "remote-token.key"].map(|name| folder.join(name));
        std::fs::write(&keys[1], "x").unwrap();
        let database = ["", "-wal", "-shm"].map(|end| folder.join(format!("storyden-auth.db{end}")));
        for file in keys.iter().chain(&database) {
            widen(file);
        }
        let mut program = setup.spawn_with(free_port(), &settings).await;
        for file in keys.iter().chain(&database) {
            assert_eq!(mode(file), 0o600, "{}", file.display());
        }
        program.terminate().await;
        let _ = program.line().await;
        let (code, _) = program.wait().await;
        assert_eq!(code, Some(0));

        let file = setup.folder.join("test.db");
        let storyden = setup.add_storyden_tables().await;
        widen(&file);
        setup.spawn(free_port()).await.kill().await;
        assert_eq!(mode(&file), 0o644);
        drop(storyden);
    }
}
