//! `doctor` as an operator runs the command: each problem has a finding and advice, and nothing is
//! changed.

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sqlx::Connection as _;
use storyden_auth::database_url::DatabaseUrl;
use storyden_auth::store::Db;
use tokio::net::TcpListener;

use crate::support::{Engine, Setup, both, free_port};

/// The exit code and the findings of a run.
struct Findings {
    code: Option<i32>,
    found: Vec<Value>,
}

impl Findings {
    /// The status and text of each finding of a check.
    #[track_caller]
    fn of(&self, check: &str) -> Vec<(&str, &str)> {
        let of_it = self.found.iter().filter(|found| found["check"] == check);
        of_it
            .map(|found| {
                let status = found["status"].as_str().unwrap();
                (status, found["finding"].as_str().unwrap())
            })
            .collect()
    }

    /// Fails unless a check has this finding, with advice unless the status is `ok`.
    #[track_caller]
    fn expect(&self, (check, status): (&str, &str), text: &str) {
        let found = self.found.iter().find(|found| {
            found["check"] == check
                && found["status"] == status
                && found["finding"].as_str().unwrap().contains(text)
        });
        let found = found.unwrap_or_else(|| panic!("no {status} {text:?} in {:#?}", self.found));
        assert_eq!(found["advice"].is_string(), status != "ok", "{found}");
    }

    /// Fails if a check has a warning or a failure.
    #[track_caller]
    fn expect_ok(&self, check: &str) {
        let found = self.of(check);
        assert!(!found.is_empty(), "nothing of {check}");
        assert!(found.iter().all(|(status, _)| *status == "ok"), "{found:?}");
    }
}

/// Runs `doctor --json`, with a free port unless the settings have an address.
async fn doctor(setup: &Setup, settings: &[(&str, &str)]) -> Findings {
    let free = format!("127.0.0.1:{}", free_port());
    let mut all = vec![("LISTEN_ADDR", free.as_str())];
    all.extend_from_slice(settings);
    let ended = setup.run(&["doctor", "--json"], &all).await;
    let found = serde_json::from_str(&ended.stdout);
    let found = found.unwrap_or_else(|error| panic!("{error}: {} {}", ended.stdout, ended.stderr));
    Findings {
        code: ended.code,
        found,
    }
}

/// Settings that match a Storyden with a local issuer.
fn matching_settings(issuer: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("OAUTH_PROFILE", "storyden"),
        ("PUBLIC_API_ADDRESS", issuer),
        ("PUBLIC_WEB_ADDRESS", "http://localhost:3000"),
    ]
}

/// Starts the part of a Storyden's API that `doctor` reads: metadata and key set. Introspection is 404.
async fn storydens_api(key: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let metadata = json!({ "issuer": issuer });
    let keys = json!({ "keys": [key] });
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(Json(metadata)))
        .route("/api/oauth/jwks", get(Json(keys)))
        .fallback(async || StatusCode::NOT_FOUND);
    tokio::spawn(async { axum::serve(listener, router).await });
    issuer
}

/// The public key that all tests share.
async fn key_of(setup: &Setup) -> Value {
    let shown = setup.run(&["key", "show", "--json"], &[]).await;
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    shown["jwk"].clone()
}

fn widen(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

both! {
    /// `doctor` has no complaint about a single server that answers at the issuer address.
    async fn a_healthy_server_has_no_findings(setup: Setup) {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let issuer = format!("http://{address}");
        let settings = [("LISTEN_ADDR", address.as_str()), ("PUBLIC_API_ADDRESS", &issuer)];
        let program = setup.spawn(port).await;
        let found = doctor(&setup, &settings).await;
        assert_eq!(found.code, Some(0), "{:#?}", found.found);
        for check in ["database", "migrations", "tables", "signing key", "addresses", "issuer"] {
            found.expect_ok(check);
        }
        found.expect(("database", "ok"), "used by this server only");
        found.expect(("issuer", "ok"), "a storyden-auth answers at this address");
        found.expect(("issuer", "ok"), "is served there");
        assert!(found.of("storyden").is_empty());
        let text = setup.run(&["doctor"], &settings).await.stdout;
        assert!(text.ends_with("All is well.\n"), "{text}");
        program.kill().await;
    }

    /// Beside a Storyden before the switch: the Storyden answers at the issuer address, with the same
    /// key.
    async fn settings_that_match_a_storyden_have_no_failures(setup: Setup) {
        let mut storyden = setup.add_storyden_tables().await;
        setup.start().await.member("frigg", &[]).await;
        let issuer = storydens_api(key_of(&setup).await).await;
        let before = storyden.schema().await;
        let found = doctor(&setup, &matching_settings(&issuer)).await;
        assert_eq!(found.code, Some(1), "{:#?}", found.found);
        found.expect(("database", "ok"), "the database of a Storyden");
        for check in ["tables", "storyden", "signing key", "addresses"] {
            found.expect_ok(check);
        }
        found.expect(("addresses", "ok"), "the session cookie is for localhost");
        found.expect(("issuer", "warn"), "the Storyden itself answers there");
        found.expect(("issuer", "ok"), "is served there");
        if setup.engine == Engine::Sqlite {
            // The journal mode of a Storyden's file is Storyden's choice, so no advice to change the
            // mode.
            found.expect(("journal", "ok"), "mode delete; chosen by the Storyden");
            found.expect_ok("time zone");
        }
        assert_eq!(storyden.schema().await, before);
    }

    async fn settings_that_do_not_match_a_storyden_are_reported(setup: Setup) {
        setup.add_storyden_tables().await;
        let settings = [("OAUTH_SIGNING_KEY_BASE64", ""), ("SIGNUP_ENABLED", "true")];
        let found = doctor(&setup, &settings).await;
        assert_eq!(found.code, Some(2));
        found.expect(("storyden", "warn"), "OAUTH_PROFILE is standards");
        found.expect(("storyden", "fail"), "OAUTH_SIGNING_KEY_BASE64 is not set");
        found.expect(("storyden", "warn"), "PUBLIC_WEB_ADDRESS is not set");
        found.expect(("storyden", "warn"), "SIGNUP_ENABLED is true");
        found.expect(("storyden", "warn"), "REMOTE_TOKEN_STORAGE is sealed");
    }

    /// With another key than the issuer serves, Storyden would reject the tokens of this server.
    async fn a_different_signing_key_is_reported(setup: Setup) {
        setup.add_storyden_tables().await;
        let mut key = key_of(&setup).await;
        key["n"] = json!("another");
        let issuer = storydens_api(key).await;
        let found = doctor(&setup, &matching_settings(&issuer)).await;
        assert_eq!(found.code, Some(2));
        found.expect(("issuer", "fail"), "/api/oauth/jwks serves the key");
    }

    /// Tables changed by another Storyden version or by hand.
    async fn a_different_schema_is_reported(setup: Setup) {
        let mut storyden = setup.add_storyden_tables().await;
        let text = storyden.pick("text", "varchar");
        storyden.run("DROP TABLE oauth_remote_authorisation_flows").await;
        storyden.run("ALTER TABLE oauth_clients RENAME COLUMN scope_policy TO policy").await;
        storyden.run("DROP INDEX oauthdeviceauthorisation_user_code_hash").await;
        storyden.run(&format!("ALTER TABLE sessions ADD COLUMN device {text}")).await;
        let found = doctor(&setup, &matching_settings("http://localhost:8000")).await;
        assert_eq!(found.code, Some(2));
        found.expect(("tables", "fail"), "the table oauth_remote_authorisation_flows is missing");
        found.expect(("tables", "fail"), "the column oauth_clients.scope_policy is missing");
        found.expect(("tables", "warn"), "lacks the unique index oauthdeviceauthorisation_user_code_hash");
        // An additional nullable column is harmless.
        assert_eq!(found.of("tables").len(), 3, "{:?}", found.of("tables"));
    }

    async fn an_incompatible_column_is_reported(setup: Setup) {
        let mut storyden = setup.add_storyden_tables().await;
        let text = storyden.pick("text", "varchar");
        storyden.run("DROP TABLE oauth_remote_authorisation_flows").await;
        storyden.run(&format!(
            "CREATE TABLE oauth_remote_authorisation_flows (id {text} PRIMARY KEY, \
             created_at {text} NOT NULL DEFAULT '', state_hash {text} NOT NULL, \
             pkce_verifier {text} NOT NULL, redirect_uri {text} NOT NULL, expires_at {text}, \
             consumed_at {text}, connection_id {text} NOT NULL, resource {text} NOT NULL)"
        ))
        .await;
        let found = doctor(&setup, &matching_settings("http://localhost:8000")).await;
        assert_eq!(found.code, Some(2));
        let flows = "oauth_remote_authorisation_flows";
        found.expect(("tables", "warn"), &format!("the column {flows}.expires_at is"));
        found.expect(("tables", "fail"), &format!("the column {flows}.resource is not known"));
    }

    /// The issuer address refuses connections, answers with another issuer, or has OAuth disabled.
    async fn an_issuer_that_does_not_answer_is_reported(setup: Setup) {
        let nobody = format!("http://localhost:{}", free_port());
        let found = doctor(&setup, &[("PUBLIC_API_ADDRESS", nobody.as_str())]).await;
        assert_eq!(found.code, Some(1), "it may not be running yet");
        found.expect(("issuer", "warn"), "/.well-known/openid-configuration: ");
        found.expect(("issuer", "warn"), "connection refused: the host answers, and no program listens");

        let other = setup.clone().with("PUBLIC_API_ADDRESS", "https://other.example").start().await;
        let found = doctor(&setup, &[("PUBLIC_API_ADDRESS", other.address.as_str())]).await;
        found.expect(("issuer", "warn"), "answers as \"https://other.example\", not as");

        let off = setup.clone().with("OAUTH_ENABLED", "false").start().await;
        let found = doctor(&setup, &[("PUBLIC_API_ADDRESS", off.address.as_str())]).await;
        found.expect(("issuer", "warn"), "the answer was 404 Not Found");
    }

    /// Storyden compares times as text: the UTC offset of stored times shows the zone that Storyden
    /// runs in.
    async fn stored_times_with_an_offset_are_reported(setup: Setup) {
        let mut storyden = setup.add_storyden_tables().await;
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        if setup.engine == Engine::Postgres {
            let found = doctor(&setup, &matching_settings("http://localhost:8000")).await;
            return assert!(found.of("time zone").is_empty(), "it keeps instants");
        }
        let local = "2026-11-21 03:33:09.799229598-05:00";
        let id = frigg.id.as_str();
        storyden
            .run(&format!("UPDATE sessions SET created_at = '{local}' WHERE account_id = '{id}'"))
            .await;
        let found = doctor(&setup, &matching_settings("http://localhost:8000")).await;
        found.expect(("time zone", "warn"), local);
    }

    async fn addresses_on_different_sites_are_reported(setup: Setup) {
        let settings = [
            ("PUBLIC_API_ADDRESS", "https://api.community.example"),
            ("PUBLIC_WEB_ADDRESS", "https://www.elsewhere.example"),
        ];
        let found = doctor(&setup, &settings).await;
        assert_eq!(found.code, Some(2));
        found.expect(("addresses", "fail"), "share no site, so browsers do not send the session cookie to the API");
        found.expect(("addresses", "warn"), "TRUSTED_PROXIES is empty");

        let siblings = [settings[0], ("PUBLIC_WEB_ADDRESS", "https://www.community.example")];
        let found = doctor(&setup, &siblings).await;
        found.expect(("addresses", "warn"), "the session cookie is for api.community.example");
        let below = [settings[0], ("PUBLIC_WEB_ADDRESS", "https://community.example")];
        let found = doctor(&setup, &below).await;
        found.expect(("addresses", "ok"), "the session cookie is for community.example");
    }

    async fn invalid_settings_are_reported(setup: Setup) {
        let found = doctor(&setup, &[("OAUTH_ACCESS_TOKEN_TTL", "soon")]).await;
        assert_eq!(found.code, Some(2));
        found.expect(("configuration", "fail"), "OAUTH_ACCESS_TOKEN_TTL");
    }

    async fn an_unreachable_database_is_reported(setup: Setup) {
        let url = match setup.engine {
            Engine::Sqlite => "sqlite:///dev/null/no.db?mode=rw".to_owned(),
            Engine::Postgres => format!("postgres://nobody@127.0.0.1:{}/none", free_port()),
        };
        let found = doctor(&setup, &[("DATABASE_URL", url.as_str())]).await;
        assert_eq!(found.code, Some(2));
        match setup.engine {
            Engine::Sqlite => found.expect(("folder", "fail"), "/dev/null cannot be written"),
            Engine::Postgres => found.expect(("database", "fail"), "connection refused: the host answers, and no program listens"),
        }
        let failed = found.found.iter().filter(|found| found["status"] == "fail");
        assert_eq!(failed.count(), 1, "one reason: {:#?}", found.found);
    }

    /// A folder of a different user is reported with both users, and without the errors that follow from it.
    async fn a_folder_of_a_different_user_is_reported(setup: Setup) {
        const UNPRIVILEGED: u32 = 65534;
        use std::os::unix::fs::MetadataExt as _;
        let Ok(own) = std::fs::metadata("/proc/self") else {
            return; // only Linux shows the user there
        };
        if setup.engine == Engine::Postgres {
            return;
        }
        let settings = [("DATABASE_URL", "sqlite:///storyden-auth-absent.db")];
        let mut command = setup.program(&["doctor", "--json"], &settings);
        command.current_dir("/");
        if own.uid() == 0 {
            command.uid(UNPRIVILEGED); // root may write everywhere
        }
        let output = command.output().await.unwrap();
        let Ok(found) = serde_json::from_slice(&output.stdout) else {
            assert_eq!(own.uid(), 0, "{output:?}");
            return; // the other user cannot read the program
        };
        let found = Findings { code: output.status.code(), found };
        assert_eq!(found.code, Some(2));
        found.expect(("folder", "fail"), "/ belongs to the user root, and this command runs as ");
        let advice = found.found.iter().find(|found| found["check"] == "folder").unwrap()["advice"].as_str().unwrap();
        assert!(advice.contains("install -d -m 700 -o ") && !advice.contains("sudo -u root"), "{advice}");
        for check in ["database", "files"] {
            assert!(found.of(check).is_empty(), "{:?}", found.of(check));
        }
    }

    async fn a_port_of_another_program_is_reported(setup: Setup) {
        let taken = storydens_api(json!({})).await.replace("http://localhost", "127.0.0.1");
        let found = doctor(&setup, &[("LISTEN_ADDR", &taken), ("METRICS_ADDR", &taken)]).await;
        assert_eq!(found.code, Some(2));
        found.expect(("listening", "fail"), &format!("LISTEN_ADDR {taken} is used by another program"));
        found.expect(("listening", "fail"), &format!("METRICS_ADDR {taken} is used by another program"));
        let found = doctor(&setup, &[("LISTEN_ADDR", "192.0.2.1:8000")]).await;
        found.expect(("listening", "fail"), "192.0.2.1:8000 cannot be listened on");
    }

    /// A second process: a server on the same file that listens at a different address.
    async fn a_server_at_a_different_address_is_reported(setup: Setup) {
        let program = setup.spawn(free_port()).await;
        let found = doctor(&setup, &[]).await;
        match setup.engine {
            Engine::Sqlite => found.expect(("listening", "warn"), "uses the SQLite file, and does not listen at LISTEN_ADDR"),
            Engine::Postgres => found.expect_ok("listening"),
        }
        program.kill().await;
    }

    async fn a_wrong_clock_of_the_issuer_is_reported(setup: Setup) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let date = [("date", "Thu, 01 Jan 2026 00:00:00 GMT")];
        let answer = (date, Json(json!({ "issuer": issuer })));
        let router = Router::new().fallback(async move || answer);
        tokio::spawn(async { axum::serve(listener, router).await });
        let found = doctor(&setup, &[("PUBLIC_API_ADDRESS", issuer.as_str())]).await;
        found.expect(("clock", "warn"), " days behind this machine's");
    }

    async fn misspelt_variables_are_reported(setup: Setup) {
        let file = setup.folder.join("settings.env");
        std::fs::write(&file, "OAUTH_KEY_SECRET=x\nSOMETHING_ELSE=x\n").unwrap();
        let shown = file.display().to_string();
        let ended = setup.run(&["doctor", "--json", "--env-file", &shown], &[("TRUSTED_PROXYS", "10.0.0.0/8")]).await;
        let found = Findings { code: ended.code, found: serde_json::from_str(&ended.stdout).unwrap() };
        for name in ["OAUTH_KEY_SECRET", "TRUSTED_PROXYS"] {
            found.expect(("configuration", "warn"), &format!("the variable {name} has no effect"));
        }
        // A file has only settings, so an unknown name in it is reported whatever it is near to.
        found.expect(("configuration", "warn"), "the variable SOMETHING_ELSE has no effect");
        assert_eq!(found.of("configuration").len(), 4, "{:?}", found.of("configuration"));
    }

    /// A database that answers and cannot be written: locked by another process, or read-only. `serve` refuses to start
    /// on the latter.
    async fn a_database_that_cannot_be_written_is_reported(setup: Setup) {
        if setup.engine == Engine::Sqlite {
            let mut other = sqlx::SqliteConnection::connect(&setup.database.url).await.unwrap();
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
            let found = doctor(&setup, &[]).await;
            assert_eq!(found.code, Some(2));
            return found.expect(("database", "fail"), "nothing can be written: the database is not available: database is locked");
        }
        let read_only = format!("{}%20-c%20default_transaction_read_only%3Don", setup.database.url);
        let settings = [("DATABASE_URL", read_only.as_str())];
        let found = doctor(&setup, &settings).await;
        assert_eq!(found.code, Some(2));
        found.expect(("database", "fail"), "the database can be read, and not written");
        let ended = setup.run(&["serve"], &settings).await;
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("the database cannot be written: let DATABASE_URL name the primary"), "{}", ended.stderr);
    }

    /// A file that its owner cannot write: as root, and for SQLite, it can be written.
    async fn files_that_cannot_be_written_are_reported(setup: Setup) {
        if setup.engine == Engine::Postgres {
            return;
        }
        widen(&setup.folder.join("test.db"), 0o400);
        let found = doctor(&setup, &[]).await;
        assert_eq!(found.code, Some(2));
        found.expect(("folder", "fail"), "their owner cannot read and write: ");
    }

    /// The reason of PostgreSQL is in the finding, without the line of its source code.
    async fn the_reason_of_a_failed_connection_is_reported(setup: Setup) {
        if setup.engine == Engine::Sqlite {
            std::fs::write(setup.folder.join("test.db"), "no database at all, and long enough for a header of SQLite".repeat(9)).unwrap();
            let found = doctor(&setup, &[]).await;
            return found.expect(("database", "fail"), "file is not a database (code 26)");
        }
        let (before, query) = setup.database.url.split_once('?').unwrap();
        let (server, _) = before.rsplit_once('/').unwrap();
        let url = format!("{server}/no_such_database?{query}");
        let found = doctor(&setup, &[("DATABASE_URL", &url)]).await;
        found.expect(("database", "fail"), "\"no_such_database\" does not exist (code 3D000)");
    }

    /// Keys in the database cannot be opened with a new secret, so that neither `doctor` nor `serve` advises one.
    async fn a_missing_secret_of_existing_keys_is_reported(setup: Setup) {
        let secret = ("OAUTH_KEYS_SECRET", "a secret that all the replicas of this test have");
        let none = ("OAUTH_SIGNING_KEY_BASE64", "");
        let ended = setup.run(&["key", "rotate"], &[none, secret]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        // A key of the settings beside the generated keys.
        let found = doctor(&setup, &[]).await;
        found.expect(("signing key", "warn"), "the database has generated RS256 keys");
        if setup.engine == Engine::Sqlite {
            return; // without the setting, the secret is looked for in DATA_DIR
        }
        let found = doctor(&setup, &[none]).await;
        found.expect(("signing key", "fail"), "set OAUTH_KEYS_SECRET to the value of the other replicas");
        let ended = setup.run(&["serve"], &[none]).await;
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("set OAUTH_KEYS_SECRET to the value of the other replicas"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("openssl"), "{}", ended.stderr);
    }

    /// A server with a different database at the address.
    async fn a_server_with_a_different_database_is_reported(setup: Setup) {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let program = setup.spawn(port).await;
        let found = doctor(&setup, &[("LISTEN_ADDR", &address)]).await;
        found.expect(("listening", "ok"), "a storyden-auth answers");
        let key = setup.run(&["key", "generate"], &[]).await.stdout;
        let other = format!("sqlite://{}", setup.folder.join("other.db").display());
        let settings = match setup.engine {
            Engine::Sqlite => ("DATABASE_URL", other.as_str()),
            Engine::Postgres => ("OAUTH_SIGNING_KEY_BASE64", key.trim()),
        };
        let found = doctor(&setup, &[("LISTEN_ADDR", &address), settings]).await;
        assert_eq!(found.code, Some(2));
        found.expect(("listening", "fail"), "a storyden-auth with a different database answers at LISTEN_ADDR");
        program.kill().await;
    }

    /// A time in the future, of a run with a wrong clock.
    async fn a_clean_up_in_the_future_is_reported(setup: Setup) {
        let url = DatabaseUrl::parse(&setup.database.url).unwrap();
        let db = Db::open(&url).await.unwrap();
        let future = "INSERT INTO auth_jobs (name, completed_at, deleted) VALUES ('grants', '2099-01-01 00:00:00+00:00', 0) \
                      ON CONFLICT (name) DO UPDATE SET completed_at = excluded.completed_at";
        db.execute(future, Vec::new()).await.unwrap();
        db.close().await;
        let found = doctor(&setup, &[]).await;
        found.expect(("clean-up", "warn"), "completed in the future, at 2099-01-01");
    }

    /// a client in a trusted network chooses its own address.
    async fn trusting_every_address_is_reported(setup: Setup) {
        let found = doctor(&setup, &[("TRUSTED_PROXIES", "10.0.0.0/8, ::/0, 0.0.0.0/0")]).await;
        assert_eq!(found.code, Some(2));
        found.expect(("addresses", "fail"), "TRUSTED_PROXIES has ::/0, 0.0.0.0/0: every client");
    }

    /// RFC 7518 §3.3: the length of a weak key is in the finding.
    async fn a_weak_key_is_reported(setup: Setup) {
        let weak = STANDARD.encode(include_str!("support/short-key-pkcs8.pem"));
        let found = doctor(&setup, &[("OAUTH_SIGNING_KEY_BASE64", weak.as_str())]).await;
        assert_eq!(found.code, Some(2));
        found.expect(("signing key", "fail"), "OAUTH_SIGNING_KEY_BASE64 is an RSA key of 1024 bits; use at least 2048 bits");
    }

    /// A file readable by others is reported with the content at risk: the database, a key, a setting.
    async fn files_readable_by_others_are_reported(setup: Setup) {
        let settings_file = setup.folder.join("settings.env");
        std::fs::write(&settings_file, "LOG_LEVEL=info\nREMOTE_TOKEN_KEY=x\nDATABASE_PASSWORD=\n").unwrap();
        let shown = settings_file.display().to_string();
        let command = ["doctor", "--json", "--env-file", &shown];
        let look = async || {
            let ended = setup.run(&command, &[]).await;
            Findings { code: ended.code, found: serde_json::from_str(&ended.stdout).unwrap() }
        };
        widen(&settings_file, 0o640);
        look().await.expect(("files", "warn"), "settings.env has the mode 0640: its group can read REMOTE_TOKEN_KEY");
        widen(&settings_file, 0o644);
        look().await.expect(("files", "fail"), "settings.env has the mode 0644: everybody can read REMOTE_TOKEN_KEY");
        widen(&settings_file, 0o600);
        if setup.engine == Engine::Postgres {
            return look().await.expect_ok("files");
        }
        let (database, key) = (setup.folder.join("test.db"), setup.folder.join("remote-token.key"));
        std::fs::write(&key, "x").unwrap();
        widen(&key, 0o600);
        widen(&database, 0o600);
        look().await.expect_ok("files");
        widen(&key, 0o604);
        widen(&database, 0o644);
        let found = look().await;
        assert_eq!(found.code, Some(2));
        found.expect(("files", "fail"), "remote-token.key has the mode 0604");
        found.expect(("files", "fail"), "test.db has the mode 0644: everybody can read the database");
        widen(&setup.folder, 0o777);
        look().await.expect(("files", "warn"), "other users can replace the database and its keys");
        widen(&setup.folder, 0o755);
        let storyden = setup.add_storyden_tables().await;
        widen(&key, 0o600);
        look().await.expect(("files", "warn"), "test.db has the mode 0644: others can read the database");
        drop(storyden);
    }
}
