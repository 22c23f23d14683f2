//! Scopes of requests (RFC 6749 §3.3): spaces and unknown names are passed over, an unknown name grants
//! nothing, and a client that lists no scope has the standard scopes as the default.

use serde_json::{Value, json};
use storyden_auth::ids::ClientRowId;
use storyden_auth::oauth::grant_type::GrantType;

use crate::support::race::with;
use crate::support::simulated_internet::SimulatedInternet;
use crate::support::{Answer, Client, Member, NewClient, Server, both, told};

/// The scope of a request without `scope`, by a client that lists no scope.
const DEFAULT: &str = "openid profile email offline_access";

const REDIRECT_URI: &str = "https://app.example/cb";

/// A client that this test did not insert into the table.
fn client(client_id: &str, secret: Option<String>) -> Client {
    Client {
        row_id: ClientRowId::new(""),
        client_id: client_id.to_owned(),
        secret,
        redirect_uri: REDIRECT_URI.to_owned(),
    }
}

/// Registers a client, and returns the registered scope too.
async fn registered(server: &Server, changes: &Value) -> (Client, String) {
    let mut document = json!({
        "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none",
    });
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
    let request = server
        .request("POST", "/api/oauth/register")
        .json(&document);
    let answer = server.send(request).await.expect(201);
    (
        client(&answer.text("client_id"), None),
        answer.text("scope"),
    )
}

/// Asserts that a request without `scope`, or with a blank one, gets the default with all of its tokens.
async fn assert_default(server: &Server, member: &Member, client: &Client) {
    for absent in ["", "  "] {
        let tokens = server.tokens(member, client, &[("scope", absent)]).await;
        assert_eq!(tokens.text("scope"), DEFAULT, "{absent:?}");
        assert_eq!(tokens.claims("access_token")["scope"], DEFAULT);
        assert!(tokens.json()["id_token"].is_string());
        server
            .refresh(client, &tokens.text("refresh_token"))
            .await
            .expect(200);
        let userinfo = tokens.text("access_token");
        let userinfo = server
            .get_with_bearer("/api/oauth/userinfo", &userinfo)
            .await;
        assert_eq!(userinfo.expect(200).text("sub"), member.id.as_str());
    }
}

/// Asserts an `invalid_scope` with a part of the description.
#[track_caller]
fn assert_invalid_scope(answer: Answer, part: &str) {
    let description = answer
        .expect_error(400, "invalid_scope")
        .text("error_description");
    assert!(description.contains(part), "{description}");
}

both! {
    /// req_017, req_018: at authorize, spaces and unknown names are passed over; the consent page and
    /// the response name the rest. Public reports of such requests: cryptpad/sso#19 (a trailing space),
    /// ballerina-platform/ballerina-lang#20850 (a leading space), the-control-group/authx#69 (two spaces).
    async fn authorize_passes_over_spaces_and_unknown_names(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for scope in ["openid nonsense profile", "  openid   profile  ", "mcp:tools openid OPENID profile openid"] {
            let request_id = server.pending(&frigg, &app, &[("scope", scope)]).await;
            let consent = server.consent(&frigg, &request_id).await.expect(200).json();
            assert_eq!(consent["requested_scopes"], json!(["openid", "profile"]), "{scope}");
            let decided = server.decide(&frigg, &request_id, "approve").await.expect(200);
            let tokens = server.exchange(&app, &decided.sent("code").unwrap()).await.expect(200);
            assert_eq!(tokens.text("scope"), "openid profile");
        }
        // also in a request that is kept during sign-in
        let guest = server.authorize(None, &app, &[("scope", " openid  nonsense")]).await;
        let page = crate::support::assert_redirect_to_login(guest).open(&server, &frigg).await.expect(200);
        assert_eq!(page.json()["requested_scopes"], json!(["openid"]));
    }

    /// req_017, req_020, req_027: a request with only unknown names is an error that names one, and so is
    /// a character outside RFC 6749 §3.3 (a public report: indieweb/wordpress-indieauth#157). No default
    /// is granted instead.
    async fn unknown_names_alone_grant_nothing(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let unlisted = server.client(NewClient { scope: "", ..NewClient::default() }).await;
        for (scope, part) in [
            ("mcp:tools", "scope mcp:tools is unknown"),
            (" user:email  repo ", "scope user:email is unknown"),
            ("OPENID", "scope OPENID is unknown"),
            ("openid\tprofile", "openid_profile has the character U+0009"),
            ("openid \"profile\"", "_profile_ has the character U+0022"),
            ("openid caf\u{e9}", "caf_ has the character U+00E9"),
            ("openid a\\b", "a_b has the character U+005C"),
        ] {
            let error = told(server.authorize(Some(&frigg), &unlisted, &[("scope", scope)]).await, "invalid_scope");
            let description = error.sent("error_description").unwrap();
            assert!(description.contains(part), "{description}");
            assert_invalid_scope(server.start_device(&unlisted, scope).await, part);
        }
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM oauth_authorisation_requests", &[]).await, 0);
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM oauth_device_authorisations", &[]).await, 0);
    }

    /// req_017: the device start passes over the same names; a known scope that the client may not have
    /// stays an error.
    async fn a_device_start_passes_over_spaces_and_unknown_names(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.client(NewClient { scope: "openid profile", ..NewClient::default() }).await;
        let code = server.approved_device(&frigg, &app, " openid  mcp:tools ").await;
        assert_eq!(server.poll(&app, &code).await.expect(200).text("scope"), "openid");
        server.start_device(&app, "openid MANAGE_REPORTS mcp:tools").await.expect_error(400, "invalid_scope");
    }

    /// req_017, req_038, req_039: a refresh passes over the same names. A known scope beyond the grant
    /// stays an error, and the refresh token keeps its scope.
    async fn a_refresh_passes_over_spaces_and_unknown_names(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let asked = [("scope", "openid profile offline_access mcp:tools")];
        let mut token = server.tokens(&frigg, &app, &asked).await.text("refresh_token");
        for (scope, granted) in [
            ("openid mcp:tools", "openid"),
            ("  profile   openid ", "profile openid"),
            ("openid profile offline_access mcp:tools", "openid profile offline_access"),
            (" ", "openid profile offline_access"),
        ] {
            let tokens = server.token(&with(&app.refresh_form(&token), "scope", scope)).await.expect(200);
            assert_eq!(tokens.text("scope"), granted);
            token = tokens.text("refresh_token");
        }
        for scope in ["mcp:tools", "openid email mcp:tools"] {
            server.token(&with(&app.refresh_form(&token), "scope", scope)).await.expect_error(400, "invalid_scope");
        }
        server.refresh(&app, &token).await.expect(200);
    }

    /// req_017, req_019, req_020: client credentials pass over the same names. A known scope beyond the
    /// client's stays an error, and a blank scope counts as omitted.
    async fn client_credentials_pass_over_spaces_and_unknown_names(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let service = server.client(NewClient {
            client_id: "service",
            secret: Some("secret"),
            scope: "READ_PROFILE LIST_PROFILES",
            grants: &[GrantType::ClientCredentials],
            owner: Some(odin.id.clone()),
            ..NewClient::default()
        }).await;
        let ask = async |scope: &str| {
            let mut form = vec![("grant_type", "client_credentials"), ("scope", scope)];
            form.extend(service.credentials());
            server.token(&form).await
        };
        let granted = async |scope: &str| ask(scope).await.expect(200).text("scope");
        assert_eq!(granted("  READ_PROFILE  mcp:tools ").await, "READ_PROFILE");
        assert_eq!(granted("openid_extra READ_PROFILE read_profile").await, "READ_PROFILE");
        assert_eq!(granted("  ").await, "READ_PROFILE LIST_PROFILES");
        ask("READ_PROFILE MANAGE_POSTS mcp:tools").await.expect_error(400, "invalid_scope");
        assert_invalid_scope(ask("mcp:tools").await, "scope mcp:tools is unknown");
        assert_invalid_scope(ask("READ_PROFILE\t").await, "U+0009");
    }

    /// req_019, req_179: a client that lists no scope, in a registration, a metadata document or the
    /// table, gets the standard scopes for a request without `scope`, by code and by device.
    async fn a_client_that_lists_no_scope_has_the_standard_default(setup: Setup) {
        let outside = SimulatedInternet::new();
        let setup = outside.around(setup).with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
        let server = setup.start().await;
        let frigg = server.member("frigg", &["READ_PROFILE"]).await;
        let host = outside.host("app.example").await;
        let device = "urn:ietf:params:oauth:grant-type:device_code";
        let grants = json!(["authorization_code", "refresh_token", device]);

        let document = client(&host.publish("/client.json", &json!({ "grant_types": grants })), None);
        let (registration, told) = registered(&server, &json!({ "grant_types": grants })).await;
        assert_eq!(told, DEFAULT);
        let table = server.client(NewClient { client_id: "table", scope: "", ..NewClient::default() }).await;
        for app in [&document, &registration, &table] {
            assert_default(&server, &frigg, app).await;
            let code = server.approved_device(&frigg, app, "").await;
            assert_eq!(server.poll(app, &code).await.expect(200).text("scope"), DEFAULT);
            // the request decides, if it has a scope
            let narrow = server.tokens(&frigg, app, &[("scope", "openid")]).await;
            assert_eq!(narrow.text("scope"), "openid");
        }
        // unknown scopes are no scope, and a listed scope is the default
        let unknown = client(&host.publish("/unknown.json", &json!({ "scope": "mcp:tools" })), None);
        assert_default(&server, &frigg, &unknown).await;
        let listed = client(&host.publish("/listed.json", &json!({ "scope": "openid  READ_PROFILE" })), None);
        let tokens = server.tokens(&frigg, &listed, &[("scope", "")]).await;
        assert_eq!(tokens.text("scope"), "openid READ_PROFILE");
        let (blank, told) = registered(&server, &json!({ "scope": " mcp:tools\n" })).await;
        assert_eq!(told, DEFAULT);
        assert_default(&server, &frigg, &blank).await;
    }

    /// The command that creates a client without `--scope` lists no scope either. A listed scope is a
    /// limit, not a request.
    async fn a_client_of_the_command_has_the_standard_default(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let create = ["client", "create", "--name", "App", "--type", "public", "--redirect-uri", REDIRECT_URI];
        let made = setup.run(&[&create[..], &["--client-id", "cli-app"]].concat(), &[]).await;
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        assert_default(&server, &frigg, &client("cli-app", None)).await;
        let listed = [&create[..], &["--client-id", "listed", "--scope", "openid profile"]].concat();
        assert_eq!(setup.run(&listed, &[]).await.code, Some(0));
        let tokens = server.tokens(&frigg, &client("listed", None), &[("scope", "")]).await;
        assert_eq!(tokens.text("scope"), "");
    }

    /// storyden-contract.md#granting-scopes: in the profile `storyden` an unknown name is an error, and a
    /// request without `scope` grants nothing.
    async fn the_storyden_profile_knows_no_leniency(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let odin = server.admin("odin").await;
        let unlisted = server.client(NewClient { scope: "", ..NewClient::default() }).await;
        for scope in ["openid nonsense", "nonsense"] {
            let answer = server.authorize(Some(&odin), &unlisted, &[("scope", scope)]).await.expect(302);
            assert_eq!(answer.sent("error").as_deref(), Some("invalid_scope"));
            let description = "Requested scope is not permitted for this account";
            assert_eq!(answer.sent("error_description").as_deref(), Some(description));
        }
        let tokens = server.tokens(&odin, &unlisted, &[("scope", "")]).await;
        assert_eq!(tokens.text("scope"), "");
        let app = server.client(NewClient { client_id: "listed", ..NewClient::default() }).await;
        let device = server.start_device(&app, "openid nonsense").await.expect_error(400, "invalid_scope");
        assert_eq!(device.text("error_description"), "Requested scope contains invalid scope names");
        let service = server.confidential_client(&odin.id).await;
        let mut form = vec![("grant_type", "client_credentials"), ("scope", "READ_PROFILE nonsense")];
        form.extend(service.credentials());
        let answer = server.token(&form).await.expect_error(400, "invalid_scope");
        assert_eq!(answer.text("error_description"), "Requested scope is not permitted");
        let blank = with(&form, "scope", "  ");
        assert_eq!(server.token(&blank).await.expect(200).text("scope"), "");
    }
}
