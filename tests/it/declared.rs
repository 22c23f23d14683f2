//! `plan`, `apply` and `export`: roles, resources and applications as a file.

use serde_json::{Value, json};

use crate::support::{Setup, both};

const FILE: &str = r#"
[[role]]
name = "Developers"
permissions = ["USE_OAUTH_CLIENTS"]

[[role]]
name = "member"
permissions = ["READ_PROFILE"]

[[resource]]
url = "https://tools.example/mcp"
name = "Tools"
server = "calendar"

[[resource.scope]]
name = "tools:read"
description = "Read your tools"

[[resource.scope]]
name = "tools:write"
roles = ["Developers"]

[[issuer]]
url = "https://idp.example"
name = "Company"
by_email = true

[[client]]
id = "calendar"
name = "Calendar"
type = "confidential"
scopes = ["openid", "tools:read"]
redirect_uris = ["https://calendar.example/callback"]
post_logout_redirect_uris = ["https://calendar.example/goodbye"]
secret = { env = "CALENDAR_SECRET" }

[[client]]
id = "terminal"
name = "Terminal"
type = "public"
grants = ["device_code", "refresh_token"]
dpop = true
"#;

const SECRET: (&str, &str) = (
    "CALENDAR_SECRET",
    "a secret of more than thirty-two characters",
);

/// Writes a file into the folder of the setup, and returns the path.
fn written(setup: &Setup, text: &str) -> String {
    let path = setup.folder.join("community.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Runs a command, which must succeed, and returns the output.
async fn run(setup: &Setup, arguments: &[&str]) -> String {
    let ended = setup.run(arguments, &[SECRET]).await;
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    ended.stdout
}

/// Runs `plan` or `apply`, and returns a line per change.
async fn changes(setup: &Setup, command: &str, file: &str) -> Vec<String> {
    let shown: Value = serde_json::from_str(&run(setup, &[command, file, "--json"]).await).unwrap();
    let changes = shown["changes"].as_array().unwrap().iter();
    let line = |change: &Value| {
        let [change, kind, name] =
            ["change", "kind", "name"].map(|member| change[member].as_str().unwrap());
        format!("{change} {kind} {name}")
    };
    changes.map(line).collect()
}

/// Runs `plan`, which must fail, and returns the error.
async fn refused(setup: &Setup, text: &str) -> String {
    let ended = setup.run(&["plan", &written(setup, text)], &[SECRET]).await;
    assert_eq!(ended.code, Some(1), "{text}: {}", ended.stdout);
    ended.stderr
}

both! {
    /// A file is planned, applied, and applied again without a change. A changed file changes only what differs.
    async fn a_file_is_applied_once(setup: Setup) {
        let file = written(&setup, FILE);
        let expected = [
            "create role Developers", "update role Member", "create resource https://tools.example/mcp",
            "create issuer https://idp.example", "create client calendar", "create client terminal",
        ];
        assert_eq!(changes(&setup, "plan", &file).await, expected);
        assert_eq!(changes(&setup, "plan", &file).await, expected, "plan changes nothing");
        assert_eq!(changes(&setup, "apply", &file).await, expected);
        assert_eq!(changes(&setup, "apply", &file).await, Vec::<String>::new());
        assert!(run(&setup, &["plan", &file]).await.starts_with("no changes"));

        let server = setup.start().await;
        let form = [("token", "x"), ("client_id", "calendar"), ("client_secret", SECRET.1)];
        let answer = server.post_form("/api/oauth/introspect", &form).await.expect(200);
        assert_eq!(answer.json()["active"], false, "the secret of the file authenticates");

        let other = FILE.replace("\"Company\"", "\"Sign-in\"").replace("\"Calendar\"", "\"Community calendar\"").replace("description = \"Read your tools\"\n", "");
        let file = written(&setup, &other);
        let text = run(&setup, &["plan", &file]).await;
        for line in ["~ resource https://tools.example/mcp", "~ client calendar", "    name: Calendar -> Community calendar", "~ issuer https://idp.example", "    name: Company -> Sign-in"] {
            assert!(text.lines().any(|shown| shown == line), "{line}: {text}");
        }
        assert!(!text.contains("terminal") && !text.contains("role"), "{text}");
        run(&setup, &["apply", &file, "--yes"]).await;
        assert!(changes(&setup, "plan", &file).await.is_empty());
        let shown: Value = serde_json::from_str(&run(&setup, &["client", "show", "calendar", "--json"]).await).unwrap();
        assert_eq!(shown["name"], "Community calendar");
        assert_eq!(shown["post_logout_redirect_uris"], json!(["https://calendar.example/goodbye"]));
    }

    /// An exported database is equal to its file, and has no secret.
    async fn an_export_is_a_file_without_changes(setup: Setup) {
        setup.start().await;
        run(&setup, &["apply", &written(&setup, FILE)]).await;
        let exported = run(&setup, &["export"]).await;
        assert!(!exported.contains(SECRET.1) && !exported.contains("argon2"), "{exported}");
        let file = written(&setup, &exported);
        assert_eq!(changes(&setup, "plan", &file).await, Vec::<String>::new());
        let without = exported.replace("dpop = true\n", "");
        let text = run(&setup, &["plan", &written(&setup, &without)]).await;
        assert!(text.contains("dpop: true -> false"), "{text}");
        let second = setup.second_community().await;
        let file = written(&second, &exported);
        assert_eq!(changes(&second, "plan", &file).await.len(), 6);
    }

    /// A replaced secret is changed once, and the old secret no longer authenticates.
    async fn a_secret_of_a_file_is_replaced(setup: Setup) {
        let secret = setup.folder.join("secret");
        let by_file = format!("{{ file = {:?} }}", secret.display().to_string());
        let file = written(&setup, &FILE.replace("{ env = \"CALENDAR_SECRET\" }", &by_file));
        std::fs::write(&secret, format!("{}\n", SECRET.1)).unwrap();
        run(&setup, &["apply", &file]).await;
        assert!(changes(&setup, "apply", &file).await.is_empty());
        std::fs::write(&secret, "another secret of more than thirty-two characters").unwrap();
        assert_eq!(changes(&setup, "apply", &file).await, ["update client calendar"]);
        assert!(changes(&setup, "apply", &file).await.is_empty());
        let server = setup.start().await;
        let form = [("token", "x"), ("client_id", "calendar"), ("client_secret", SECRET.1)];
        server.post_form("/api/oauth/introspect", &form).await.expect_error(401, "invalid_client");
    }

    /// A confidential application without a secret in the file gets a secret, shown once.
    async fn a_missing_secret_is_generated(setup: Setup) {
        let file = written(&setup, &FILE.replace("secret = { env = \"CALENDAR_SECRET\" }\n", ""));
        let shown: Value = serde_json::from_str(&run(&setup, &["apply", &file, "--json"]).await).unwrap();
        assert_eq!(shown["secrets"][0]["client_id"], "calendar");
        assert!(shown["secrets"][0]["client_secret"].as_str().unwrap().starts_with("sdoas_"));
        assert!(changes(&setup, "apply", &file).await.is_empty());
    }

    /// A fault of one entry is reported with its name, and nothing is changed.
    async fn a_faulty_file_changes_nothing(setup: Setup) {
        for (right, wrong, error) in [
            ("USE_OAUTH_CLIENTS", "EVERYTHING", "role Developers: "),
            ("roles = [\"Developers\"]", "roles = [\"Gods\"]", "scope tools:write: no role is called \"Gods\""),
            ("url = \"https://tools.example/mcp\"", "url = \"tools\"", "resource tools: url "),
            ("\"tools:read\"]", "\"tools:eat\"]", "client calendar: scopes has tools:eat, which no resource has"),
            ("https://calendar.example/callback", "javascript:x", "client calendar: "),
            ("CALENDAR_SECRET", "ABSENT_SECRET", "client calendar: secret: the variable ABSENT_SECRET has no secret"),
            ("type = \"public\"", "type = \"public\"\nsecret = { env = \"CALENDAR_SECRET\" }", "client terminal: a public client has no secret"),
            ("type = \"public\"", "type = \"secret\"", "unknown variant"),
            ("https://idp.example", "http://idp.example", "issuer http://idp.example: url"),
            ("[[role]]", "[[rolle]]", "unknown field"),
        ] {
            assert!(FILE.contains(right), "{right}");
            let said = refused(&setup, &FILE.replace(right, wrong)).await;
            assert!(said.contains(error), "{wrong}: {said}");
        }
        let file = written(&setup, FILE);
        assert_eq!(changes(&setup, "plan", &file).await.len(), 6);
        run(&setup, &["apply", &file]).await;
        let said = refused(&setup, &FILE.replace("type = \"public\"\ngrants = [\"device_code\", \"refresh_token\"]", "type = \"confidential\"\nredirect_uris = [\"https://a.example/\"]")).await;
        assert!(said.contains("client terminal: the type of a client does not change"), "{said}");
    }
}
