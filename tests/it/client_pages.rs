//! Website, terms, privacy policy, logo and application type of applications that members, administrators and commands
//! make and change (issue 18).

use serde_json::{Value, json};

use crate::support::{Server, both};

const MINE: &str = "/api/auth/oauth/clients";
const ALL: &str = "/api/admin/oauth/clients";
const PAGES: [&str; 4] = ["client_uri", "tos_uri", "policy_uri", "logo_uri"];

/// A new single-page app of a member.
fn app() -> Value {
    json!({
        "name": "Map", "type": "public", "application_type": "web", "redirect_uris": ["http://localhost:5173/"],
        "allowed_scopes": ["openid", "profile"], "allowed_grants": ["authorization_code", "refresh_token"],
        "pkce_required": true, "client_uri": "https://map.example", "tos_uri": "https://map.example/terms",
        "policy_uri": "https://map.example/privacy", "logo_uri": "https://map.example/logo.png",
    })
}

/// The facts of the consent page of a client.
async fn facts(server: &Server, member: &crate::support::Member, client: &Value) -> Value {
    let client = crate::support::Client {
        row_id: storyden_auth::ids::ClientRowId::new(client["id"].as_str().unwrap()),
        client_id: client["client_id"].as_str().unwrap().to_owned(),
        secret: None,
        redirect_uri: client["redirect_uris"][0].as_str().unwrap().to_owned(),
    };
    let request_id = server
        .pending(member, &client, &[("scope", "openid")])
        .await;
    server.consent(member, &request_id).await.expect(200).json()
}

both! {
    /// The owner sets the four addresses at the creation, changes one, and removes one; the consent page shows them.
    async fn owner_sets_and_removes_pages(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let made = server.post_as(&frigg, MINE, &app()).await.expect(200).json();
        let one = format!("{MINE}/{}", made["client"]["id"].as_str().unwrap());
        let shown = server.get_as(&frigg, &one).await.expect(200).json();
        for page in PAGES {
            assert_eq!(made["client"][page], app()[page]);
            assert_eq!(shown[page], app()[page]);
        }
        let consent = facts(&server, &frigg, &shown).await;
        assert_eq!(consent["client_uri"], "https://map.example");
        assert_eq!(consent["tos_uri"], "https://map.example/terms");
        let change = json!({ "tos_uri": null, "policy_uri": "", "client_uri": "https://www.map.example" });
        let changed = server.call_as(&frigg, ("PATCH", &one), Some(&change)).await.expect(200).json();
        assert_eq!(changed["client_uri"], "https://www.map.example");
        assert_eq!(changed["logo_uri"], app()["logo_uri"]);
        assert!(changed.get("tos_uri").is_none() && changed.get("policy_uri").is_none(), "{changed}");
        let consent = facts(&server, &frigg, &shown).await;
        assert!(consent.get("tos_uri").is_none(), "{consent}");
        // a change of another member keeps the pages
        let renamed = json!({ "name": "Atlas" });
        let renamed = server.call_as(&frigg, ("PATCH", &one), Some(&renamed)).await.expect(200).json();
        assert_eq!(renamed["logo_uri"], app()["logo_uri"]);
    }

    /// An address that is no https URL is refused by name and value, at the creation and at a change.
    async fn other_addresses_are_refused(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let made = server.post_as(&frigg, MINE, &app()).await.expect(200).json();
        let id = made["client"]["id"].as_str().unwrap();
        for page in PAGES {
            for value in [json!("http://map.example"), json!("javascript:alert(1)"), json!("https://u:p@map.example"), json!("map.example"), json!(1)] {
                let mut new = app();
                new[page] = value.clone();
                let change = json!({ page: value });
                for answer in [
                    server.post_as(&frigg, MINE, &new).await,
                    server.call_as(&frigg, ("PATCH", &format!("{MINE}/{id}")), Some(&change)).await,
                    server.call_as(&odin, ("PATCH", &format!("{ALL}/{id}")), Some(&change)).await,
                ] {
                    let detail = answer.expect(400).text("detail");
                    assert!(detail.contains(page), "{detail}");
                }
            }
        }
    }

    /// OpenID Connect Registration §2: the chosen application type is shown again, in lists too. Loopback redirect URIs
    /// are for development; a private-use scheme is not of a page.
    async fn application_type_stays_as_chosen(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        for uri in ["http://localhost:5173/", "http://localhost/", "http://127.0.0.1:8080/cb", "http://[::1]/", "https://map.example/"] {
            let mut new = app();
            new["redirect_uris"] = json!([uri]);
            let made = server.post_as(&frigg, MINE, &new).await.expect(200).json();
            assert_eq!(made["client"]["application_type"], "web");
            let one = format!("{MINE}/{}", made["client"]["id"].as_str().unwrap());
            assert_eq!(server.get_as(&frigg, &one).await.expect(200).json()["application_type"], "web");
        }
        let list = server.get_as(&frigg, MINE).await.expect(200).json();
        assert!(list["clients"].as_array().unwrap().iter().all(|client| client["application_type"] == "web"));
        let list = server.get_as(&odin, ALL).await.expect(200).json();
        assert!(list["clients"].as_array().unwrap().iter().all(|client| client["application_type"] == "web"));
        let one = format!("{MINE}/{}", list["clients"][0]["id"].as_str().unwrap());
        let mut private = app();
        private["redirect_uris"] = json!(["com.example.app:/callback"]);
        for answer in [
            server.post_as(&frigg, MINE, &private).await,
            server.call_as(&frigg, ("PATCH", &one), Some(&json!({ "redirect_uris": ["com.example.app:/callback"] }))).await,
            server.call_as(&frigg, ("PATCH", &one), Some(&json!({ "application_type": "desktop" }))).await,
        ] {
            let detail = answer.expect(400).text("detail");
            assert!(detail.contains("application_type"), "{detail}");
        }
        let native = json!({ "application_type": "native", "redirect_uris": ["com.example.app:/callback"] });
        let changed = server.call_as(&frigg, ("PATCH", &one), Some(&native)).await.expect(200).json();
        assert_eq!(changed["application_type"], "native");
        // an application without a choice
        let mut new = app();
        new.as_object_mut().unwrap().remove("application_type");
        let made = server.post_as(&frigg, MINE, &new).await.expect(200).json();
        assert!(made["client"].get("application_type").is_none());
    }

    /// RFC 7591: a registration keeps its other metadata, and its type is shown to administrators.
    async fn administrator_changes_one_page_of_a_registration(setup: Setup) {
        let server = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        let odin = server.admin("odin").await;
        let document = json!({
            "redirect_uris": ["https://app.example/cb"], "application_type": "native", "software_id": "reader",
            "client_uri": "https://app.example", "tos_uri": "https://app.example/terms",
        });
        let registered = crate::support::registration::register(&server, &document).await.expect(201).json();
        let list = server.get_as(&odin, ALL).await.expect(200).json();
        let client = &list["clients"][0];
        assert_eq!(client["application_type"], "native");
        let one = format!("{ALL}/{}", client["id"].as_str().unwrap());
        let changed = server.call_as(&odin, ("PATCH", &one), Some(&json!({ "tos_uri": "" }))).await.expect(200).json();
        assert_eq!(changed["client_uri"], "https://app.example");
        assert!(changed.get("tos_uri").is_none());
        let path = format!("/api/oauth/register/{}", registered["client_id"].as_str().unwrap());
        let token = registered["registration_access_token"].as_str().unwrap();
        let shown = server.get_with_bearer(&path, token).await.expect(200).json();
        assert_eq!(shown["software_id"], "reader");
        assert!(shown.get("tos_uri").is_none(), "{shown}");
    }

    /// In the profile `storyden` the members are unknown: ignored in bodies, and absent in answers.
    async fn profile_storyden_has_no_pages(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let odin = server.admin("odin").await;
        let mut new = app();
        new["allowed_scopes"] = json!([]);
        new["client_uri"] = json!("not an address");
        let made = server.post_as(&odin, MINE, &new).await.expect(200).json();
        for member in PAGES.iter().chain(&["application_type"]) {
            assert!(made["client"].get(member).is_none(), "{made}");
        }
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM auth_clients", &[]).await, 0);
    }

    /// `client create` and `client update` set the addresses; an empty value removes one.
    async fn commands_set_and_remove_pages(setup: Setup) {
        let server = setup.start().await;
        let run = async |arguments: &[&str]| setup.run(arguments, &[]).await;
        let create = [
            "client", "create", "--name", "Map", "--type", "public", "--client-id", "map", "--redirect-uri", "http://localhost/",
            "--website", "https://map.example", "--logo", "https://map.example/logo.png", "--json",
        ];
        let made = run(&create).await;
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        let made: Value = serde_json::from_str(&made.stdout).unwrap();
        assert_eq!((&made["client_uri"], &made["logo_uri"]), (&json!("https://map.example"), &json!("https://map.example/logo.png")));
        let update = [
            "client", "update", "map", "--name", "Atlas", "--website", "", "--terms", "https://map.example/terms", "--policy",
            "https://map.example/privacy", "--json",
        ];
        let changed = run(&update).await;
        assert_eq!(changed.code, Some(0), "{}", changed.stderr);
        let changed: Value = serde_json::from_str(&changed.stdout).unwrap();
        assert_eq!(changed["name"], "Atlas");
        assert_eq!(changed["tos_uri"], "https://map.example/terms");
        assert!(changed.get("client_uri").is_none(), "{changed}");
        let shown = run(&["client", "show", "map"]).await;
        assert!(shown.stdout.contains("terms of service") && shown.stdout.contains("https://map.example/logo.png"), "{}", shown.stdout);
        assert!(!shown.stdout.contains("website"), "{}", shown.stdout);
        let refused = run(&["client", "update", "map", "--logo", "http://map.example/logo.png"]).await;
        assert_eq!(refused.code, Some(2));
        assert!(refused.stderr.contains("--logo") && refused.stderr.contains("https"), "{}", refused.stderr);
        drop(server);
    }
}
